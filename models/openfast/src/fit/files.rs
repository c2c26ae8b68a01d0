//! A fitted tokenizer and the three files that `save_pretrained` writes.

use std::io::Write as _;
use std::path::Path;

use field_files::write_whole;
use serde::Serialize;

use super::{ByteLevelBpe, FitError, FitOptions};
use crate::FastTokenizer;

/// A fitted tokenizer.
#[derive(Debug, Clone)]
pub struct Fitted {
    tokenizer: FastTokenizer,
    /// Name and content.
    files: [(&'static str, String); 3],
}

/// Keys in the order in which the reference writes them.
#[derive(Serialize)]
struct ProcessorFile<'a> {
    action_dim: Option<usize>,
    min_token: i32,
    processor_class: &'a str,
    scale: serde_json::Number,
    time_horizon: Option<usize>,
    vocab_size: u32,
}

/// `tokenizer_config.json` holds nothing of the fit. Clean-up would eat spaces before punctuation,
/// and both are coefficients; the number is what `transformers` writes for "no limit".
const TOKENIZER_CONFIG: &str = r#"{
  "backend": "tokenizers",
  "clean_up_tokenization_spaces": false,
  "model_max_length": 1000000000000000019884624838656,
  "processor_class": "UniversalActionProcessor",
  "tokenizer_class": "TokenizersBackend"
}
"#;

impl Fitted {
    pub(super) fn new(
        tokenizer: &ByteLevelBpe,
        min_token: i32,
        options: &FitOptions,
    ) -> Result<Self, FitError> {
        let processor = ProcessorFile {
            action_dim: options.declared.map(|shape| shape.dims),
            min_token,
            processor_class: "UniversalActionProcessor",
            scale: number(options.scale),
            time_horizon: options.declared.map(|shape| shape.horizon),
            vocab_size: options.vocab_size,
        };
        let tokenizer_json = tokenizer
            .to_string(true)
            .map_err(|error| FitError::Bpe(error.to_string()))?;
        let processor_json = serde_json::to_string_pretty(&processor)
            .map_err(|error| FitError::Bpe(error.to_string()))?
            + "\n";
        Ok(Self {
            // Loaded from the files that will be written, so that both are the same.
            tokenizer: FastTokenizer::from_bytes(
                tokenizer_json.as_bytes(),
                processor_json.as_bytes(),
            )?,
            files: [
                ("tokenizer.json", tokenizer_json),
                ("processor_config.json", processor_json),
                ("tokenizer_config.json", TOKENIZER_CONFIG.to_owned()),
            ],
        })
    }

    /// The tokenizer, ready for use.
    #[must_use]
    pub fn tokenizer(&self) -> &FastTokenizer {
        &self.tokenizer
    }

    /// The files, name and content: the bytes that the reference's `save_pretrained` writes.
    #[must_use]
    pub fn files(&self) -> &[(&'static str, String)] {
        &self.files
    }

    /// Writes the files into a folder, which is made if it is missing. Files of the same names are
    /// overwritten.
    ///
    /// # Errors
    /// When the folder or a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), FitError> {
        let write = |path: &Path, source| FitError::Write {
            path: path.to_owned(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(|source| write(folder, source))?;
        for (name, content) in &self.files {
            let path = folder.join(name);
            write_whole(&path, |file| file.write_all(content.as_bytes()))
                .map_err(|source| write(&path, source))?;
        }
        Ok(())
    }
}

/// Whole numbers without a decimal point, as a person gives them to the reference.
fn number(value: f64) -> serde_json::Number {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        (value as i64).into()
    } else {
        serde_json::Number::from_f64(value).unwrap_or_else(|| 0.into())
    }
}
