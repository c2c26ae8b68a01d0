//! Questions in words: a plain VLM, or a policy that was taught to talk as well.

use burn::tensor::Device;
use layers::Precision;
use vision::RgbImage;

use crate::ask::generate::{AnswerGenerator, TextCallback};
use crate::ask::grounding::Markup;
use crate::checkpoint::config::{self, Config, Kind};
use crate::checkpoint::files::Files;
use crate::checkpoint::lerobot;
use crate::clock::Stage;
use crate::error::{ActError, LoadError};
use crate::input::chat::Chat;
use crate::input::images::ImagePreprocessor;
use crate::input::preprocessing::VlmPreprocessing;
use crate::input::tokenizer::TextTokenizer;
use crate::load::LoadOptions;
use crate::network::Network;
use crate::policy::Policy;

/// A vision-language model: images and a question in, an answer in words out.
///
/// `Molmo2-ER` is one. A policy's folder can be read as one too if it brings a chat template; what only actions
/// need is then left unread.
#[derive(Debug)]
pub struct Vlm {
    config: Config,
    images: ImagePreprocessor,
    tokenizer: TextTokenizer,
    chat: Chat,
    network: Network,
    info: VlmInfo,
}

/// What a vision-language model is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct VlmInfo {
    /// The name of its folder.
    pub name: String,
    /// Number of weights.
    pub parameters: u64,
    /// The type the weights are stored in.
    pub dtype: String,
    /// What the large matrices are kept in.
    pub precision: Precision,
    /// Whether images are read in several crops.
    pub tiled: bool,
    /// Most tokens of a prompt and its answer together.
    pub max_positions: usize,
}

/// How to answer.
#[derive(Debug, Clone, PartialEq)]
pub struct AskOptions {
    /// Most tokens of the answer.
    pub max_tokens: usize,
    /// 0 takes the likeliest token every time; above, tokens are drawn, the more freely the higher.
    pub temperature: f32,
    /// Draw only among the likeliest tokens that together have this probability; 1 is all of them.
    pub top_p: f32,
    /// Seed of the draws.
    pub seed: u64,
    /// Whether to keep [`Reply::logits`].
    pub dumps: bool,
}

impl Default for AskOptions {
    fn default() -> Self {
        Self {
            max_tokens: 200,
            temperature: 0.0,
            top_p: 1.0,
            seed: 0,
            dumps: false,
        }
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model said so.
    EndOfText,
    /// It reached [`AskOptions::max_tokens`].
    MaxTokens,
    /// It reached the model's last position.
    Positions,
    /// Whoever asked had heard enough.
    Stopped,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The answer as the model wrote it, special tokens left out.
    pub text: String,
    /// Its tokens, with the one that ended it.
    pub ids: Vec<u32>,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// The points and boxes in the text, in pixels of the images as they were given.
    pub marks: Vec<Markup>,
    /// The prompt as text, each image as its placeholder.
    pub prompt: String,
    /// The prompt as the network read it.
    pub prompt_ids: Vec<u32>,
    /// The scores each token was picked from, if asked for.
    pub logits: Option<Vec<Vec<f32>>>,
    /// Where the time went: `preprocess`, `vision`, `prefill`, `decode`.
    pub stages: Vec<Stage>,
}

/// Why a question could not be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// Nothing but space.
    #[error("the question is empty")]
    Empty,
    /// The question holds a token that stands for an image.
    #[error(
        "the question contains {token:?}, which stands for an image in the prompt; leave it out"
    )]
    ImageToken {
        /// The token as text.
        token: String,
    },
    /// The checkpoint was made for actions alone.
    #[error(
        "this policy was trained to write actions, not answers (its folder has no chat template); ask a \
         vision-language model such as Molmo2-ER"
    )]
    ActionsOnly,
    /// The checkpoint's template does not work.
    #[error("the checkpoint's chat template cannot be used: {reason}")]
    Template {
        /// What went wrong in it.
        reason: String,
    },
    /// Options that mean nothing.
    #[error("{option} is {value}; {wanted}")]
    BadOption {
        /// The name of the option.
        option: &'static str,
        /// Its value.
        value: f32,
        /// What would do.
        wanted: &'static str,
    },
    /// The network, or an image.
    #[error(transparent)]
    Model(#[from] ActError),
}

