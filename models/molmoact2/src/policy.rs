//! A loaded policy: an observation in, a chunk of actions out.

use std::num::NonZeroUsize;

use openfast::FastTokenizer;
use vision::RgbImage;

use crate::action::{ActOptions, Action, Observation};
use crate::ask::generate::{AnswerGenerator, TextCallback};
use crate::ask::reply::{AskOptions, Reply};
use crate::batch::model::Model;
use crate::batch::prepared::{BatchTokenCallback, PreparedRequest, Request};
use crate::batch::{continuous, run};
use crate::checkpoint::config::ActionMode;
use crate::checkpoint::norm_stats::NormStats;
use crate::clock::StageClock;
use crate::error::{ActError, AskError};
use crate::heads::depth::regeneration::RegenerationPlan;
use crate::heads::token_head::TokenCallback;
use crate::info::PolicyInfo;
use crate::input::chat::Chat;
use crate::input::images::ImagePreprocessor;
use crate::input::prompt::{PromptContent, PromptWriter, Style};
use crate::mode::Mode;
use crate::network::Network;

mod load;

/// A policy on a device, ready to act.
#[derive(Debug)]
pub struct Policy {
    model: Model,
    /// The heads that were trained. A fine-tuned policy can use fewer than `action_mode` of its base checkpoint
    /// names; that key still decides which tokens the expert attends to.
    trained: ActionMode,
    normalize_language: bool,
    stats: NormStats,
    images: ImagePreprocessor,
    writer: PromptWriter,
    chat: Chat,
    info: PolicyInfo,
}

impl Policy {
    /// Description of the policy and of its robots.
    pub fn info(&self) -> &PolicyInfo {
        &self.info
    }

    /// The network, for access to single stages.
    pub fn network(&self) -> &Network {
        &self.model.network
    }

    /// The action tokenizer, if the policy can answer in tokens.
    pub fn action_tokenizer(&self) -> Option<&FastTokenizer> {
        self.model
            .token_head
            .as_ref()
            .ok()
            .map(|head| &head.tokenizer)
    }

    /// Answers an observation, waiting for the device. In a browser use [`Policy::act_async`].
    ///
    /// # Errors
    /// [`ActError`]. Bad input is named, and the policy stays usable.
    pub fn act(
        &self,
        observation: &Observation<'_>,
        options: &ActOptions,
    ) -> Result<Action, ActError> {
        layers::block_on(self.act_async(observation, options))
    }

