//! Real-time chunking: a chunk that continues the running one.
//!
//! While the network computes, the robot continues to execute its running chunk. An independent new chunk can
//! differ from the first row on, and the arm jerks where the two meet. So the flow is steered: at every step the
//! predicted chunk is compared with the remaining rows of the running one, and part of the difference is added to
//! the velocity. Rows that will be executed before the new chunk arrives have full weight, later rows less and
//! less.
//!
//! Black et al., "Real-Time Execution of Action Chunking Flow Policies" (arXiv 2506.07339), as in lerobot 0.6.1
//! (`policies/rtc/modeling_rtc.py`, `RTCProcessor.denoise_step`), which approximates the Jacobian of the network by
//! the identity, so that the correction needs no backward pass.

use burn_tensor::{Device, Tensor, TensorData};

use crate::error::ActError;

/// Decay of the weights of the running rows, from the rows that are certain to be executed to the end of the
/// overlap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Full weight for the certain rows, none for the others.
    Zeros,
    /// Full weight for every row of the overlap.
    Ones,
    /// Linear decay.
    #[default]
    Linear,
    /// Faster than linear: `w (e^w - 1) / (e - 1)` of the linear weight `w`.
    Exp,
}

/// The running chunk, and how strongly the new one is steered towards it.
#[derive(Debug, Clone, PartialEq)]
pub struct Continuation {
    /// Its rows from the time of the observation on, `[rows, dims]` row-major, normalized and not clipped
    /// ([`crate::Action::chunk_normalized`] without its first rows).
    pub left_over: Vec<f32>,
    /// Rows that will have been executed by the time the new chunk arrives.
    pub delay: usize,
    /// Rows over which the new chunk is steered; never more than are left over.
    pub overlap: usize,
    /// Decay of the weights over the overlap.
    pub schedule: Schedule,
    /// Upper bound on the guidance weight.
    pub max_guidance: f32,
}

impl Continuation {
    /// A continuation with lerobot's defaults: linear over ten rows, guidance at most 10.
    pub fn new(left_over: Vec<f32>, delay: usize) -> Self {
        Self {
            left_over,
            delay,
            overlap: 10,
            schedule: Schedule::Linear,
            max_guidance: 10.0,
        }
    }

    /// Weight of each of the `rows` rows of the new chunk, `left` of which the running chunk has.
    fn weights(&self, rows: usize, left: usize) -> Vec<f32> {
        let end = self.overlap.min(left).min(rows);
        let start = self.delay.min(end);
        let falling = end - start;
        (0..rows)
            .map(|row| match self.schedule {
                _ if row < start => 1.0,
                _ if row >= end => 0.0,
                Schedule::Zeros => 0.0,
                Schedule::Ones => 1.0,
                Schedule::Linear => linear(row - start, falling),
                Schedule::Exp => {
                    let weight = linear(row - start, falling);
                    weight * weight.exp_m1() / (std::f32::consts::E - 1.0)
                }
            })
            .collect()
    }

    /// The target of a chunk of `rows` rows, of which `dims` columns are real and `moved` are computed; `None` if
    /// nothing is left over.
    pub(crate) fn steering_target(
        &self,
        rows: usize,
        dims: usize,
        moved: usize,
    ) -> Result<Option<SteeringTarget>, ActError> {
        let bad = |problem: String| ActError::BadContinuation { problem };
        if !self.left_over.len().is_multiple_of(dims) {
            return Err(bad(format!(
                "{} values are left over, which are not whole rows of {dims}",
                self.left_over.len()
            )));
        }
        if self.left_over.iter().any(|value| !value.is_finite()) {
            return Err(bad("a value of the running chunk is not finite".to_owned()));
        }
        if !(self.max_guidance.is_finite() && self.max_guidance > 0.0) {
            return Err(bad(format!(
                "max_guidance is {}; a number above 0 is needed",
                self.max_guidance
            )));
        }
        let left = self.left_over.len() / dims;
        if left == 0 {
            return Ok(None);
        }
        let mut running = vec![0.0; rows * moved];
        for (target, row) in running
            .chunks_exact_mut(moved)
            .zip(self.left_over.chunks_exact(dims))
        {
            for (slot, &value) in target.iter_mut().zip(row) {
                *slot = value;
            }
        }
        Ok(Some(SteeringTarget {
            running,
            weights: self.weights(rows, left),
            max_guidance: self.max_guidance,
        }))
    }
}

