//! Vectors and the numbers in them, as columns are read.

/// A column of vectors.
#[derive(Debug)]
pub(super) struct Vectors {
    /// Length of most.
    pub(super) dims: usize,
    /// One row after the other.
    pub(super) values: Vec<f32>,
    /// How many belong to each row; none where it is one.
    pub(super) lengths: Option<Vec<u32>>,
    /// Rows that are empty or have an empty place.
    pub(super) holes: Vec<usize>,
    pub(super) rows: usize,
}

/// What numbers of a file become.
pub(super) trait Number: Copy {
    /// What stands where there is none.
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
