//! The tokenizer and the model vocabulary that a command reads.

use clap::Args;
use openfast::{FastTokenizer, VlmVocabulary};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct TokenizerArguments {
    /// Tokenizer folder (tokenizer.json and processor_config.json).
    #[arg(long, value_name = "DIR")]
    tokenizer: PathBuf,
}

impl TokenizerArguments {
    /// Loads the tokenizer.
    pub(super) fn load(&self) -> anyhow::Result<FastTokenizer> {
        let folder = &self.tokenizer;
        FastTokenizer::from_dir(folder)
            .map_err(|error| anyhow::anyhow!("--tokenizer {}: {error}", folder.display()))
    }
}

/// Loads the vocabulary of the checkpoint given with `--vlm`, if any.
pub(super) fn load_vlm(folder: Option<&Path>) -> anyhow::Result<Option<VlmVocabulary>> {
    folder
        .map(|folder| {
            VlmVocabulary::from_dir(folder)
                .map_err(|error| anyhow::anyhow!("--vlm {}: {error}", folder.display()))
        })
        .transpose()
}
