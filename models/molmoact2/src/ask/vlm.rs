//! Questions in words: a plain VLM, or a policy that was taught to talk as well.

use burn::tensor::Device;
use layers::Precision;
use vision::RgbImage;

use crate::ask::generate::{AnswerGenerator, TextCallback};
use crate::ask::reply::{AskOptions, Reply};
use crate::checkpoint::config::{self, Config, Kind};
use crate::checkpoint::files::Files;
use crate::checkpoint::lerobot;
use crate::error::{AskError, LoadError};
use crate::input::chat::Chat;
use crate::input::images::ImagePreprocessor;
use crate::input::preprocessing::VlmPreprocessing;
use crate::input::tokenizer::TextTokenizer;
use crate::loader::options::LoadOptions;
use crate::network::Network;

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
