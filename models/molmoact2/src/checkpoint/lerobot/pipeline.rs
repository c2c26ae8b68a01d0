//! The two pipelines of a LeRobot folder: their steps, settings and statistics.

use std::collections::BTreeMap;

use layers::{Checkpoint, ConfigError};
use serde::Deserialize;
use serde_json::Value;

use crate::checkpoint::calibration::Calibration;
use crate::checkpoint::files::Files;
use crate::checkpoint::norm_stats::{FeatureStats, NormMode};
use crate::error::{LoadError, parse_json};

pub(super) const PREPROCESSOR: &str = "policy_preprocessor.json";
const POSTPROCESSOR: &str = "policy_postprocessor.json";

/// Steps of the preprocessor that compute something, in order.
const PREPROCESSOR_STEPS: [&str; 4] = [
    "molmoact2_state_frame_transform",
    "molmoact2_masked_normalizer",
    "molmoact2_clamp_normalized",
    "molmoact2_pack_inputs",
];
const POSTPROCESSOR_STEPS: [&str; 3] = [
    "molmoact2_clamp_action",
    "molmoact2_masked_unnormalizer",
    "molmoact2_action_frame_transform",
];
/// The steps that older folders lack.
const OPTIONAL_STEPS: [&str; 2] = [PREPROCESSOR_STEPS[0], POSTPROCESSOR_STEPS[2]];
/// Steps that only rename, batch or move.
const IGNORED_STEPS: [&str; 3] = [
    "rename_observations_processor",
    "to_batch_processor",
    "device_processor",
];

#[derive(Debug, Deserialize)]
struct RawPipeline {
    steps: Vec<RawStep>,
}

#[derive(Debug, Deserialize)]
struct RawStep {
    registry_name: String,
    #[serde(default)]
    config: Value,
    state_file: Option<String>,
}

