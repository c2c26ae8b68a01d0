//! A score as a picture: progress over time, the raw log-probabilities under it, the controls in both.
//!
//! One self-made SVG, light and dark by the viewer's preference, without scripts or fonts of its own. Lines differ by
//! their dashes too, not by colour alone.

use std::fmt::Write as _;
use topreward::{ControlKind, Score, min_max};

const STYLE: &str = "
svg { --paper: #ffffff; --ink: #1f2328; --faint: #57606a; --line: #d0d7de;
  --own: #0969da; --frozen: #6e7781; --negation: #bc4c00; --other: #8250df; }
@media (prefers-color-scheme: dark) {
  svg { --paper: #0d1117; --ink: #e6edf3; --faint: #8d96a0; --line: #30363d;
    --own: #58a6ff; --frozen: #9198a1; --negation: #ffa657; --other: #bc8cff; }
}
.paper { fill: var(--paper); } .frame { fill: none; stroke: var(--line); } .grid { stroke: var(--line); stroke-width: 0.5; }
text { fill: var(--ink); font: 12px system-ui, sans-serif; } .faint { fill: var(--faint); font-size: 11px; }
.title { font-size: 15px; font-weight: 600; } .end { text-anchor: end; } .middle { text-anchor: middle; }
polyline { fill: none; stroke-width: 1.5; } circle { stroke: none; }
.own { stroke: var(--own); stroke-width: 2.5; } .frozen { stroke: var(--frozen); stroke-dasharray: 2 3; }
.negation { stroke: var(--negation); stroke-dasharray: 7 3; } .other { stroke: var(--other); stroke-dasharray: 7 3 2 3; }
.dot { fill: var(--own); }
";
const WIDTH: f64 = 760.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const TALL: f64 = 150.0;

/// A line of the picture.
struct Line<'a> {
    class: &'static str,
    name: String,
    log_probs: &'a [f64],
    voc: Option<f64>,
}

/// Draws a score.
#[must_use]
pub fn draw(score: &Score, title: &str) -> String {
    let setting = &score.config;
    let lines = lines(score);
    let seconds: Vec<f64> = setting
        .prefix_lengths
        .iter()
        .map(|length| *length as f64 / setting.fps)
        .collect();
    let end = (setting.frames as f64 / setting.fps).max(f64::MIN_POSITIVE);
    let mut body = String::new();
    text(&mut body, 24.0, 30.0, "title", title);
    text(
        &mut body,
        24.0,
        50.0,
        "",
        &format!("\u{201c}{}\u{201d}", shorten(&setting.instruction, 100)),
    );
    let words = format!(
        "profile {}, {} frames at {} per second; success score {:.3}",
        setting.profile, setting.frames, setting.fps, score.curve.success_score
    );
    text(&mut body, 24.0, 68.0, "faint", &words);

    let top = 92.0;
    text(
        &mut body,
        LEFT,
        top - 6.0,
        "faint",
        "progress, each line between its own lowest and highest value",
    );
    axes(&mut body, top, (0.0, 1.0), end);
    for line in &lines {
        // Of finite values this always is a curve.
        let progress = min_max(line.log_probs).unwrap_or_default();
        curve(
            &mut body,
            line.class,
            &seconds,
            &progress,
            top,
            (0.0, 1.0),
            end,
        );
    }
    let top = top + TALL + 52.0;
    text(
        &mut body,
        LEFT,
        top - 6.0,
        "faint",
        "ln p(True), one scale for all lines",
    );
    let all = || lines.iter().flat_map(|line| line.log_probs.iter().copied());
    let (low, high) = (
        all().fold(f64::INFINITY, f64::min),
        all().fold(f64::NEG_INFINITY, f64::max),
    );
    let spare = ((high - low) * 0.05).max(1e-3);
    let range = (low - spare, high + spare);
    axes(&mut body, top, range, end);
    for line in &lines {
        curve(
            &mut body,
            line.class,
            &seconds,
            line.log_probs,
            top,
            range,
            end,
        );
    }
    let mut y = top + TALL + 48.0;
    for line in &lines {
        writeln!(
            body,
            "<polyline class=\"{}\" points=\"{LEFT:.1},{:.1} {:.1},{:.1}\"/>",
            line.class,
            y - 4.0,
            LEFT + 36.0,
            y - 4.0
        )
        .ok();
        let voc = line
            .voc
            .map_or_else(|| "undefined".to_owned(), |voc| format!("{voc:.3}"));
        text(
            &mut body,
            LEFT + 46.0,
            y,
            "",
            &format!("{}: VOC {voc}", line.name),
        );
        y += 20.0;
    }
    if score.rises_when_frozen() {
        text(
            &mut body,
            LEFT,
            y,
            "",
            "The frozen frame rises as the video does: this curve shows the number of images, not progress.",
        );
        y += 20.0;
    }
    let label = escape(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y:.0}\" width=\"{WIDTH}\" height=\"{y:.0}\" role=\"img\">\n<title>{label}</title>\n<style>{STYLE}</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n{body}</svg>\n"
    )
}

