//! Inspection of a model's files without reading a weight.

use layers::{Checkpoint, INDEX_FILE, ModelFiles};
use std::path::Path;

use crate::config::{self, Config};
use crate::error::LoadError;
use crate::loader::{check_embedding, is_vocabulary};
use crate::tokenizer::{self, TextTokenizer};
use crate::video_config::{self, VideoConfig};

/// Facts from the small files and from the headers of the large ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// Names of the files that scoring takes: configuration, tokenizer, frame sizes, weights.
    pub files: Vec<String>,
    /// Values in the checkpoint.
    pub parameters: u64,
    /// The types it is stored in, such as "BF16".
    pub dtype: String,
    /// Values of the largest tensor that a device must hold in one piece: tables of the vocabulary are kept in shards.
    pub largest_tensor_values: u64,
}

impl Inventory {
    /// Reads the small files whole and of the weights the headers.
    ///
    /// # Errors
    /// [`LoadError`], which names the file and the key or tensor, where this is no Qwen3-VL checkpoint.
    pub fn read(files: &ModelFiles) -> Result<Self, LoadError> {
        let config = Config::parse(&files.read(config::FILE)?)?;
        VideoConfig::read(files, &config)?;
        TextTokenizer::new(&files.read(tokenizer::FILE)?, &config)?;
        let checkpoint = Checkpoint::open(files)?;
        check_embedding(&checkpoint, &config)?;
        let frames = if files.find(video_config::FILE)?.is_some() {
            video_config::FILE
        } else {
            video_config::PROCESSOR_FILE
        };
        let mut names = [config::FILE, tokenizer::FILE, frames]
            .map(str::to_owned)
            .to_vec();
        if checkpoint.is_indexed() {
            names.push(INDEX_FILE.to_owned());
        }
        // The checkpoint names its files with their folder, for messages.
        names.extend(checkpoint.files().iter().filter_map(|file| {
            let name = Path::new(file).file_name()?;
            Some(name.to_string_lossy().into_owned())
        }));
        let largest_tensor_values = checkpoint
            .tensors()
            .filter(|tensor| !is_vocabulary(tensor.name))
            .map(|tensor| tensor.shape.iter().map(|&n| n as u64).product())
            .max()
            .unwrap_or(0);
        Ok(Self {
            files: names,
            parameters: checkpoint.parameters(),
            dtype: checkpoint.dtype(),
            largest_tensor_values,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::path::PathBuf;

    fn inventory(golden: &str) -> Inventory {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/goldens/qwen3vl")
            .join(golden)
            .join("checkpoint");
        Inventory::read(&ModelFiles::open_dir(&folder).unwrap()).unwrap()
    }

    #[test]
    fn exactly_the_files_that_are_read_are_named() {
        let tied = inventory("tied");
        assert_eq!(
            tied.files,
            [
                "config.json",
                "tokenizer.json",
                "video_preprocessor_config.json",
                "model.safetensors"
            ]
        );
        assert!(tied.largest_tensor_values > 0 && tied.largest_tensor_values < tied.parameters);
        assert!(
            inventory("tied_again")
                .files
                .contains(&"processor_config.json".to_owned())
        );
        let shards = inventory("untied_odd").files;
        assert!(
            shards.contains(&"model.safetensors.index.json".to_owned()),
            "{shards:?}"
        );
        assert!(shards.contains(&"model-00003-of-00003.safetensors".to_owned()));
        assert_eq!(shards.len(), 7);
    }

    #[test]
    fn weights_of_another_model_are_refused() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/goldens/qwen3vl/tied/checkpoint");
        let read = |name: &str| {
            (
                name.to_owned(),
                std::fs::read(folder.join(name)).unwrap().into(),
            )
        };
        let header = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        let mut weights = (header.len() as u64).to_le_bytes().to_vec();
        weights.extend(header);
        weights.extend(1.0_f32.to_le_bytes());
        let files = ModelFiles::from_memory([
            read("config.json"),
            read("tokenizer.json"),
            read("video_preprocessor_config.json"),
            ("model.safetensors".to_owned(), weights.into()),
        ]);
        let error = Inventory::read(&files).unwrap_err().to_string();
        assert!(error.contains("embed_tokens"), "{error}");
    }
}
