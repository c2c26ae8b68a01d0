//! What is read of a checkpoint beside its configuration and its weights: how it sees images and how it is spoken to.

use crate::checkpoint::config::{Config, Kind};
use crate::checkpoint::files::Files;
use crate::checkpoint::processor_config::ProcessorConfig;
use crate::error::LoadError;
use crate::input::chat::Chat;
use crate::input::image_input::ImageInput;
use crate::input::prompt::PromptWriter;
use crate::input::words::{TOKENIZER_CONFIG_FILE, TOKENIZER_FILE, Words};

/// Of a robot policy.
#[derive(Debug)]
pub(crate) struct OfPolicy {
    pub(crate) images: ImageInput,
    pub(crate) writer: PromptWriter,
    pub(crate) chat: Chat,
}

/// Of a model that is asked in words.
#[derive(Debug)]
pub(crate) struct OfSpeaker {
    pub(crate) images: ImageInput,
    pub(crate) words: Words,
    pub(crate) chat: Chat,
}

impl OfPolicy {
    pub(crate) fn read(files: &Files, config: &Config) -> Result<Self, LoadError> {
        let processor = ProcessorConfig::read(files, config)?;
        let images = ImageInput::new(&processor, config)?;
        if images.is_tiled() {
            return Err(LoadError::Unsupported {
                what: "image_processor.crop_mode = \"overlap-and-resize-c2\"".to_owned(),
                why: "robot policies use \"resize\"; several crops per image are read for questions alone"
                    .to_owned(),
            });
        }
        let writer = PromptWriter::new(
            &files.read(TOKENIZER_FILE)?,
            files.find(TOKENIZER_CONFIG_FILE)?.as_deref(),
            config,
            &images,
        )?;
        let chat = Chat::read(files, config, &processor, writer.words())?;
        Ok(Self {
            images,
            writer,
            chat,
        })
    }
}

impl OfSpeaker {
    pub(crate) fn read(files: &Files, config: &Config) -> Result<Self, LoadError> {
        let processor = ProcessorConfig::read(files, config)?;
        let images = ImageInput::new(&processor, config)?;
        let words = Words::new(
            &files.read(TOKENIZER_FILE)?,
            files.find(TOKENIZER_CONFIG_FILE)?.as_deref(),
            config,
        )?;
        let chat = Chat::read(files, config, &processor, &words)?;
        Ok(Self {
            images,
            words,
            chat,
        })
    }
}

/// What keeps a checkpoint of this configuration from being used, as far as these files go.
///
/// # Errors
/// As loading it gives.
pub(crate) fn check(files: &Files, config: &Config) -> Result<(), LoadError> {
    match config.kind {
        Kind::Policy => OfPolicy::read(files, config).map(|_| ()),
        Kind::VisionLanguage => OfSpeaker::read(files, config).map(|_| ()),
    }
}
