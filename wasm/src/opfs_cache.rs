//! A cache of model files in the browser's origin private file system (OPFS).
//!
//! Weights are never in the worker's memory as a whole: they go from the network to a cached file a few megabytes at a
//! time, and from there to the device tensor by tensor. An interrupted download keeps the bytes received, so the next
//! visit continues where the last one stopped.

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

/// Folder of all scorers.
const SCORERS: &str = "scorers";

/// A file being written or read.
pub(crate) enum CachedFile {
    /// In the browser's private file system, opened exclusively by this tab.
    Disk(FileSystemSyncAccessHandle),
    /// In memory, where the browser offers no storage.
    Memory(Vec<u8>),
}

impl CachedFile {
    /// Size (bytes).
    pub(crate) fn len(&self) -> Result<u64, String> {
        match self {
            Self::Disk(handle) => handle
                .get_size()
                .map(|bytes| bytes as u64)
                .map_err(|error| error_text(&error)),
            Self::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    /// Appends bytes.
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
            Self::Memory(stored) => {
                stored.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Truncates the file to zero bytes.
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
            // Only now can another tab open it.
            handle.close();
        }
    }
}

thread_local! {
    /// Handles belong to this thread, but a store of files must be `Send`: it refers to its handles by number.
    static OPEN: RefCell<BTreeMap<u64, BTreeMap<String, CachedFile>>> = const { RefCell::new(BTreeMap::new()) };
}

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A set of open files that a model is loaded from; closed on drop.
#[derive(Debug)]
struct OpenFiles {
    number: u64,
    name: String,
}

/// The files of a model.
pub(crate) fn model_files(name: &str, files: BTreeMap<String, CachedFile>) -> ModelFiles {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    OPEN.with_borrow_mut(|open| open.insert(number, files));
    ModelFiles::from_store(Arc::new(OpenFiles {
        number,
        name: name.to_owned(),
    }))
}

impl Drop for OpenFiles {
    fn drop(&mut self) {
        OPEN.with_borrow_mut(|open| open.remove(&self.number));
    }
}

impl FileStore for OpenFiles {
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

/// The folder of a scorer's files.
///
/// # Errors
/// A message if this browser offers no storage.
pub(crate) async fn folder(id: &str) -> Result<FileSystemDirectoryHandle, String> {
    let scorers = subfolder(&root().await?, SCORERS).await?;
    subfolder(&scorers, id).await
}

/// Opens a file of a folder and creates it if it does not exist.
///
/// # Errors
/// A message, also when another tab has it open.
pub(crate) async fn open(
    folder: &FileSystemDirectoryHandle,
    name: &str,
) -> Result<CachedFile, String> {
    let options = FileSystemGetFileOptions::new();
    options.set_create(true);
    // The name of a shard must not be a path.
    let name = name.replace('/', "_");
    let file: FileSystemFileHandle =
        settled(folder.get_file_handle_with_options(&name, &options)).await?;
    let handle: FileSystemSyncAccessHandle = settled(file.create_sync_access_handle()).await?;
    Ok(CachedFile::Disk(handle))
}

/// Deletes the files of every scorer.
///
/// # Errors
/// A message, also while another tab has one open.
pub(crate) async fn delete_all() -> Result<(), String> {
    let root = root().await?;
    // Created first, because removing a folder that does not exist is an error.
    let options = FileSystemGetDirectoryOptions::new();
    options.set_create(true);
    settled::<JsValue>(root.get_directory_handle_with_options(SCORERS, &options)).await?;
    let options = FileSystemRemoveOptions::new();
    options.set_recursive(true);
    settled::<JsValue>(root.remove_entry_with_options(SCORERS, &options)).await?;
    Ok(())
}

/// Storage that the browser still offers this page (bytes), where it reports it.
pub(crate) async fn available_bytes() -> Option<u64> {
    let estimate = global_scope().navigator().storage().estimate().ok()?;
    let estimate: StorageEstimate = JsFuture::from(estimate).await.ok()?.unchecked_into();
    let number = |key: &str| property(&estimate, key).as_f64();
    Some((number("quota")? - number("usage").unwrap_or(0.0)).max(0.0) as u64)
}

async fn root() -> Result<FileSystemDirectoryHandle, String> {
    let storage = property(&global_scope().navigator(), "storage");
    if property(&storage, "getDirectory").is_undefined() {
        return Err("this browser offers pages no file storage".to_owned());
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
