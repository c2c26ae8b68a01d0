//! Bringing a scorer's files into the tab by range, a few megabytes at a time.

use std::collections::BTreeMap;

use js_sys::Uint8Array;
use protocol::score::{ScorerFile, ScorerManifest};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Request, RequestInit, Response};

use crate::opfs_cache::{self, CachedFile};
use crate::worker_scope::{error_text, global_scope};

/// Bytes asked for at a time: small enough to stop soon and lose little, large enough for a fast line.
const PIECE_BYTES: u64 = 4 << 20;
/// Without a place to keep files they are held in memory, up to this.
const MOST_IN_MEMORY: u64 = 512 << 20;

/// What came of it.
pub(crate) struct Fetched {
    /// The files under their names.
    pub(crate) files: BTreeMap<String, CachedFile>,
    /// Bytes that crossed the network.
    pub(crate) bytes: u64,
    /// Whether they were kept for the next visit.
    pub(crate) is_kept: bool,
}

/// Where the files will be: a folder that the browser keeps, or memory if they are few.
///
/// # Errors
/// That they do not fit, in words.
pub(crate) async fn place(
    manifest: &ScorerManifest,
) -> Result<Option<web_sys::FileSystemDirectoryHandle>, String> {
    let bytes = manifest.bytes();
    let why = match opfs_cache::folder(&manifest.id).await {
        Err(why) => why,
        // What is kept already counts as used, so room for all of it is more than is needed.
        Ok(folder) => match opfs_cache::room().await {
            Some(room) if room < bytes && bytes > MOST_IN_MEMORY => {
                format!("the browser has room for {} more", megabytes(room))
            }
            _ => return Ok(Some(folder)),
        },
    };
    if bytes <= MOST_IN_MEMORY {
        return Ok(None);
    }
    Err(format!(
        "its files are {}, and they cannot be kept here: {why}",
        megabytes(bytes)
    ))
}

/// Fetches what is not kept. `tell` is told bytes in the tab, and bytes of them that had been kept.
///
/// # Errors
/// In words; what has arrived is kept.
pub(crate) async fn fetch_all(
    url: &str,
    manifest: &ScorerManifest,
    folder: Option<&web_sys::FileSystemDirectoryHandle>,
    signal: &AbortSignal,
    tell: &mut dyn FnMut(u64, u64),
) -> Result<Fetched, String> {
    let mut opened = Vec::new();
    let mut is_kept = folder.is_some();
    let mut had = 0;
    for file in &manifest.files {
        let mut kept = match folder {
            None => CachedFile::Memory(Vec::new()),
            Some(folder) => match opfs_cache::open(folder, &file.name).await {
                Ok(kept) => kept,
                // Another tab has it: this one fetches it for itself, if it can.
                Err(_) if file.bytes <= MOST_IN_MEMORY => {
                    is_kept = false;
                    CachedFile::Memory(Vec::new())
                }
                Err(why) => {
                    return Err(format!(
                        "{} cannot be kept: {why}; is the studio open in another tab?",
                        file.name
                    ));
                }
            },
        };
        if kept.len()? > file.bytes {
            kept.clear()?;
        }
        had += kept.len()?;
        opened.push((file, kept));
    }
    tell(had, had);
    let mut received = had;
    let mut files = BTreeMap::new();
    for (file, mut kept) in opened {
        loop {
            let from = kept.len()?;
            if from >= file.bytes {
                break;
            }
            let piece = piece(url, file, from, signal).await?;
            kept.append(&piece)
                .map_err(|why| format!("{} cannot be kept: {why}", file.name))?;
            received += piece.len() as u64;
            tell(received, had);
        }
        files.insert(file.name.clone(), kept);
    }
    Ok(Fetched {
        files,
        bytes: received - had,
        is_kept,
    })
}

/// The bytes of a file from `from` on.
async fn piece(
    url: &str,
    file: &ScorerFile,
    from: u64,
    signal: &AbortSignal,
) -> Result<Vec<u8>, String> {
    let to = (from + PIECE_BYTES).min(file.bytes);
    let failed = |what: String| {
        format!(
            "{} could not be fetched from byte {from} on: {what}",
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
            "{} bytes came where {} were asked for; the studio's checkpoint has changed, reload the page",
            bytes.len(),
            to - from
        )))
    }
}

pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
