//! From raw log-probabilities to a progress curve.

use crate::Error;

/// Progress in [0, 1]: each value's place between the lowest and the highest.
///
/// A single value is 1, and so is every one of equal values, as in the reference: a curve says nothing
/// about whether anything was achieved, only about order within one episode.
///
/// # Errors
/// [`Error::NotFinite`].
pub fn min_max(log_probs: &[f64]) -> Result<Vec<f64>, Error> {
    check_finite("log-probabilities", log_probs)?;
    let lowest = log_probs.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = log_probs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if highest <= lowest {
        return Ok(vec![1.0; log_probs.len()]);
    }
    Ok(log_probs
        .iter()
        .map(|value| (value - lowest) / (highest - lowest))
        .collect())
}

/// Progress at every frame of a clip of `frames` frames: straight lines between the prefixes that were
/// scored, level before the first and after the last. Rounded to `f32` before and after, as LeRobot does.
///
/// # Errors
/// [`Error::Lengths`] when the two differ in length, [`Error::NoPrefixes`] when they are empty.
pub fn interpolate_progress(
    prefix_lengths: &[usize],
    progress: &[f64],
    frames: usize,
) -> Result<Vec<f32>, Error> {
    same_length("prefix lengths and progress", prefix_lengths, progress)?;
    let mut points = prefix_lengths
        .iter()
        .zip(progress)
        .map(|(&length, &value)| (length as f64, f64::from(value as f32)));
    let mut left = points.next().ok_or(Error::NoPrefixes)?;
    let mut right = points.next();
    let mut curve = Vec::with_capacity(frames);
    for length in (1..=frames).map(|length| length as f64) {
        while let Some(next) = right.filter(|next| next.0 <= length) {
            left = next;
            right = points.next();
        }
        let value = match right {
            Some(next) if length > left.0 => {
                let slope = (next.1 - left.1) / (next.0 - left.0);
                slope * (length - left.0) + left.1
            }
            _ => left.1,
        };
        curve.push(value as f32);
    }
    Ok(curve)
}

/// Success score of an episode: the mean of the last three raw log-probabilities, of all when there
/// are fewer. Comparable between episodes of one model and profile; no threshold is known.
#[must_use]
pub fn success_score(log_probs: &[f64]) -> Option<f64> {
    let last = log_probs.get(log_probs.len().saturating_sub(3)..)?;
    (!last.is_empty()).then(|| last.iter().sum::<f64>() / last.len() as f64)
}

pub(crate) fn check_finite(what: &'static str, values: &[f64]) -> Result<(), Error> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => Err(Error::NotFinite {
            what,
            index,
            value: values.get(index).copied().unwrap_or(f64::NAN),
        }),
    }
}

pub(crate) fn same_length<A, B>(what: &'static str, left: &[A], right: &[B]) -> Result<(), Error> {
    if left.len() == right.len() {
        Ok(())
    } else {
        Err(Error::Lengths {
            what,
            left: left.len(),
            right: right.len(),
        })
    }
}
