//! The rows with which the next chunk begins, because the robot will have executed them by then.

use crate::PolicyOutput;
use molmoact2::{Continuation, Schedule};

/// The chunk that a robot is executing.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    dims: usize,
    /// `[rows, dims]`, normalized, not clipped.
    normalized: Vec<f32>,
    /// `[rows, dims]`, robot units.
    actions: Vec<f32>,
}

impl Running {
    /// The chunk of a policy's output.
    pub fn of(output: &PolicyOutput) -> Self {
        Self {
            dims: output.dims,
            normalized: output.chunk_normalised.clone(),
            actions: output.actions.clone(),
        }
    }

    /// Number of rows from row `first` on.
    pub fn left_from(&self, first: usize) -> usize {
        (self.normalized.len().min(self.actions.len()) / self.dims.max(1)).saturating_sub(first)
    }

    /// Returns the rows with which the next chunk begins, if it is computed from an observation captured at row `first` of
    /// this one and arrives `delay` rows later.
    ///
    /// With `same_instruction` the rows behind those guide the flow too.
    ///
    /// `None` if the robot will have run out of rows by then: it holds, and there is nothing to continue.
    pub fn committed(
        &self,
        first: usize,
        delay: usize,
        same_instruction: bool,
    ) -> Option<Committed> {
        let left = self.left_from(first);
        if left == 0 || delay > left {
            return None;
        }
        let (from, to) = (first * self.dims, (first + left) * self.dims);
        let continuation = Continuation::new(self.normalized.get(from..to)?.to_vec(), delay);
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

/// Rows that are committed.
#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    dims: usize,
    continuation: Continuation,
    /// `[delay, dims]`, robot units.
    actions: Vec<f32>,
}

impl Committed {
    /// Number of committed rows.
    pub fn rows(&self) -> usize {
        self.continuation.delay
    }

    /// The continuation for the policy.
    pub fn continuation(&self) -> &Continuation {
        &self.continuation
    }

    /// Overwrites the beginning of the output with the committed rows. The flow only approximates them, which would be a jump
    /// if the chunk arrives sooner than expected.
    ///
    /// Returns the number of rows overwritten: 0 if the output has another width.
    pub fn freeze(&self, output: &mut PolicyOutput) -> usize {
        if output.dims != self.dims {
            return 0;
        }
        for (target, committed) in [
            (&mut output.actions, &self.actions),
            (&mut output.chunk_normalised, &self.continuation.left_over),
        ] {
            let values = self.actions.len();
            for (slot, value) in target.iter_mut().zip(committed).take(values) {
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

    /// Four rows of two values; row k is `base` + [k, k + 0.5], and ten times that in robot units.
    fn output(base: f32) -> PolicyOutput {
        let normalized: Vec<f32> = (0..4_u8)
            .flat_map(|k| [base + f32::from(k), base + f32::from(k) + 0.5])
            .collect();
        PolicyOutput {
            rows: 4,
            dims: 2,
            actions: normalized.iter().map(|value| value * 10.0).collect(),
            chunk_normalised: normalized,
            prompt: String::new(),
            prompt_tokens: 0,
            action_tokens: Vec::new(),
            depth: None,
            stages: Vec::new(),
        }
    }

    #[test]
    fn the_output_begins_with_the_rows_that_will_have_been_executed() {
        let running = Running::of(&output(0.0));
        let committed = running.committed(1, 2, true).unwrap();
        assert_eq!(
            committed.continuation().left_over,
            [1.0, 1.5, 2.0, 2.5, 3.0, 3.5]
        );
        assert_eq!(committed.continuation().delay, 2);
        assert_eq!(committed.continuation().schedule, Schedule::Linear);
        let mut next = output(100.0);
        assert_eq!(committed.freeze(&mut next), 2);
        assert_eq!(
            next.chunk_normalised[..6],
            [1.0, 1.5, 2.0, 2.5, 102.0, 102.5]
        );
        assert_eq!(next.actions[..6], [10.0, 15.0, 20.0, 25.0, 1020.0, 1025.0]);
    }

    #[test]
    fn a_chunk_that_will_be_used_up_is_not_continued() {
        let running = Running::of(&output(0.0));
        assert!(running.committed(2, 2, true).is_some());
        assert_eq!(running.committed(2, 3, true), None);
        assert_eq!(running.committed(4, 0, true), None);
        assert_eq!(running.committed(9, 0, true), None);
    }

    #[test]
    fn under_another_instruction_only_the_committed_rows_count() {
        let running = Running::of(&output(0.0));
        let committed = running.committed(0, 1, false).unwrap();
        assert_eq!(committed.continuation().schedule, Schedule::Zeros);
        assert_eq!(committed.rows(), 1);
    }

    #[test]
    fn an_output_of_another_width_is_unchanged() {
        let committed = Running::of(&output(0.0)).committed(0, 2, true).unwrap();
        let mut other = PolicyOutput {
            rows: 2,
            dims: 4,
            ..output(100.0)
        };
        let before = other.clone();
        assert_eq!(committed.freeze(&mut other), 0);
        assert_eq!(other, before);
    }
}
