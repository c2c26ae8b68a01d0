//! Marks of an answer: colors, names and positions.

use protocol::scene::{MarkShape, SceneMark};

use crate::format;

/// Number of colors of marks, assigned by group and repeated.
pub const MARK_COLORS: u32 = 6;

/// Name of a mark: its label, with its number where several marks share the label.
#[must_use]
pub fn mark_name(mark: &SceneMark, all: &[SceneMark]) -> String {
    let label = match (mark.label.is_empty(), mark.shape) {
        (false, _) => &mark.label,
        (true, MarkShape::Point { .. }) => "point",
        (true, MarkShape::Box { .. }) => "box",
    };
    if all.iter().filter(|other| other.group == mark.group).count() > 1 {
        format!("{label} {}", mark.id)
    } else {
        label.to_owned()
    }
}

/// Position of a mark as text; it names the view if there are `several`.
#[must_use]
pub fn mark_position(mark: &SceneMark, several: bool) -> String {
    let view = if several {
        format!(" in {}", format::plain_name(&mark.view))
    } else {
        String::new()
    };
    match mark.shape {
        MarkShape::Point { x, y } => format!("point at {x:.0}, {y:.0} px{view}"),
        MarkShape::Box {
            left,
            top,
            right,
            bottom,
        } => format!("box from {left:.0}, {top:.0} to {right:.0}, {bottom:.0} px{view}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_mark_has_a_name_and_a_position() {
        let mark = |view: &str, shape: MarkShape| SceneMark {
            view: view.to_owned(),
            label: "cup".to_owned(),
            id: 2,
            group: 0,
            shape,
        };
        let all = [
            mark("wrist", MarkShape::Point { x: 3.4, y: 5.6 }),
            mark(
                "overview",
                MarkShape::Box {
                    left: 1.0,
                    top: 2.0,
                    right: 3.0,
                    bottom: 4.0,
                },
            ),
        ];
        let texts: Vec<String> = all
            .iter()
            .map(|mark| format!("{}: {}", mark_name(mark, &all), mark_position(mark, true)))
            .collect();
        assert_eq!(
            texts,
            [
                "cup 2: point at 3, 6 px in Wrist",
                "cup 2: box from 1, 2 to 3, 4 px in Overview"
            ]
        );
        assert_eq!(mark_position(&all[0], false), "point at 3, 6 px");
        assert_eq!(mark_name(&all[0], &all[..1]), "cup");
        let unnamed = SceneMark {
            label: String::new(),
            ..all[0].clone()
        };
        assert_eq!(mark_name(&unnamed, &all[..1]), "point");
    }
}