/// The running chunk as a target of the flow.
#[derive(Debug, Clone)]
pub(crate) struct SteeringTarget {
    /// `[rows, moved]`, zero past its end.
    running: Vec<f32>,
    /// Per row.
    weights: Vec<f32>,
    max_guidance: f32,
}

/// Step `index` of `count` on a line from 1 to 0, both ends excluded.
fn linear(index: usize, count: usize) -> f32 {
    1.0 - (index + 1) as f32 / (count + 1) as f32
}

/// Steering targets of several chunks, on a device.
#[derive(Debug, Clone)]
pub struct Steering {
    /// `[chunks * rows, dims]`.
    running: Tensor<2>,
    /// Per row of all chunks, its weight and the largest factor of its correction.
    rows: Vec<(f32, f32)>,
}

impl Steering {
    /// For chunks of `rows` rows and `moved` columns; `None` if no chunk has a target. Chunks without a target are
    /// not steered.
    pub(crate) fn of(
        targets: &[Option<SteeringTarget>],
        rows: usize,
        moved: usize,
        device: &Device,
    ) -> Option<Self> {
        if targets.iter().all(Option::is_none) {
            return None;
        }
        let mut running = Vec::with_capacity(targets.len() * rows * moved);
        let mut weights = Vec::with_capacity(targets.len() * rows);
        for target in targets {
            match target {
                Some(target) => {
                    running.extend_from_slice(&target.running);
                    weights.extend(
                        target
                            .weights
                            .iter()
                            .map(|&weight| (weight, target.max_guidance)),
                    );
                }
                None => {
                    running.resize(running.len() + rows * moved, 0.0);
                    weights.resize(weights.len() + rows, (0.0, 0.0));
                }
            }
        }
        let shape = [targets.len() * rows, moved];
        Some(Self {
            running: Tensor::from_data(TensorData::new(running, shape), device),
            rows: weights,
        })
    }

    /// `velocity` (`[chunks * rows, dims]`) at the states `chunk` and at `time` (0 noise, 1 data), steered.
    pub(crate) fn apply(&self, chunk: Tensor<2>, velocity: Tensor<2>, time: f64) -> Tensor<2> {
        let factors: Vec<f32> = self
            .rows
            .iter()
            .map(|&(weight, most)| weight * guidance(time, most))
            .collect();
        let shape = [factors.len(), 1];
        let factors = Tensor::from_data(TensorData::new(factors, shape), &velocity.device());
        let heading = chunk + velocity.clone() * (1.0 - time);
        velocity + (self.running.clone() - heading) * factors
    }
}

/// `(1 - t) / t * ((1 - t)^2 + t^2) / (1 - t)^2`, at most `most`.
fn guidance(time: f64, most: f32) -> f32 {
    if time <= 0.0 {
        return most;
    }
    let rest = 1.0 - time;
    let guidance = rest / time * (rest * rest + time * time) / (rest * rest);
    (guidance as f32).min(most)
}

#[cfg(test)]
mod tests {
    use super::{Continuation, Schedule};

    fn weights(schedule: Schedule, delay: usize, overlap: usize, left: usize) -> Vec<f32> {
        let continuation = Continuation {
            delay,
            overlap,
            schedule,
            ..Continuation::new(Vec::new(), 0)
        };
        continuation.weights(6, left)
    }

    #[test]
    fn certain_rows_count_fully_and_rows_past_the_overlap_not_at_all() {
        assert_eq!(
            weights(Schedule::Linear, 2, 5, 5),
            [1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
        );
        assert_eq!(
            weights(Schedule::Zeros, 2, 5, 5),
            [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
        );
        assert_eq!(
            weights(Schedule::Ones, 0, 4, 6),
            [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]
        );
        // A short left-over bounds the overlap, and the overlap the delay.
        assert_eq!(
            weights(Schedule::Linear, 9, 10, 3),
            [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
        );
        assert!(weights(Schedule::Exp, 0, 6, 6).is_sorted_by(|a, b| a > b));
    }
}
