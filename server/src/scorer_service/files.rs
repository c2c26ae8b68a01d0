//! The files of a scorer, as they are served.

use super::{fingerprint::Id, nano};
use crate::byte_ranges::{Content, Representation};
use layers::{Device, ModelFiles};
use protocol::score::{ScorerFile, ScorerManifest};
use qwen3vl::{Inventory, LoadError, LoadOptions, Qwen3Vl};
use std::{
    fs::File,
    io::Cursor,
    path::{Path, PathBuf},
};

const NANO_NOTE: &str = "The nano scorer knows only the built-in robot and its tasks: of other videos its curve says \
                         nothing. The large Qwen3-VL models are zero-shot: start the studio with --scorer DIR.";
const ZERO_SHOT_NOTE: &str = "Zero-shot: this model has not been trained to score robots. Hold its curve against the \
                              controls beneath it.";

/// A folder that cannot be hosted as a scorer.
#[derive(Debug, thiserror::Error)]
pub enum ScorerError {
    /// The binary has no weights inside.
    #[error(
        "this binary was built without the nano scorer (models/nano/qwen3vl was missing then); give a Qwen3-VL checkpoint \
         with --scorer DIR"
    )]
    NoNano,
    /// It is no Qwen3-VL checkpoint, or a broken one.
    #[error("{name} cannot be the scorer: {error}")]
    Model {
        /// Folder or name.
        name: String,
        /// What is wrong.
        error: Box<LoadError>,
    },
    /// A file of it cannot be read.
    #[error("cannot read {file}: {source}")]
    Io {
        /// Which.
        file: String,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// The files that a scorer is made of, and what they say about themselves. No weight is in memory, but for the nano's.
#[derive(Debug)]
pub struct ScorerFiles {
    model: ModelFiles,
    manifest: ScorerManifest,
    /// In the order of the manifest's files.
    contents: Vec<Content>,
}

impl ScorerFiles {
    /// The scorer inside the binary.
    ///
    /// # Errors
    /// [`ScorerError::NoNano`], [`ScorerError::Model`].
    pub fn nano() -> Result<Self, ScorerError> {
        let model = nano::model_files().ok_or(ScorerError::NoNano)?;
        Self::read("nano".to_owned(), model, None)
    }

    /// A folder in the published layout. Its weights are not loaded, but for their headers.
    ///
    /// # Errors
    /// [`ScorerError::Model`] where it is no Qwen3-VL checkpoint, [`ScorerError::Io`].
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
        let mut id = Id::new();
        let mut files = Vec::new();
        let mut contents = Vec::new();
        for name in inventory.files {
            let path = folder.map(|folder| folder.join(&name));
            let (content, bytes) =
                open(&name, path.as_deref(), &mut id).map_err(|source| ScorerError::Io {
                    file: path.map_or_else(|| name.clone(), |path| path.display().to_string()),
                    source,
                })?;
            files.push(ScorerFile { name, bytes });
            contents.push(content);
        }
        let is_nano = folder.is_none();
        Ok(Self {
            model,
            manifest: ScorerManifest {
                name,
                id: id.finish(),
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

    /// What they say about themselves; nothing of where they could be scored with.
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

    /// A file by its name, if the manifest has it. There is no way from a name to any other file.
    pub(crate) fn find(&self, name: &str) -> Option<Representation> {
        let place = self
            .manifest
            .files
            .iter()
            .position(|file| file.name == name)?;
        Some(Representation {
            content: self.contents.get(place)?.clone(),
            // A name may hold what a tag must not.
            etag: format!("\"{}.{place}\"", self.manifest.id),
            kind: if name.ends_with(".json") {
                "application/json"
            } else {
                "application/octet-stream"
            },
        })
    }
}

fn open(name: &str, path: Option<&Path>, id: &mut Id) -> std::io::Result<(Content, u64)> {
    if let Some(path) = path {
        let mut file = File::open(path)?;
        let about = file.metadata()?;
        id.add(name, about.len(), &mut file)?;
        return Ok((Content::of_file(path.to_owned(), &about), about.len()));
    }
    let content = nano::content(name).ok_or(std::io::ErrorKind::NotFound)?;
    let bytes = content.len() as u64;
    id.add(name, bytes, &mut Cursor::new(&content))?;
    Ok((Content::of_memory(content), bytes))
}

/// The name of a folder, also of `.` and `..`.
fn name_of(folder: &Path) -> String {
    let whole: PathBuf = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    whole.file_name().map_or_else(
        || folder.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}
