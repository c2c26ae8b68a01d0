//! The geometry of a joint's trajectory within a chunk.

use crate::partial_decode::DecodeView;
use crate::plot::{PlotFrame, Point};
use crate::units::column;
use crate::what_if::WhatIf;

/// Smallest span in robot units, so that a resting joint looks at rest.
const MIN_RANGE: f32 = 40.0;
/// Share of the span left free for editing, above and below.
const EDIT_MARGIN: f32 = 0.7;

/// Trajectory of one joint, in drawing units.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trajectory {
    /// SVG path of the whole chunk; empty while the stream is incomplete.
    pub full: String,
    /// SVG path of the decode of the shown tokens.
    pub now: String,
    /// SVG path of a dot at the edited value.
    pub wanted: String,
    /// Ticks of the values: distance from the upper edge, and label.
    pub ticks: Vec<(f32, String)>,
    /// Largest difference from the whole chunk in robot units; absent before the joint's mean arrived.
    pub gap: Option<f32>,
    /// The range of the plot; absent before there is anything to draw.
    pub frame: Option<PlotFrame>,
}

impl Trajectory {
    /// The trajectory of dimension `dim`, with the edited value of `step`. `robot_units` maps normalized values.
    pub fn new(
        view: &DecodeView,
        what_if: Option<&WhatIf>,
        dim: usize,
        step: usize,
        robot_units: impl Fn(f32) -> f32,
    ) -> Self {
        let Some(full) = view.full.as_deref() else {
            return Trajectory::default();
        };
        let dims = full.dims.max(1) as usize;
        let points = |values: &[f32]| -> Vec<Point> {
            column(values, dims, dim)
                .enumerate()
                .map(|(row, value)| Point {
                    at_micros: row as i64,
                    value,
                })
                .collect()
        };
        // While editing, the faint line remains the decision.
        let all = points(&what_if.map_or(full, |what_if| what_if.base()).actions);
        // A joint whose mean has not arrived would be drawn at its mid-range, which is meaningless.
        let now = view
            .now
            .as_ref()
            .filter(|_| view.known() > dim)
            .map(|now| points(&now.actions))
            .unwrap_or_default();
        let last = i64::from(full.rows).max(2) - 1;
        // The frame is that of the whole chunk, or it would jump while tokens arrive.
        let framed = if view.ended { &all } else { &now };
        let is_framed = !framed.is_empty();
        let mut frame = PlotFrame::containing(0, last, framed.iter().map(|p| p.value), MIN_RANGE);
        if what_if.is_some() {
            let room = EDIT_MARGIN * (frame.high - frame.low);
            frame.low -= room;
            frame.high += room;
        }
        let wanted = what_if
            .and_then(|what_if| what_if.chunk().get(step * dims + dim))
            .map(|value| {
                let (x, y) = (frame.x(step as i64), frame.y(robot_units(*value)));
                format!("M{x:.1} {y:.1}h0")
            })
            .unwrap_or_default();
        let gap = now
            .iter()
            .zip(&all)
            .map(|(a, b)| (a.value - b.value).abs())
            .fold(None, |most: Option<f32>, gap| {
                Some(most.map_or(gap, |most| most.max(gap)))
            });
        Trajectory {
            full: if view.ended {
                frame.path(all.into_iter(), i64::MAX)
            } else {
                String::new()
            },
            now: frame.path(now.into_iter(), i64::MAX),
            wanted,
            ticks: frame
                .ticks()
                .into_iter()
                .filter(|_| is_framed)
                .map(|value| {
                    let text = format!("{value:.0}").replace('-', "\u{2212}");
                    (frame.y(value), text)
                })
                .collect(),
            gap,
            frame: is_framed.then_some(frame),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::sync::Arc;

    use protocol::worker::PartialDecode;

    use super::*;

    /// A chunk of two rows and two dimensions with these actions.
    fn decode(known: u32, actions: [f32; 4]) -> Arc<PartialDecode> {
        Arc::new(PartialDecode {
            tokens: vec![1, 2],
            rows: 2,
            dims: 2,
            token_lengths: vec![2, 2],
            coefficients: vec![1; 4],
            known,
            chunk_normalised: vec![0.0; 4],
            actions: actions.to_vec(),
            fault: None,
        })
    }

    fn view(known: u32, ended: bool) -> DecodeView {
        DecodeView {
            tokens: vec![1, 2],
            ended,
            count: 1,
            now: Some(decode(known, [10.0, 0.0, 20.0, 5.0])),
            full: Some(decode(4, [10.0, 0.0, 28.0, 0.0])),
            ..DecodeView::default()
        }
    }

    fn trajectory(view: &DecodeView, dim: usize) -> Trajectory {
        Trajectory::new(view, None, dim, 0, |value| value)
    }

    #[test]
    fn the_shown_tokens_are_drawn_within_the_frame_of_the_whole_chunk() {
        let found = trajectory(&view(2, true), 0);
        assert_eq!(found.gap, Some(8.0));
        assert_eq!(found.full.matches('L').count(), 1);
        assert_eq!(found.now.matches('L').count(), 1);
        let frame = found.frame.unwrap();
        assert!(frame.low < 10.0 && frame.high > 28.0);
        assert!(!found.ticks.is_empty() && found.wanted.is_empty());
    }

    #[test]
    fn an_incomplete_stream_has_no_whole_and_a_joint_without_its_mean_is_not_drawn() {
        assert_eq!(trajectory(&view(2, false), 0).full, "");
        let found = trajectory(&view(1, false), 1);
        assert_eq!((found.now.as_str(), found.gap), ("", None));
        assert!(found.frame.is_none() && found.ticks.is_empty());
        assert_eq!(trajectory(&DecodeView::default(), 0), Trajectory::default());
    }

    #[test]
    fn an_edit_has_room_and_a_dot() {
        let plain = trajectory(&view(4, true), 0).frame.unwrap();
        let edit = WhatIf::new(decode(4, [10.0, 0.0, 28.0, 0.0]), 1);
        let found = Trajectory::new(&view(4, true), Some(&edit), 0, 1, |value| value);
        let frame = found.frame.unwrap();
        assert!(frame.low < plain.low && frame.high > plain.high);
        assert_eq!(found.wanted.matches("h0").count(), 1);
    }
}
