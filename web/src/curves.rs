//! The geometry of progress curves: time of the video to the right, values up, names at the curves' ends.

use protocol::score::CurveKind;

use crate::format;
use crate::plot::{HEIGHT, PlotFrame, Point, WIDTH};
use crate::score_job::Curve;

/// Smallest span of ln p(True) that fills the height, so that noise does not look like progress.
const MIN_NATS: f32 = 0.25;
/// Shortest time axis of a live robot (s).
const MIN_LIVE_SECS: f64 = 8.0;
/// Distance between the names at the curves' ends, as a share of the height.
const NAME_GAP: f32 = 0.085;

/// The vertical axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// ln p(True), or its difference from the frozen frame's.
    Raw,
    /// From 0 to 1 within each curve.
    Progress,
}

/// One curve in drawing units.
#[derive(Debug, Clone, PartialEq)]
pub struct Stroke {
    /// Kind of the curve.
    pub kind: CurveKind,
    /// SVG path of the line.
    pub path: String,
    /// SVG path of one dot per point, for strokes with round caps.
    pub dots: String,
    /// Height of its last point, as a share of the drawing from the top.
    pub end: Option<f32>,
}

/// A tick of an axis: its position as a share of the drawing, and its label.
pub type Tick = (f32, String);

/// A plot of several curves.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// The curves; the instruction's is last, so that it lies above its controls.
    pub strokes: Vec<Stroke>,
    /// Ticks of the values, from the top.
    pub values: Vec<Tick>,
    /// Ticks of the time (s), from the left.
    pub times: Vec<Tick>,
    /// Positions of the names at the right edge, from the top.
    pub names: Vec<(CurveKind, f32)>,
    frame: PlotFrame,
}

impl Plot {
    /// Draws `curves` of a video at `fps` frames per second; `frames` is its length, if that is known.
    #[must_use]
    pub fn new(curves: &[Curve], fps: f64, frames: Option<u32>, scale: Scale) -> Self {
        let to_secs = match frames {
            Some(frames) => f64::from(frames) / fps,
            None => newest_secs(curves, fps).max(MIN_LIVE_SECS),
        };
        let series: Vec<(CurveKind, Vec<Point>)> = curves
            .iter()
            .map(|curve| (curve.heading.kind, points(curve, fps, scale)))
            .collect();
        let to_micros = micros(to_secs).max(1);
        let frame = match scale {
            Scale::Raw => {
                let values = series.iter().flat_map(|(_, points)| points);
                // `containing` takes a tenth of this as its least span.
                let values = values.map(|point| point.value);
                PlotFrame::containing(0, to_micros, values, 10.0 * MIN_NATS)
            }
            Scale::Progress => PlotFrame {
                from_micros: 0,
                to_micros,
                low: -0.08,
                high: 1.08,
            },
        };
        let mut strokes: Vec<Stroke> = series
            .into_iter()
            .map(|(kind, points)| Stroke {
                kind,
                path: frame.path(points.iter().copied(), i64::MAX),
                dots: dots(&frame, &points),
                end: points.last().map(|point| frame.y(point.value) / HEIGHT),
            })
            .collect();
        let names = spread(&strokes);
        strokes.sort_by_key(|stroke| stroke.kind == CurveKind::Instruction);
        Self {
            values: value_ticks(
                &frame,
                scale,
                strokes.iter().any(|stroke| stroke.end.is_some()),
            ),
            times: time_ticks(to_secs),
            names,
            strokes,
            frame,
        }
    }

    /// Position of a prefix, as a share from the left.
    #[must_use]
    pub fn position(&self, length: u32, fps: f64) -> f32 {
        self.frame.x(micros(f64::from(length) / fps)) / WIDTH
    }

    /// The one of `lengths` that is nearest to a position, given as a share from the left.
    #[must_use]
    pub fn nearest(&self, share: f64, lengths: &[u32], fps: f64) -> Option<u32> {
        let distance = |length: u32| (f64::from(self.position(length, fps)) - share).abs();
        lengths
            .iter()
            .copied()
            .min_by(|a, b| distance(*a).total_cmp(&distance(*b)))
    }