fn lines(score: &Score) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = score
        .controls
        .iter()
        .map(|control| Line {
            class: match control.asked.kind {
                ControlKind::Negation => "negation",
                ControlKind::OtherTask | ControlKind::ShuffledWords => "other",
            },
            name: format!(
                "control \u{201c}{}\u{201d}",
                shorten(&control.asked.instruction, 70)
            ),
            log_probs: &control.curve.log_probs,
            voc: control.curve.voc,
        })
        .collect();
    lines.push(Line {
        class: "frozen",
        name: "control, the first frame held".to_owned(),
        log_probs: &score.static_log_probs,
        voc: score.static_voc,
    });
    // Last, so that it is drawn over the others.
    lines.push(Line {
        class: "own",
        name: "the instruction".to_owned(),
        log_probs: &score.curve.log_probs,
        voc: score.curve.voc,
    });
    lines
}

fn x_of(seconds: f64, end: f64) -> f64 {
    LEFT + seconds / end * (WIDTH - LEFT - RIGHT)
}

fn y_of(value: f64, top: f64, (low, high): (f64, f64)) -> f64 {
    top + TALL - (value - low) / (high - low).max(f64::MIN_POSITIVE) * TALL
}

fn axes(body: &mut String, top: f64, range: (f64, f64), end: f64) {
    let (low, high) = range;
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let value = low + share * (high - low);
        let y = y_of(value, top, range);
        writeln!(
            body,
            "<line class=\"grid\" x1=\"{LEFT:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\"/>",
            WIDTH - RIGHT
        )
        .ok();
        text(
            body,
            LEFT - 8.0,
            y + 4.0,
            "faint end",
            &format!("{value:.2}"),
        );
        let seconds = share * end;
        text(
            body,
            x_of(seconds, end),
            top + TALL + 16.0,
            "faint middle",
            &format!("{seconds:.1} s"),
        );
    }
    writeln!(
        body,
        "<rect class=\"frame\" x=\"{LEFT:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{TALL:.1}\"/>",
        WIDTH - LEFT - RIGHT
    )
    .ok();
}

fn curve(
    body: &mut String,
    class: &str,
    seconds: &[f64],
    values: &[f64],
    top: f64,
    range: (f64, f64),
    end: f64,
) {
    let points: Vec<(f64, f64)> = seconds
        .iter()
        .zip(values)
        .map(|(seconds, value)| (x_of(*seconds, end), y_of(*value, top, range)))
        .collect();
    let words: Vec<String> = points
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    writeln!(
        body,
        "<polyline class=\"{class}\" points=\"{}\"/>",
        words.join(" ")
    )
    .ok();
    if class == "own" {
        for (x, y) in points {
            writeln!(
                body,
                "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>"
            )
            .ok();
        }
    }
}

fn shorten(words: &str, most: usize) -> String {
    if words.chars().count() <= most {
        return words.to_owned();
    }
    words
        .chars()
        .take(most.saturating_sub(1))
        .chain(['\u{2026}'])
        .collect()
}

fn text(body: &mut String, x: f64, y: f64, class: &str, words: &str) {
    let words = escape(words);
    writeln!(
        body,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{words}</text>"
    )
    .ok();
}

/// What XML needs, and no control characters, which it does not allow.
fn escape(words: &str) -> String {
    let words: String = words
        .chars()
        .filter(|letter| !letter.is_control())
        .collect();
    words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
