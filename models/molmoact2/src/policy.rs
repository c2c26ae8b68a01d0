//! A loaded policy: an observation in, a chunk of actions out.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Device, Tensor, TensorData};
use openfast::{FastTokenizer, Shape};

use crate::action::{ActOptions, Action, Mode, Observation};
use crate::clock::StageClock;
use crate::config::{self, ActionMode, Config};
use crate::connector::PoolPlan;
use crate::discrete::{ActionIds, Decoding, TokenHead, read};
use crate::error::{ActError, LoadError};
use crate::expert::{Expert, StepModulation};
use crate::files::Files;
use crate::image_input::{ImageBatch, ImageInput};
use crate::info::{PolicyInfo, TagInfo};
use crate::network::Network;
use crate::noise::standard_normal;
use crate::norm_stats::{ChunkRows, NormStats, Tag};
use crate::processor_config::{self, ProcessorConfig};
use crate::prompt::{self, Prompt, PromptWriter, Question, Style};
use crate::sampler::{integrate, visible_tokens};
use crate::text_model::{Until, prefill_bias};

/// Folder of the action tokenizer inside a policy.
const FAST_FOLDER: &str = "openfast";

/// A policy on a device, ready to act.
#[derive(Debug)]
pub struct Policy {
    config: Config,
    stats: NormStats,
    images: ImageInput,
    writer: PromptWriter,
    network: Network,
    token_head: Option<TokenHead>,
    info: PolicyInfo,
    /// What the times of the flow do to the expert, for the number of steps asked for last.
    modulations: Mutex<Option<Modulations>>,
}

#[derive(Debug, Clone)]
struct Modulations {
    steps: usize,
    rows: Arc<Vec<StepModulation>>,
}

/// A question after preprocessing.
struct Ready<'a> {
    tag: &'a Tag,
    rows: ChunkRows,
    prompt: Prompt,
    batch: ImageBatch,
}

/// What a head gave.
#[derive(Default)]
struct Answer {
    chunk: Vec<f32>,
    tokens: Vec<u32>,
    velocities: Option<Vec<Vec<f32>>>,
    logits: Option<Vec<Vec<f32>>>,
}

impl Policy {
    /// Reads a policy and puts its weights on `device`.
    ///
    /// # Errors
    /// [`LoadError`], which names the file and the key or tensor.
    pub fn load(files: &Files, device: &Device) -> Result<Self, LoadError> {
        let config = Config::parse(&files.read(config::FILE)?)?;
        let stats = NormStats::parse(&files.read(&config.norm_stats_filename)?)?;
        let processor = ProcessorConfig::parse(&files.read(processor_config::FILE)?, &config)?;
        let images = ImageInput::new(&processor, &config)?;
        let writer = PromptWriter::new(
            &files.read(prompt::TOKENIZER_FILE)?,
            files.find(prompt::TOKENIZER_CONFIG_FILE)?.as_deref(),
            &config,
            &images,
        )?;
        let checkpoint = files.checkpoint()?;
        let network = Network::load(&checkpoint, &config, device)?;
        let token_head = load_token_head(files, &config, &network)?;
        let mut modes = Vec::new();
        if network.expert().is_some() && config.action_mode != ActionMode::Discrete {
            modes.push(Mode::Continuous);
        }
        if token_head.is_some() {
            modes.push(Mode::Discrete);
        }
        let info = PolicyInfo {
            name: files.name(),
            tags: stats
                .tags()
                .filter_map(|tag| Some(TagInfo::new(tag, tag.rows(&config).ok()?)))
                .collect(),
            modes,
            flow_steps: config.flow_matching_num_steps,
            parameters: checkpoint.parameters(),
            dtype: checkpoint.dtype(),
        };
        Ok(Self {
            config,
            stats,
            images,
            writer,
            network,
            token_head,
            info,
            modulations: Mutex::new(None),
        })
    }

    /// What this policy is and which robots it knows.
    pub fn info(&self) -> &PolicyInfo {
        &self.info
    }

