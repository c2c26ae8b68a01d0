//! A MolmoAct2 policy as the server hosts it.

use super::{
    actor::{ActRequest, Acted, Actor, ActorError, ActorInfo, TagInfo, TokenizerFiles, Written},
    nano,
};
use molmoact2::{ActOptions, Files, Observation, Policy};
use openfast::{FastTokenizer, Shape};
use protocol::{Mode, Stage, viewer::ActionDimension};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Dataset keys of cameras begin with this; views on the wire do not.
const CAMERA_PREFIX: &str = "observation.images.";

/// Where a policy comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The one inside the binary.
    Nano,
    /// A folder in the public Hugging Face layout.
    Folder(PathBuf),
}

/// A policy could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The binary has no weights inside.
    #[error(
        "this binary was built without the nano policy (models/nano/molmoact2 was missing then); \
         give a checkpoint with --policy DIR"
    )]
    NoNano,
    /// The checkpoint does not load.
    #[error("cannot load the policy {name}: {error}")]
    Policy {
        /// Folder or name.
        name: String,
        /// What was wrong.
        error: molmoact2::LoadError,
    },
    /// Its tokenizer does not load.
    #[error("cannot load the OpenFAST tokenizer of the policy {name}: {error}")]
    Tokenizer {
        /// Folder or name.
        name: String,
        /// What was wrong.
        error: openfast::LoadError,
    },
    /// `norm_stats.json` lacks what only the server reads.
    #[error("cannot read norm_stats.json of the policy {name}: {error}")]
    NormStats {
        /// Folder or name.
        name: String,
        /// What was wrong.
        error: serde_json::Error,
    },
}

/// The policy, its tokenizer, and what they say about themselves.
pub struct Hosted {
    policy: Policy,
    tokenizer: Option<FastTokenizer>,
    info: ActorInfo,
}

impl std::fmt::Debug for Hosted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hosted")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl Hosted {
    /// Loads a policy onto a device. `device_words` is what people are told about where it runs.
    ///
    /// # Errors
    /// [`LoadError`] with the file and what to do.
    pub fn load(
        source: &Source,
        device: &layers::Device,
        device_words: &str,
    ) -> Result<Self, LoadError> {
        let (files, name) = match source {
            Source::Nano => (nano::files().ok_or(LoadError::NoNano)?, "nano".to_owned()),
            Source::Folder(folder) => {
                let files = Files::open_dir(folder).map_err(|error| LoadError::Policy {
                    name: folder.display().to_string(),
                    error,
                })?;
                (files, name_of(folder))
            }
        };
        let failed = |error| LoadError::Policy {
            name: name.clone(),
            error,
        };
        let policy = Policy::load(&files, device).map_err(failed)?;
        let read = |file: &str| -> Result<Option<Vec<u8>>, LoadError> {
            Ok(files
                .find(file)
                .map_err(failed)?
                .map(std::borrow::Cow::into_owned))
        };
        let tokenizer_files = match (
            read("openfast/tokenizer.json")?,
            read("openfast/processor_config.json")?,
        ) {
            (Some(tokenizer_json), Some(processor_config_json)) => Some(TokenizerFiles {
                tokenizer_json,
                processor_config_json,
            }),
            _ => None,
        };
        let tokenizer = tokenizer_files
            .as_ref()
            .map(|files| {
                FastTokenizer::from_bytes(&files.tokenizer_json, &files.processor_config_json)
            })
            .transpose()
            .map_err(|error| LoadError::Tokenizer {
                name: name.clone(),
                error,
            })?;
        let means = means(&files.read("norm_stats.json").map_err(failed)?).map_err(|error| {
            LoadError::NormStats {
                name: name.clone(),
                error,
            }
        })?;
        let info = describe(&policy, name, device_words, &means, tokenizer_files);
        Ok(Self {
            policy,
            tokenizer,
            info,
        })
    }
}

fn name_of(folder: &Path) -> String {
    folder
        .canonicalize()
        .ok()
        .as_deref()
        .and_then(Path::file_name)
        .map_or_else(
            || folder.display().to_string(),
            |name| name.to_string_lossy().into_owned(),
        )
}

/// The mean actions by tag; only the control of an evaluation needs them.
fn means(norm_stats: &[u8]) -> Result<BTreeMap<String, Vec<f32>>, serde_json::Error> {
    #[derive(serde::Deserialize)]
    struct NormStats {
        metadata_by_tag: BTreeMap<String, Tag>,
    }
    #[derive(serde::Deserialize)]
    struct Tag {
        action_stats: Stats,
    }
    #[derive(serde::Deserialize)]
    struct Stats {
        #[serde(default)]
        mean: Vec<f32>,
    }
    let NormStats { metadata_by_tag } = serde_json::from_slice(norm_stats)?;
    Ok(metadata_by_tag
        .into_iter()
        .map(|(tag, Tag { action_stats })| (tag, action_stats.mean))
        .collect())
}

