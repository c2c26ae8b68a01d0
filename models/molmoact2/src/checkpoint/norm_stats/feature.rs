//! Statistics of one vector, and its normalization.

use field_files::json::{from_value, maybe_finite};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{FILE, NormMode};
use crate::error::{LoadError, bad_json, bad_value};

mod checks;

use checks::{finite, lengths, ordered};

/// The arrays of `state_stats` or `action_stats`, one value per dimension.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the keys of the file")]
pub struct FeatureStats {
    #[serde(default, deserialize_with = "maybe_finite")]
    pub min: Option<Vec<f32>>,
    #[serde(default, deserialize_with = "maybe_finite")]
    pub max: Option<Vec<f32>>,
    #[serde(default, deserialize_with = "maybe_finite")]
    pub mean: Option<Vec<f32>>,
    #[serde(default, deserialize_with = "maybe_finite")]
    pub std: Option<Vec<f32>>,
    #[serde(default, deserialize_with = "maybe_finite")]
    pub q01: Option<Vec<f32>>,
    #[serde(default, deserialize_with = "maybe_finite")]
    pub q99: Option<Vec<f32>>,
    #[serde(default, deserialize_with = "maybe_finite")]
    pub q10: Option<Vec<f32>>,
    #[serde(default, deserialize_with = "maybe_finite")]
    pub q90: Option<Vec<f32>>,
    /// False where a dimension is not normalized.
    pub mask: Option<Vec<bool>>,
    #[serde(default, deserialize_with = "texts")]
    pub names: Option<Vec<String>>,
}

/// Reads names of dimensions, which are for display only: `None` for anything but a list of strings.
fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    let found = Option::<Value>::deserialize(from)?;
    Ok(found.and_then(|found| {
        let list = found.as_array()?.iter();
        list.map(|name| name.as_str().map(str::to_owned)).collect()
    }))
}

impl FeatureStats {
    /// Reads the statistics of one vector in the file. An array that `mode` does not need is left out if it is none of
    /// numbers. `place` names the vector in errors.
    pub(super) fn read(raw: &Value, mode: NormMode, place: &str) -> Result<Self, LoadError> {
        let mut raw = raw.clone();
        if let Some(keys) = raw.as_object_mut() {
            let arrays = Self::default().arrays().map(|(key, _)| key);
            let needed = Rules::Published.needed(mode);
            keys.retain(|key, array| {
                let is_spare = arrays.contains(&key.as_str()) && !needed.contains(&key.as_str());
                !is_spare || maybe_finite(&*array).is_ok()
            });
        }
        from_value(&raw).map_err(|error| bad_json(FILE, &format!("{place}: "), &error))
    }

    fn arrays_mut(&mut self) -> [(&'static str, &mut Option<Vec<f32>>); 8] {
        [
            ("mean", &mut self.mean),
            ("std", &mut self.std),
            ("min", &mut self.min),
            ("max", &mut self.max),
            ("q01", &mut self.q01),
            ("q99", &mut self.q99),
            ("q10", &mut self.q10),
            ("q90", &mut self.q90),
        ]
    }

    fn arrays(&self) -> [(&'static str, &Option<Vec<f32>>); 8] {
        [
            ("mean", &self.mean),
            ("std", &self.std),
            ("min", &self.min),
            ("max", &self.max),
            ("q01", &self.q01),
            ("q99", &self.q99),
            ("q10", &self.q10),
            ("q90", &self.q90),
        ]
    }

    /// The first array that `mode` cannot do without and that holds a value which is not finite, with the dimension.
    fn not_finite(&self, mode: NormMode) -> Option<(&'static str, usize)> {
        let needed = mode.arrays();
        let read = self.arrays().into_iter();
        read.filter(|(key, _)| needed.contains(key))
            .find_map(|(key, array)| {
                let values = array.as_ref()?;
                Some((key, values.iter().position(|value| !value.is_finite())?))
            })
    }
}

impl NormMode {
    /// The arrays that it cannot do without.
    fn arrays(self) -> &'static [&'static str] {
        match self {
            Self::Q01Q99 => &["q01", "q99"],
            Self::Q10Q90 => &["q10", "q90"],
            Self::MinMax => &["min", "max"],
            Self::MeanStd => &["mean", "std"],
            Self::None => &[],
        }
    }
}

/// The keys of [`FeatureStats`].
pub(super) const KEYS: [&str; 10] = [
    "min", "max", "mean", "std", "q01", "q99", "q10", "q90", "mask", "names",
];

/// Source of the rules for dimensions without range and for clipping.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rules {
    /// Rules of the published checkpoints' `norm_stats.json`.
    Published,
    /// Rules of LeRobot's processors: a range of 0 becomes this value, and every mode clips.
    Lerobot(f32),
}

