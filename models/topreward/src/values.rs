//! Monte-Carlo values: discounted sums of the rewards to come.

use crate::{Error, curve::same_length, linspace::linspace};
use serde::{Deserialize, Serialize};

/// Reward of a frame between two scored ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Impute {
    /// Zero.
    Zero,
    /// A straight line between its neighbours; level before the first and after the last.
    Interpolate,
    /// The reward of the last scored frame; before the first, that of the first.
    Duplicate,
}

/// A reward for each of `frames` frames from those of some.
///
/// # Errors
/// [`Error::Lengths`], [`Error::NoPrefixes`] without any reward, and [`Error::BadPrefix`] for an index that
/// is not below `frames` or not above the one before it.
pub fn impute(
    indices: &[usize],
    rewards: &[f64],
    frames: usize,
    method: Impute,
) -> Result<Vec<f64>, Error> {
    same_length("frame indices and rewards", indices, rewards)?;
    let &last = indices.last().ok_or(Error::NoPrefixes)?;
    let ascending = indices.is_sorted_by(|left, right| left < right);
    if last >= frames || !ascending {
        return Err(Error::BadPrefix {
            length: last,
            total: frames,
        });
    }
    let mut filled = vec![0.0; frames];
    let mut put = |at: usize, value: f64| {
        if let Some(place) = filled.get_mut(at) {
            *place = value;
        }
    };
    let points: Vec<(usize, f64)> = indices
        .iter()
        .copied()
        .zip(rewards.iter().copied())
        .collect();
    if method == Impute::Zero {
        points.iter().for_each(|&(at, reward)| put(at, reward));
        return Ok(filled);
    }
    if let Some(&(first, reward)) = points.first() {
        (0..first).for_each(|at| put(at, reward));
    }
    for (&(start, from), next) in points
        .iter()
        .zip(points.iter().skip(1).map(Some).chain([None]))
    {
        match (method, next) {
            (Impute::Interpolate, Some(&(end, to))) => linspace(from, to, end - start + 1)
                .into_iter()
                .enumerate()
                .for_each(|(step, value)| put(start + step, value)),
            (_, next) => {
                let end = next.map_or(frames, |&(end, _)| end);
                (start..end).for_each(|at| put(at, from));
            }
        }
    }
    Ok(filled)
}

/// `V_t = r_t + gamma V_(t+1)` from the end backwards.
#[must_use]
pub fn discounted(rewards: &[f64], gamma: f64) -> Vec<f64> {
    let mut running = 0.0;
    let mut values: Vec<f64> = rewards
        .iter()
        .rev()
        .map(|reward| {
            running = reward + gamma * running;
            running
        })
        .collect();
    values.reverse();
    values
}
