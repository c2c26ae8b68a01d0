//! Decoding of a scoring job from a request body.
//!
//! Frames are resized as they arrive; a body is never in memory as a whole.

use super::uploads::{Ended, MemoryLease, Upload};
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

/// Largest body. Ten minutes at two frames of 1920x1080 per second are 7.5 GB, five of 1280x720 1.7 GB.
const MAX_BODY_BYTES: u64 = 8 << 30;
/// Largest message: a frame of 5000x4000 pixels.
const MAX_MESSAGE_BYTES: u32 = 64 << 20;
/// Largest first message: instructions, and prefixes listed one by one.
const MAX_REQUEST_BYTES: u32 = 1 << 20;
/// Memory limit for a job's frames. Profiles that resize them to 244x244 reach it after 25 minutes, at two per second.
const MAX_HELD_BYTES: usize = 512 << 20;
/// Largest number of MessagePack values in a message: a frame has six, and their names.
const MAX_VALUES: usize = 64;
/// Largest part of a refused body that is still read, so that the sender receives the response.
const MAX_DRAINED_BYTES: u64 = 1 << 30;
/// Time limit for reading a refused body.
const DRAINED_WITHIN: Duration = Duration::from_secs(10);
/// Time limit for each piece of a refused body.
const PIECE_WITHIN: Duration = Duration::from_secs(1);
/// Largest number of refused bodies that are read concurrently; further connections are reset.
static DRAINS: Semaphore = Semaphore::const_new(8);

/// Refusal of a body that is not a valid job.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// The problem and its position, for display.
    pub(crate) message: String,
}

impl Refusal {
    fn new(status: StatusCode, message: impl Display) -> Self {
        Self {
            status,
            message: message.to_string(),
        }
    }

    fn bad(message: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    fn too_large(message: impl Display) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }
}

impl From<Ended> for Refusal {
    fn from(ended: Ended) -> Self {
        let status = match ended {
            Ended::Slow(_) | Ended::TooLong => StatusCode::REQUEST_TIMEOUT,
            Ended::Evicted | Ended::NoMemory => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, ended.message())
    }
}

/// Reads a complete job, and returns it with the lease of its memory.
pub(crate) async fn read<S, E>(
    body: &mut S,
    upload: Upload,
) -> Result<(ClipJob, MemoryLease), Refusal>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Display,
{
    let mut messages = Messages {
        body,
        upload,
        clip_bytes: 0,
        buffer: Vec::new(),
        received: 0,
        number: 0,
    };
    let first = messages
        .next(MAX_REQUEST_BYTES)
        .await?
        .ok_or_else(|| Refusal::bad("the body is empty; it begins with a request"))?;
    let mut clip = run_blocking(move || {
        let request: ScoreRequest = decoded(&first, 1, "a request")?;
        ClipJob::open(request).map_err(Refusal::bad)
    })
    .await?;
    while let Some(message) = messages.next(MAX_MESSAGE_BYTES).await? {
        let number = messages.number;
        clip = run_blocking(move || take(clip, &message, number)).await?;
        messages.clip_bytes = clip.bytes();
    }
    clip.check_complete().map_err(Refusal::bad)?;
    messages.upload.set_memory(clip.bytes()).await?;
    Ok((clip, messages.upload.finish()))
}

fn take(mut clip: ClipJob, message: &[u8], number: u64) -> Result<ClipJob, Refusal> {
    let frame: ScoreFrame = decoded(message, number, "a frame")?;
    clip.take(frame).map_err(|error: JobError| {
        Refusal::bad(format!("message {number} of the body: {error}"))
    })?;
    if clip.bytes() > MAX_HELD_BYTES {
        return Err(Refusal::too_large(format!(
            "the frames of this video take more than {} MiB; score a part of it, send smaller frames, or use the profile \
             aligned, which samples two frames a second",
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

/// Runs blocking work on the blocking pool.
async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the studio crashed on this body; its log says where",
        ))
    })
}

/// Reads and drops the rest of a body. Closing the connection while bytes still arrive would reset it and lose the response.
pub(crate) async fn drain<S, E>(body: &mut S)
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let Ok(_permit) = DRAINS.try_acquire() else {
        return;
    };
    let deadline = Instant::now() + DRAINED_WITHIN;
    let mut left = MAX_DRAINED_BYTES;
    while left > 0 {
        let piece = timeout_at(deadline.min(Instant::now() + PIECE_WITHIN), body.next());
        match piece.await {
            Ok(Some(Ok(piece))) => left = left.saturating_sub(piece.len() as u64),
            _ => return,
        }
    }
}

/// Messages of a body, each prefixed with its length in bytes (`u32`, little endian).
struct Messages<'a, S> {
    body: &'a mut S,
    upload: Upload,
    /// Bytes of memory that the frames use so far.
    clip_bytes: usize,
    /// Received bytes that are not decoded yet.
    buffer: Vec<u8>,
    /// Bytes received in total.
    received: u64,
    /// Number of the last message, counted from 1.
    number: u64,
}

impl<S, E> Messages<'_, S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Display,
{
    /// The next message of at most `max_bytes` bytes; `None` if the body ends between two messages.
    async fn next(&mut self, max_bytes: u32) -> Result<Option<Vec<u8>>, Refusal> {
        let number = self.number + 1;
        if !self.fill(4).await? {
            return match self.buffer.len() {
                0 => Ok(None),
                cut => Err(Refusal::bad(format!(
                    "the body ends after {cut} of the 4 bytes with the length of message {number}"
                ))),
            };
        }
        let length = self
            .buffer
            .first_chunk()
            .map(|length| u32::from_le_bytes(*length));
        let length = length.unwrap_or_default();
        if length > max_bytes {
            return Err(Refusal::too_large(format!(
                "message {number} of the body is announced with {length} bytes; at most {max_bytes} are allowed"
            )));
        }
        let end = 4 + length as usize;
        if !self.fill(end).await? {
            return Err(Refusal::bad(format!(
                "the body ends after {} of the {length} bytes of message {number}",
                self.buffer.len() - 4
            )));
        }
        let rest = self.buffer.split_off(end);
        let mut message = std::mem::replace(&mut self.buffer, rest);
        message.drain(..4);
        self.number = number;
        Ok(Some(message))
    }

    /// Waits until the buffer has `bytes` bytes; `false` if the body ends before.
    async fn fill(&mut self, bytes: usize) -> Result<bool, Refusal> {
        while self.buffer.len() < bytes {
            let piece = self.upload.next(self.body.next()).await?;
            let Some(piece) = piece else {
                return Ok(false);
            };
            let piece =
                piece.map_err(|error| Refusal::bad(format!("the body ended early: {error}")))?;
            self.upload.record(piece.len())?;
            self.received += piece.len() as u64;
            if self.received > MAX_BODY_BYTES {
                return Err(Refusal::too_large(format!(
                    "the body is larger than {} GiB; score a part of the video, or send smaller frames",
                    MAX_BODY_BYTES >> 30
                )));
            }
            self.buffer.extend_from_slice(&piece);
            // A message exists twice while it is decoded.
            let memory = self.clip_bytes + 2 * self.buffer.capacity();
            self.upload.set_memory(memory).await?;
        }
        Ok(true)
    }
}
