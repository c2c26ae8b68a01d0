//! The files of a model, from a folder or from memory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::checkpoint::Checkpoint;
use crate::error::CheckpointError;

/// A model's files by their names relative to its folder, such as `config.json`.
#[derive(Debug)]
pub struct ModelFiles {
    source: Source,
}

#[derive(Debug)]
enum Source {
    Folder(PathBuf),
    Memory(BTreeMap<String, Cow<'static, [u8]>>),
}

/// A file of a model could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not there.
    #[error("{name} is missing")]
    Missing {
        /// The file, with its folder if it has one.
        name: String,
    },
    /// It is there but could not be read.
    #[error("cannot read {file}: {source}")]
    Io {
        /// Path of the file.
        file: String,
        /// What the operating system said.
        source: std::io::Error,
    },
}

impl ModelFiles {
    /// The files in a folder. Weights are read tensor by tensor when they are needed.
    ///
    /// # Errors
    /// [`FileError::Missing`] if there is no such folder.
    pub fn open_dir(folder: &Path) -> Result<Self, FileError> {
        if !folder.is_dir() {
            return Err(FileError::Missing {
                name: folder.display().to_string(),
            });
        }
        Ok(Self {
            source: Source::Folder(folder.to_owned()),
        })
    }

    /// Files already in memory, for a model embedded in a binary or fetched by a page.
    pub fn from_memory(files: impl IntoIterator<Item = (String, Cow<'static, [u8]>)>) -> Self {
        Self {
            source: Source::Memory(files.into_iter().collect()),
        }
    }

    /// Name for people: the folder's, or "memory".
    pub fn name(&self) -> String {
        match &self.source {
            Source::Folder(folder) => folder.file_name().map_or_else(
                || folder.display().to_string(),
                |name| name.to_string_lossy().into_owned(),
            ),
            Source::Memory(_) => "memory".to_owned(),
        }
    }

    /// Bytes of the file `name`, which must exist.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn read(&self, name: &str) -> Result<Cow<'_, [u8]>, FileError> {
        self.find(name)?.ok_or_else(|| FileError::Missing {
            name: match &self.source {
                Source::Folder(folder) => folder.join(name).display().to_string(),
                Source::Memory(_) => name.to_owned(),
            },
        })
    }

    /// Bytes of the file `name`, or `None` if there is no such file.
    ///
    /// # Errors
    /// [`FileError::Io`] if it is there and cannot be read.
    pub fn find(&self, name: &str) -> Result<Option<Cow<'_, [u8]>>, FileError> {
        match &self.source {
            Source::Folder(folder) => {
                let path = folder.join(name);
                if !path.is_file() {
                    return Ok(None);
                }
                match std::fs::read(&path) {
                    Ok(bytes) => Ok(Some(Cow::Owned(bytes))),
                    Err(source) => Err(FileError::Io {
                        file: path.display().to_string(),
                        source,
                    }),
                }
            }
            Source::Memory(files) => Ok(files.get(name).map(|bytes| Cow::Borrowed(&**bytes))),
        }
    }

    /// The weights: the `model*.safetensors` files.
    ///
    /// # Errors
    /// As [`Checkpoint::open_dir`].
    pub fn checkpoint(&self) -> Result<Checkpoint, CheckpointError> {
        match &self.source {
            Source::Folder(folder) => Checkpoint::open_dir(folder),
            // Borrowed bytes are shared, not copied; owned ones are copied once.
            Source::Memory(files) => Checkpoint::from_memory(
                files
                    .iter()
                    .filter(|(name, _)| name.starts_with("model") && name.contains(".safetensors"))
                    .map(|(name, bytes)| (name.clone(), bytes.clone())),
            ),
        }
    }
}