    /// Like [`Policy::act`], and in discrete mode calls `on_tokens` after every action token with the FAST ids so
    /// far, on this thread, so that a slow callback delays the answer. Never called in continuous mode.
    ///
    /// # Errors
    /// As [`Policy::act`]. Ids that were passed on before an error belong to no chunk.
    pub fn act_streaming(
        &self,
        observation: &Observation<'_>,
        options: &ActOptions,
        on_tokens: &mut TokenCallback<'_>,
    ) -> Result<Action, ActError> {
        layers::block_on(self.answer(observation, options, on_tokens))
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

    /// Answers a batch of one.
    async fn answer(
        &self,
        observation: &Observation<'_>,
        options: &ActOptions,
        on_tokens: &mut TokenCallback<'_>,
    ) -> Result<Action, ActError> {
        let request = Request {
            observation: *observation,
            options,
        };
        let mut on_tokens = |_: usize, ids: &[u32]| on_tokens(ids);
        let mut answers = self.act_batch_async(&[request], 1, &mut on_tokens).await;
        answers.pop().unwrap_or_else(|| Err(ActError::no_answer()))
    }

    /// Answers any number of requests, at most `max_batch` of them (0 counts as 1) in one pass through the
    /// network, waiting for the device. Memory for images, prompts and chunks grows with that number.
    ///
    /// The answers come in the order of the requests. Each equals the answer of [`Policy::act`] up to the rounding
    /// of `f32`, and a failing request does not affect the others. [`Action::stages`] are times of the whole batch.
    pub fn act_batch(
        &self,
        requests: &[Request<'_>],
        max_batch: usize,
    ) -> Vec<Result<Action, ActError>> {
        self.act_batch_streaming(requests, max_batch, &mut |_, _| {})
    }

    /// Like [`Policy::act_batch`], and in discrete mode calls `on_tokens` with the index of a request and its FAST
    /// ids so far after each of its action tokens, as [`Policy::act_streaming`] does.
    pub fn act_batch_streaming(
        &self,
        requests: &[Request<'_>],
        max_batch: usize,
        on_tokens: &mut BatchTokenCallback<'_>,
    ) -> Vec<Result<Action, ActError>> {
        layers::block_on(self.act_batch_async(requests, max_batch, on_tokens))
    }

    /// Like [`Policy::act_batch_streaming`], without blocking the thread on the device.
    pub async fn act_batch_async(
        &self,
        requests: &[Request<'_>],
        max_batch: usize,
        on_tokens: &mut BatchTokenCallback<'_>,
    ) -> Vec<Result<Action, ActError>> {
        let max_batch = NonZeroUsize::new(max_batch)
            .unwrap_or(NonZeroUsize::MIN)
            .get();
        let mut answers = Vec::with_capacity(requests.len());
        for part in requests.chunks(max_batch) {
            let first = answers.len();
            let mut on_tokens = |index: usize, ids: &[u32]| on_tokens(first + index, ids);
            answers.extend(self.answer_together(part, &mut on_tokens).await);
        }
        answers
    }

    /// True if the policy can answer questions in text.
    pub fn can_answer(&self) -> bool {
        self.chat.can_answer()
    }

    /// Reason why it cannot answer questions, if its files are at fault; actions are not affected.
    pub fn answering_fault(&self) -> Option<&str> {
        self.chat.fault()
    }

    /// Answers a question in text, as [`crate::Vlm::ask`] does.
    ///
    /// # Errors
    /// [`AskError::ActionsOnly`] for a policy without a chat template; else as [`crate::Vlm::ask`].
    pub fn ask(
        &self,
        question: &str,
        images: &[RgbImage],
        options: &AskOptions,
        on_text: &mut TextCallback<'_>,
    ) -> Result<Reply, AskError> {
        let generator = AnswerGenerator {
            network: &self.model.network,
            images: &self.images,
            tokenizer: self.writer.tokenizer(),
            chat: &self.chat,
            image_patch_id: self.model.config.image_patch_id,
        };
        layers::block_on(generator.answer(question, images, options, on_text))
    }

    /// Answers one batch in the order of its requests.
    async fn answer_together(
        &self,
        requests: &[Request<'_>],
        on_tokens: &mut BatchTokenCallback<'_>,
    ) -> Vec<Result<Action, ActError>> {
        let mut clock = StageClock::start(self.model.network.device());
        let mut answers: Vec<Result<Action, ActError>> = Vec::with_capacity(requests.len());
        let mut prepared = Vec::with_capacity(requests.len());
        for (index, request) in requests.iter().enumerate() {
            answers.push(Err(match self.prepare(index, request) {
                Ok(request) => {
                    prepared.push(request);
                    ActError::no_answer()
                }
                Err(error) => error,
            }));
        }
        clock.end("preprocess");
        for (index, answer) in run::answer(&self.model, prepared, clock, on_tokens).await {
            if let Some(slot) = answers.get_mut(index) {
                *slot = answer;
            }
        }
        answers
    }

    /// Checks a request and preprocesses it. `index` is its index in the batch.
    fn prepare<'a>(
        &'a self,
        index: usize,
        request: &Request<'a>,
    ) -> Result<PreparedRequest<'a>, ActError> {
        let Request {
            observation,
            options,
        } = *request;
        let tag = self.stats.tag(observation.tag)?;
        let rows = tag.rows(&self.model.config)?;
        let cameras = tag.cameras();
        let given = observation.images.len();
        if !tag.takes_images(given) {
            return Err(ActError::WrongImages {
                tag: tag.name.clone(),
                got: given,
                cameras,
            });
        }
        let depth_plan = match observation.images.first() {
            Some(main) => {
                let ids = self.model.depth_head.as_ref().map(|head| &head.ids);
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
            style: match depth_plan {
                Some(_) => Style::DepthAction,
                None => Style::Action,
            },
        })?;
        let tokens = prompt.ids.len();
        let max = self.model.network.text().max_positions();
        if tokens >= max {
            return Err(ActError::TooLong { tokens, max });
        }
        let images = Some(self.images.prepare(observation.images)?);
        self.check_mode(options.mode)?;
        let prepared = PreparedRequest {
            index,
            options,
            tag,
            rows,
            prompt,
            images,
            depth_plan,
        };
        if options.mode == Mode::Continuous {
            continuous::check(&self.model, &prepared)?;
        }
        Ok(prepared)
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
            Mode::Discrete => {
                let no_token_head = self.model.token_head.as_ref().err();
                no_token_head.cloned().unwrap_or_default()
            }
        };
        Err(ActError::ModeUnavailable { mode, reason })
    }
}
