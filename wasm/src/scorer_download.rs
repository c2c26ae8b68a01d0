//! Downloads a scorer's files into the tab by range requests of a few megabytes.

use std::collections::BTreeMap;

use js_sys::Uint8Array;
use protocol::score::{ScorerFile, ScorerManifest};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Request, RequestInit, Response};

use crate::opfs_cache::{self, CachedFile};
use crate::worker_scope::{error_text, global_scope};

/// Bytes of one range request: small enough to cancel soon and lose little, large enough for a fast connection.
const RANGE_BYTES: u64 = 4 << 20;
/// Largest total size of files held in memory where the browser offers no storage.
const MAX_IN_MEMORY: u64 = 512 << 20;

/// Result of a download.
pub(crate) struct Download {
    /// The files by name.
    pub(crate) files: BTreeMap<String, CachedFile>,
    /// Bytes received over the network.
    pub(crate) bytes: u64,
    /// True if the files stay in the browser's storage for the next visit.
    pub(crate) is_kept: bool,
}

/// The folder in the browser's storage for the files, or `None` to hold them in memory if they are small.
///
/// # Errors
/// A message if they fit in neither.
pub(crate) async fn open_storage(
    manifest: &ScorerManifest,
) -> Result<Option<web_sys::FileSystemDirectoryHandle>, String> {
    let bytes = manifest.bytes();
    let why = match opfs_cache::folder(&manifest.id).await {
        Err(why) => why,
        // Cached files count as used storage, so requiring room for all of them is conservative.
        Ok(folder) => match opfs_cache::available_bytes().await {
            Some(room) if room < bytes && bytes > MAX_IN_MEMORY => {
                format!("the browser has room for {} more", megabytes(room))
            }
            _ => return Ok(Some(folder)),
        },
    };
    if bytes <= MAX_IN_MEMORY {
        return Ok(None);
    }
    Err(format!(
        "its files take {}, and this browser cannot store them: {why}",
        megabytes(bytes)
    ))
}

/// Downloads what is not cached. `on_progress` receives the bytes present, and the bytes that were cached before.
///
/// # Errors
/// A message; received bytes stay cached.
pub(crate) async fn fetch_all(
    url: &str,
    manifest: &ScorerManifest,
    folder: Option<&web_sys::FileSystemDirectoryHandle>,
    signal: &AbortSignal,
    on_progress: &mut dyn FnMut(u64, u64),
) -> Result<Download, String> {
    let mut files_to_fetch = Vec::new();
    let mut is_kept = folder.is_some();
    let mut cached_bytes = 0;
    for file in &manifest.files {
        let mut cached = match folder {
            None => CachedFile::Memory(Vec::new()),
            Some(folder) => match opfs_cache::open(folder, &file.name).await {
                Ok(cached) => cached,
                // Another tab has it open: this tab downloads its own copy, if it fits in memory.
                Err(_) if file.bytes <= MAX_IN_MEMORY => {
                    is_kept = false;
                    CachedFile::Memory(Vec::new())
                }
                Err(why) => {
                    return Err(format!(
                        "{} cannot be stored: {why}; is the studio open in another tab?",
                        file.name
                    ));
                }
            },
        };
        if cached.len()? > file.bytes {
            cached.clear()?;
        }
        cached_bytes += cached.len()?;
        files_to_fetch.push((file, cached));
    }
    on_progress(cached_bytes, cached_bytes);
    let mut received = cached_bytes;
    let mut files = BTreeMap::new();
    for (file, mut cached) in files_to_fetch {
        loop {
            let from = cached.len()?;
            if from >= file.bytes {
                break;
            }
            let bytes = fetch_range(url, file, from, signal).await?;
            cached
                .append(&bytes)
                .map_err(|why| format!("{} cannot be stored: {why}", file.name))?;
            received += bytes.len() as u64;
            on_progress(received, cached_bytes);
        }
        files.insert(file.name.clone(), cached);
    }
    Ok(Download {
        files,
        bytes: received - cached_bytes,
        is_kept,
    })
}

/// The bytes of a file from `from` on.
async fn fetch_range(
    url: &str,
    file: &ScorerFile,
    from: u64,
    signal: &AbortSignal,
) -> Result<Vec<u8>, String> {
    let to = (from + RANGE_BYTES).min(file.bytes);
    let failed = |what: String| {
        format!(
            "{} could not be downloaded from byte {from}: {what}",
            file.name
        )
    };
    let init = RequestInit::new();
    init.set_signal(Some(signal));
    let request = Request::new_with_str_and_init(&format!("{url}/files/{}", file.name), &init)
        .map_err(|error| failed(error_text(&error)))?;
    request
        .headers()
        .set("Range", &format!("bytes={from}-{}", to - 1))
        .map_err(|error| failed(error_text(&error)))?;
    let response: Response = JsFuture::from(global_scope().fetch_with_request(&request))
        .await
        .map_err(|error| failed(error_text(&error)))?
        .unchecked_into();
    if response.status() != 206 {
        return Err(failed(format!(
            "the studio answered {} instead of a part of the file",
            response.status()
        )));
    }
    let buffer = response
        .array_buffer()
        .map_err(|error| failed(error_text(&error)))?;
    let buffer = JsFuture::from(buffer)
        .await
        .map_err(|error| failed(error_text(&error)))?;
    let bytes = Uint8Array::new(&buffer).to_vec();
    if bytes.len() as u64 == to - from {
        Ok(bytes)
    } else {
        Err(failed(format!(
            "{} bytes arrived instead of {}; the studio's checkpoint has changed, reload the page",
            bytes.len(),
            to - from
        )))
    }
}

pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