impl Vlm {
    /// Whether a folder holds a model that only answers questions and moves no robot.
    ///
    /// # Errors
    /// [`LoadError`] for a `config.json` that cannot be used.
    pub fn is_plain(files: &Files) -> Result<bool, LoadError> {
        let bytes = files.read(config::FILE)?;
        Ok(!lerobot::is_lerobot(&bytes) && Config::parse(&bytes)?.kind == Kind::VisionLanguage)
    }

    /// Reads a checkpoint and puts its weights on `device`, in `f32`.
    ///
    /// # Errors
    /// [`LoadError`], which names the file and the key or tensor.
    pub fn load(files: &Files, device: &Device) -> Result<Self, LoadError> {
        Self::load_with(files, device, &LoadOptions::default())
    }

    /// Reads a checkpoint as `options` say; how a robot counts its joints is of no interest here.
    ///
    /// # Errors
    /// As [`Vlm::load`].
    pub fn load_with(
        files: &Files,
        device: &Device,
        options: &LoadOptions<'_>,
    ) -> Result<Self, LoadError> {
        let bytes = files.read(config::FILE)?;
        let config = if lerobot::is_lerobot(&bytes) {
            lerobot::read(files, &bytes)?.config
        } else {
            Config::parse(&bytes)?
        };
        // What LeRobot leaves in the base.
        let small = files.base().unwrap_or(files);
        let VlmPreprocessing {
            images,
            tokenizer,
            chat,
        } = VlmPreprocessing::read(small, &config)?;
        let checkpoint = files.checkpoint()?;
        let network = Network::load_as(
            &checkpoint,
            &config,
            device,
            options.precision,
            options.progress,
        )?;
        let info = VlmInfo {
            name: files.name(),
            parameters: checkpoint.parameters(),
            dtype: checkpoint.dtype(),
            precision: options.precision,
            tiled: images.is_tiled(),
            max_positions: network.text().max_positions(),
        };
        Ok(Self {
            config,
            images,
            tokenizer,
            chat,
            network,
            info,
        })
    }

    /// What it is.
    pub fn info(&self) -> &VlmInfo {
        &self.info
    }

    /// The network, for those who want a stage of it.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// How it reads images.
    pub fn images(&self) -> &ImagePreprocessor {
        &self.images
    }

    /// Whether the checkpoint was made to be asked questions.
    pub fn can_answer(&self) -> bool {
        self.chat.can_answer()
    }

    /// Answers a question about any number of images, waiting for the device. `told` is called with each new
    /// piece of the answer, which ends between characters; the pieces together are [`Reply::text`].
    ///
    /// # Errors
    /// [`AskError`]; bad input is named, and the model can be asked again.
    pub fn ask(
        &self,
        question: &str,
        images: &[RgbImage],
        options: &AskOptions,
        on_text: &mut TextCallback<'_>,
    ) -> Result<Reply, AskError> {
        layers::wait(self.ask_async(question, images, options, on_text))
    }

    /// Like [`Vlm::ask`], without blocking the thread on the device.
    ///
    /// # Errors
    /// As [`Vlm::ask`].
    pub async fn ask_async(
        &self,
        question: &str,
        images: &[RgbImage],
        options: &AskOptions,
        on_text: &mut TextCallback<'_>,
    ) -> Result<Reply, AskError> {
        let generator = AnswerGenerator {
            network: &self.network,
            images: &self.images,
            tokenizer: &self.tokenizer,
            chat: &self.chat,
            image_patch_id: self.config.image_patch_id,
        };
        generator.answer(question, images, options, on_text).await
    }
}

impl Policy {
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
}
