//! The files of a policy, from a folder or from memory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use layers::Checkpoint;

use crate::error::LoadError;

/// A policy's files by their names relative to its folder, such as `config.json` or
/// `openfast/tokenizer.json`.
#[derive(Debug)]
pub struct Files {
    source: Source,
}

#[derive(Debug)]
enum Source {
    Folder(PathBuf),
    Memory(BTreeMap<String, Cow<'static, [u8]>>),
}

impl Files {
    /// The files in a folder. Weights are read tensor by tensor when they are needed.
    ///
    /// # Errors
    /// [`LoadError::MissingFile`] if there is no such folder.
    pub fn open_dir(folder: &Path) -> Result<Self, LoadError> {
        if !folder.is_dir() {
            return Err(LoadError::MissingFile {
                name: folder.display().to_string(),
            });
        }
        Ok(Self {
            source: Source::Folder(folder.to_owned()),
        })
    }

    /// Files already in memory, for a policy embedded in a binary or fetched by a page.
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
    /// [`LoadError::MissingFile`] or [`LoadError::Io`].
    pub fn read(&self, name: &str) -> Result<Cow<'_, [u8]>, LoadError> {
        self.find(name)?.ok_or_else(|| LoadError::MissingFile {
            name: match &self.source {
                Source::Folder(folder) => folder.join(name).display().to_string(),
                Source::Memory(_) => name.to_owned(),
            },
        })
    }

    /// Bytes of the file `name`, or `None` if there is no such file.
    ///
    /// # Errors
    /// [`LoadError::Io`] if it is there and cannot be read.
    pub fn find(&self, name: &str) -> Result<Option<Cow<'_, [u8]>>, LoadError> {
        match &self.source {
            Source::Folder(folder) => {
                let path = folder.join(name);
                if !path.is_file() {
                    return Ok(None);
                }
                match std::fs::read(&path) {
                    Ok(bytes) => Ok(Some(Cow::Owned(bytes))),
                    Err(source) => Err(LoadError::Io {
                        file: path.display().to_string(),
                        source,
                    }),
                }
            }
            Source::Memory(files) => Ok(files.get(name).map(|bytes| Cow::Borrowed(&**bytes))),
        }
    }

    /// The weights.
    ///
    /// # Errors
    /// [`LoadError::Checkpoint`].
    pub fn checkpoint(&self) -> Result<Checkpoint, LoadError> {
        Ok(match &self.source {
            Source::Folder(folder) => Checkpoint::open_dir(folder)?,
            // Borrowed bytes are shared, not copied; owned ones are copied once.
            Source::Memory(files) => Checkpoint::from_memory(
                files
                    .iter()
                    .filter(|(name, _)| name.contains(".safetensors"))
                    .map(|(name, bytes)| (name.clone(), bytes.clone())),
            )?,
        })
    }
}
