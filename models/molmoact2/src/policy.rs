//! A loaded policy: an observation in, a chunk of actions out.

use std::sync::{Arc, Mutex};

use openfast::FastTokenizer;
use vision::RgbImage;

use crate::action::{ActOptions, Action, Observation};
use crate::ask::generate::{AnswerGenerator, TextCallback};
use crate::ask::reply::{AskOptions, Reply};
use crate::batch::answer::Answer;
use crate::batch::run::Request;
use crate::checkpoint::config::{ActionMode, Config};
use crate::checkpoint::norm_stats::{ChunkRows, NormStats, Tag};
use crate::error::{ActError, AskError};
use crate::heads::depth::head::DepthHead;
use crate::heads::depth::regeneration::RegenerationPlan;
use crate::heads::token_head::{TokenCallback, TokenHead};
use crate::info::PolicyInfo;
use crate::input::chat::Chat;
use crate::input::images::{ImageBatch, ImagePreprocessor};
use crate::input::prompt::{Prompt, PromptContent, PromptWriter, Style};
use crate::loader::token_head::NoTokenHead;
use crate::mode::Mode;
use crate::network::Network;
use crate::network::expert::StepModulation;

/// A policy on a device, ready to act.
#[derive(Debug)]
pub struct Policy {
    pub(crate) config: Config,
    /// The heads that were trained. A policy made from a checkpoint may use fewer than the checkpoint's
    /// `action_mode` says, which keeps deciding what the expert looks at.
    pub(crate) trained: ActionMode,
    pub(crate) normalize_language: bool,
    pub(crate) stats: NormStats,
    pub(crate) images: ImagePreprocessor,
    pub(crate) writer: PromptWriter,
    pub(crate) chat: Chat,
    pub(crate) network: Network,
    pub(crate) token_head: Option<TokenHead>,
    /// Why there is no token head, where there is none.
    pub(crate) no_token_head: NoTokenHead,
    pub(crate) depth: Option<DepthHead>,
    pub(crate) info: PolicyInfo,
    /// What the times of the flow do to the expert, for the number of steps asked for last.
    pub(crate) modulations: Mutex<Option<Modulations>>,
}

/// Modulations of the expert for one number of steps.
#[derive(Debug, Clone)]
pub(crate) struct Modulations {
    pub(crate) steps: usize,
    pub(crate) rows: Arc<Vec<StepModulation>>,
}

/// A question after preprocessing.
pub(crate) struct Ready<'a> {
    pub(crate) tag: &'a Tag,
    pub(crate) rows: ChunkRows,
    pub(crate) prompt: Prompt,
    /// Its images, until the vision tower takes them.
    pub(crate) images: Option<ImageBatch>,
    /// How the depth map will be made, if there is to be one.
    pub(crate) plan: Option<RegenerationPlan>,
}

impl Policy {
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

    /// Like [`Policy::act`], and in discrete mode calls `written` after every action token with the
    /// FAST ids so far, on this thread: a caller that takes its time delays the answer. In continuous
    /// mode there is nothing to tell.
    ///
    /// # Errors
    /// As [`Policy::act`]; ids that were told before an error belong to no chunk.
    pub fn act_streaming(
        &self,
        observation: &Observation<'_>,
        options: &ActOptions,
        written: &mut TokenCallback<'_>,
    ) -> Result<Action, ActError> {
        layers::wait(self.answer(observation, options, written))
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
        self.answer(observation, options, &mut |_| {}).await
    }

    /// A batch of one.
    async fn answer(
        &self,
        observation: &Observation<'_>,
        options: &ActOptions,
        written: &mut TokenCallback<'_>,
    ) -> Result<Action, ActError> {
        let request = Request {
            observation: *observation,
            options,
        };
        let mut told = |_: usize, ids: &[u32]| written(ids);
        let mut answers = self.act_batch_async(&[request], 1, &mut told).await;
        answers.pop().unwrap_or_else(|| Err(ActError::no_answer()))
    }

