//! One scored episode of a data set.

use datasets::lerobot::Indices;
use topreward::{Record, Score};

/// A scored episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// Its line.
    pub record: Record,
    /// Its score.
    pub score: Score,
    /// The numbers of its frames in the whole data set.
    pub indices: Indices,
}
