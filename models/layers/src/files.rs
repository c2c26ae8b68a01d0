//! The files of a model, from a folder or from memory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use field_files::{Foreign, Limit, ReadError};

/// A model's files by their names relative to its folder, such as `config.json`.
#[derive(Debug)]
pub struct ModelFiles {
    storage: Storage,
}

/// Location of the bytes of a model's files.
#[derive(Debug)]
pub(crate) enum Storage {
    Folder(PathBuf),
    Memory(BTreeMap<String, Cow<'static, [u8]>>),
    Store(Arc<dyn FileStore>),
}

/// Files that are neither in a folder nor in memory, such as those that a browser keeps for a page.
pub trait FileStore: std::fmt::Debug + Send + Sync {
    /// Name of the model that the files belong to, for messages.
    fn name(&self) -> String;

    /// Bytes of the file `name`, or `None` if there is no such file.
    ///
    /// # Errors
    /// Any failure to look the file up.
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
    /// [`FileError::Missing`] if there is no such folder, [`FileError::Read`] if it may not be looked at.
    pub fn open_dir(folder: &Path) -> Result<Self, FileError> {
        match std::fs::metadata(folder) {
            Ok(about) if about.is_dir() => {}
            Err(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Err(ReadError::opening(folder, error).into());
            }
            _ => {
                return Err(FileError::Missing {
                    name: folder.display().to_string(),
                });
            }
        }
        Ok(Self {
            storage: Storage::Folder(folder.to_owned()),
        })
    }

    /// Files already in memory, for a model embedded in a binary or fetched by a page.
    pub fn from_memory(files: impl IntoIterator<Item = (String, Cow<'static, [u8]>)>) -> Self {
        Self {
            storage: Storage::Memory(files.into_iter().collect()),
        }
    }

    /// Files of a store. Weights are read a few megabytes at a time when they are needed.
    pub fn from_store(store: Arc<dyn FileStore>) -> Self {
        Self {
            storage: Storage::Store(store),
        }
    }

    /// Name for people: the folder's, the store's, or "memory".
    pub fn name(&self) -> String {
        match &self.storage {
            Storage::Folder(folder) => folder.file_name().map_or_else(
                || folder.display().to_string(),
                |name| name.to_string_lossy().into_owned(),
            ),
            Storage::Memory(_) => "memory".to_owned(),
            Storage::Store(store) => store.name(),
        }
    }

    /// Bytes of the file `name`, which must exist.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn read(&self, name: &str) -> Result<Cow<'_, [u8]>, FileError> {
        self.find(name)?.ok_or_else(|| FileError::Missing {
            name: match &self.storage {
                Storage::Folder(folder) => folder.join(name).display().to_string(),
                Storage::Memory(_) | Storage::Store(_) => name.to_owned(),
            },
        })
    }

    /// Bytes of the file `name`, or `None` if there is no such file.
    ///
    /// # Errors
    /// [`FileError::Read`] if it is there and cannot be read, or is not what its name says.
    pub fn find(&self, name: &str) -> Result<Option<Cow<'_, [u8]>>, FileError> {
        match &self.storage {
            Storage::Folder(folder) => Ok(find_in(folder, name)?.map(Cow::Owned)),
            Storage::Memory(files) => match files.get(name) {
                Some(bytes) => {
                    genuine(name, bytes)?;
                    Ok(Some(Cow::Borrowed(&**bytes)))
                }
                None => Ok(None),
            },
            Storage::Store(store) => Ok(whole(&**store, name, Limit::of(name))?.map(Cow::Owned)),
        }
    }

    /// The folder that the files are in, if they are in one.
    pub fn folder(&self) -> Option<&Path> {
        match &self.storage {
            Storage::Folder(folder) => Some(folder),
            Storage::Memory(_) | Storage::Store(_) => None,
        }
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.storage
    }
}

/// Bytes of the file `name` in `folder`, or `None` if there is no such file.
///
/// # Errors
/// [`ReadError`] if it is there and cannot be read, is not what its name says, or is too large to be that.
pub(crate) fn find_in(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, ReadError> {
    let path = folder.join(name);
    if !field_files::is_there(&path)? {
        return Ok(None);
    }
    field_files::read(&path, Limit::of(name)).map(Some)
}

/// Checks that `bytes` are not a stand-in for the file `name`.
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
