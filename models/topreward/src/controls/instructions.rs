//! Instructions that the episode does not complete.

use crate::{NumpyRng, negation};
use serde::{Deserialize, Serialize};

/// Kind of a control instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlKind {
    /// The instruction's opposite.
    Negation,
    /// The instruction of another episode.
    OtherTask,
    /// The instruction's own words in another order, where no other task is known.
    ShuffledWords,
}

/// An instruction that the episode does not complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlInstruction {
    /// Kind of the control.
    pub kind: ControlKind,
    /// The text of the instruction.
    pub instruction: String,
}

/// The controls of an instruction: its negation, and another task if one is known, else its own words
/// shuffled, if that changes them.
#[must_use]
pub fn control_instructions(
    instruction: &str,
    other_task: Option<&str>,
) -> Vec<ControlInstruction> {
    let mut controls = vec![ControlInstruction {
        kind: ControlKind::Negation,
        instruction: negation(instruction),
    }];
    let other = match other_task {
        Some(other) if other.trim() != instruction.trim() => Some(ControlInstruction {
            kind: ControlKind::OtherTask,
            instruction: other.to_owned(),
        }),
        _ => shuffled_words(instruction).map(|instruction| ControlInstruction {
            kind: ControlKind::ShuffledWords,
            instruction,
        }),
    };
    controls.extend(other);
    controls
}

/// The words in the first order that differs, of orders drawn with seeds 0, 1, 2 …
fn shuffled_words(instruction: &str) -> Option<String> {
    let words: Vec<&str> = instruction.split_whitespace().collect();
    (0..32).find_map(|seed| {
        let mut shuffled = words.clone();
        NumpyRng::new(seed).shuffle(&mut shuffled);
        (shuffled != words).then(|| shuffled.join(" "))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn one_word_has_no_other_order() {
        assert_eq!(shuffled_words("stop"), None);
        assert_eq!(shuffled_words("go go go"), None);
        let shuffled = shuffled_words("open the drawer").unwrap();
        assert_ne!(shuffled, "open the drawer");
        assert_eq!(shuffled.split(' ').count(), 3);
    }

    #[test]
    fn another_task_is_better_than_shuffled_words() {
        let kinds = |other| -> Vec<ControlKind> {
            let controls = control_instructions("open the drawer", other);
            controls.into_iter().map(|control| control.kind).collect()
        };
        assert_eq!(
            kinds(Some("stack the cubes")),
            [ControlKind::Negation, ControlKind::OtherTask]
        );
        assert_eq!(
            kinds(Some("open the drawer")),
            [ControlKind::Negation, ControlKind::ShuffledWords]
        );
    }
}
