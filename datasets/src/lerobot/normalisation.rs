//! From data units to what a tokenizer is fitted to: the formulas of LeRobot's tokenizer trainer.

use super::{DataSetError, Stats};

/// Which formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormMode {
    /// The 1st percentile becomes -1, the 99th 1; what lies beyond is clipped.
    Quantiles,
    /// The smallest value becomes -1, the largest 1.
    MinMax,
    /// The mean becomes 0, a standard deviation 1.
    MeanStd,
    /// Nothing is done.
    None,
}

impl NormMode {
    /// LeRobot's name for it.
    #[must_use]
    pub fn lerobot_name(self) -> &'static str {
        match self {
            Self::Quantiles => "QUANTILES",
            Self::MinMax => "MIN_MAX",
            Self::MeanStd => "MEAN_STD",
            Self::None => "IDENTITY",
        }
    }
}

/// The mapping of each dimension.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalisation {
    mode: NormMode,
    /// Low and high, or mean and standard deviation.
    dims: Vec<(f64, f64)>,
}

/// Keeps a dimension that never moved from dividing by zero.
const EPSILON: f64 = 1e-8;

impl Normalisation {
    /// The mapping of `dims` dimensions by `mode`.
    ///
    /// # Errors
    /// When the statistics that the mode needs are missing, not as many as the dimensions, or not finite.
    pub fn new(
        mode: NormMode,
        stats: &Stats,
        dims: usize,
        key: &str,
    ) -> Result<Self, DataSetError> {
        let need = |name: &str, values: &Option<Vec<f64>>| {
            let bad = |problem| DataSetError::BadStats {
                key: key.to_owned(),
                problem,
            };
            let values = values
                .clone()
                .ok_or_else(|| bad(format!("{name} is missing")))?;
            if values.len() != dims {
                return Err(bad(format!(
                    "{name} has {} values, the vectors have {dims}",
                    values.len()
                )));
            }
            match values.iter().position(|value| !value.is_finite()) {
                Some(dim) => Err(bad(format!("{name} of dimension {dim} is not finite"))),
                None => Ok(values),
            }
        };
        let (first, second) = match mode {
            NormMode::Quantiles => (need("q01", &stats.q01)?, need("q99", &stats.q99)?),
            NormMode::MinMax => (need("min", &stats.min)?, need("max", &stats.max)?),
            NormMode::MeanStd => (need("mean", &stats.mean)?, need("std", &stats.std)?),
            NormMode::None => (vec![0.0; dims], vec![1.0; dims]),
        };
        Ok(Self {
            mode,
            dims: first.into_iter().zip(second).collect(),
        })
    }

    /// Data units to normalised values.
    #[must_use]
    pub fn apply(&self, value: f32, dim: usize) -> f32 {
        let Some(&(a, b)) = self.dims.get(dim) else {
            return value;
        };
        let value = f64::from(value);
        let normalised = match self.mode {
            NormMode::Quantiles => 2.0 * (value.max(a).min(b) - a) / (b - a).max(EPSILON) - 1.0,
            NormMode::MinMax => 2.0 * (value - a) / (b - a).max(EPSILON) - 1.0,
            NormMode::MeanStd => (value - a) / b.max(EPSILON),
            NormMode::None => value,
        };
        normalised as f32
    }

    /// How many data units one normalised unit is.
    #[must_use]
    pub fn data_units(&self, dim: usize) -> f64 {
        match (self.mode, self.dims.get(dim)) {
            (NormMode::Quantiles | NormMode::MinMax, Some((low, high))) => (high - low) / 2.0,
            (NormMode::MeanStd, Some((_, deviation))) => *deviation,
            _ => 1.0,
        }
    }
}