fn describe(
    policy: &Policy,
    name: String,
    device_words: &str,
    means: &BTreeMap<String, Vec<f32>>,
    tokenizer: Option<TokenizerFiles>,
) -> ActorInfo {
    let info = policy.info();
    let tags = info.tags.iter().map(|tag| TagInfo {
        tag: tag.tag.clone(),
        cameras: tag
            .cameras
            .iter()
            .map(|key| key.strip_prefix(CAMERA_PREFIX).unwrap_or(key).to_owned())
            .collect(),
        state_dim: tag.state_dim,
        action: dimensions(tag),
        mean_action: means.get(&tag.tag).cloned().unwrap_or_default(),
        horizon: tag.horizon,
        n_action_steps: tag.n_action_steps,
    });
    ActorInfo {
        name,
        parameters: info.parameters,
        device: device_words.to_owned(),
        modes: info.modes.iter().map(|mode| wire_mode(*mode)).collect(),
        tags: tags.collect(),
        tokenizer: tokenizer.map(Arc::new),
    }
}

fn dimensions(tag: &molmoact2::TagInfo) -> Vec<ActionDimension> {
    let stats = &tag.action_stats;
    (0..tag.action_dim)
        .map(|i| ActionDimension {
            name: stats
                .names
                .get(i)
                .cloned()
                .unwrap_or_else(|| format!("action_{i}")),
            low: stats.low.get(i).copied().unwrap_or(-1.0),
            high: stats.high.get(i).copied().unwrap_or(1.0),
            normalised: stats.mask.get(i).copied().unwrap_or(true),
        })
        .collect()
}

fn wire_mode(mode: molmoact2::Mode) -> Mode {
    match mode {
        molmoact2::Mode::Continuous => Mode::Continuous,
        molmoact2::Mode::Discrete => Mode::Discrete,
    }
}

/// Robot units of a normalised chunk: clipped to -1..=1, then scaled. The policy itself hands out only the
/// rows that its authors execute before asking again; a robot that asks more often than that, but waits for
/// each answer, needs the rows behind them too.
fn robot_units(chunk_normalised: &[f32], action: &[ActionDimension]) -> Vec<f32> {
    chunk_normalised
        .iter()
        .zip(action.iter().cycle())
        .map(|(value, dimension)| {
            let clipped = value.clamp(-1.0, 1.0);
            if dimension.normalised {
                (clipped + 1.0) / 2.0 * (dimension.high - dimension.low) + dimension.low
            } else {
                clipped
            }
        })
        .collect()
}

impl Actor for Hosted {
    fn info(&self) -> &ActorInfo {
        &self.info
    }

    fn act(&mut self, request: &ActRequest<'_>) -> Result<Acted, ActorError> {
        self.act_streaming(request, &mut |_| {})
    }

    fn act_streaming(
        &mut self,
        request: &ActRequest<'_>,
        written: &mut Written<'_>,
    ) -> Result<Acted, ActorError> {
        let observation = Observation {
            images: request.images,
            state: request.state,
            task: request.instruction,
            tag: request.tag,
        };
        let options = ActOptions {
            mode: match request.mode {
                Mode::Continuous => molmoact2::Mode::Continuous,
                Mode::Discrete => molmoact2::Mode::Discrete,
            },
            seed: request.seed,
            ..ActOptions::default()
        };
        let action = self
            .policy
            .act_streaming(&observation, &options, written)
            .map_err(|error| ActorError::new(error.to_string()))?;
        let dimensions = self
            .info
            .tag(request.tag)
            .map(|tag| tag.action.as_slice())
            .unwrap_or_default();
        Ok(Acted {
            rows: action.horizon,
            dims: action.dims,
            actions: robot_units(&action.chunk_normalised, dimensions),
            chunk_normalised: action.chunk_normalised,
            prompt: action.prompt,
            prompt_tokens: action.prompt_ids.len(),
            action_tokens: action.action_tokens,
            stages: action
                .stages
                .iter()
                .map(|stage| Stage {
                    name: stage.name.to_owned(),
                    micros: stage.micros,
                })
                .collect(),
        })
    }

    fn encode(&mut self, chunk_normalised: &[f32], rows: usize, dims: usize) -> Option<Vec<u32>> {
        let shape = Shape {
            horizon: rows,
            dims,
        };
        let encoded = self
            .tokenizer
            .as_ref()?
            .encode_nearest(chunk_normalised, shape);
        encoded.ok().map(|encoded| encoded.ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_clipped_before_it_is_scaled() {
        let dimension = |low: f32, high: f32, normalised: bool| ActionDimension {
            name: String::new(),
            low,
            high,
            normalised,
        };
        let action = [
            dimension(-90.0, 90.0, true),
            dimension(0.0, 100.0, true),
            dimension(3.0, 4.0, false),
        ];
        let chunk = [0.5, -1.0, 0.25, 7.0, 0.0, -3.0];
        assert_eq!(
            robot_units(&chunk, &action),
            [45.0, 0.0, 0.25, 90.0, 50.0, -1.0]
        );
    }
}
