//! `norm_stats.json`: the robots of a checkpoint, and the normalization of their states and actions.
//!
//! All arithmetic is in f32 and in the reference's order. Normalize: `2 (x - low) / max(high - low, 1e-6) - 1`,
//! clipped to -1..=1. Unnormalize: clip, then `(y + 1) (high - low) / 2 + low`. `low` and `high` are quantiles or
//! extremes by `norm_mode`. Where the `mask` is false a value passes through (clipped when unnormalizing, unclipped
//! when normalizing). Where the recorded minimum equals the maximum the normalized value is 0.

use std::collections::BTreeMap;

use layers::ConfigError;
use serde::Deserialize;
use serde_json::Value;

use crate::checkpoint::calibration::Calibration;
use crate::checkpoint::unknown_keys;
use crate::error::{ActError, LoadError, bad_value};

mod feature;
mod tag;

pub use feature::{FeatureStats, Normalizer};
pub use tag::{ChunkRows, Tag};

/// Default file name, which `norm_stats_filename` overrides.
pub const FILE: &str = "norm_stats.json";
const FORMAT: &str = "molmoact2_norm_stats.v1";

/// The statistics that the normalization uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NormMode {
    /// 1st and 99th percentile.
    #[serde(rename = "q01_q99")]
    Q01Q99,
    /// 10th and 90th percentile.
    #[serde(rename = "q10_q90")]
    Q10Q90,
    /// Minimum and maximum.
    MinMax,
    /// Mean and standard deviation; nothing is clipped.
    MeanStd,
    /// Values pass through.
    None,
}

/// All robots of a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct NormStats {
    mode: NormMode,
    tags: BTreeMap<String, Tag>,
    /// Robots with required statistics that are not finite, and the problem.
    unusable: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct RawStats {
    format: Option<String>,
    // The default of the reference.
    #[serde(default = "min_max")]
    norm_mode: NormMode,
    metadata_by_tag: BTreeMap<String, RawTag>,
}

#[derive(Deserialize)]
struct RawTag {
    #[serde(default)]
    camera_keys: Vec<String>,
    #[serde(default)]
    camera_keys_alternative: Option<Vec<String>>,
    #[serde(default)]
    setup_type: Option<String>,
    #[serde(default)]
    control_mode: Option<String>,
    action_horizon: Option<usize>,
    n_action_steps: Option<usize>,
    normalize_gripper: Option<bool>,
    state_stats: Option<FeatureStats>,
    action_stats: Option<FeatureStats>,
}

fn min_max() -> NormMode {
    NormMode::MinMax
}

impl NormStats {
    /// Reads the bytes of `norm_stats.json`.
    ///
    /// # Errors
    /// [`LoadError`] naming the tag and the key that is missing, of the wrong length or impossible.
    pub fn parse(bytes: &[u8]) -> Result<Self, LoadError> {
        let raw: RawStats = crate::error::parse_json(FILE, bytes)?;
        check_spelling(&crate::error::parse_json(FILE, bytes)?)?;
        if let Some(format) = raw.format.filter(|format| format != FORMAT) {
            return Err(LoadError::Config(ConfigError::Unsupported {
                what: format!("norm_stats format {format:?}"),
                why: format!("this reader takes {FORMAT:?}"),
            }));
        }
        if raw.metadata_by_tag.is_empty() {
            return Err(bad_value(FILE, "metadata_by_tag", "names no robot"));
        }
        let mode = raw.norm_mode;
        let (mut tags, mut unusable) = (BTreeMap::new(), BTreeMap::new());
        let mut refused = None;
        for (name, raw) in raw.metadata_by_tag {
            // NaN in the statistics of one robot does not affect the others.
            let odd = odd(&raw, mode);
            match tag(name.clone(), raw, mode) {
                Ok(tag) => {
                    tags.insert(name, tag);
                }
                Err(error) => match odd {
                    Some(problem) => {
                        unusable.insert(name, problem);
                        refused = refused.or(Some(error));
                    }
                    None => return Err(error),
                },
            }
        }
        match refused {
            Some(error) if tags.is_empty() => Err(error),
            _ => Ok(Self {
                mode,
                tags,
                unusable,
            }),
        }
    }

    /// Statistics of a single robot, from another source.
    pub(crate) fn of_one(mode: NormMode, tag: Tag) -> Self {
        Self {
            mode,
            tags: BTreeMap::from([(tag.name.clone(), tag)]),
            unusable: BTreeMap::new(),
        }
    }

