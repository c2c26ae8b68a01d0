//! The files of a model, from a folder or from memory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use field_files::{Foreign, Limit, ReadError};

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
    Store(Arc<dyn FileStore>),
}

/// Files that are neither in a folder nor in memory, such as those that a browser keeps for a page.
pub trait FileStore: std::fmt::Debug + Send + Sync {
    /// For people: what the files belong to.
    fn name(&self) -> String;

    /// Bytes of the file `name`, or `None` if there is no such file.
    ///
    /// # Errors
    /// What kept it from being looked at.
    fn len(&self, name: &str) -> io::Result<Option<u64>>;

    /// Fills `bytes` with those of the file `name` from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] when the file ends before, [`io::ErrorKind::NotFound`] when it is not there.
    fn read_at(&self, name: &str, offset: u64, bytes: &mut [u8]) -> io::Result<()>;
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
    /// It is there but could not be read, is not what its name says, or is too large to be that.
    #[error(transparent)]
    Read(#[from] ReadError),
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

    /// Files of a store. Weights are read a few megabytes at a time when they are needed.
    pub fn from_store(store: Arc<dyn FileStore>) -> Self {
        Self {
            source: Source::Store(store),
        }
    }

    /// Name for people: the folder's, the store's, or "memory".
    pub fn name(&self) -> String {
        match &self.source {
            Source::Folder(folder) => folder.file_name().map_or_else(
                || folder.display().to_string(),
                |name| name.to_string_lossy().into_owned(),
            ),
            Source::Memory(_) => "memory".to_owned(),
            Source::Store(store) => store.name(),
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
                Source::Memory(_) | Source::Store(_) => name.to_owned(),
            },
        })
    }

    /// Bytes of the file `name`, or `None` if there is no such file.
    ///
    /// # Errors
    /// [`FileError::Read`] if it is there and cannot be read, or is not what its name says.
    pub fn find(&self, name: &str) -> Result<Option<Cow<'_, [u8]>>, FileError> {
        match &self.source {
            Source::Folder(folder) => Ok(find_in(folder, name)?.map(Cow::Owned)),
            Source::Memory(files) => match files.get(name) {
                Some(bytes) => {
                    genuine(name, bytes)?;
                    Ok(Some(Cow::Borrowed(&**bytes)))
                }
                None => Ok(None),
            },
            Source::Store(store) => Ok(whole(&**store, name, Limit::of(name))?.map(Cow::Owned)),
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
            Source::Store(store) => Checkpoint::open_store(store),
        }
    }
}

/// Bytes of the file `name` in `folder`, or `None` if there is no such file.
///
/// # Errors
/// [`ReadError`] if it is there and cannot be read, is not what its name says, or is too large to be that.
pub fn find_in(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, ReadError> {
    let path = folder.join(name);
    // A link that leads nowhere is a file that was lost, not one that never was.
    if !path.is_file() && Foreign::broken_link(&path).is_none() {
        return Ok(None);
    }
    field_files::read(&path, Limit::of(name)).map(Some)
}

/// That `bytes` are not a stand-in for the file `name`.
fn genuine(name: &str, bytes: &[u8]) -> Result<(), ReadError> {
    match Foreign::of(bytes, bytes.len() as u64) {
        Some(foreign) => Err(ReadError::Foreign {
            file: name.to_owned(),
            foreign,
        }),
        None => Ok(()),
    }
}

/// All bytes of a store's file, or `None` if there is no such file.
pub(crate) fn whole(
    store: &dyn FileStore,
    name: &str,
    limit: Limit,
) -> Result<Option<Vec<u8>>, ReadError> {
    let io = |source| ReadError::Io {
        file: name.to_owned(),
        source,
    };
    let Some(size) = store.len(name).map_err(io)? else {
        return Ok(None);
    };
    if size > limit.0 {
        return Err(ReadError::TooLarge {
            file: name.to_owned(),
            size,
            limit: limit.0,
        });
    }
    let bytes = usize::try_from(size).map_err(|error| io(io::Error::other(error)))?;
    let mut content = vec![0; bytes];
    store.read_at(name, 0, &mut content).map_err(io)?;
    genuine(name, &content)?;
    Ok(Some(content))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Debug)]
    struct Kept(BTreeMap<&'static str, Vec<u8>>);

    impl FileStore for Kept {
        fn name(&self) -> String {
            "kept".to_owned()
        }

        fn len(&self, name: &str) -> io::Result<Option<u64>> {
            Ok(self.0.get(name).map(|bytes| bytes.len() as u64))
        }

        fn read_at(&self, name: &str, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
            let content = self.0.get(name).ok_or(io::ErrorKind::NotFound)?;
            let from = offset as usize;
            let part = content.get(from..from + bytes.len());
            bytes.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        }
    }

    /// Two tensors in two files, as an index names them.
    fn shard(name: &str, value: f32) -> Vec<u8> {
        let header = format!(r#"{{"{name}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}"#);
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(value.to_le_bytes());
        bytes
    }

    fn store(files: &[(&'static str, Vec<u8>)]) -> ModelFiles {
        ModelFiles::from_store(Arc::new(Kept(files.iter().cloned().collect())))
    }

    #[test]
    fn a_store_reads_as_a_folder_does() {
        let index = br#"{"weight_map":{"a":"one.safetensors","b":"two.safetensors"}}"#.to_vec();
        let mut kept = vec![
            ("config.json", b"{}".to_vec()),
            ("model.safetensors.index.json", index),
            ("one.safetensors", shard("a", 1.5)),
            ("two.safetensors", shard("b", -2.0)),
        ];
        let files = store(&kept);
        assert_eq!(&*files.read("config.json").unwrap(), b"{}");
        assert!(files.find("tokenizer.json").unwrap().is_none());
        let checkpoint = files.checkpoint().unwrap();
        assert_eq!(checkpoint.parameters(), 2);
        kept.pop();
        assert!(matches!(
            store(&kept).checkpoint(),
            Err(CheckpointError::MissingShards { missing, of: 2, .. }) if missing == ["two.safetensors"]
        ));
        let single = store(&[("model.safetensors", shard("a", 1.0))]);
        assert_eq!(single.checkpoint().unwrap().parameters(), 1);
        assert!(matches!(
            store(&[]).checkpoint(),
            Err(CheckpointError::NoWeights { .. })
        ));
    }
}
