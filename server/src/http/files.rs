//! The page embedded in the binary, served compressed where the build made a compressed copy.
//!
//! With `POLICY_STUDIO_PAGE=DIR` the page is read from that folder at every request instead, for work on the page.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::{
    path::{Component, Path, PathBuf},
    sync::LazyLock,
};

/// Output of `cargo xtask page`.
#[derive(RustEmbed)]
#[folder = "../dist"]
struct Page;

static FOLDER: LazyLock<Option<PathBuf>> =
    LazyLock::new(|| std::env::var_os("POLICY_STUDIO_PAGE").map(PathBuf::from));

/// A file of the page.
fn get(path: &str) -> Option<EmbeddedFile> {
    match &*FOLDER {
        Some(folder) => from_folder(folder, path),
        None => Page::get(path),
    }
}

/// A file of a folder; `None` if the path leaves the folder.
fn from_folder(folder: &Path, path: &str) -> Option<EmbeddedFile> {
    let path = Path::new(path);
    let is_inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !is_inside {
        return None;
    }
    rust_embed::utils::read_file_from_fs(&folder.join(path)).ok()
}

/// The build puts a hash of the content into these names, so they never change.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// Everything else is requested again and answered with "not modified" while unchanged.
const REVALIDATE: &str = "no-cache";

const NOT_BUILT: &str = include_str!("not_built.html");

/// Sizes of the embedded page, for `doctor` and `bench`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PageInfo {
    /// True if a page is embedded.
    pub built: bool,
    /// Number of files, without their compressed copies.
    pub files: usize,
    /// Bytes of those files.
    pub bytes: usize,
    /// Bytes of everything as a browser that takes brotli receives it.
    pub brotli_bytes: usize,
    /// Bytes of the wasm modules.
    pub wasm_bytes: usize,
    /// The wasm modules as a browser that takes brotli receives them.
    pub wasm_brotli_bytes: usize,
}

/// Sizes of the embedded page.
pub fn page_info() -> PageInfo {
    let mut info = PageInfo {
        built: Page::get("index.html").is_some(),
        files: 0,
        bytes: 0,
        brotli_bytes: 0,
        wasm_bytes: 0,
        wasm_brotli_bytes: 0,
    };
    for path in Page::iter().filter(|path| !is_hidden(path)) {
        let Some(file) = Page::get(&path) else {
            continue;
        };
        let packed = Page::get(&format!("{path}.br")).map_or(file.data.len(), |br| br.data.len());
        info.files += 1;
        info.bytes += file.data.len();
        info.brotli_bytes += packed;
        if path.ends_with(".wasm") {
            info.wasm_bytes += file.data.len();
            info.wasm_brotli_bytes += packed;
        }
    }
    info
}

/// True for files that are not served under their name: compressed copies, which are chosen by header, and the build's notes,
/// which begin with a dot.
fn is_hidden(path: &str) -> bool {
    path.ends_with(".br") || path.ends_with(".gz") || path.starts_with('.')
}

/// The page itself, if it is built.
pub(super) fn index() -> Option<std::borrow::Cow<'static, [u8]>> {
    get("index.html").map(|file| file.data)
}

/// Answers a GET for a path of the page. A path without a file extension gets the page itself, so that links into it work.
pub(crate) fn serve(path: &str, headers: &HeaderMap) -> Response {
    let path = path.trim_start_matches('/');
    let name = if path.is_empty() { "index.html" } else { path };
    if !is_hidden(name)
        && let Some(response) = file(name, headers)
    {
        return response;
    }
    let names_a_file = name
        .rsplit('/')
        .next()
        .is_some_and(|last| last.contains('.'));
    if names_a_file && name != "index.html" {
        return (StatusCode::NOT_FOUND, format!("there is no /{name} here\n")).into_response();
    }
    let folders = name.matches('/').count();
    let page = if folders == 0 {
        file("index.html", headers)
    } else {
        page_below(folders)
    };
    page.unwrap_or_else(|| (StatusCode::SERVICE_UNAVAILABLE, Html(NOT_BUILT)).into_response())
}

/// The page for a path of `folders` folders. Its file names are relative to the root, wherever a proxy has put that.
fn page_below(folders: usize) -> Option<Response> {
    let plain = get("index.html")?;
    let page = rebased(&String::from_utf8_lossy(&plain.data), folders);
    Some(([(header::CACHE_CONTROL, REVALIDATE)], Html(page)).into_response())
}

