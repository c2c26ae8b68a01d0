//! A job of scoring out of the body of a request.
//!
//! Bytes are taken as they come and become squeezed pictures at once; a body is never in memory as a whole.

use super::uploads::{Ended, Held, Upload};
use axum::{body::Bytes, http::StatusCode};
use futures_util::{Stream, StreamExt as _};
use protocol::{
    FrameError,
    score::{ScoreFrame, ScoreRequest},
    worker::from_untrusted_bytes,
};
use score_job::{ClipJob, JobError};
use std::{fmt::Display, time::Duration};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

/// Largest body: ten minutes at two frames of 1920x1080 per second are 7.5 GB, five of 1280x720 1.7 GB.
const MAX_BODY_BYTES: u64 = 8 << 30;
/// Largest message: a frame of 5000x4000.
const MAX_MESSAGE_BYTES: u32 = 64 << 20;
/// Largest first message: sentences, and prefixes that are listed one by one.
const MAX_REQUEST_BYTES: u32 = 1 << 20;
/// Memory of a job's frames. Profiles that squeeze them to 244x244 fill it after 25 minutes, at two per second.
const MAX_HELD_BYTES: usize = 512 << 20;
/// MessagePack values of a message: a frame has six and their names.
const MAX_VALUES: usize = 64;
/// What is still read of a body that was refused, so that whoever sends it gets to read why.
const MAX_DRAINED_BYTES: u64 = 1 << 30;
/// And for how long, where it comes quickly.
const DRAINED_WITHIN: Duration = Duration::from_secs(10);
const PIECE_WITHIN: Duration = Duration::from_secs(1);
/// Bodies that are read to be thrown away, at once; others are reset.
static DRAINS: Semaphore = Semaphore::const_new(8);

/// A body that is no job.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// What is wrong and where, for people.
    pub(crate) words: String,
}

impl Refusal {
    fn new(status: StatusCode, words: impl Display) -> Self {
        Self {
            status,
            words: words.to_string(),
        }
    }

    fn bad(words: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, words)
    }

    fn too_large(words: impl Display) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, words)
    }
}

impl From<Ended> for Refusal {
    fn from(ended: Ended) -> Self {
        let status = match ended {
            Ended::Slow(_) | Ended::TooLong => StatusCode::REQUEST_TIMEOUT,
            Ended::SentAway | Ended::NoMemory => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, ended.words())
    }
}

/// Reads a job whose frames are all there, and what memory it holds.
pub(crate) async fn read<S, E>(body: &mut S, upload: Upload) -> Result<(ClipJob, Held), Refusal>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Display,
{
    let mut messages = Messages {
        body,
        upload,
        clip_bytes: 0,
        waiting: Vec::new(),
        taken: 0,
        number: 0,
    };
    let first = messages
        .next(MAX_REQUEST_BYTES)
        .await?
        .ok_or_else(|| Refusal::bad("the body is empty; it begins with a request"))?;
    let mut clip = aside(move || {
        let request: ScoreRequest = decoded(&first, 1, "a request")?;
        ClipJob::open(request).map_err(Refusal::bad)
    })
    .await?;
    while let Some(message) = messages.next(MAX_MESSAGE_BYTES).await? {
        let number = messages.number;
        clip = aside(move || take(clip, &message, number)).await?;
        messages.clip_bytes = clip.bytes();
    }
    clip.check_complete().map_err(Refusal::bad)?;
    messages.upload.hold(clip.bytes()).await?;
    Ok((clip, messages.upload.end()))
}

fn take(mut clip: ClipJob, message: &[u8], number: u64) -> Result<ClipJob, Refusal> {
    let frame: ScoreFrame = decoded(message, number, "a frame")?;
    clip.take(frame).map_err(|error: JobError| {
        Refusal::bad(format!("message {number} of the body: {error}"))
    })?;
    if clip.bytes() > MAX_HELD_BYTES {
        return Err(Refusal::too_large(format!(
            "the frames of this video take more than {} MiB; score a part of it, send smaller frames, or use the profile \
             aligned, which looks twice a second",
            MAX_HELD_BYTES >> 20
        )));
    }
    Ok(clip)
}

