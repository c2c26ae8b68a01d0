//! The shape of an action chunk.

use serde::{Deserialize, Serialize};

/// Rows and columns of an action chunk: `[horizon, dims]`, row-major.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shape {
    /// Time steps (rows).
    pub horizon: usize,
    /// Action dimensions (columns), without padding.
    pub dims: usize,
}

impl Shape {
    /// The longest horizon served: the cosine table grows with its square.
    pub const MAX_HORIZON: usize = 1024;
    /// The most values a chunk may hold: far above any robot, small enough to refuse nonsense
    /// before memory is taken for it.
    pub const MAX_VALUES: usize = 1 << 20;

    /// `horizon * dims`, or `None` when a side is zero or beyond the limits above.
    #[must_use]
    pub fn values(self) -> Option<usize> {
        self.horizon
            .checked_mul(self.dims)
            .filter(|&count| (1..=Self::MAX_VALUES).contains(&count))
            .filter(|_| self.horizon <= Self::MAX_HORIZON)
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.horizon, self.dims)
    }
}
