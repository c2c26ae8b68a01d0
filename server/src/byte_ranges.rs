//! Files by byte range: large ones that a page fetches in pieces, and videos in which it seeks.
//!
//! One range per request (RFC 9110, section 14). Any other request, several ranges included, gets the complete file, as
//! the standard allows.

use crate::peer_log::PeerLog;
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use std::{borrow::Cow, fmt, fs::Metadata, io, ops::Range, path::PathBuf, time::SystemTime};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
};

/// Bytes read at a time.
const PIECE_BYTES: u64 = 256 << 10;

/// Source of the served bytes.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// A file, with its size and modification time when it was opened first.
    File {
        path: PathBuf,
        bytes: u64,
        modified: Option<SystemTime>,
    },
    /// Bytes embedded in the binary.
    Memory(Bytes),
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => write!(f, "{}", path.display()),
            Self::Memory(bytes) => write!(f, "{} bytes of the binary", bytes.len()),
        }
    }
}

impl Content {
    pub(crate) fn of_file(path: PathBuf, metadata: &Metadata) -> Self {
        Self::File {
            path,
            bytes: metadata.len(),
            modified: metadata.modified().ok(),
        }
    }

    pub(crate) fn of_memory(content: Cow<'static, [u8]>) -> Self {
        Self::Memory(match content {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        })
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::File { bytes, .. } => *bytes,
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }

    async fn body(&self, range: Range<u64>) -> io::Result<Body> {
        match self {
            Self::Memory(bytes) => {
                let offset = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                Ok(Body::from(
                    bytes.slice(offset(range.start)..offset(range.end)),
                ))
            }
            Self::File {
                path,
                bytes,
                modified,
            } => {
                let mut file = File::open(path).await?;
                let metadata = file.metadata().await?;
                if metadata.len() != *bytes || metadata.modified().ok() != *modified {
                    return Err(io::Error::other(
                        "the file has changed since the studio started; restart the studio",
                    ));
                }
                file.seek(io::SeekFrom::Start(range.start)).await?;
                Ok(streamed(file, range.end - range.start))
            }
        }
    }
}

/// Streams the next `left` bytes of a file in pieces, each read when the previous one is sent.
fn streamed(file: File, left: u64) -> Body {
    let pieces = futures_util::stream::try_unfold((file, left), async |(mut file, left)| {
        if left == 0 {
            return Ok(None);
        }
        let size = usize::try_from(left.min(PIECE_BYTES)).map_err(io::Error::other)?;
        let mut piece = vec![0; size];
        let read = file.read(&mut piece).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        piece.truncate(read);
        Ok::<_, io::Error>(Some((Bytes::from(piece), (file, left - read as u64))))
    });
    Body::from_stream(pieces)
}

/// Content served under one address.
#[derive(Debug, Clone)]
pub(crate) struct Representation {
    pub(crate) content: Content,
    /// Entity tag with its quotes; changes with the bytes.
    pub(crate) etag: String,
    /// Media type.
    pub(crate) kind: &'static str,
}

/// Part of the file that a request asks for.
#[derive(Debug, PartialEq, Eq)]
enum RequestedPart {
    Full,
    Range(Range<u64>),
    /// The range contains no byte of the file, or is malformed.
    Unsatisfiable,
}

