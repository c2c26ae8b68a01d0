//! Files that the browser keeps for this studio, in its private file system.
//!
//! Weights never lie in the worker's memory as a whole: they go from the network to a kept file a few megabytes at a
//! time, and from there to the device tensor by tensor. A file that was cut off is longer by what had arrived, so the
//! next visit goes on where the last one stopped.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use js_sys::Promise;
use layers::{FileStore, ModelFiles};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions,
    FileSystemGetFileOptions, FileSystemReadWriteOptions, FileSystemRemoveOptions,
    FileSystemSyncAccessHandle, StorageEstimate,
};

use crate::worker_scope::{error_text, global_scope, property};

/// Folder of all scorers in the page's private file system.
const SCORERS: &str = "scorers";

/// One file being filled or read.
pub(crate) enum CachedFile {
    /// In the browser's private file system, opened by this tab alone.
    Disk(FileSystemSyncAccessHandle),
    /// In memory, where the browser keeps nothing.
    Memory(Vec<u8>),
}

impl CachedFile {
    /// Bytes that are there.
    pub(crate) fn len(&self) -> Result<u64, String> {
        match self {
            Self::Disk(handle) => handle
                .get_size()
                .map(|bytes| bytes as u64)
                .map_err(|error| error_text(&error)),
            Self::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    /// Puts bytes at the end.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), String> {
        match self {
            Self::Disk(handle) => {
                let options = FileSystemReadWriteOptions::new();
                options.set_at(handle.get_size().map_err(|error| error_text(&error))?);
                let written = handle
                    .write_with_u8_array_and_options(bytes, &options)
                    .map_err(|error| error_text(&error))?;
                if written as usize == bytes.len() {
                    Ok(())
                } else {
                    Err("the browser's storage is full".to_owned())
                }
            }
            Self::Memory(kept) => {
                kept.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Throws away what is there.
    pub(crate) fn clear(&mut self) -> Result<(), String> {
        match self {
            Self::Disk(handle) => handle
                .truncate_with_u32(0)
                .map_err(|error| error_text(&error)),
            Self::Memory(bytes) => {
                bytes.clear();
                Ok(())
            }
        }
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Disk(handle) => {
                let options = FileSystemReadWriteOptions::new();
                options.set_at(offset as f64);
                let read = handle
                    .read_with_u8_array_and_options(into, &options)
                    .map_err(|error| io::Error::other(error_text(&error)))?;
                if read as usize == into.len() {
                    Ok(())
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                }
            }
            Self::Memory(bytes) => {
                let from = usize::try_from(offset).map_err(io::Error::other)?;
                let part = from
                    .checked_add(into.len())
                    .and_then(|to| bytes.get(from..to))
                    .ok_or(io::ErrorKind::UnexpectedEof)?;
                into.copy_from_slice(part);
                Ok(())
            }
        }
    }
}

impl Drop for CachedFile {
    fn drop(&mut self) {
        if let Self::Disk(handle) = self {
            // Another tab can open it only now.
            handle.close();
        }
    }
}

thread_local! {
    /// Handles belong to this thread, and a store of files may be named from any: a store is a number here.
    static OPEN: RefCell<BTreeMap<u64, BTreeMap<String, CachedFile>>> = const { RefCell::new(BTreeMap::new()) };
}

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Opened files under their names, as a model is read from them; closed when dropped.
#[derive(Debug)]
struct Opened {
    number: u64,
    name: String,
}

/// A model's files, of which `files` are all.
pub(crate) fn model_files(name: &str, files: BTreeMap<String, CachedFile>) -> ModelFiles {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    OPEN.with_borrow_mut(|open| open.insert(number, files));
    ModelFiles::from_store(Arc::new(Opened {
        number,
        name: name.to_owned(),
    }))
}

impl Drop for Opened {
    fn drop(&mut self) {
        OPEN.with_borrow_mut(|open| open.remove(&self.number));
    }
}

impl FileStore for Opened {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn len(&self, name: &str) -> io::Result<Option<u64>> {
        OPEN.with_borrow(|open| {
            open.get(&self.number)
                .and_then(|files| files.get(name))
                .map(|file| file.len().map_err(io::Error::other))
                .transpose()
        })
    }

    fn read_at(&self, name: &str, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        OPEN.with_borrow(|open| {
            open.get(&self.number)
                .and_then(|files| files.get(name))
                .ok_or(io::ErrorKind::NotFound)?
                .read_at(offset, bytes)
        })
    }
}

/// The folder in which a scorer's files are kept.
///
/// # Errors
/// Why this browser keeps nothing, in words.
pub(crate) async fn folder(id: &str) -> Result<FileSystemDirectoryHandle, String> {
    let scorers = subfolder(&root().await?, SCORERS).await?;
    subfolder(&scorers, id).await
}

/// Opens a file of a folder, made if it is not there.
///
/// # Errors
/// In words; also when another tab has it open.
pub(crate) async fn open(
    folder: &FileSystemDirectoryHandle,
    name: &str,
) -> Result<CachedFile, String> {
    let options = FileSystemGetFileOptions::new();
    options.set_create(true);
    // A shard's name may be anything but a path.
    let name = name.replace('/', "_");
    let file: FileSystemFileHandle =
        settled(folder.get_file_handle_with_options(&name, &options)).await?;
    let handle: FileSystemSyncAccessHandle = settled(file.create_sync_access_handle()).await?;
    Ok(CachedFile::Disk(handle))
}

/// Forgets the files of every scorer.
///
/// # Errors
/// In words; also while another tab has one open.
pub(crate) async fn forget_all() -> Result<(), String> {
    let root = root().await?;
    // One that is not there is forgotten.
    let options = FileSystemGetDirectoryOptions::new();
    options.set_create(true);
    settled::<JsValue>(root.get_directory_handle_with_options(SCORERS, &options)).await?;
    let options = FileSystemRemoveOptions::new();
    options.set_recursive(true);
    settled::<JsValue>(root.remove_entry_with_options(SCORERS, &options)).await?;
    Ok(())
}

/// Bytes that the browser would still keep for this page, where it says so.
pub(crate) async fn room() -> Option<u64> {
    let estimate = global_scope().navigator().storage().estimate().ok()?;
    let estimate: StorageEstimate = JsFuture::from(estimate).await.ok()?.unchecked_into();
    let number = |key: &str| property(&estimate, key).as_f64();
    Some((number("quota")? - number("usage").unwrap_or(0.0)).max(0.0) as u64)
}

async fn root() -> Result<FileSystemDirectoryHandle, String> {
    let storage = property(&global_scope().navigator(), "storage");
    if property(&storage, "getDirectory").is_undefined() {
        return Err("this browser keeps no files for pages".to_owned());
    }
    settled(global_scope().navigator().storage().get_directory()).await
}

async fn subfolder(
    folder: &FileSystemDirectoryHandle,
    name: &str,
) -> Result<FileSystemDirectoryHandle, String> {
    let options = FileSystemGetDirectoryOptions::new();
    options.set_create(true);
    settled(folder.get_directory_handle_with_options(name, &options)).await
}

async fn settled<T: JsCast>(promise: impl Into<Promise>) -> Result<T, String> {
    JsFuture::from(promise.into())
        .await
        .map(JsCast::unchecked_into)
        .map_err(|error| error_text(&error))
}
