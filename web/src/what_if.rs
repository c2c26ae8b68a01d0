//! A chunk that the viewer edits to see what the change costs in tokens. It never leaves the tab.

use std::sync::Arc;

use protocol::viewer::ActionDimension;
use protocol::worker::{PartialDecode, PartialDecodeOutcome};

use crate::latest::Latest;

/// An edited chunk.
#[derive(Debug, Clone, PartialEq)]
pub struct WhatIf {
    base: Arc<PartialDecode>,
    chunk: Vec<f32>,
    /// Number of the newest edit.
    version: u64,
    /// The edit that the worker is encoding.
    request: Latest<u64>,
    /// The newest edit that was encoded, and its tokens.
    written: Option<(u64, Vec<u32>)>,
    failure: Option<String>,
}

impl WhatIf {
    /// An edit of a decoded decision. `first_version` must be above all versions of earlier edits.
    pub fn new(base: Arc<PartialDecode>, first_version: u64) -> Self {
        Self {
            chunk: base.chunk_normalised.clone(),
            base,
            version: first_version,
            request: Latest::after(first_version),
            written: None,
            failure: None,
        }
    }

    /// The unedited chunk.
    pub fn base(&self) -> &Arc<PartialDecode> {
        &self.base
    }

    /// The edited chunk, row-major `[rows, dims]`, normalized.
    pub fn chunk(&self) -> &[f32] {
        &self.chunk
    }

    /// Number of the newest edit.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Sets the value at one step of one dimension, clamped to -1..1.
    pub fn set(&mut self, step: usize, dim: usize, value: f32) {
        let dims = self.base.dims as usize;
        let wanted = value.clamp(-1.0, 1.0);
        if let Some(slot) = self.chunk.get_mut(step * dims + dim)
            && dim < dims
            && *slot != wanted
            && wanted.is_finite()
        {
            *slot = wanted;
            self.version += 1;
        }
    }

    /// Undoes all edits.
    pub fn reset(&mut self) {
        if self.chunk != self.base.chunk_normalised {
            self.chunk.clone_from(&self.base.chunk_normalised);
            self.version += 1;
        }
    }

    /// Puts the encoding of the newest edit in flight and returns its number, if one is due.
    pub fn next_request(&mut self) -> Option<u64> {
        let is_written = self.written.as_ref().map(|written| written.0) == Some(self.version);
        if is_written {
            return None;
        }
        self.request.send(self.version)
    }

    /// Stores the worker's answer.
    pub fn answered(&mut self, id: u64, outcome: PartialDecodeOutcome) {
        let Some(version) = self.request.answered(id) else {
            return;
        };
        match outcome {
            PartialDecodeOutcome::Decoded(unfolded) => {
                self.failure = None;
                self.written = Some((version, unfolded.tokens));
            }
            PartialDecodeOutcome::Failed { reason } => {
                self.failure = Some(reason);
                self.written = Some((version, self.base.tokens.clone()));
            }
        }
    }

    /// The newest edit that was encoded, and its tokens.
    pub fn written(&self) -> Option<&(u64, Vec<u32>)> {
        self.written.as_ref()
    }

    /// The reason that the newest edit could not be encoded.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Range of the tokens that differ from the decision's: everything between the common prefix and suffix.
    pub fn changed_tokens(&self, tokens: &[u32]) -> std::ops::Range<usize> {
        let base = &self.base.tokens;
        let same_start = base.iter().zip(tokens).take_while(|(a, b)| a == b).count();
        let left = base.len().min(tokens.len()) - same_start;
        let same_end = base
            .iter()
            .rev()
            .zip(tokens.iter().rev())
            .take(left)
            .take_while(|(a, b)| a == b)
            .count();
        same_start..tokens.len() - same_end
    }

    /// Number of coefficients that differ from the decision's.
    pub fn changed_coefficients(&self, coefficients: &[i32]) -> usize {
        let pairs = self.base.coefficients.iter().zip(coefficients);
        pairs.filter(|(a, b)| a != b).count()
    }
}

/// The normalized value of a value in robot units.
pub fn normalize(robot_units: f32, dimension: &ActionDimension) -> f32 {
    let span = dimension.high - dimension.low;
    let value = if dimension.normalised && span.abs() > 0.0 {
        (robot_units - dimension.low) * 2.0 / span - 1.0
    } else {
        robot_units
    };
    value.clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::units::to_robot_units;

    fn unfolded(tokens: &[u32]) -> PartialDecode {
        PartialDecode {
            tokens: tokens.to_vec(),
            rows: 2,
            dims: 2,
            token_lengths: vec![],
            coefficients: vec![5, 0, 0, 1],
            known: 4,
            chunk_normalised: vec![0.1, 0.2, 0.3, 0.4],
            actions: vec![0.0; 4],
            fault: None,
        }
    }

    fn what_if() -> WhatIf {
        WhatIf::new(Arc::new(unfolded(&[1, 2, 3, 4])), 10)
    }

    #[test]
    fn a_change_is_written_once_and_the_newest_wins() {
        let mut what_if = what_if();
        let first = what_if.next_request().unwrap();
        what_if.set(1, 0, 0.5);
        what_if.set(1, 0, 7.0);
        assert_eq!(what_if.chunk(), [0.1, 0.2, 1.0, 0.4]);
        assert_eq!(what_if.next_request(), None, "one is out");
        what_if.answered(
            first,
            PartialDecodeOutcome::Decoded(unfolded(&[1, 2, 3, 4])),
        );
        assert_eq!(what_if.next_request(), Some(12));
        what_if.answered(
            12,
            PartialDecodeOutcome::Decoded(unfolded(&[1, 9, 9, 3, 4])),
        );
        assert_eq!(what_if.next_request(), None);
        assert_eq!(what_if.written().unwrap().1.len(), 5);
        what_if.reset();
        assert_eq!(
            (what_if.chunk()[2], what_if.next_request()),
            (0.3, Some(13))
        );
    }

    #[test]
    fn what_changed_lies_between_what_stayed() {
        let what_if = what_if();
        assert_eq!(what_if.changed_tokens(&[1, 2, 3, 4]), 4..4);
        assert_eq!(what_if.changed_tokens(&[1, 9, 9, 3, 4]), 1..3);
        assert_eq!(what_if.changed_tokens(&[7]), 0..1);
        assert_eq!(what_if.changed_tokens(&[1, 2, 2, 3, 4]), 2..3);
        assert_eq!(what_if.changed_coefficients(&[5, 1, 0, 2]), 2);
    }

    #[test]
    fn values_that_cannot_be_are_not_wanted() {
        let mut what_if = what_if();
        what_if.set(0, 0, f32::NAN);
        what_if.set(9, 0, 0.5);
        what_if.set(0, 9, 0.5);
        assert_eq!(what_if.version(), 10);
        let joint = ActionDimension {
            name: "j".into(),
            low: -40.0,
            high: 60.0,
            normalised: true,
        };
        assert_eq!(normalize(to_robot_units(0.25, &joint), &joint), 0.25);
        assert_eq!(normalize(900.0, &joint), 1.0);
    }
}
