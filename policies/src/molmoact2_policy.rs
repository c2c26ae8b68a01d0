//! The MolmoAct2 family behind the policy trait.

use super::{
    action_tokenizer,
    depth_memory::DepthMemory,
    depth_setup, nano,
    policy::{
        ActRequest, EventSink, Policy, PolicyError, PolicyEvent, PolicyInfo, PolicyOutput, TagInfo,
        TokenCallback, TokenizerFiles,
    },
    question_answerer::{Answerer, Answering, Model, unavailable},
};
pub use super::{
    load_error::{LoadError, advice},
    options::PolicyOptions,
};
use field_files::Limit;
use molmoact2::{
    ActError, ActOptions, Action, Calibration, Depth, Files, LoadOptions, Observation, Progress,
    Request,
};
use openfast::{FastTokenizer, Shape};
use protocol::{Mode, Stage, depth::DepthMode, viewer::ActionDimension};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Prefix of cameras in data set keys, which views of the protocol lack.
const CAMERA_PREFIX: &str = "observation.images.";

/// Source of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The nano policy inside the binary.
    Nano,
    /// A folder in the public Hugging Face layout or in LeRobot's.
    Folder(PathBuf),
}

/// A policy with its tokenizer and description.
pub struct MolmoAct2Policy {
    policy: Arc<molmoact2::Policy>,
    tokenizer: Option<FastTokenizer>,
    info: PolicyInfo,
    uses_nano_tokenizer: bool,
    /// The last depth map of each robot, of policies that reason about depth.
    depth: DepthMemory,
}

