//! Normalisation of data units, with the formulas of LeRobot's tokenizer trainer.

use super::{DataSetError, Stats};

/// Formula of a normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormMode {
    /// Maps the 1st percentile to -1 and the 99th to 1, and clips values beyond them.
    Quantiles,
    /// Maps the smallest value to -1 and the largest to 1.
    MinMax,
    /// Maps the mean to 0 and one standard deviation to 1.
    MeanStd,
    /// Leaves values unchanged.
    None,
}

impl NormMode {
    /// LeRobot's name of the mode.
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

/// Mapping of each dimension.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalisation {
    mode: NormMode,
    /// Low and high, or mean and standard deviation.
    dims: Vec<(f64, f64)>,
}

/// Smallest divisor, for a dimension that never moved.
const EPSILON: f64 = 1e-8;

impl Normalisation {
    /// Mapping of `dims` dimensions by `mode`. `key` names the vector in errors.
    ///
    /// # Errors
    /// When the statistics that the mode needs are missing, differ in number from the dimensions, or are not finite.
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

    /// Normalises a value of dimension `dim`.
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

    /// Data units per normalised unit of dimension `dim`.
    #[must_use]
    pub fn data_units(&self, dim: usize) -> f64 {
        match (self.mode, self.dims.get(dim)) {
            (NormMode::Quantiles | NormMode::MinMax, Some((low, high))) => (high - low) / 2.0,
            (NormMode::MeanStd, Some((_, deviation))) => *deviation,
            _ => 1.0,
        }
    }
}
