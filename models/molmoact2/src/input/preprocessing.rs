//! Preprocessing of a checkpoint: image processing, prompts and chat format, from its small files.

use layers::ConfigError;

use crate::checkpoint::config::{Config, Kind};
use crate::checkpoint::files::Files;
use crate::checkpoint::processor_config::ProcessorConfig;
use crate::error::LoadError;
use crate::input::chat::Chat;
use crate::input::images::ImagePreprocessor;
use crate::input::prompt::PromptWriter;
use crate::input::tokenizer::{TOKENIZER_CONFIG_FILE, TOKENIZER_FILE, TextTokenizer};

/// Preprocessing of a robot policy.
#[derive(Debug)]
pub(crate) struct PolicyPreprocessing {
    pub(crate) images: ImagePreprocessor,
    pub(crate) writer: PromptWriter,
    pub(crate) chat: Chat,
}

/// Preprocessing of a vision-language model.
#[derive(Debug)]
pub(crate) struct VlmPreprocessing {
    pub(crate) images: ImagePreprocessor,
    pub(crate) tokenizer: TextTokenizer,
    pub(crate) chat: Chat,
}

impl PolicyPreprocessing {
    pub(crate) fn read(files: &Files, config: &Config) -> Result<Self, LoadError> {
        let processor = ProcessorConfig::read(files, config)?;
        let images = ImagePreprocessor::new(&processor, config)?;
        if images.is_tiled() {
            return Err(LoadError::Config(ConfigError::Unsupported {
                what: "image_processor.crop_mode = \"overlap-and-resize-c2\"".to_owned(),
                why: "robot policies use \"resize\"; several crops per image are read for questions alone"
                    .to_owned(),
            }));
        }
        let writer = PromptWriter::new(
            &files.read(TOKENIZER_FILE)?,
            files.find(TOKENIZER_CONFIG_FILE)?.as_deref(),
            config,
            &images,
        )?;
        let chat = Chat::read(files, config, &processor, writer.tokenizer())?;
        Ok(Self {
            images,
            writer,
            chat,
        })
    }
}

impl VlmPreprocessing {
    pub(crate) fn read(files: &Files, config: &Config) -> Result<Self, LoadError> {
        let processor = ProcessorConfig::read(files, config)?;
        let images = ImagePreprocessor::new(&processor, config)?;
        let tokenizer = TextTokenizer::new(
            &files.read(TOKENIZER_FILE)?,
            files.find(TOKENIZER_CONFIG_FILE)?.as_deref(),
            config,
        )?;
        let chat = Chat::read(files, config, &processor, &tokenizer)?;
        Ok(Self {
            images,
            tokenizer,
            chat,
        })
    }
}

/// Checks the files of preprocessing without keeping them. Returns the reason why the checkpoint cannot answer questions,
/// if its files are at fault.
///
/// # Errors
/// The error that loading the checkpoint would return.
pub(crate) fn check(files: &Files, config: &Config) -> Result<Option<String>, LoadError> {
    let chat = match config.kind {
        Kind::Policy => PolicyPreprocessing::read(files, config)?.chat,
        Kind::VisionLanguage => VlmPreprocessing::read(files, config)?.chat,
    };
    Ok(chat.fault().map(str::to_owned))
}