    /// The network, for those who want a stage of it.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The action tokenizer, if the policy can answer in tokens.
    pub fn action_tokenizer(&self) -> Option<&FastTokenizer> {
        self.token_head.as_ref().map(|head| &head.tokenizer)
    }

    /// Answers an observation, waiting for the device. In a browser use [`Policy::act_async`].
    ///
    /// # Errors
    /// [`ActError`]; bad input is named, and the policy can be asked again.
    pub fn act(
        &self,
        observation: &Observation<'_>,
        options: &ActOptions,
    ) -> Result<Action, ActError> {
        layers::wait(self.act_async(observation, options))
    }

    /// Answers an observation without blocking the thread on the device.
    ///
    /// # Errors
    /// As [`Policy::act`].
    pub async fn act_async(
        &self,
        observation: &Observation<'_>,
        options: &ActOptions,
    ) -> Result<Action, ActError> {
        let mut clock = StageClock::start(self.network.device());
        let ready = self.prepare(observation)?;
        self.check_mode(options.mode)?;
        clock.end("preprocess");
        let features = self.see(&ready.batch);
        clock.end("vision");
        let answer = match options.mode {
            Mode::Continuous => self.flow(&ready, features, options, &mut clock).await?,
            Mode::Discrete => self.decode(&ready, features, options, &mut clock).await?,
        };
        if answer.chunk.iter().any(|value| !value.is_finite()) {
            return Err(ActError::NotFinite {
                what: "a value of the action chunk",
            });
        }
        let chunk = ready.tag.unnormalize_actions(&answer.chunk)?;
        let dims = ready.tag.action.dims();
        let ChunkRows {
            horizon,
            first,
            count,
        } = ready.rows;
        let actions = chunk
            .iter()
            .skip(first * dims)
            .take(count * dims)
            .copied()
            .collect();
        clock.end("postprocess");
        Ok(Action {
            rows: count,
            dims,
            actions,
            chunk,
            chunk_normalised: answer.chunk,
            horizon,
            prompt: ready.prompt.text,
            prompt_ids: ready.prompt.ids,
            action_tokens: answer.tokens,
            velocities: answer.velocities,
            logits: answer.logits,
            stages: clock.finish(),
        })
    }