    /// Checks a request and makes of it what the network reads.
    pub(crate) fn prepare<'a>(&'a self, request: &Request<'_>) -> Result<Ready<'a>, ActError> {
        let Request {
            observation,
            options,
        } = request;
        let tag = self.stats.tag(observation.tag)?;
        let rows = tag.rows(&self.config)?;
        let cameras = tag.cameras();
        let given = observation.images.len();
        if !tag.takes_images(given) {
            return Err(ActError::WrongImages {
                tag: tag.name.clone(),
                got: given,
                cameras,
            });
        }
        let plan = match observation.images.first() {
            Some(main) => {
                let ids = self.depth.as_ref().map(|head| &head.ids);
                RegenerationPlan::new(&options.depth, ids, main)?
            }
            None => None,
        };
        let state = tag.normalize_state(observation.state)?;
        let prompt = self.writer.write(&PromptContent {
            instruction: observation.instruction,
            normalize_instruction: self.normalize_language,
            state_normalized: &state,
            tag,
            images: given,
            style: match plan {
                Some(_) => Style::DepthAction,
                None => Style::Action,
            },
        })?;
        let tokens = prompt.ids.len();
        let max = self.network.text().max_positions();
        if tokens >= max {
            return Err(ActError::TooLong { tokens, max });
        }
        let images = Some(self.images.prepare(observation.images)?);
        self.check_mode(options.mode)?;
        let ready = Ready {
            tag,
            rows,
            prompt,
            images,
            plan,
        };
        if options.mode == Mode::Continuous {
            self.check_flow(&ready, options)?;
        }
        Ok(ready)
    }

    /// Whether the policy was also made to be asked questions.
    pub fn can_answer(&self) -> bool {
        self.chat.can_answer()
    }

    /// Answers a question in words, as [`Vlm::ask`] does.
    ///
    /// # Errors
    /// [`AskError::ActionsOnly`] for a policy that was made for actions alone; else as [`Vlm::ask`].
    pub fn ask(
        &self,
        question: &str,
        images: &[RgbImage],
        options: &AskOptions,
        on_text: &mut TextCallback<'_>,
    ) -> Result<Reply, AskError> {
        let generator = AnswerGenerator {
            network: &self.network,
            images: &self.images,
            tokenizer: self.writer.tokenizer(),
            chat: &self.chat,
            image_patch_id: self.config.image_patch_id,
        };
        layers::wait(generator.answer(question, images, options, on_text))
    }

    fn check_mode(&self, mode: Mode) -> Result<(), ActError> {
        if self.info.modes.contains(&mode) {
            return Ok(());
        }
        let trained = self.trained;
        let reason = match mode {
            Mode::Continuous => {
                format!("the checkpoint was trained for {trained:?} and has no use for the expert")
            }
            Mode::Discrete => self.no_token_head.clone(),
        };
        Err(ActError::ModeUnavailable { mode, reason })
    }
}

impl Ready<'_> {
    /// From what a head gave to robot units.
    pub(crate) fn finish(self, answer: Answer) -> Result<Action, ActError> {
        if answer.chunk.iter().any(|value| !value.is_finite()) {
            return Err(ActError::NotFinite {
                what: "a value of the action chunk",
            });
        }
        let chunk = self.tag.unnormalize_actions(&answer.chunk)?;
        let dims = self.tag.action.dims();
        let ChunkRows {
            horizon,
            first,
            count,
        } = self.rows;
        let actions = chunk
            .iter()
            .skip(first * dims)
            .take(count * dims)
            .copied()
            .collect();
        let generated_ids = match &answer.depth {
            Some(depth_map) => [depth_map.tokens.as_slice(), &answer.generated].concat(),
            None => answer.generated,
        };
        let depth = answer
            .depth
            .zip(self.plan)
            .map(|(depth_map, plan)| plan.trace(depth_map, answer.gates));
        Ok(Action {
            rows: count,
            dims,
            actions,
            chunk,
            chunk_normalized: answer.chunk,
            horizon,
            prompt: self.prompt.text,
            prompt_ids: self.prompt.ids,
            action_tokens: answer.tokens,
            generated_ids,
            depth,
            prompt_logits: answer.prompt_logits,
            velocities: answer.velocities,
            logits: answer.logits,
            stages: Vec::new(),
        })
    }
}
