//! The geometry of a joint's plot: robot time to the right, robot units up.

use std::fmt::Write as _;

/// Width of the drawing in its own units; the page scales it.
pub const WIDTH: f32 = 300.0;
/// Height of the drawing.
pub const HEIGHT: f32 = 96.0;
/// Smallest span of values shown, so that a resting joint's noise does not look like motion.
const MIN_SPAN: f32 = 8.0;
/// Share of the span left free above and below.
const MARGIN: f32 = 0.12;

/// A point of a plot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Time by the robot's clock.
    pub at_micros: i64,
    /// Value in robot units.
    pub value: f32,
}

/// The range of times and values that a plot shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlotFrame {
    /// Left edge.
    pub from_micros: i64,
    /// Right edge.
    pub to_micros: i64,
    /// Lower edge.
    pub low: f32,
    /// Upper edge.
    pub high: f32,
}

impl PlotFrame {
    /// A frame over this time that contains all of `values`. A flat one is widened to a tenth of `joint_range`, at most 8.
    pub fn containing(
        from_micros: i64,
        to_micros: i64,
        values: impl Iterator<Item = f32>,
        joint_range: f32,
    ) -> Self {
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        let (low, high) = if low <= high { (low, high) } else { (0.0, 0.0) };
        let least = MIN_SPAN.min(joint_range * 0.1).max(1e-3);
        let span = (high - low).max(least);
        let middle = (low + high) / 2.0;
        let half = span * (0.5 + MARGIN);
        Self {
            from_micros,
            to_micros: to_micros.max(from_micros + 1),
            low: middle - half,
            high: middle + half,
        }
    }

    /// Distance from the left edge.
    pub fn x(&self, at_micros: i64) -> f32 {
        let share = (at_micros - self.from_micros) as f64
            / (self.to_micros - self.from_micros).max(1) as f64;
        (share * f64::from(WIDTH)) as f32
    }

    /// Distance from the upper edge.
    pub fn y(&self, value: f32) -> f32 {
        let share = (value - self.low) / (self.high - self.low).max(1e-6);
        (1.0 - share) * HEIGHT
    }

    /// An SVG path through the points; a gap longer than `gap_micros` lifts the pen.
    pub fn path(&self, points: impl Iterator<Item = Point>, gap_micros: i64) -> String {
        let mut path = String::new();
        let mut before: Option<i64> = None;
        for point in points.filter(|point| point.value.is_finite()) {
            let joined = before.is_some_and(|at| point.at_micros - at <= gap_micros);
            before = Some(point.at_micros);
            let pen = if joined { 'L' } else { 'M' };
            // Writing to a String cannot fail.
            write!(
                path,
                "{pen}{:.1} {:.1}",
                self.x(point.at_micros),
                self.y(point.value)
            )
            .ok();
        }
        path
    }

    /// Round values to label, from low to high: two to four of them.
    pub fn ticks(&self) -> Vec<f32> {
        let step = round_step((self.high - self.low) / 3.5);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last).map(|k| k as f32 * step).collect()
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is not below `raw`.
fn round_step(raw: f32) -> f32 {
    let raw = raw.max(1e-4);
    let decade = 10.0_f32.powf(raw.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|factor| factor * decade)
        .find(|step| *step >= raw * 0.9999)
        .unwrap_or(10.0 * decade)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_holds_every_value_with_a_margin() {
        let frame = PlotFrame::containing(0, 1_000, [10.0, 30.0, f32::NAN].into_iter(), 180.0);
        assert!(frame.low < 10.0 && frame.high > 30.0);
        assert!(frame.y(30.0) > 0.0 && frame.y(10.0) < HEIGHT);
        assert_eq!(frame.x(500), WIDTH / 2.0);
    }

    #[test]
    fn a_resting_joint_is_drawn_flat_in_a_sensible_span() {
        let frame = PlotFrame::containing(0, 1_000, [20.0, 20.1].into_iter(), 180.0);
        assert!(frame.high - frame.low >= MIN_SPAN);
        let empty = PlotFrame::containing(0, 0, std::iter::empty(), 180.0);
        assert!(empty.high > empty.low && empty.to_micros > empty.from_micros);
    }

    #[test]
    fn the_pen_lifts_over_gaps_and_skips_what_is_no_number() {
        let frame = PlotFrame {
            from_micros: 0,
            to_micros: 300,
            low: 0.0,
            high: 96.0,
        };
        let at = |at_micros, value| Point { at_micros, value };
        let points = [at(0, 0.0), at(10, 96.0), at(20, f32::NAN), at(200, 48.0)];
        assert_eq!(
            frame.path(points.into_iter(), 50),
            "M0.0 96.0L10.0 0.0M200.0 48.0"
        );
    }

    #[test]
    fn ticks_are_round_and_few() {
        let frame = PlotFrame {
            from_micros: 0,
            to_micros: 1,
            low: -13.0,
            high: 47.0,
        };
        assert_eq!(frame.ticks(), [0.0, 20.0, 40.0]);
        let narrow = PlotFrame {
            low: 20.0,
            high: 28.0,
            ..frame
        };
        assert_eq!(narrow.ticks(), [20.0, 25.0]);
    }
}
