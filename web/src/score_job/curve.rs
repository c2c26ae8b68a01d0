//! One progress curve.

use protocol::score::CurveHeading;
use topreward::{min_max, success_score, voc};

/// One progress curve, possibly incomplete.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Kind and instruction.
    pub heading: CurveHeading,
    /// Prefix length (frames) and ln p(True), ascending by length.
    pub points: Vec<(u32, f64)>,
}

impl Curve {
    pub(super) fn put(&mut self, length: u32, log_prob: f64) {
        match self.points.binary_search_by_key(&length, |point| point.0) {
            Ok(at) => {
                if let Some(point) = self.points.get_mut(at) {
                    point.1 = log_prob;
                }
            }
            Err(at) => self.points.insert(at, (length, log_prob)),
        }
    }

    /// The value at a prefix.
    #[must_use]
    pub fn at(&self, length: u32) -> Option<f64> {
        let at = self.points.binary_search_by_key(&length, |point| point.0);
        self.points.get(at.ok()?).map(|point| point.1)
    }

    /// Values, ascending by prefix length.
    #[must_use]
    pub fn values(&self) -> Vec<f64> {
        self.points.iter().map(|point| point.1).collect()
    }

    /// Values scaled from 0 to 1 within the curve; empty if they are not finite.
    #[must_use]
    pub fn progress(&self) -> Vec<f64> {
        min_max(&self.values()).unwrap_or_default()
    }

    /// Rank correlation with time (VOC); `None` where it is undefined.
    #[must_use]
    pub fn voc(&self) -> Option<f64> {
        voc(&self.progress()).ok().flatten()
    }

    /// Mean of the last three values.
    #[must_use]
    pub fn success_score(&self) -> Option<f64> {
        success_score(&self.values())
    }

    /// Difference between the highest and the lowest value.
    #[must_use]
    pub fn range(&self) -> f64 {
        let values = self.values();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (high - low).max(0.0)
    }

    /// The difference from another curve, at the points that both have.
    #[must_use]
    pub fn above(&self, other: &Self) -> Self {
        let points = self.points.iter();
        Self {
            heading: self.heading.clone(),
            points: points
                .filter_map(|&(length, value)| Some((length, value - other.at(length)?)))
                .collect(),
        }
    }
}
