//! `norm_stats.json`: the robots of a checkpoint, and the normalization of their states and actions.
//!
//! All arithmetic is in f32 and in the reference's order. Normalize: `2 (x - low) / max(high - low, 1e-6) - 1`,
//! clipped to -1..=1. Unnormalize: clip, then `(y + 1) (high - low) / 2 + low`. `low` and `high` are quantiles or
//! extremes by `norm_mode`. Where the `mask` is false a value passes through (clipped when unnormalizing, unclipped
//! when normalizing). Where the recorded minimum equals the maximum the normalized value is 0.

use std::collections::BTreeMap;

use field_files::json;
use layers::ConfigError;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::checkpoint::calibration::Calibration;
use crate::checkpoint::unknown_keys;
use crate::error::{ActError, LoadError, bad_json, bad_value, parse_json};

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
    /// Robots whose entry cannot be used, and the problem.
    unusable: BTreeMap<String, String>,
}

/// The top of the file.
#[derive(Deserialize)]
struct Head {
    format: Option<String>,
    // The default of the reference.
    #[serde(default = "min_max")]
    norm_mode: NormMode,
    metadata_by_tag: BTreeMap<String, IgnoredAny>,
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
}

fn min_max() -> NormMode {
    NormMode::MinMax
}

impl NormStats {
    /// Reads the bytes of `norm_stats.json`. What is wrong with one robot is kept for whoever asks for it, and what no robot
    /// needs may be anything.
    ///
    /// # Errors
    /// [`LoadError`] for the file as a whole, and where no robot can be used: then with the tag and the key that is missing,
    /// of the wrong length or impossible.
    pub fn parse(bytes: &[u8]) -> Result<Self, LoadError> {
        let raw: Value = parse_json(FILE, bytes)?;
        check_keys(&raw, &["format", "norm_mode", "metadata_by_tag"], "")?;
        let head: Head = json::from_value(&raw).map_err(|error| bad_json(FILE, "", &error))?;
        if let Some(format) = head.format.filter(|format| format != FORMAT) {
            return Err(LoadError::Config(ConfigError::Unsupported {
                what: format!("norm_stats format {format:?}"),
                why: format!("this reader takes {FORMAT:?}"),
            }));
        }
        if head.metadata_by_tag.is_empty() {
            return Err(bad_value(FILE, "metadata_by_tag", "names no robot"));
        }
        let mode = head.norm_mode;
        let (mut tags, mut unusable) = (BTreeMap::new(), BTreeMap::new());
        let mut refused = None;
        let robots = raw.get("metadata_by_tag").and_then(Value::as_object);
        for (name, raw) in robots.into_iter().flatten() {
            match read_tag(name, raw, mode) {
                Ok(tag) => {
                    tags.insert(name.clone(), tag);
                }
                // A fault of one robot does not affect the others.
                Err(error) => {
                    unusable.insert(name.clone(), error.to_string());
                    refused = refused.or(Some(error));
                }
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
            if let Some(reason) = self.unusable.get(wanted) {
                return refuse(format!(
                    "are for tag {wanted:?}, which cannot be used: {reason}"
                ));
            }
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
        self.unusable
            .iter()
            .map(|(tag, reason)| ActError::UnusableTag {
                tag: tag.clone(),
                reason: reason.clone(),
            })
    }

    /// The robot called `name`.
    ///
    /// # Errors
    /// [`ActError::UnknownTag`] with the known names, [`ActError::UnusableTag`] for one whose entry cannot be used.
    pub fn tag(&self, name: &str) -> Result<&Tag, ActError> {
        let name = name.trim();
        if let Some(reason) = self.unusable.get(name) {
            return Err(ActError::UnusableTag {
                tag: name.to_owned(),
                reason: reason.clone(),
            });
        }
        self.tags.get(name).ok_or_else(|| ActError::UnknownTag {
            tag: name.to_owned(),
            known: self.tags.keys().cloned().collect(),
        })
    }
}

/// Refuses damaged keys: most keys are optional, so one would go unnoticed.
fn check_keys(value: &Value, known: &[&str], place: &str) -> Result<(), LoadError> {
    match value.as_object() {
        Some(keys) => unknown_keys::check(keys, known, FILE, place),
        None => Ok(()),
    }
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

fn read_tag(name: &str, raw: &Value, mode: NormMode) -> Result<Tag, LoadError> {
    let place = format!("metadata_by_tag.{name}");
    check_keys(raw, &TAG_KEYS, &format!("{place}: "))?;
    let about: RawTag =
        json::from_value(raw).map_err(|error| bad_json(FILE, &format!("{place}: "), &error))?;
    let read = |key: &str| {
        let place = format!("{place}.{key}");
        match raw.get(key) {
            None | Some(Value::Null) => Err(bad_value(FILE, place, "is missing")),
            Some(raw) => {
                check_keys(raw, &feature::KEYS, &format!("{place}: "))?;
                Normalizer::new(FeatureStats::read(raw, mode, &place)?, mode, &place)
            }
        }
    };
    Ok(Tag {
        state: read("state_stats")?,
        action: read("action_stats")?,
        camera_keys: about.camera_keys,
        camera_keys_alternative: about.camera_keys_alternative.unwrap_or_default(),
        setup_type: about.setup_type.unwrap_or_default(),
        control_mode: about.control_mode.unwrap_or_default(),
        action_horizon: about.action_horizon,
        n_action_steps: about.n_action_steps,
        normalize_gripper: about.normalize_gripper,
        calibration: None,
        name: name.to_owned(),
    })
}