/// Answers a GET or a HEAD.
pub(crate) async fn respond(
    method: &Method,
    headers: &HeaderMap,
    representation: &Representation,
    log: &PeerLog,
) -> Response {
    let Representation {
        content,
        etag,
        kind,
    } = representation;
    let bytes = content.bytes();
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let is_cached = text(header::IF_NONE_MATCH).is_some_and(|known| {
        known
            .split(',')
            .map(|one| one.trim().trim_start_matches("W/"))
            .any(|one| one == etag || one == "*")
    });
    // Ranges are defined for GET only, and a range of another version would be joined to the wrong bytes.
    let is_current = text(header::IF_RANGE).is_none_or(|version| version.trim() == etag);
    let requested = match text(header::RANGE) {
        Some(range) if method == Method::GET && is_current => requested_part(range, bytes),
        _ => RequestedPart::Full,
    };
    let (status, part) = match requested {
        _ if is_cached => (StatusCode::NOT_MODIFIED, 0..0),
        RequestedPart::Full => (StatusCode::OK, 0..bytes),
        RequestedPart::Range(part) => (StatusCode::PARTIAL_CONTENT, part),
        RequestedPart::Unsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, 0..0),
    };
    let body = match status {
        StatusCode::NOT_MODIFIED => Ok(Body::empty()),
        StatusCode::RANGE_NOT_SATISFIABLE => Ok(Body::from(format!(
            "the file has {bytes} bytes, counted from 0; the range contains none of them\n"
        ))),
        _ if method == Method::HEAD => Ok(Body::empty()),
        _ => content.body(part.clone()).await,
    };
    let body = match body {
        Ok(body) => body,
        Err(error) => {
            log.say(&"a file cannot be served", &format!("{content}: {error}"));
            return (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response();
        }
    };
    let mut response = (status, body).into_response();
    let set = response.headers_mut();
    let mut put = |name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            set.insert(name, value);
        }
    };
    put(header::ETAG, etag);
    put(header::CACHE_CONTROL, "no-cache");
    put(header::ACCEPT_RANGES, "bytes");
    put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    match status {
        StatusCode::NOT_MODIFIED => {}
        StatusCode::RANGE_NOT_SATISFIABLE => {
            put(header::CONTENT_TYPE, "text/plain; charset=utf-8");
            put(header::CONTENT_RANGE, &format!("bytes */{bytes}"));
        }
        _ => {
            put(header::CONTENT_TYPE, kind);
            put(header::CONTENT_LENGTH, &(part.end - part.start).to_string());
            if status == StatusCode::PARTIAL_CONTENT {
                let last = part.end.saturating_sub(1);
                let range = format!("bytes {}-{last}/{bytes}", part.start);
                put(header::CONTENT_RANGE, &range);
            }
        }
    }
    response
}

/// Parses a `Range` header for a file of `bytes` bytes.
fn requested_part(range: &str, bytes: u64) -> RequestedPart {
    let Some((unit, set)) = range.split_once('=') else {
        return RequestedPart::Unsatisfiable;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return RequestedPart::Full;
    }
    let number = |text: &str| match text {
        "" => Some(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            // A number beyond u64 is beyond the end of every file.
            Some(Some(digits.parse::<u64>().unwrap_or(u64::MAX)))
        }
        _ => None,
    };
    let ends = set.trim().split_once('-');
    match ends.and_then(|(first, last)| Some((number(first)?, number(last)?))) {
        Some((Some(first), last)) if first < bytes && last.is_none_or(|last| first <= last) => {
            let last = last.unwrap_or(u64::MAX).min(bytes - 1);
            RequestedPart::Range(first..last + 1)
        }
        // The last `count` bytes, or all if the file has fewer.
        Some((None, Some(count))) if count > 0 && bytes > 0 => {
            RequestedPart::Range(bytes.saturating_sub(count)..bytes)
        }
        _ => RequestedPart::Unsatisfiable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_parsed_as_rfc_9110_defines() {
        for (range, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=3-5", 3..6),
            ("bytes=3-", 3..10),
            ("bytes=9-99999999999999999999999", 9..10),
            ("bytes=-4", 6..10),
            ("bytes=-10", 0..10),
            ("bytes=-99999999999999999999999", 0..10),
            ("Bytes = 0-1 ", 0..2),
        ] {
            assert_eq!(
                requested_part(range, 10),
                RequestedPart::Range(part),
                "{range}"
            );
        }
        for range in [
            "bytes=10-",
            "bytes=5-4",
            "bytes=-0",
            "bytes=-",
            "bytes=",
            "bytes=a-b",
            "bytes=1-2-3",
            "bytes=+1-2",
            "bytes",
            "",
            "bytes=99999999999999999999999-",
        ] {
            assert_eq!(
                requested_part(range, 10),
                RequestedPart::Unsatisfiable,
                "{range}"
            );
        }
        for range in ["bytes=0-1,3-4", "lines=1-2"] {
            assert_eq!(requested_part(range, 10), RequestedPart::Full, "{range}");
        }
        for range in ["bytes=0-", "bytes=-1", "bytes=0-0"] {
            assert_eq!(
                requested_part(range, 0),
                RequestedPart::Unsatisfiable,
                "{range}"
            );
        }
    }
}
