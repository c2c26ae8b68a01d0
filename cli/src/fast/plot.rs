//! Plot of a tokenizer's reconstruction error: by time step and dimension, and for the worst chunk.
//!
//! The plot is one SVG, light or dark by the reader's preference, without scripts and embedded fonts.

use super::quality::{Quality, Worst};
use openfast::Shape;
use std::fmt::Write as _;

const STYLE: &str = "
svg { --paper: #ffffff; --ink: #1f2328; --faint: #8b949e; --line: #d0d7de; --hot: #bc4c00; --truth: #0969da; }
@media (prefers-color-scheme: dark) {
  svg { --paper: #0d1117; --ink: #e6edf3; --faint: #7d8590; --line: #30363d; --hot: #ffa657; --truth: #58a6ff; }
}
.paper { fill: var(--paper); } .heat { fill: var(--hot); } .frame { fill: none; stroke: var(--line); }
text { fill: var(--ink); font: 12px system-ui, sans-serif; } .faint { fill: var(--faint); font-size: 11px; }
.title { font-size: 15px; font-weight: 600; } .end { text-anchor: end; } .middle { text-anchor: middle; }
polyline { fill: none; stroke-width: 1.5; } .original { stroke: var(--truth); }
.decoded { stroke: var(--hot); stroke-dasharray: 4 2; }
";
const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
/// Width and height of the plot of one dimension of the worst chunk.
const SMALL: (f64, f64) = (280.0, 110.0);
const COLUMNS: usize = 3;
const MOST_DIMS: usize = 12;

/// Draws the measured errors as an SVG document.
pub(super) fn draw(quality: &Quality, measured_on: &str) -> String {
    let mut body = String::new();
    let mut y = 30.0;
    text(&mut body, 24.0, y, "title", "Reconstruction error");
    y += 20.0;
    let label = format!(
        "{} chunks: {measured_on}; RMSE {:.4} normalised units, {:.1} tokens per chunk",
        quality.chunks, quality.rmse, quality.tokens.mean
    );
    text(&mut body, 24.0, y, "faint", &label);
    y += 24.0;
    match &quality.grid {
        Some((shape, cells)) => y = heat_map(&mut body, y, *shape, cells, quality),
        None => {
            text(
                &mut body,
                24.0,
                y,
                "faint",
                "(chunks of several shapes: no map by time step)",
            );
            y += 24.0;
        }
    }
    if let Some(chunk) = &quality.worst {
        y = worst(&mut body, y, chunk);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y:.0}\" width=\"{WIDTH}\" height=\"{y:.0}\" role=\"img\">\n<title>Reconstruction error of an action tokenizer</title>\n<style>{STYLE}</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n{body}</svg>\n"
    )
}

/// Draws the heat map: time steps to the right, dimensions down, with means at its sides. Returns the y of its end.
fn heat_map(body: &mut String, top: f64, shape: Shape, cells: &[f64], quality: &Quality) -> f64 {
    let Shape { horizon, dims } = shape;
    let side = 160.0;
    let width = WIDTH - LEFT - side - 24.0;
    let cell_width = width / horizon as f64;
    let cell_height = (240.0 / dims as f64).clamp(6.0, 24.0);
    let height = cell_height * dims as f64;
    let most = cells.iter().copied().fold(0.0, f64::max);
    let opacity = |value: f64| if most > 0.0 { value / most } else { 0.0 };
    for (index, &value) in cells.iter().enumerate() {
        let (step, dim) = (index / dims, index % dims);
        rect(
            body,
            [
                LEFT + step as f64 * cell_width,
                top + dim as f64 * cell_height,
                cell_width,
                cell_height,
            ],
            "heat",
            opacity(value),
            &format!("step {step}, dimension {dim}: {value:.4}"),
        );
    }
    frame(body, LEFT, top, width, height);
    let dim_most = quality.dims.iter().map(|dim| dim.rmse).fold(0.0, f64::max);
    for (dim, error) in quality.dims.iter().enumerate() {
        let y = top + dim as f64 * cell_height;
        if dims <= 32 {
            text(
                body,
                LEFT - 8.0,
                y + cell_height / 2.0 + 4.0,
                "faint end",
                &dim.to_string(),
            );
        }
        let length = if dim_most > 0.0 {
            error.rmse / dim_most * (side - 70.0)
        } else {
            0.0
        };
        rect(
            body,
            [LEFT + width + 10.0, y + 1.0, length, cell_height - 2.0],
            "heat",
            0.8,
            &format!("dimension {dim}: {:.4}", error.rmse),
        );
        if cell_height >= 10.0 {
            let x = LEFT + width + 14.0 + length;
            text(
                body,
                x,
                y + cell_height / 2.0 + 4.0,
                "faint",
                &format!("{:.4}", error.rmse),
            );
        }
    }
    // Bars below the map: error of each step over all dimensions.
    let base = top + height + 46.0;
    let steps: Vec<f64> = cells
        .chunks(dims.max(1))
        .map(|row| (row.iter().map(|cell| cell * cell).sum::<f64>() / dims as f64).sqrt())
        .collect();
    let step_most = steps.iter().copied().fold(0.0, f64::max);
    for (step, &value) in steps.iter().enumerate() {
        let tall = if step_most > 0.0 {
            value / step_most * 36.0
        } else {
            0.0
        };
        rect(
            body,
            [
                LEFT + step as f64 * cell_width + 0.5,
                base - tall,
                (cell_width - 1.0).max(0.5),
                tall,
            ],
            "heat",
            0.8,
            &format!("step {step}: {value:.4}"),
        );
    }
    let middle = LEFT + width / 2.0;
    let label = format!(
        "time step 0 to {} (at most {step_most:.4}); full color is {most:.4}",
        horizon.saturating_sub(1)
    );
    text(body, middle, base + 18.0, "faint middle", &label);
    text(body, 24.0, top - 6.0, "faint", "dimension");
    base + 44.0
}

/// Draws the worst chunk, original and decoded. Returns the y of its end.
fn worst(body: &mut String, top: f64, chunk: &Worst) -> f64 {
    let Worst {
        index,
        shape,
        original,
        decoded,
        rmse,
    } = chunk;
    let Shape { horizon, dims } = *shape;
    text(
        body,
        24.0,
        top,
        "title",
        &format!("The worst chunk: number {index}, RMSE {rmse:.4}"),
    );
    let column = |values: &[f32], dim: usize| -> Vec<f64> {
        values
            .iter()
            .skip(dim)
            .step_by(dims)
            .map(|&value| f64::from(value))
            .collect()
    };
    let error = |dim: usize| -> f64 {
        let pairs = column(original, dim).into_iter().zip(column(decoded, dim));
        pairs.map(|(a, b)| (a - b).powi(2)).sum()
    };
    let mut order: Vec<usize> = (0..dims).collect();
    order.sort_by(|&a, &b| error(b).total_cmp(&error(a)));
    order.truncate(MOST_DIMS);
    order.sort_unstable();
    let caption = if dims > MOST_DIMS {
        format!(
            "original solid, decoded dashed; the {MOST_DIMS} dimensions with the largest error of {dims}"
        )
    } else {
        "original solid, decoded dashed".to_owned()
    };
    text(body, 24.0, top + 18.0, "faint", &caption);
    let top = top + 32.0;
    let (wide, tall) = SMALL;
    for (cell, &dim) in order.iter().enumerate() {
        let x = 24.0 + (cell % COLUMNS) as f64 * (wide + 28.0);
        let y = top + (cell / COLUMNS) as f64 * (tall + 30.0);
        let (truth, read) = (column(original, dim), column(decoded, dim));
        let both = || truth.iter().chain(&read).copied();
        let (low, high) = (
            both().fold(f64::MAX, f64::min),
            both().fold(f64::MIN, f64::max),
        );
        let span = (high - low).max(0.05);
        let middle = f64::midpoint(low, high);
        frame(body, x, y, wide, tall);
        for (values, class) in [(truth, "original"), (read, "decoded")] {
            let points: Vec<String> = values
                .iter()
                .enumerate()
                .map(|(step, value)| {
                    let across = step as f64 / horizon.saturating_sub(1).max(1) as f64;
                    let up = 0.5 - (value - middle) / span * 0.9;
                    format!("{:.1},{:.1}", x + across * wide, y + up * tall)
                })
                .collect();
            writeln!(
                body,
                "<polyline class=\"{class}\" points=\"{}\"/>",
                points.join(" ")
            )
            .ok();
        }
        let label = format!("dimension {dim}: {low:.3} to {high:.3}");
        text(body, x, y + tall + 14.0, "faint", &label);
    }
    top + order.len().div_ceil(COLUMNS) as f64 * (tall + 30.0) + 16.0
}

fn text(body: &mut String, x: f64, y: f64, class: &str, label: &str) {
    let label = label.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(
        body,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{label}</text>"
    )
    .ok();
}

fn rect(
    body: &mut String,
    [x, y, width, height]: [f64; 4],
    class: &str,
    opacity: f64,
    label: &str,
) {
    writeln!(
        body,
        "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" class=\"{class}\" fill-opacity=\"{opacity:.3}\"><title>{label}</title></rect>"
    )
    .ok();
}

fn frame(body: &mut String, x: f64, y: f64, width: f64, height: f64) {
    writeln!(
        body,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" class=\"frame\"/>"
    )
    .ok();
}