#[derive(Debug, Deserialize)]
struct NormalizerSettings {
    eps: f32,
    norm_map: BTreeMap<String, NormMapMode>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum NormMapMode {
    Identity,
    MeanStd,
    MinMax,
    Quantiles,
    Quantile10,
}

#[derive(Debug, Deserialize)]
struct JointTransform {
    joint_signs: Option<Vec<f32>>,
    joint_offsets: Option<Vec<f32>>,
}

/// Settings of `molmoact2_pack_inputs`.
#[derive(Debug, Deserialize)]
pub(super) struct PackInputs {
    #[serde(default)]
    pub(super) image_keys: Vec<String>,
    #[serde(default)]
    pub(super) setup_type: String,
    #[serde(default)]
    pub(super) control_mode: String,
    pub(super) normalize_language: bool,
    pub(super) add_setup_tokens: bool,
    pub(super) add_control_tokens: bool,
    pub(super) num_state_tokens: usize,
    pub(super) max_action_dim: usize,
}

/// A normalization step.
#[derive(Debug)]
pub(super) struct NormalizationStep {
    /// File of its statistics.
    pub(super) file: String,
    pub(super) mode: NormMode,
    pub(super) eps: f32,
}

/// Both pipelines.
#[derive(Debug)]
pub(super) struct Pipelines {
    pub(super) pack_inputs: PackInputs,
    /// Normalization of the state.
    pub(super) state: NormalizationStep,
    /// Normalization of the action.
    pub(super) action: NormalizationStep,
    pub(super) calibration: Option<Calibration>,
}

impl Pipelines {
    pub(super) fn read(files: &Files) -> Result<Self, LoadError> {
        let before = steps(files, PREPROCESSOR, &PREPROCESSOR_STEPS)?;
        let after = steps(files, POSTPROCESSOR, &POSTPROCESSOR_STEPS)?;
        let pack_inputs = settings(PREPROCESSOR, &before, PREPROCESSOR_STEPS[3])?;
        let calibration = joint_transform(PREPROCESSOR, &before, PREPROCESSOR_STEPS[0])?;
        if calibration != joint_transform(POSTPROCESSOR, &after, POSTPROCESSOR_STEPS[2])? {
            return Err(bad(
                POSTPROCESSOR,
                format!("its joint_signs and joint_offsets are not those of {PREPROCESSOR}"),
            ));
        }
        Ok(Self {
            pack_inputs,
            state: normalization_step(PREPROCESSOR, &before, PREPROCESSOR_STEPS[1], "STATE")?,
            action: normalization_step(POSTPROCESSOR, &after, POSTPROCESSOR_STEPS[1], "ACTION")?,
            calibration,
        })
    }
}

fn bad(file: &str, reason: impl Into<String>) -> LoadError {
    LoadError::Config(ConfigError::BadFile {
        file: file.to_owned(),
        place: String::new(),
        reason: reason.into(),
    })
}

/// The steps of a pipeline that compute something, which must be `expected`, in that order.
fn steps(files: &Files, file: &str, expected: &[&str]) -> Result<Vec<RawStep>, LoadError> {
    let raw: RawPipeline = parse_json(file, &files.read(file)?)?;
    let steps: Vec<RawStep> = raw
        .steps
        .into_iter()
        .filter(|step| !IGNORED_STEPS.contains(&step.registry_name.as_str()))
        .collect();
    let found: Vec<&str> = steps
        .iter()
        .map(|step| step.registry_name.as_str())
        .collect();
    if let Some(unknown) = found.iter().find(|name| !expected.contains(name)) {
        return Err(LoadError::Config(ConfigError::Unsupported {
            what: format!("the step {unknown:?} in {file}"),
            why: format!(
                "what it computes is not known here; known are {}",
                expected.join(", ")
            ),
        }));
    }
    let without: Vec<&str> = expected
        .iter()
        .copied()
        .filter(|name| !OPTIONAL_STEPS.contains(name))
        .collect();
    if found != expected && found != without {
        return Err(bad(
            file,
            format!(
                "its steps are {}; expected are {}",
                found.join(", "),
                expected.join(", ")
            ),
        ));
    }
    Ok(steps)
}

fn settings<T: serde::de::DeserializeOwned>(
    file: &str,
    steps: &[RawStep],
    name: &str,
) -> Result<T, LoadError> {
    let step = steps.iter().find(|step| step.registry_name == name);
    let config = step.map_or(&Value::Null, |step| &step.config);
    field_files::json::from_value(config).map_err(|error| bad(file, format!("{name}: {error}")))
}

fn joint_transform(
    file: &str,
    steps: &[RawStep],
    name: &str,
) -> Result<Option<Calibration>, LoadError> {
    if !steps.iter().any(|step| step.registry_name == name) {
        return Ok(None);
    }
    let JointTransform {
        joint_signs,
        joint_offsets,
    } = settings(file, steps, name)?;
    Calibration::from_lists(joint_signs, joint_offsets, file)
}

fn normalization_step(
    file: &str,
    steps: &[RawStep],
    name: &str,
    kind: &str,
) -> Result<NormalizationStep, LoadError> {
    let NormalizerSettings { eps, norm_map } = settings(file, steps, name)?;
    let step = steps.iter().find(|step| step.registry_name == name);
    let state_file = step
        .and_then(|step| step.state_file.clone())
        .ok_or_else(|| {
            bad(
                file,
                format!("{name} has no state_file: no statistics were saved"),
            )
        })?;
    if state_file.contains(['/', '\\']) || state_file == ".." {
        return Err(bad(
            file,
            format!("{name}: state_file {state_file:?} is not a plain file name"),
        ));
    }
    Ok(NormalizationStep {
        file: state_file,
        mode: match norm_map.get(kind).copied().unwrap_or(NormMapMode::Identity) {
            NormMapMode::Identity => NormMode::None,
            NormMapMode::MeanStd => NormMode::MeanStd,
            NormMapMode::MinMax => NormMode::MinMax,
            NormMapMode::Quantiles => NormMode::Q01Q99,
            NormMapMode::Quantile10 => NormMode::Q10Q90,
        },
        eps,
    })
}

impl NormalizationStep {
    /// The statistics of `feature`, from tensors called `{feature}.{statistic}`.
    pub(super) fn stats(&self, files: &Files, feature: &str) -> Result<FeatureStats, LoadError> {
        let bytes = files.read(&self.file)?.into_owned();
        let tensors = Checkpoint::from_memory([(self.file.clone(), bytes.into())])?;
        let read = |name: &str| -> Result<Option<Vec<f32>>, LoadError> {
            let name = format!("{feature}.{name}");
            let Some(shape) = tensors.shape(&name).map(<[usize]>::to_vec) else {
                return Ok(None);
            };
            if shape.len() != 1 {
                return Err(bad(
                    &self.file,
                    format!("{name} has shape {shape:?}; one axis is expected"),
                ));
            }
            Ok(Some(tensors.read_f32(&name, &shape)?))
        };
        Ok(FeatureStats {
            min: read("min")?,
            max: read("max")?,
            mean: read("mean")?,
            std: read("std")?,
            q01: read("q01")?,
            q99: read("q99")?,
            q10: read("q10")?,
            q90: read("q90")?,
            mask: read("mask")?.map(|mask| mask.iter().map(|&value| value != 0.0).collect()),
            names: None,
        })
    }
}
