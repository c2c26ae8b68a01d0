//! A loaded checkpoint.

use burn::tensor::Device;
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
}

/// The network, its tokenizer and its image processing.
#[derive(Debug)]
pub struct Qwen3Vl {
    tokenizer: TextTokenizer,
    video: VideoInput,
    images: Option<VideoInput>,
    stop_tokens: Vec<u32>,
    network: Network,
    info: ModelInfo,
}

impl Qwen3Vl {
    /// Reads a model as `options` say and puts its weights on `device`.
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
        let images = VideoConfig::read_images(files, &config)?;
        let tokenizer = TextTokenizer::new(&files.read(tokenizer::FILE)?, &config)?;
        let stop_tokens = stop_tokens::read(files, &tokenizer)?;
        let checkpoint = Checkpoint::open(files)?;
        let network = Network::load(&checkpoint, &config, device, options)?;
        let info = ModelInfo {
            name: files.name(),
            parameters: checkpoint.parameters(),
            dtype: checkpoint.dtype(),
            precision: options.precision,
            weight_bytes: network.weight_bytes(),
        };
        Ok(Self {
            video: VideoInput::new(&video, &config.vision),
            images: images.map(|images| VideoInput::new(&images, &config.vision)),
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

    /// Preprocessing of single images; none where the checkpoint does not define how they are resized.
    pub fn images(&self) -> Option<&VideoInput> {
        self.images.as_ref()
    }

    /// Tokens that end an answer.
    pub fn stop_tokens(&self) -> &[u32] {
        &self.stop_tokens
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