fn decoded<M: serde::de::DeserializeOwned>(
    message: &[u8],
    number: u64,
    what: &str,
) -> Result<M, Refusal> {
    from_untrusted_bytes(message, MAX_VALUES).map_err(|error| {
        let reason = match error {
            FrameError::BadBody { reason, .. } => reason,
            other => other.to_string(),
        };
        Refusal::bad(format!(
            "message {number} of the body is not {what}: {reason}"
        ))
    })
}

/// Does what takes long where it holds nobody up.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the studio crashed on this body; its log says where",
        ))
    })
}

/// Reads on without keeping anything: a connection that is closed while bytes still come is reset, and the answer lost.
pub(crate) async fn drain<S, E>(body: &mut S)
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let Ok(_place) = DRAINS.try_acquire() else {
        return;
    };
    let until = Instant::now() + DRAINED_WITHIN;
    let mut left = MAX_DRAINED_BYTES;
    while left > 0 {
        let piece = timeout_at(until.min(Instant::now() + PIECE_WITHIN), body.next());
        match piece.await {
            Ok(Some(Ok(piece))) => left = left.saturating_sub(piece.len() as u64),
            _ => return,
        }
    }
}

/// Messages of a body: each its length (`u32`, little endian) and as many bytes.
struct Messages<'a, S> {
    body: &'a mut S,
    upload: Upload,
    /// Memory of the frames so far.
    clip_bytes: usize,
    /// What has come and not been taken.
    waiting: Vec<u8>,
    /// Bytes that have come.
    taken: u64,
    /// The message that was read last, from 1.
    number: u64,
}

impl<S, E> Messages<'_, S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Display,
{
    /// The next message of at most `most` bytes; `None` where the body ends between two.
    async fn next(&mut self, most: u32) -> Result<Option<Vec<u8>>, Refusal> {
        let number = self.number + 1;
        if !self.fill(4).await? {
            return match self.waiting.len() {
                0 => Ok(None),
                cut => Err(Refusal::bad(format!(
                    "the body ends after {cut} of the 4 bytes that say how long message {number} is"
                ))),
            };
        }
        let length = self
            .waiting
            .first_chunk()
            .map(|length| u32::from_le_bytes(*length));
        let length = length.unwrap_or_default();
        if length > most {
            return Err(Refusal::too_large(format!(
                "message {number} of the body is said to have {length} bytes; it can have {most}"
            )));
        }
        let end = 4 + length as usize;
        if !self.fill(end).await? {
            return Err(Refusal::bad(format!(
                "the body ends after {} of the {length} bytes of message {number}",
                self.waiting.len() - 4
            )));
        }
        let rest = self.waiting.split_off(end);
        let mut message = std::mem::replace(&mut self.waiting, rest);
        message.drain(..4);
        self.number = number;
        Ok(Some(message))
    }

    /// Waits until so many bytes wait; `false` where the body ends before.
    async fn fill(&mut self, bytes: usize) -> Result<bool, Refusal> {
        while self.waiting.len() < bytes {
            let piece = self.upload.next(self.body.next()).await?;
            let Some(piece) = piece else {
                return Ok(false);
            };
            let piece =
                piece.map_err(|error| Refusal::bad(format!("the body broke off: {error}")))?;
            self.upload.came(piece.len())?;
            self.taken += piece.len() as u64;
            if self.taken > MAX_BODY_BYTES {
                return Err(Refusal::too_large(format!(
                    "the body is larger than {} GiB; score a part of the video, or send smaller frames",
                    MAX_BODY_BYTES >> 30
                )));
            }
            self.waiting.extend_from_slice(&piece);
            // While a message is read, it is there twice.
            let held = self.clip_bytes + 2 * self.waiting.capacity();
            self.upload.hold(held).await?;
        }
        Ok(true)
    }
}