    /// Position of the value zero as a share from the top, if it is within the plot.
    #[must_use]
    pub fn zero(&self) -> Option<f32> {
        (self.frame.low < 0.0 && self.frame.high > 0.0).then(|| self.frame.y(0.0) / HEIGHT)
    }
}

fn micros(secs: f64) -> i64 {
    (secs * 1e6).round() as i64
}

fn newest_secs(curves: &[Curve], fps: f64) -> f64 {
    let ends = curves.iter().filter_map(|curve| curve.points.last());
    ends.map(|point| f64::from(point.0) / fps)
        .fold(0.0, f64::max)
}

fn points(curve: &Curve, fps: f64, scale: Scale) -> Vec<Point> {
    let values = match scale {
        Scale::Raw => curve.values(),
        // A single point is its own maximum, which means nothing.
        Scale::Progress if curve.points.len() < 2 => Vec::new(),
        Scale::Progress => curve.progress(),
    };
    let lengths = curve.points.iter().map(|point| point.0);
    lengths
        .zip(values)
        .map(|(length, value)| Point {
            at_micros: micros(f64::from(length) / fps),
            value: value as f32,
        })
        .collect()
}

fn dots(frame: &PlotFrame, points: &[Point]) -> String {
    let dot = |point: &Point| {
        format!(
            "M{:.1} {:.1}h0",
            frame.x(point.at_micros),
            frame.y(point.value)
        )
    };
    points.iter().map(dot).collect()
}

fn value_ticks(frame: &PlotFrame, scale: Scale, has_points: bool) -> Vec<Tick> {
    let at = |value: f32| frame.y(value) / HEIGHT;
    match scale {
        Scale::Progress => [0.0, 0.5, 1.0]
            .map(|value: f32| (at(value), format!("{value:.1}")))
            .to_vec(),
        Scale::Raw if !has_points => Vec::new(),
        Scale::Raw => {
            let ticks = frame.ticks();
            let step = match ticks.as_slice() {
                [first, second, ..] => second - first,
                _ => 1.0,
            };
            let decimals = (-step.log10().floor()).clamp(0.0, 4.0) as usize;
            ticks
                .into_iter()
                .map(|value| (at(value), format::decimal(f64::from(value), decimals)))
                .collect()
        }
    }
}

/// Ticks at about five whole seconds, or at tenths for videos of a second or two.
fn time_ticks(to_secs: f64) -> Vec<Tick> {
    const STEPS: [f64; 12] = [
        0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0,
    ];
    let step = STEPS
        .into_iter()
        .find(|step| to_secs / step <= 6.0)
        .unwrap_or(600.0);
    let decimals = usize::from(step < 1.0);
    let count = (to_secs / step + 1e-9).floor() as u32;
    (0..=count.min(100))
        .map(|k| {
            let secs = f64::from(k) * step;
            ((secs / to_secs) as f32, format!("{secs:.decimals$}"))
        })
        .collect()
}

