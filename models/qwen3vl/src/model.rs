//! A loaded checkpoint.

use burn_tensor::Device;
use layers::{Checkpoint, ModelFiles, Precision, Progress};

use crate::config::{self, Config};
use crate::error::{LoadError, ScoreError};
use crate::network::Network;
use crate::stop_tokens;
use crate::tokenizer::{self, TextTokenizer};
use crate::video_config::VideoConfig;
use crate::video_input::VideoInput;

/// Options for loading a model.
#[derive(Clone)]
pub struct LoadOptions<'a> {
    /// Precision of the language model's layers; the rest keeps at least sixteen bits.
    pub precision: Precision,
    /// Most bytes of a shard of the vocabulary; `None` for no bound on the CPU and 128 MiB elsewhere, which every
    /// browser guarantees.
    pub shard_bytes: Option<u64>,
    /// Most scores of attention at a time. The default, 2^25, fills 128 MiB.
    pub scores: usize,
    /// Called with the bytes of the weights read so far and of all of them, every few megabytes.
    pub progress: Option<Progress<'a>>,
}

impl Default for LoadOptions<'_> {
    fn default() -> Self {
        Self {
            precision: Precision::F32,
            shard_bytes: None,
            scores: 1 << 25,
            progress: None,
        }
    }
}

impl std::fmt::Debug for LoadOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadOptions")
            .field("precision", &self.precision)
            .field("shard_bytes", &self.shard_bytes)
            .field("scores", &self.scores)
            .finish_non_exhaustive()
    }
}

/// Description of a loaded model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// Name of its folder, or "memory".
    pub name: String,
    /// Number of values in the checkpoint.
    pub parameters: u64,
    /// The types the checkpoint is stored in, such as "BF16".
    pub dtype: String,
    /// Precision of the language model's layers.
    pub precision: Precision,
    /// Bytes that the weights take.
    pub weight_bytes: u64,
    /// A sentence about a file of weights that was passed over.
    pub note: Option<String>,
}

/// The network, its tokenizer and its image processing.
#[derive(Debug)]
pub struct Qwen3Vl {
    tokenizer: TextTokenizer,
    video: VideoInput,
    /// Or why they cannot be had: who scores videos needs neither these ...
    images: Result<Option<VideoInput>, String>,
    /// ... nor these.
    stop_tokens: Result<Vec<u32>, String>,
    network: Network,
    info: ModelInfo,
}

impl Qwen3Vl {
    /// Reads a model as `options` say and puts its weights on `device`. Files that only some questions need (how single
    /// images are resized, what ends an answer) may be broken; whoever asks such a question is told.
    ///
    /// # Errors
    /// [`LoadError`], which names the file and the key or tensor.
    pub fn load(
        files: &ModelFiles,
        device: &Device,
        options: &LoadOptions<'_>,
    ) -> Result<Self, LoadError> {
        let config = Config::parse(&files.read(config::FILE)?)?;
        let video = VideoConfig::read(files, &config)?;
        let images = VideoConfig::read_images(files, &config)
            .map(|images| images.map(|images| VideoInput::new(&images, &config.vision)))
            .map_err(|error| error.to_string());
        let tokenizer = TextTokenizer::new(&files.read(tokenizer::FILE)?, &config)?;
        let stop_tokens = stop_tokens::read(files, &tokenizer).map_err(|error| error.to_string());
        let checkpoint = Checkpoint::open(files)?;
        let network = Network::load(&checkpoint, &config, device, options)?;
        let info = ModelInfo {
            name: files.name(),
            parameters: checkpoint.parameters(),
            dtype: checkpoint.dtype(),
            precision: options.precision,
            weight_bytes: network.weight_bytes(),
            note: checkpoint.note().map(str::to_owned),
        };
        Ok(Self {
            video: VideoInput::new(&video, &config.vision),
            images,
            stop_tokens,
            tokenizer,
            network,
            info,
        })
    }

    /// Sizes and ids.
    pub fn config(&self) -> &Config {
        self.network.config()
    }

    /// Description of the model.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    /// Preprocessing of videos: frames to blocks of patches.
    pub fn video(&self) -> &VideoInput {
        &self.video
    }

    /// Single images to blocks of patches.
    ///
    /// # Errors
    /// [`ScoreError::NoImages`] where the checkpoint does not say how they are resized, [`ScoreError::Settings`] where it
    /// says so in a file that cannot be used.
    pub fn images(&self) -> Result<&VideoInput, ScoreError> {
        match &self.images {
            Ok(Some(images)) => Ok(images),
            Ok(None) => Err(ScoreError::NoImages),
            Err(reason) => Err(ScoreError::Settings {
                reason: reason.clone(),
            }),
        }
    }

    /// Tokens that end an answer.
    ///
    /// # Errors
    /// [`ScoreError::Settings`] where the checkpoint says it in a file that cannot be used.
    pub fn stop_tokens(&self) -> Result<&[u32], ScoreError> {
        match &self.stop_tokens {
            Ok(stop_tokens) => Ok(stop_tokens),
            Err(reason) => Err(ScoreError::Settings {
                reason: reason.clone(),
            }),
        }
    }

    /// The network: vision tower and language model.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Ids of the text before a block's tokens; `opening` is text that comes before it without a special token in
    /// between (the header of the turn before the first block).
    ///
    /// # Errors
    /// [`ScoreError::BadTime`], [`ScoreError::Tokenizer`].
    pub fn before_block(&self, opening: &str, seconds: f64) -> Result<Vec<u32>, ScoreError> {
        let text = format!("{opening}{}", crate::layout::before_block(seconds)?);
        self.tokenizer.encode(&text)
    }
}
