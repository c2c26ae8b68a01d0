//! Vision-language models that answer questions about images.

use burn_tensor::Device;
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

/// A vision-language model: images and a question in, text out.
///
/// `Molmo2-ER` is one. The folder of a policy with a chat template can be loaded as one too; files that only
/// actions need are then not read.
#[derive(Debug)]
pub struct Vlm {
    config: Config,
    images: ImagePreprocessor,
    tokenizer: TextTokenizer,
    chat: Chat,
    network: Network,
    info: VlmInfo,
}

/// Description of a vision-language model.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct VlmInfo {
    /// Name of its folder.
    pub name: String,
    /// Number of weights.
    pub parameters: u64,
    /// Type that the weights are stored in.
    pub dtype: String,
    /// Precision of the large matrices.
    pub precision: Precision,
    /// True if images are read in several crops.
    pub tiled: bool,
    /// Limit on the tokens of a prompt and its answer together.
    pub max_positions: usize,
}

impl Vlm {
    /// True if a folder holds a model that only answers questions and has no actions.
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

    /// Reads a checkpoint with `options`, whose calibration is ignored.
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
        // The files that a LeRobot folder leaves in its base.
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

    /// Description of the model.
    pub fn info(&self) -> &VlmInfo {
        &self.info
    }

    /// The network, for access to single stages.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The image preprocessing.
    pub fn images(&self) -> &ImagePreprocessor {
        &self.images
    }

    /// True if the checkpoint can answer questions.
    pub fn can_answer(&self) -> bool {
        self.chat.can_answer()
    }

    /// Reason why it cannot answer questions, if its files are at fault.
    pub fn answering_fault(&self) -> Option<&str> {
        self.chat.fault()
    }

    /// Answers a question about any number of images, waiting for the device. `on_text` gets each new piece of the
    /// answer, in whole characters; the pieces together are [`Reply::text`].
    ///
    /// # Errors
    /// [`AskError`]. Bad input is named, and the model stays usable.
    pub fn ask(
        &self,
        question: &str,
        images: &[RgbImage],
        options: &AskOptions,
        on_text: &mut TextCallback<'_>,
    ) -> Result<Reply, AskError> {
        layers::block_on(self.ask_async(question, images, options, on_text))
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