impl std::fmt::Debug for MolmoAct2Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MolmoAct2Policy")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl MolmoAct2Policy {
    /// Loads a policy onto a device. `device_words` names the device for people.
    ///
    /// # Errors
    /// [`LoadError`] with the file and the remedy.
    pub fn load(
        source: &Source,
        options: &PolicyOptions,
        device: &layers::Device,
        device_words: &str,
    ) -> Result<Self, LoadError> {
        Self::load_with_progress(source, options, device, device_words, None)
    }

    /// Like [`MolmoAct2Policy::load`]; `progress` receives the bytes of the weights read so far and in total.
    ///
    /// # Errors
    /// As [`MolmoAct2Policy::load`].
    pub fn load_with_progress(
        source: &Source,
        options: &PolicyOptions,
        device: &layers::Device,
        device_words: &str,
        progress: Option<Progress<'_>>,
    ) -> Result<Self, LoadError> {
        let (files, name) = match source {
            Source::Nano => (nano::files().ok_or(LoadError::NoNano)?, "nano".to_owned()),
            Source::Folder(folder) => {
                let open = |folder: &Path| {
                    Files::open_dir(folder).map_err(|error| LoadError::Policy {
                        name: folder.display().to_string(),
                        error,
                    })
                };
                let mut files = open(folder)?;
                if let Some(base) = &options.base {
                    files = files.with_base(open(base)?);
                }
                (files, name_of(folder))
            }
        };
        let (files, uses_nano_tokenizer) = action_tokenizer::add_to(files, options)?;
        let load_options = LoadOptions {
            calibration: options
                .calibration
                .as_deref()
                .map(calibration)
                .transpose()?,
            precision: options.precision,
            progress,
        };
        let failed = |error| LoadError::Policy {
            name: name.clone(),
            error,
        };
        let policy = molmoact2::Policy::load_with(&files, device, &load_options).map_err(failed)?;
        let tokenizer_files = files.action_tokenizer().map_err(failed)?.map(
            |(tokenizer_json, processor_config_json)| TokenizerFiles {
                tokenizer_json: tokenizer_json.into_owned(),
                processor_config_json: processor_config_json.into_owned(),
            },
        );
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
        let folder = match source {
            Source::Nano => None,
            Source::Folder(folder) => Some(folder.as_path()),
        };
        let depth = depth_setup::depth_info(policy.info(), options, folder).map_err(|error| {
            LoadError::Depth {
                name: name.clone(),
                error: error.into(),
            }
        })?;
        let info = PolicyInfo {
            depth,
            ..describe(&policy, name, device_words, tokenizer_files)
        };
        Ok(Self {
            depth: DepthMemory::default(),
            policy: Arc::new(policy),
            tokenizer,
            uses_nano_tokenizer,
            info,
        })
    }

    /// True if the policy has no action tokenizer and uses that of the nano policy ([`PolicyOptions::fast_of_nano`]).
    pub fn uses_nano_tokenizer(&self) -> bool {
        self.uses_nano_tokenizer
    }

    /// The policy as a question answerer, if it was trained to answer.
    pub fn question_answerer(&self) -> Answering {
        if self.policy.can_answer() {
            Ok(Arc::new(Answerer {
                name: self.info.name.clone(),
                model: Model::Policy(self.policy.clone()),
            }))
        } else if let Some(reason) = self.policy.answering_fault() {
            Err(format!(
                "The policy {} acts, but cannot be asked: {reason}",
                self.info.name
            ))
        } else {
            unavailable(&format!("The policy {}", self.info.name))
        }
    }

    /// Sets the mode of depth reasoning. Without effect on a policy that does not reason about depth.
    pub fn set_depth(&mut self, mode: DepthMode) {
        if let Some(depth) = &mut self.info.depth {
            depth.mode = mode;
        }
    }

    /// The underlying policy, for access to single stages.
    pub fn policy(&self) -> &molmoact2::Policy {
        &self.policy
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

fn calibration(file: &Path) -> Result<Calibration, LoadError> {
    let name = file.display().to_string();
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| LoadError::Calibration {
        name: name.clone(),
        error,
    };
    let bytes = field_files::read(file, Limit::SETTINGS).map_err(|error| failed(error.into()))?;
    Calibration::parse(&bytes, &name).map_err(|error| failed(error.into()))
}

fn describe(
    policy: &molmoact2::Policy,
    name: String,
    device_words: &str,
    tokenizer: Option<TokenizerFiles>,
) -> PolicyInfo {
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
        mean_action: tag.action_stats.mean.clone(),
        horizon: tag.horizon,
        n_action_steps: tag.n_action_steps,
    });
    PolicyInfo {
        name,
        parameters: info.parameters,
        device: device_words.to_owned(),
        modes: info.modes.iter().map(|mode| wire_mode(*mode)).collect(),
        tags: tags.collect(),
        tokenizer: tokenizer.map(Arc::new),
        depth: None,
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

impl MolmoAct2Policy {
    /// Options of one call. Takes the depth map of the robot's last call out of the memory.
    fn options(&mut self, request: &ActRequest<'_>) -> ActOptions {
        ActOptions {
            depth: match self.mode() {
                DepthMode::Off => Depth::Off,
                DepthMode::Full => Depth::Full,
                DepthMode::Free => Depth::Free,
                DepthMode::Adaptive => self.depth.take(request.robot, request.tag),
            },
            mode: match request.mode {
                Mode::Continuous => molmoact2::Mode::Continuous,
                Mode::Discrete => molmoact2::Mode::Discrete,
            },
            seed: request.seed,
            continuation: request.continuation.cloned(),
            ..ActOptions::default()
        }
    }

    /// Mode of depth reasoning.
    fn mode(&self) -> DepthMode {
        let depth = self.info.depth.as_ref();
        depth.map_or(DepthMode::Off, |depth| depth.mode)
    }

    /// The output of one call; remembers its depth map.
    fn output(
        &mut self,
        request: &ActRequest<'_>,
        action: Result<Action, ActError>,
    ) -> Result<PolicyOutput, PolicyError> {
        let action = action.map_err(|error| PolicyError::new(error.to_string()))?;
        if let (DepthMode::Adaptive, Some(trace)) = (self.mode(), &action.depth) {
            self.depth
                .remember(request.robot, request.tag, trace.cache.clone());
        }
        Ok(PolicyOutput {
            rows: action.horizon,
            dims: action.dims,
            // The complete chunk: a robot that sends observations more often than the training recipe executes chunks, but
            // waits for each chunk, needs the rows beyond `n_action_steps` too.
            actions: action.chunk,
            chunk_normalised: action.chunk_normalized,
            prompt: action.prompt,
            prompt_tokens: action.prompt_ids.len(),
            action_tokens: action.action_tokens,
            depth: action.depth,
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
}

fn observation<'a>(request: &ActRequest<'a>) -> Observation<'a> {
    Observation {
        images: request.images,
        state: request.state,
        instruction: request.instruction,
        tag: request.tag,
    }
}

impl Policy for MolmoAct2Policy {
    fn info(&self) -> &PolicyInfo {
        &self.info
    }

    fn act(&mut self, request: &ActRequest<'_>) -> Result<PolicyOutput, PolicyError> {
        self.act_streaming(request, &mut |_| {})
    }

    fn act_streaming(
        &mut self,
        request: &ActRequest<'_>,
        on_tokens: &mut TokenCallback<'_>,
    ) -> Result<PolicyOutput, PolicyError> {
        let options = self.options(request);
        let action = self
            .policy
            .act_streaming(&observation(request), &options, on_tokens);
        self.output(request, action)
    }

    fn act_batch(&mut self, requests: &[ActRequest<'_>], on_event: &mut EventSink<'_>) {
        let options: Vec<ActOptions> = requests
            .iter()
            .map(|request| self.options(request))
            .collect();
        let batch: Vec<Request<'_>> = requests
            .iter()
            .zip(&options)
            .map(|(request, options)| Request {
                observation: observation(request),
                options,
            })
            .collect();
        let actions = self
            .policy
            .act_batch_streaming(&batch, batch.len(), &mut |index, ids| {
                on_event(index, PolicyEvent::Tokens(ids));
            });
        for (index, (request, action)) in requests.iter().zip(actions).enumerate() {
            let output = self.output(request, action);
            on_event(index, PolicyEvent::Done(output));
        }
    }

    fn forget(&mut self, robot: u64) {
        self.depth.forget(robot);
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