/// The page with a base address `folders` folders up.
fn rebased(page: &str, folders: usize) -> String {
    let base = format!("<head><base href=\"{}\">", "../".repeat(folders));
    page.replacen("<head>", &base, 1)
}

fn file(path: &str, headers: &HeaderMap) -> Option<Response> {
    let plain = get(path)?;
    let etag = etag(&plain);
    let cache = if is_hashed(path) { FOREVER } else { REVALIDATE };
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| known.split(',').any(|one| one.trim() == etag)) {
        return Some(
            (
                StatusCode::NOT_MODIFIED,
                [
                    (header::ETAG, etag),
                    (header::CACHE_CONTROL, cache.to_owned()),
                ],
            )
                .into_response(),
        );
    }
    let (encoding, content) =
        compressed(path, headers).map_or((None, plain), |(encoding, file)| (Some(encoding), file));
    let mut response = Response::new(Body::from(content.data));
    let all = response.headers_mut();
    let mime = mime_guess::from_path(path).first_or_octet_stream();
    let kind = if mime.type_() == mime_guess::mime::TEXT {
        format!("{mime}; charset=utf-8")
    } else {
        mime.to_string()
    };
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::ETAG, etag),
        (header::CACHE_CONTROL, cache.to_owned()),
        (header::VARY, "Accept-Encoding".to_owned()),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            all.insert(name, value);
        }
    }
    all.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if let Some(encoding) = encoding {
        all.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    Some(response)
}

fn compressed(path: &str, headers: &HeaderMap) -> Option<(&'static str, EmbeddedFile)> {
    let accepted = headers.get(header::ACCEPT_ENCODING)?.to_str().ok()?;
    [("br", "br"), ("gzip", "gz")]
        .into_iter()
        .filter(|(encoding, _)| accepts(accepted, encoding))
        .find_map(|(encoding, ending)| Some((encoding, get(&format!("{path}.{ending}"))?)))
}

/// True if an `Accept-Encoding` header names the encoding and does not exclude it with `q=0`.
fn accepts(accepted: &str, encoding: &str) -> bool {
    accepted.split(',').any(|offer| {
        let mut parts = offer.split(';').map(str::trim);
        let named = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        let refused = parts.any(|part| {
            part.strip_prefix("q=")
                .and_then(|q| q.parse::<f32>().ok())
                .is_some_and(|q| q <= 0.0)
        });
        named && !refused
    })
}

fn etag(file: &EmbeddedFile) -> String {
    let hash = file.metadata.sha256_hash();
    let hex: String = hash
        .iter()
        .take(12)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("\"{hex}\"")
}

/// True for names with a content hash of at least 8 hex digits, as in `page-3f2a9c01d2e4b5a6.js` and
/// `page-3f2a9c01d2e4b5a6_bg.wasm`.
fn is_hashed(path: &str) -> bool {
    path.split(['-', '.', '_', '/'])
        .skip(1)
        .any(|part| part.len() >= 8 && part.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_never_leaves_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(from_folder(folder, "Cargo.toml").is_some());
        for path in ["../Cargo.toml", "src/../../Cargo.toml", "/etc/hosts", "src"] {
            assert!(from_folder(folder, path).is_none(), "{path}");
        }
    }

    #[test]
    fn an_encoding_is_used_only_if_accepted() {
        assert!(accepts("gzip, deflate, br", "br"));
        assert!(accepts("br;q=0.5", "br"));
        assert!(!accepts("br;q=0, gzip", "br"));
        assert!(!accepts("gzip", "br"));
        assert!(!accepts("brotli", "br"));
    }

    #[test]
    fn the_page_under_a_longer_path_loads_its_files_from_the_root() {
        let page = "<html><head><link href=\"./a.css\"></head></html>";
        assert_eq!(
            rebased(page, 2),
            "<html><head><base href=\"../../\"><link href=\"./a.css\"></head></html>"
        );
    }

    #[test]
    fn only_names_with_a_content_hash_are_kept_forever() {
        assert!(is_hashed("studio-page-3f2a9c01d2e4b5a6.js"));
        assert!(is_hashed("studio-page-3f2a9c01d2e4b5a6_bg.wasm"));
        assert!(!is_hashed("index.html"));
        assert!(!is_hashed("worker.js"));
    }
}