/// Positions of the names: at their curves' ends, but apart from each other and inside the plot.
fn spread(strokes: &[Stroke]) -> Vec<(CurveKind, f32)> {
    let ends = strokes
        .iter()
        .filter_map(|stroke| Some((stroke.kind, stroke.end?)));
    let mut names: Vec<(CurveKind, f32)> = ends.collect();
    names.sort_by(|a, b| a.1.total_cmp(&b.1));
    let (top, bottom) = (NAME_GAP / 2.0, 1.0 - NAME_GAP / 2.0);
    let mut least = top;
    for name in &mut names {
        name.1 = name.1.max(least);
        least = name.1 + NAME_GAP;
    }
    let mut most = bottom;
    for name in names.iter_mut().rev() {
        name.1 = name.1.min(most);
        most = name.1 - NAME_GAP;
    }
    names
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;
    use protocol::score::CurveHeading;

    fn curve(kind: CurveKind, points: &[(u32, f64)]) -> Curve {
        Curve {
            heading: CurveHeading {
                kind,
                instruction: String::new(),
            },
            points: points.to_vec(),
        }
    }

    fn two() -> Vec<Curve> {
        vec![
            curve(CurveKind::Instruction, &[(1, -4.0), (30, -3.0), (60, -1.0)]),
            curve(CurveKind::Frozen, &[(1, -4.0), (30, -3.9), (60, -4.1)]),
        ]
    }

    #[test]
    fn the_instruction_lies_on_top_and_ends_above() {
        let plot = Plot::new(&two(), 30.0, Some(60), Scale::Raw);
        assert_eq!(plot.strokes[0].kind, CurveKind::Frozen);
        assert_eq!(plot.strokes[1].kind, CurveKind::Instruction);
        assert!(plot.strokes[1].end < plot.strokes[0].end);
        assert_eq!(plot.strokes[1].path.matches('L').count(), 2);
        assert_eq!(plot.strokes[1].dots.matches("h0").count(), 3);
        assert_eq!(plot.position(60, 30.0), 1.0);
        assert_eq!(plot.nearest(0.45, &[1, 30, 60], 30.0), Some(30));
        assert_eq!(plot.nearest(2.0, &[1, 30, 60], 30.0), Some(60));
        assert_eq!(plot.nearest(0.5, &[], 30.0), None);
        assert_eq!(
            plot.values
                .iter()
                .map(|tick| tick.1.as_str())
                .collect::<Vec<_>>(),
            ["−4", "−2"]
        );
        assert_eq!(plot.zero(), None);
    }

    #[test]
    fn progress_runs_from_nought_to_one_and_one_point_is_none() {
        let plot = Plot::new(&two(), 30.0, Some(60), Scale::Progress);
        let end = plot.strokes[1].end.unwrap_or_default();
        assert!((end - 0.08 / 1.16).abs() < 1e-5, "{end}");
        let one = [curve(CurveKind::Instruction, &[(1, -4.0)])];
        let plot = Plot::new(&one, 30.0, Some(60), Scale::Progress);
        assert_eq!(
            (plot.strokes[0].path.as_str(), plot.strokes[0].end),
            ("", None)
        );
        assert_eq!(plot.values.len(), 3);
    }

    #[test]
    fn noise_is_not_blown_up() {
        let level = [curve(CurveKind::Instruction, &[(1, -4.0), (2, -4.001)])];
        let plot = Plot::new(&level, 2.0, Some(2), Scale::Raw);
        let end = plot.strokes[0].end.unwrap_or_default();
        assert!((end - 0.5).abs() < 0.01, "{end}");
    }

    #[test]
    fn a_watched_robot_has_room_to_grow() {
        let live = [curve(CurveKind::Instruction, &[(1, -4.0), (2, -3.0)])];
        let plot = Plot::new(&live, 2.0, None, Scale::Raw);
        assert_eq!(plot.position(2, 2.0), 0.125);
        let longer = [curve(CurveKind::Instruction, &[(1, -4.0), (40, -3.0)])];
        assert_eq!(
            Plot::new(&longer, 2.0, None, Scale::Raw).position(40, 2.0),
            1.0
        );
        let nothing = Plot::new(&[], 2.0, None, Scale::Raw);
        assert!(nothing.values.is_empty() && nothing.strokes.is_empty());
    }

    #[test]
    fn names_stay_apart_and_inside() {
        let level = |kind| curve(kind, &[(1, -1.0), (2, -1.0)]);
        let all = [
            CurveKind::Instruction,
            CurveKind::Negation,
            CurveKind::OtherTask,
            CurveKind::Frozen,
        ]
        .map(level);
        let plot = Plot::new(&all, 2.0, Some(2), Scale::Progress);
        let places: Vec<f32> = plot.names.iter().map(|name| name.1).collect();
        assert_eq!(places.len(), 4);
        for pair in places.windows(2) {
            assert!(pair[1] - pair[0] >= NAME_GAP - 1e-5, "{places:?}");
        }
        assert!(places[0] > 0.0 && places[3] < 1.0);
    }

    #[test]
    fn times_are_round() {
        let text = |secs: f64| {
            time_ticks(secs)
                .into_iter()
                .map(|tick| tick.1)
                .collect::<Vec<_>>()
        };
        assert_eq!(text(4.1), ["0", "1", "2", "3", "4"]);
        assert_eq!(text(1.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(text(33.0), ["0", "10", "20", "30"]);
    }
}