impl Rules {
    /// The arrays that are read: those of the mode, and where it maps a range, the extremes, which tell dimensions without
    /// one.
    fn needed(self, mode: NormMode) -> &'static [&'static str] {
        match (self, mode) {
            (Self::Published, NormMode::Q01Q99) => &["q01", "q99", "min", "max"],
            (Self::Published, NormMode::Q10Q90) => &["q10", "q90", "min", "max"],
            _ => mode.arrays(),
        }
    }
}

/// Normalization of one dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Dimension {
    rules: Rules,
    map: Map,
    /// True if the mapping applies at all.
    masked_in: bool,
    /// True if the data are constant, so that the normalized value is 0.
    constant: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Map {
    Range { low: f32, high: f32 },
    Score { mean: f32, std: f32 },
    Same,
}

/// The mapping between robot units and normalized values of one vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalizer {
    dimensions: Vec<Dimension>,
    stats: FeatureStats,
}

const EPSILON: f32 = 1e-6;

impl Normalizer {
    /// Reads the arrays that `mode` needs, and drops others that cannot be used. `place` names them in errors.
    ///
    /// # Errors
    /// [`ConfigError::BadValue`](layers::ConfigError::BadValue) for an array that is missing, of another length, or not
    /// finite.
    pub fn new(stats: FeatureStats, mode: NormMode, place: &str) -> Result<Self, LoadError> {
        Self::with_rules(stats, mode, place, Rules::Published)
    }

    /// Like [`Normalizer::new`] by the rules of LeRobot's normalization steps with their `eps`.
    pub(crate) fn lerobot(
        stats: FeatureStats,
        mode: NormMode,
        place: &str,
        eps: f32,
    ) -> Result<Self, LoadError> {
        Self::with_rules(stats, mode, place, Rules::Lerobot(eps))
    }

    fn with_rules(
        mut stats: FeatureStats,
        mode: NormMode,
        place: &str,
        rules: Rules,
    ) -> Result<Self, LoadError> {
        let needed = rules.needed(mode);
        let dims = lengths(&stats, needed, place)?;
        finite(&mut stats, mode, place)?;
        for (_, array) in stats.arrays_mut() {
            // A needed one of another length was refused.
            if array.as_ref().is_some_and(|values| values.len() != dims) {
                *array = None;
            }
        }
        ordered(&mut stats, needed, place)?;
        let need = |key: &str, values: &Option<Vec<f32>>| {
            values.clone().ok_or_else(|| {
                bad_value(
                    FILE,
                    format!("{place}.{key}"),
                    format!("is missing; norm_mode {mode:?} needs it"),
                )
            })
        };
        let range = |low: Vec<f32>, high: Vec<f32>| {
            let pairs = low.into_iter().zip(high);
            pairs.map(|(low, high)| Map::Range { low, high }).collect()
        };
        let maps: Vec<Map> = match mode {
            NormMode::Q01Q99 => range(need("q01", &stats.q01)?, need("q99", &stats.q99)?),
            NormMode::Q10Q90 => range(need("q10", &stats.q10)?, need("q90", &stats.q90)?),
            NormMode::MinMax => range(need("min", &stats.min)?, need("max", &stats.max)?),
            NormMode::MeanStd => {
                let pairs = need("mean", &stats.mean)?
                    .into_iter()
                    .zip(need("std", &stats.std)?);
                pairs.map(|(mean, std)| Map::Score { mean, std }).collect()
            }
            NormMode::None => vec![Map::Same; dims],
        };
        let ranged = matches!(mode, NormMode::Q01Q99 | NormMode::Q10Q90 | NormMode::MinMax);
        let constant: Vec<bool> = match (&stats.min, &stats.max) {
            (Some(min), Some(max)) if ranged && rules == Rules::Published => {
                min.iter().zip(max).map(|(min, max)| min == max).collect()
            }
            _ => vec![false; dims],
        };
        let mask = stats.mask.clone().unwrap_or_else(|| vec![true; dims]);
        let dimensions = maps
            .into_iter()
            .zip(mask)
            .zip(constant)
            .map(|((map, masked_in), constant)| Dimension {
                rules,
                map,
                masked_in,
                constant,
            })
            .collect();
        Ok(Self { dimensions, stats })
    }

