//! Files of a scorer that pages can fetch.

use super::{fingerprint::Fingerprint, nano};
use crate::byte_ranges::{Content, Representation};
use layers::{Device, ModelFiles};
use protocol::score::{ScorerFile, ScorerManifest};
use qwen3vl::{Inventory, LoadError, LoadOptions, Qwen3Vl};
use std::{
    fs::File,
    io::Cursor,
    path::{Path, PathBuf},
};

const NANO_NOTE: &str = "The nano scorer covers only the built-in robot and its tasks: its curve means nothing for \
                         other videos. The large Qwen3-VL models are zero-shot: start the studio with --scorer DIR.";
const ZERO_SHOT_NOTE: &str = "Zero-shot: this model has not been trained to score robots. Compare its curve with the \
                              controls below it.";

/// Reasons why a folder cannot be hosted as a scorer.
#[derive(Debug, thiserror::Error)]
pub enum ScorerError {
    /// The binary has no embedded weights.
    #[error(
        "this binary was built without the nano scorer (models/nano/qwen3vl was missing then); give a Qwen3-VL checkpoint \
         with --scorer DIR"
    )]
    NoNano,
    /// Not a Qwen3-VL checkpoint, or a broken one.
    #[error("{name} cannot be the scorer: {error}")]
    Model {
        /// Folder or name of the scorer.
        name: String,
        /// Cause.
        error: Box<LoadError>,
    },
    /// A file of the scorer cannot be read.
    #[error("cannot read {file}: {source}")]
    Io {
        /// Path of the file.
        file: String,
        /// Cause reported by the operating system.
        source: std::io::Error,
    },
}

/// Files of a scorer and their manifest. Weights are not in memory, except those of the nano scorer.
#[derive(Debug)]
pub struct ScorerFiles {
    model: ModelFiles,
    manifest: ScorerManifest,
    /// In the order of the manifest's files.
    contents: Vec<Content>,
}

impl ScorerFiles {
    /// Opens the scorer embedded in the binary.
    ///
    /// # Errors
    /// [`ScorerError::NoNano`], [`ScorerError::Model`].
    pub fn nano() -> Result<Self, ScorerError> {
        let model = nano::model_files().ok_or(ScorerError::NoNano)?;
        Self::read("nano".to_owned(), model, None)
    }

    /// Opens a folder in the published layout. Only the headers of its weights are read.
    ///
    /// # Errors
    /// [`ScorerError::Model`] if the folder is not a Qwen3-VL checkpoint, [`ScorerError::Io`].
    pub fn open_dir(folder: &Path) -> Result<Self, ScorerError> {
        let name = name_of(folder);
        let model = ModelFiles::open_dir(folder).map_err(|error| ScorerError::Model {
            name: name.clone(),
            error: Box::new(error.into()),
        })?;
        Self::read(name, model, Some(folder))
    }

    fn read(name: String, model: ModelFiles, folder: Option<&Path>) -> Result<Self, ScorerError> {
        let inventory = Inventory::read(&model).map_err(|error| ScorerError::Model {
            name: folder.map_or_else(|| name.clone(), |folder| folder.display().to_string()),
            error: Box::new(error),
        })?;
        let mut fingerprint = Fingerprint::new();
        let mut files = Vec::new();
        let mut contents = Vec::new();
        for name in inventory.files {
            let path = folder.map(|folder| folder.join(&name));
            let (content, bytes) =
                open(&name, path.as_deref(), &mut fingerprint).map_err(|source| {
                    ScorerError::Io {
                        file: path.map_or_else(|| name.clone(), |path| path.display().to_string()),
                        source,
                    }
                })?;
            files.push(ScorerFile { name, bytes });
            contents.push(content);
        }
        let is_nano = folder.is_none();
        Ok(Self {
            model,
            manifest: ScorerManifest {
                name,
                id: fingerprint.finish(),
                note: if is_nano { NANO_NOTE } else { ZERO_SHOT_NOTE }.to_owned(),
                is_nano,
                parameters: inventory.parameters,
                dtype: inventory.dtype,
                largest_tensor_values: inventory.largest_tensor_values,
                files,
                studio_device: None,
            },
            contents,
        })
    }

    /// Manifest of the files, without the studio's scoring device.
    #[must_use]
    pub fn manifest(&self) -> &ScorerManifest {
        &self.manifest
    }

    /// Loads the weights onto a device.
    ///
    /// # Errors
    /// [`ScorerError::Model`].
    pub fn load(&self, device: &Device, options: &LoadOptions<'_>) -> Result<Qwen3Vl, ScorerError> {
        Qwen3Vl::load(&self.model, device, options).map_err(|error| ScorerError::Model {
            name: self.manifest.name.clone(),
            error: Box::new(error),
        })
    }

    /// A file of the manifest by name. No name leads to any other file.
    pub(crate) fn find(&self, name: &str) -> Option<Representation> {
        let index = self
            .manifest
            .files
            .iter()
            .position(|file| file.name == name)?;
        Some(Representation {
            content: self.contents.get(index)?.clone(),
            // A name may contain characters that are not allowed in an entity tag.
            etag: format!("\"{}.{index}\"", self.manifest.id),
            kind: if name.ends_with(".json") {
                "application/json"
            } else {
                "application/octet-stream"
            },
        })
    }
}

fn open(
    name: &str,
    path: Option<&Path>,
    fingerprint: &mut Fingerprint,
) -> std::io::Result<(Content, u64)> {
    if let Some(path) = path {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        fingerprint.add(name, metadata.len(), &mut file)?;
        return Ok((Content::of_file(path.to_owned(), &metadata), metadata.len()));
    }
    let content = nano::content(name).ok_or(std::io::ErrorKind::NotFound)?;
    let bytes = content.len() as u64;
    fingerprint.add(name, bytes, &mut Cursor::new(&content))?;
    Ok((Content::of_memory(content), bytes))
}

/// The name of a folder, also of `.` and `..`.
fn name_of(folder: &Path) -> String {
    let path: PathBuf = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    path.file_name().map_or_else(
        || folder.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}