    /// Applies `calibration` to every robot that it is for.
    ///
    /// # Errors
    /// [`ConfigError::BadValue`] for a tag that is unknown, has fewer dimensions than the calibration, or is
    /// calibrated already.
    pub fn calibrate(&mut self, calibration: &Calibration) -> Result<(), LoadError> {
        let refuse = |problem: String| Err(bad_value("the calibration", "joint_signs", problem));
        if let Some(wanted) = &calibration.tag
            && !self.tags.contains_key(wanted)
        {
            let known: Vec<&str> = self.tags.keys().map(String::as_str).collect();
            return refuse(format!(
                "are for tag {wanted:?}; this checkpoint knows {}",
                known.join(", ")
            ));
        }
        for tag in self.tags.values_mut() {
            if calibration
                .tag
                .as_ref()
                .is_some_and(|wanted| *wanted != tag.name)
            {
                continue;
            }
            let dims = tag.state.dims().min(tag.action.dims());
            if calibration.joints() > dims {
                return refuse(format!(
                    "has {} values, but tag {:?} has {dims} joints; name the tag it is for with \"tag\"",
                    calibration.joints(),
                    tag.name
                ));
            }
            if tag.calibration.is_some() {
                return refuse(format!(
                    "would come on top of the calibration that tag {:?} has in its policy",
                    tag.name
                ));
            }
            tag.calibration = Some(calibration.clone());
        }
        Ok(())
    }

    /// The statistics that the normalization uses.
    #[must_use]
    pub fn mode(&self) -> NormMode {
        self.mode
    }

    /// The robots, sorted by name.
    pub fn tags(&self) -> impl Iterator<Item = &Tag> {
        self.tags.values()
    }

    /// Errors of the robots in the file that cannot be used.
    pub fn unusable(&self) -> impl Iterator<Item = ActError> {
        self.unusable.iter().map(|(tag, problem)| ActError::BadTag {
            tag: tag.clone(),
            key: "the statistics",
            problem: problem.clone(),
        })
    }

    /// The robot called `name`.
    ///
    /// # Errors
    /// [`ActError::UnknownTag`] with the known names, [`ActError::BadTag`] for one whose statistics cannot be used.
    pub fn tag(&self, name: &str) -> Result<&Tag, ActError> {
        let name = name.trim();
        if let Some(problem) = self.unusable.get(name) {
            return Err(ActError::BadTag {
                tag: name.to_owned(),
                key: "the statistics",
                problem: problem.clone(),
            });
        }
        self.tags.get(name).ok_or_else(|| ActError::UnknownTag {
            tag: name.to_owned(),
            known: self.tags.keys().cloned().collect(),
        })
    }
}

/// Refuses damaged keys: most keys are optional, so one would go unnoticed.
fn check_spelling(raw: &Value) -> Result<(), LoadError> {
    let check = |value: &Value, known: &[&str], place: &str| match value.as_object() {
        Some(keys) => unknown_keys::check(keys, known, FILE, place),
        None => Ok(()),
    };
    check(raw, &["format", "norm_mode", "metadata_by_tag"], "")?;
    let tags = raw.get("metadata_by_tag").and_then(Value::as_object);
    for (name, tag) in tags.into_iter().flatten() {
        check(tag, &TAG_KEYS, &format!("metadata_by_tag.{name}: "))?;
        for key in ["state_stats", "action_stats"] {
            let place = format!("metadata_by_tag.{name}.{key}: ");
            check(tag.get(key).unwrap_or(&Value::Null), &feature::KEYS, &place)?;
        }
    }
    Ok(())
}

/// Keys of a robot that are read.
const TAG_KEYS: [&str; 9] = [
    "camera_keys",
    "camera_keys_alternative",
    "setup_type",
    "control_mode",
    "action_horizon",
    "n_action_steps",
    "normalize_gripper",
    "state_stats",
    "action_stats",
];

/// Description of the first required statistic of a robot that is not finite.
fn odd(raw: &RawTag, mode: NormMode) -> Option<String> {
    [
        ("state_stats", &raw.state_stats),
        ("action_stats", &raw.action_stats),
    ]
    .into_iter()
    .find_map(|(key, stats)| {
        let (array, dim) = stats.as_ref()?.not_finite(mode)?;
        Some(format!(
            "hold NaN or Infinity: {key}.{array}, dimension {dim} (from 0)"
        ))
    })
}

fn tag(name: String, raw: RawTag, mode: NormMode) -> Result<Tag, LoadError> {
    let place = format!("metadata_by_tag.{name}");
    let read = |key: &str, stats: Option<FeatureStats>| {
        let place = format!("{place}.{key}");
        match stats {
            Some(stats) => Normalizer::new(stats, mode, &place),
            None => Err(bad_value(FILE, place, "is missing")),
        }
    };
    Ok(Tag {
        state: read("state_stats", raw.state_stats)?,
        action: read("action_stats", raw.action_stats)?,
        camera_keys: raw.camera_keys,
        camera_keys_alternative: raw.camera_keys_alternative.unwrap_or_default(),
        setup_type: raw.setup_type.unwrap_or_default(),
        control_mode: raw.control_mode.unwrap_or_default(),
        action_horizon: raw.action_horizon,
        n_action_steps: raw.n_action_steps,
        normalize_gripper: raw.normalize_gripper,
        calibration: None,
        name,
    })
}