    /// Number of dimensions.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.dimensions.len()
    }

    /// The first dimension that passes through with a value outside -1..=1, where the rules refuse that, such as a
    /// gripper in other units than its statistics.
    pub(crate) fn out_of_range(&self, values: &[f32]) -> Option<usize> {
        self.dimensions
            .iter()
            .zip(values)
            .position(|(dimension, value)| {
                dimension.rules != Rules::Published && !dimension.masked_in && value.abs() > 1.0
            })
    }

    /// The arrays that this was made from.
    #[must_use]
    pub fn stats(&self) -> &FeatureStats {
        &self.stats
    }

    /// Robot units to normalized values, `[rows, dims]` row-major.
    #[must_use]
    pub fn normalize(&self, values: &[f32]) -> Vec<f32> {
        let dimensions = self.dimensions.iter().cycle();
        let pairs = values.iter().zip(dimensions);
        pairs
            .map(|(value, dimension)| dimension.normalize(*value))
            .collect()
    }

    /// Normalized values to robot units, `[rows, dims]` row-major.
    #[must_use]
    pub fn unnormalize(&self, values: &[f32]) -> Vec<f32> {
        let dimensions = self.dimensions.iter().cycle();
        let pairs = values.iter().zip(dimensions);
        pairs
            .map(|(value, dimension)| dimension.unnormalize(*value))
            .collect()
    }
}

impl Dimension {
    fn normalize(self, value: f32) -> f32 {
        if let Rules::Lerobot(eps) = self.rules {
            return self.normalize_lerobot(value, eps).clamp(-1.0, 1.0);
        }
        if self.constant {
            return 0.0;
        }
        if !self.masked_in {
            return value;
        }
        match self.map {
            Map::Range { low, high } => {
                (2.0 * (value - low) / (high - low).max(EPSILON) - 1.0).clamp(-1.0, 1.0)
            }
            Map::Score { mean, std } => (value - mean) / std.max(EPSILON),
            Map::Same => value,
        }
    }

    fn normalize_lerobot(self, value: f32, eps: f32) -> f32 {
        match self.map {
            _ if !self.masked_in => value,
            Map::Range { low, high } => 2.0 * (value - low) / Self::range(low, high, eps) - 1.0,
            Map::Score { mean, std } => (value - mean) / (std + eps),
            Map::Same => value,
        }
    }

    fn range(low: f32, high: f32, eps: f32) -> f32 {
        if high == low { eps } else { high - low }
    }

    fn unnormalize(self, value: f32) -> f32 {
        if let Rules::Lerobot(eps) = self.rules {
            let clipped = value.clamp(-1.0, 1.0);
            return match self.map {
                _ if !self.masked_in => clipped,
                Map::Range { low, high } => {
                    (clipped + 1.0) * Self::range(low, high, eps) / 2.0 + low
                }
                Map::Score { mean, std } => clipped * std + mean,
                Map::Same => clipped,
            };
        }
        match self.map {
            Map::Range { low, high } => {
                let clipped = value.clamp(-1.0, 1.0);
                if self.masked_in {
                    (clipped + 1.0) * (high - low) / 2.0 + low
                } else {
                    clipped
                }
            }
            Map::Score { mean, std } if self.masked_in => value * std + mean,
            Map::Score { .. } | Map::Same => value,
        }
    }
}