    fn prepare(&self, observation: &Observation<'_>) -> Result<Ready<'_>, ActError> {
        let tag = self.stats.tag(observation.tag)?;
        let rows = tag.rows(&self.config)?;
        let cameras = tag.cameras();
        let given = observation.images.len();
        // A robot whose statistics name no cameras takes what it is given.
        if given == 0 || (!cameras.is_empty() && given != cameras.len()) {
            return Err(ActError::WrongImages {
                tag: tag.name.clone(),
                got: given,
                cameras,
            });
        }
        let state = tag.normalize_state(observation.state)?;
        let prompt = self.writer.write(&Question {
            task: observation.task,
            normalize_task: true,
            state_normalized: &state,
            tag,
            images: given,
            style: Style::Action,
        })?;
        let tokens = prompt.ids.len();
        let max = self.network.text().max_positions();
        if tokens >= max {
            return Err(ActError::TooLong { tokens, max });
        }
        Ok(Ready {
            tag,
            rows,
            prompt,
            batch: self.images.prepare(observation.images)?,
        })
    }

    fn check_mode(&self, mode: Mode) -> Result<(), ActError> {
        if self.info.modes.contains(&mode) {
            return Ok(());
        }
        let trained = self.config.action_mode;
        let reason = match mode {
            Mode::Continuous => {
                format!("the checkpoint was trained for {trained:?} and has no use for the expert")
            }
            Mode::Discrete if trained == ActionMode::Continuous => {
                "the checkpoint's token head was never trained (action_mode is continuous)"
                    .to_owned()
            }
            Mode::Discrete => format!("the policy has no action tokenizer in {FAST_FOLDER}/"),
        };
        Err(ActError::ModeUnavailable { mode, reason })
    }

    /// Image features, `[image tokens, hidden]`.
    fn see(&self, batch: &ImageBatch) -> Tensor<2> {
        let shape = [batch.images, batch.patches, batch.patch_len];
        let patches = Tensor::from_data(
            TensorData::new(batch.values.clone(), shape),
            self.network.device(),
        );
        let plan = PoolPlan::new(batch.pool_indices.clone(), batch.window);
        self.network.see(patches, &plan)
    }

    /// Reads the prompt, and `answer` after it.
    fn prefill(
        &self,
        ready: &Ready<'_>,
        features: Tensor<2>,
        answer: Option<u32>,
        until: Until,
    ) -> (layers::KvCache, Option<Tensor<2>>) {
        let mut ids = ready.prompt.ids.clone();
        let mut image = ready.prompt.image_type.clone();
        ids.extend(answer);
        image.extend(answer.map(|_| false));
        let embedded = self
            .network
            .embed_prompt(&ids, self.config.image_patch_id, Some(features));
        let bias = prefill_bias(&image, self.network.device());
        let mut cache = self.network.new_cache();
        let hidden = self
            .network
            .text()
            .forward(embedded, Some(&bias), &mut cache, until);
        (cache, hidden)
    }

    async fn flow(
        &self,
        ready: &Ready<'_>,
        features: Tensor<2>,
        options: &ActOptions,
        clock: &mut StageClock<'_>,
    ) -> Result<Answer, ActError> {
        let Some(expert) = self.network.expert() else {
            return Err(ActError::ModeUnavailable {
                mode: Mode::Continuous,
                reason: "the checkpoint has no action expert".to_owned(),
            });
        };
        let (rows, dims) = (ready.rows.horizon, ready.tag.action.dims());
        // Without the padding rule the network moves every dimension, so all are computed.
        let moved = if self.config.mask_action_dim_padding {
            dims
        } else {
            expert.max_action_dim()
        };
        let noise = self.noise(options, rows, moved, expert.max_action_dim())?;
        let (cache, _) = self.prefill(ready, features, None, Until::KeysAndValues);
        clock.end("prefill");
        let visible = visible_tokens(
            &ready.prompt.ids,
            self.config.action_mode == ActionMode::Both,
            self.config.eos_token_id,
            self.config.action_start_token_id,
            self.config.action_end_token_id,
        );
        let context = expert.context(&cache, &visible);
        let flow = integrate(
            &expert.for_chunk(rows, moved),
            &context,
            &self.modulations(expert, options.flow_steps),
            Tensor::from_data(TensorData::new(noise, [rows, moved]), self.network.device()),
            options.dumps,
        );
        let chunk = read(flow.chunk.narrow(1, 0, dims)).await?;
        let mut velocities = None;
        if options.dumps {
            let mut steps = Vec::with_capacity(flow.velocities.len());
            for velocity in flow.velocities {
                steps.push(read(velocity.narrow(1, 0, dims)).await?);
            }
            velocities = Some(steps);
        }
        clock.end("flow");
        Ok(Answer {
            chunk,
            velocities,
            ..Answer::default()
        })
    }

    /// The first `moved` of `max` columns of the noise, `[rows, moved]`.
    fn noise(
        &self,
        options: &ActOptions,
        rows: usize,
        moved: usize,
        max: usize,
    ) -> Result<Vec<f32>, ActError> {
        let drawn;
        let noise = match &options.noise {
            Some(given) if given.len() == rows * max => given,
            Some(given) => {
                return Err(ActError::BadNoise {
                    got: given.len(),
                    want: rows * max,
                });
            }
            None => {
                drawn = standard_normal(options.seed, rows * max);
                &drawn
            }
        };
        if noise.iter().any(|value| !value.is_finite()) {
            return Err(ActError::NotFinite {
                what: "a value of the noise",
            });
        }
        Ok(noise
            .chunks(max.max(1))
            .flat_map(|row| row.iter().take(moved))
            .copied()
            .collect())
    }

    fn modulations(&self, expert: &Expert, steps: usize) -> Arc<Vec<StepModulation>> {
        let steps = match steps {
            0 => self.config.flow_matching_num_steps,
            steps => steps,
        };
        // The cache holds nothing that a panic elsewhere could leave half-written.
        let mut kept = self
            .modulations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_ref().filter(|kept| kept.steps == steps) {
            return kept.rows.clone();
        }
        let rows = Arc::new(expert.modulations(steps));
        *kept = Some(Modulations {
            steps,
            rows: rows.clone(),
        });
        rows
    }

    async fn decode(
        &self,
        ready: &Ready<'_>,
        features: Tensor<2>,
        options: &ActOptions,
        clock: &mut StageClock<'_>,
    ) -> Result<Answer, ActError> {
        let Some(head) = &self.token_head else {
            return Err(ActError::ModeUnavailable {
                mode: Mode::Discrete,
                reason: format!("the policy has no action tokenizer in {FAST_FOLDER}/"),
            });
        };
        let shape = Shape {
            horizon: ready.rows.horizon,
            dims: ready.tag.action.dims(),
        };
        // Masked decoding knows the first token, so it is read together with the prompt.
        let given = match options.decoding {
            Decoding::Masked => Some(head.ids.start),
            Decoding::Strict => None,
        };
        let (mut cache, hidden) = self.prefill(ready, features, given, Until::LastToken);
        let hidden = hidden.ok_or_else(|| ActError::ReadBack {
            reason: "the language model gave no hidden state".to_owned(),
        })?;
        clock.end("prefill");
        let text = self.network.text();
        let decoded = match options.decoding {
            Decoding::Masked => {
                head.masked(text, &mut cache, hidden, shape, options.dumps)
                    .await?
            }
            Decoding::Strict => {
                head.strict(text, &mut cache, hidden, shape, options.dumps)
                    .await?
            }
        };
        let chunk = head.tokenizer.decode(&decoded.fast_ids, shape)?;
        clock.end("decode");
        Ok(Answer {
            chunk,
            tokens: decoded.fast_ids,
            logits: options.dumps.then_some(decoded.logits),
            velocities: None,
        })
    }
}

/// The token head, if the checkpoint was trained to use it and the policy has an action tokenizer.
fn load_token_head(
    files: &Files,
    config: &Config,
    network: &Network,
) -> Result<Option<TokenHead>, LoadError> {
    if config.action_mode == ActionMode::Continuous {
        return Ok(None);
    }
    let tokenizer_file = files.find(&format!("{FAST_FOLDER}/tokenizer.json"))?;
    let config_file = files.find(&format!("{FAST_FOLDER}/processor_config.json"))?;
    let (Some(tokenizer), Some(processor)) = (tokenizer_file, config_file) else {
        return Ok(None);
    };
    let ids = match (
        config.action_start_token_id,
        config.action_end_token_id,
        config.action_token_start_id,
        config.eos_token_id,
    ) {
        (Some(start), Some(end), Some(first), Some(end_of_text)) => ActionIds {
            start,
            end,
            first,
            count: config.num_action_tokens,
            end_of_text,
        },
        _ => return Ok(None),
    };
    let tokenizer = FastTokenizer::from_bytes(&tokenizer, &processor)?;
    if tokenizer.vocab_size() > ids.count {
        return Err(LoadError::BadValue {
            file: config::FILE,
            key: "num_action_tokens".to_owned(),
            problem: format!(
                "is {}, but the tokenizer in {FAST_FOLDER}/ has {} ids",
                ids.count,
                tokenizer.vocab_size()
            ),
        });
    }
    let action_head = network
        .text()
        .head_for(ids.first as usize, tokenizer.vocab_size());
    Ok(Some(TokenHead {
        tokenizer,
        ids,
        action_head,
    }))
}
