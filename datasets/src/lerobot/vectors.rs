//! Columns of vectors, and their number types.

/// A column of vectors.
#[derive(Debug)]
pub(super) struct Vectors {
    /// Length of most vectors.
    pub(super) dims: usize,
    /// Values, row after row.
    pub(super) values: Vec<f32>,
    /// Number of values per row; `None` where every row has one.
    pub(super) lengths: Option<Vec<u32>>,
    /// Rows that are empty or have an empty element.
    pub(super) holes: Vec<usize>,
    pub(super) rows: usize,
}

/// Number type in memory.
pub(super) trait Number: Copy {
    /// Placeholder of a missing number.
    const NONE: Self;
    fn of(value: f64) -> Self;
    fn single(self) -> f32;
}

impl Number for f32 {
    const NONE: Self = f32::NAN;
    fn of(value: f64) -> Self {
        value as f32
    }
    fn single(self) -> f32 {
        self
    }
}

impl Number for f64 {
    const NONE: Self = f64::NAN;
    fn of(value: f64) -> Self {
        value
    }
    fn single(self) -> f32 {
        self as f32
    }
}
