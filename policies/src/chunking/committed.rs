//! The rows that the next chunk begins with, because the robot will have executed them by then.

use crate::PolicyOutput;
use molmoact2::{Continuation, Schedule};

/// The chunk that a robot executes.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    dims: usize,
    /// `[rows, dims]`, normalised, not clipped.
    normalised: Vec<f32>,
    /// `[rows, dims]`, robot units.
    actions: Vec<f32>,
}

impl Running {
    /// The chunk of an answer.
    pub fn of(output: &PolicyOutput) -> Self {
        Self {
            dims: output.dims,
            normalised: output.chunk_normalised.clone(),
            actions: output.actions.clone(),
        }
    }

    /// Rows from `first` on.
    pub fn left_from(&self, first: usize) -> usize {
        (self.normalised.len().min(self.actions.len()) / self.dims.max(1)).saturating_sub(first)
    }

    /// What the next chunk begins with, if it is computed from an observation made at row `first` of this one
    /// and arrives `delay` rows after that.
    ///
    /// `same_instruction`: whether the rows behind those shall pull, too.
    ///
    /// `None` when the robot will have run out of rows by then: it holds, and there is nothing to continue.
    pub fn committed(&self, first: usize, delay: usize, same_instruction: bool) -> Option<Committed> {
        let left = self.left_from(first);
        if left == 0 || delay > left {
            return None;
        }
        let (from, to) = (first * self.dims, (first + left) * self.dims);
        let continuation = Continuation::new(self.normalised.get(from..to)?.to_vec(), delay);
        Some(Committed {
            dims: self.dims,
            continuation: Continuation {
                schedule: match same_instruction {
                    true => continuation.schedule,
                    false => Schedule::Zeros,
                },
                ..continuation
            },
            actions: self.actions.get(from..from + delay * self.dims)?.to_vec(),
        })
    }
}

/// Rows that are decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    dims: usize,
    continuation: Continuation,
    /// `[delay, dims]`, robot units.
    actions: Vec<f32>,
}

impl Committed {
    /// How many.
    pub fn rows(&self) -> usize {
        self.continuation.delay
    }

    /// As the policy is told.
    pub fn continuation(&self) -> &Continuation {
        &self.continuation
    }

    /// Puts the decided rows at the beginning of the answer. The flow comes close to them by itself, and close is
    /// a jump if the answer arrives sooner than expected.
    ///
    /// Returns how many rows were put in: none when the answer has another width.
    pub fn freeze(&self, output: &mut PolicyOutput) -> usize {
        if output.dims != self.dims {
            return 0;
        }
        for (target, decided) in [
            (&mut output.actions, &self.actions),
            (&mut output.chunk_normalised, &self.continuation.left_over),
        ] {
            let values = self.actions.len();
            for (slot, value) in target.iter_mut().zip(decided).take(values) {
                *slot = *value;
            }
        }
        self.rows().min(output.rows)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// Four rows of two; row k is [k, k + 0.5], and ten times that in robot units, plus `base`.
    fn answer(base: f32) -> PolicyOutput {
        let normalised: Vec<f32> = (0..4_u8)
            .flat_map(|k| [base + f32::from(k), base + f32::from(k) + 0.5])
            .collect();
        PolicyOutput {
            rows: 4,
            dims: 2,
            actions: normalised.iter().map(|value| value * 10.0).collect(),
            chunk_normalised: normalised,
            prompt: String::new(),
            prompt_tokens: 0,
            action_tokens: Vec::new(),
            depth: None,
            stages: Vec::new(),
        }
    }

    #[test]
    fn the_answer_begins_with_the_rows_that_will_have_been_executed() {
        let running = Running::of(&answer(0.0));
        let committed = running.committed(1, 2, true).unwrap();
        assert_eq!(
            committed.continuation().left_over,
            [1.0, 1.5, 2.0, 2.5, 3.0, 3.5]
        );
        assert_eq!(committed.continuation().delay, 2);
        assert_eq!(committed.continuation().schedule, Schedule::Linear);
        let mut next = answer(100.0);
        assert_eq!(committed.freeze(&mut next), 2);
        assert_eq!(
            next.chunk_normalised[..6],
            [1.0, 1.5, 2.0, 2.5, 102.0, 102.5]
        );
        assert_eq!(next.actions[..6], [10.0, 15.0, 20.0, 25.0, 1020.0, 1025.0]);
    }

    #[test]
    fn a_chunk_that_will_be_used_up_is_not_continued() {
        let running = Running::of(&answer(0.0));
        assert!(running.committed(2, 2, true).is_some());
        assert_eq!(running.committed(2, 3, true), None);
        assert_eq!(running.committed(4, 0, true), None);
        assert_eq!(running.committed(9, 0, true), None);
    }

    #[test]
    fn under_another_sentence_only_the_decided_rows_count() {
        let running = Running::of(&answer(0.0));
        let committed = running.committed(0, 1, false).unwrap();
        assert_eq!(committed.continuation().schedule, Schedule::Zeros);
        assert_eq!(committed.rows(), 1);
    }

    #[test]
    fn an_answer_of_another_width_is_left_alone() {
        let committed = Running::of(&answer(0.0)).committed(0, 2, true).unwrap();
        let mut other = PolicyOutput {
            rows: 2,
            dims: 4,
            ..answer(100.0)
        };
        let before = other.clone();
        assert_eq!(committed.freeze(&mut other), 0);
        assert_eq!(other, before);
    }
}
