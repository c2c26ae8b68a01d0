//! Reading and writing half of a connection, the same for robots and viewers: deadline of the first message, pings,
//! silence, and refusals with a reason.
//!
//! Generic over stream and sink of messages: the same code runs on a socket and on channels.

use crate::{limits::Limits, metrics::Metrics};
use axum::extract::ws::{CloseFrame, Message, close_code};
use bytes::Bytes;
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use protocol::{ErrorMessage, FrameError};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout, timeout_at},
};

mod pings;

pub(crate) use pings::Pings;

/// Activity of a peer: the time of its last frame, the pings that it answered, and the size of its largest message.
#[derive(Debug)]
pub(crate) struct PeerActivity {
    started_at: Instant,
    /// Time of the last frame of any kind, in milliseconds after `started_at`.
    last_frame_millis: AtomicU64,
    /// Frames so far.
    frames: AtomicU64,
    /// Bytes of its largest message.
    largest_bytes: AtomicUsize,
    frame_arrived: Notify,
    pings: Pings,
}

impl Default for PeerActivity {
    fn default() -> Self {
        let started_at = Instant::now();
        Self {
            started_at,
            last_frame_millis: AtomicU64::new(0),
            frames: AtomicU64::new(0),
            largest_bytes: AtomicUsize::new(0),
            frame_arrived: Notify::new(),
            pings: Pings::new(started_at),
        }
    }
}

impl PeerActivity {
    fn now_millis(&self) -> u64 {
        self.started_at
            .elapsed()
            .as_millis()
            .try_into()
            .unwrap_or(u64::MAX)
    }

    /// Records a frame of any kind.
    pub(crate) fn note(&self) {
        self.last_frame_millis
            .store(self.now_millis(), Ordering::Relaxed);
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.frame_arrived.notify_waiters();
    }

    fn note_bytes(&self, bytes: usize) {
        self.largest_bytes.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Bytes of its largest message so far, refused ones included.
    pub(crate) fn largest_bytes(&self) -> usize {
        self.largest_bytes.load(Ordering::Relaxed)
    }

    /// Time since the last frame.
    pub(crate) fn silent_for(&self) -> Duration {
        let last = self.last_frame_millis.load(Ordering::Relaxed);
        Duration::from_millis(self.now_millis().saturating_sub(last))
    }

    /// Pings of the connection, which show how much the peer has read.
    pub(crate) fn pings(&self) -> &Pings {
        &self.pings
    }

    /// Waits for a frame that arrives after the call; `false` if none does within `limit`.
    pub(crate) async fn again_within(&self, limit: Duration) -> bool {
        let before = self.frames.load(Ordering::Relaxed);
        let arrival = async {
            loop {
                // Registered before the count is read: a frame between the two is not missed.
                let arrived = self.frame_arrived.notified();
                if self.frames.load(Ordering::Relaxed) != before {
                    return;
                }
                arrived.await;
            }
        };
        timeout(limit, arrival).await.is_ok()
    }

    /// Time at which the silence will have lasted for `limit`.
    fn silent_until(&self, limit: Duration) -> Instant {
        let last = Duration::from_millis(self.last_frame_millis.load(Ordering::Relaxed));
        self.started_at + last + limit
    }
}

/// Refused frames in a row after which a connection ends.
const MAX_BAD_FRAMES: u32 = 20;

/// End of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The peer closed the connection, or its network failed.
    Left,
    /// The studio ends the connection; the reason is sent to the peer.
    Refused(ErrorMessage),
}

/// Decoder of the messages of one direction.
pub(crate) type Decode<M> = fn(&[u8]) -> Result<M, FrameError>;

/// Reading half: decodes frames into messages, and invalid ones into refusals.
#[derive(Debug)]
pub(crate) struct Reader<'a, S, M> {
    stream: S,
    decode: Decode<M>,
    limits: Limits,
    metrics: &'a Metrics,
    activity: Arc<PeerActivity>,
    /// Refused frames since the last valid one.
    bad_frames: u32,
}

/// Result of reading one frame.
#[derive(Debug)]
pub(crate) enum Read<M> {
    /// A message.
    Message(M),
    /// A frame that breaks a rule. The reason is to be sent to the peer; the connection goes on.
    Refused(ErrorMessage),
}

impl<'a, S, E, M> Reader<'a, S, M>
where
    S: Stream<Item = Result<Message, E>> + Unpin,
    E: std::fmt::Display,
{
    pub(crate) fn new(stream: S, decode: Decode<M>, limits: Limits, metrics: &'a Metrics) -> Self {
        Self {
            stream,
            decode,
            limits,
            metrics,
            activity: Arc::default(),
            bad_frames: 0,
        }
    }

    /// Activity of the peer.
    pub(crate) fn activity(&self) -> &Arc<PeerActivity> {
        &self.activity
    }

    /// Reads the first message. Pings do not extend its deadline.
    pub(crate) async fn hello(&mut self) -> Result<M, End> {
        let deadline = Instant::now() + self.limits.hello_within;
        loop {
            match timeout_at(deadline, self.stream.next()).await {
                Err(_) => {
                    return Err(self.refuse(
                        "hello_timeout",
                        format!(
                            "no hello within {:.0} s; the first frame must be the hello message",
                            self.limits.hello_within.as_secs_f32()
                        ),
                    ));
                }
                Ok(item) => match self.take(item)? {
                    Some(Read::Message(message)) => return Ok(message),
                    Some(Read::Refused(error)) => {
                        return Err(End::Refused(ErrorMessage {
                            fatal: true,
                            ..error
                        }));
                    }
                    None => {}
                },
            }
        }
    }

    /// Reads the next message or refusal. Ends when the peer leaves, is silent for too long, or sends only invalid
    /// frames.
    pub(crate) async fn next(&mut self) -> Result<Read<M>, End> {
        loop {
            // Counted from the last frame, not from this call: a caller may cancel the call between two messages.
            let deadline = self.activity.silent_until(self.limits.silence);
            let Ok(item) = timeout_at(deadline, self.stream.next()).await else {
                return Err(self.refuse(
                    "silent",
                    format!(
                        "nothing was received for {:.0} s, not even a pong",
                        self.limits.silence.as_secs_f32()
                    ),
                ));
            };
            if let Some(read) = self.take(item)? {
                return Ok(read);
            }
        }
    }

    fn take(&mut self, item: Option<Result<Message, E>>) -> Result<Option<Read<M>>, End> {
        let message = match item {
            None => return Err(End::Left),
            Some(Err(error)) => return Err(self.transport_failed(&error.to_string())),
            Some(Ok(message)) => message,
        };
        self.activity.note();
        match &message {
            Message::Pong(content) => self.activity.pings.answer(content),
            Message::Binary(bytes) => self.activity.note_bytes(bytes.len()),
            Message::Text(text) => self.activity.note_bytes(text.as_str().len()),
            Message::Ping(_) | Message::Close(_) => {}
        }
        match message {
            Message::Close(_) => Err(End::Left),
            Message::Ping(_) | Message::Pong(_) => Ok(None),
            Message::Text(_) => self
                .bad_frame(
                    "text_frame",
                    "a text frame arrived; the studio protocol uses binary frames only".to_owned(),
                    false,
                )
                .map(Some),
            Message::Binary(bytes) => match (self.decode)(&bytes) {
                Ok(message) => {
                    self.bad_frames = 0;
                    Ok(Some(Read::Message(message)))
                }
                Err(error) => self
                    .bad_frame(error.code(), error.to_string(), error.is_fatal())
                    .map(Some),
            },
        }
    }

    fn bad_frame(&mut self, code: &str, message: String, fatal: bool) -> Result<Read<M>, End> {
        self.bad_frames += 1;
        if fatal {
            return Err(self.refuse(code, message));
        }
        if self.bad_frames >= MAX_BAD_FRAMES {
            return Err(self.refuse(
                code,
                format!("{message}; that was the {MAX_BAD_FRAMES}th invalid frame in a row"),
            ));
        }
        self.metrics.error(code);
        Ok(Read::Refused(ErrorMessage {
            code: code.to_owned(),
            message,
            fatal: false,
        }))
    }

    /// End of a connection whose transport failed. The error type is generic, so the one case with a remedy is
    /// recognized by its text.
    fn transport_failed(&self, error: &str) -> End {
        if error.contains("too long") || error.contains("too big") {
            return self.refuse("too_large", format!("{error}; send smaller images"));
        }
        self.metrics.error("connection");
        tracing::debug!("a connection failed: {error}");
        End::Left
    }

    fn refuse(&self, code: &str, message: String) -> End {
        self.metrics.error(code);
        End::Refused(ErrorMessage {
            code: code.to_owned(),
            message,
            fatal: true,
        })
    }
}

/// Source of the frames of a writing half.
pub(crate) trait FrameSource {
    /// Waits for the next frame; `None` at the end.
    fn next_frame(&self) -> impl Future<Output = Option<Bytes>> + Send;

    /// Called when the frame of the last [`next_frame`](Self::next_frame) has been written.
    fn was_written(&self) {}

    /// Activity of the peer that the frames are for.
    fn activity(&self) -> &PeerActivity;

    /// Frame to send with every ping, for peers whose programs cannot see pings.
    fn heartbeat(&self) -> Option<Bytes> {
        None
    }

    /// Time limit of a write; one that takes longer ends the connection.
    fn write_within(&self) -> Duration;
}

/// Writes frames and pings until the source ends, then a close frame with the reason `goodbye`. A write that exceeds
/// its time limit ends the function without a close frame, and the caller must end the connection.
pub(crate) async fn write<K, Src>(mut sink: K, source: &Src, limits: Limits, goodbye: &str)
where
    K: Sink<Message> + Unpin,
    Src: FrameSource,
{
    let mut ticks = tokio::time::interval(limits.ping_every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.reset();
    let pings = source.activity().pings();
    loop {
        // Pings have priority: a flood of frames would otherwise starve them.
        let (message, is_frame) = tokio::select! {
            biased;
            _ = ticks.tick() => (Message::Ping(pings.send(Instant::now())), false),
            frame = source.next_frame() => match frame {
                Some(frame) => {
                    pings.write(frame.len());
                    (Message::Binary(frame), true)
                }
                None => break,
            },
        };
        let heartbeat = if is_frame { None } else { source.heartbeat() };
        let sent = timeout(source.write_within(), async {
            sink.send(message).await?;
            if let Some(heartbeat) = heartbeat {
                sink.send(Message::Binary(heartbeat)).await?;
            }
            Ok::<_, K::Error>(())
        });
        match sent.await {
            Ok(Ok(())) if is_frame => source.was_written(),
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
    let close = Message::Close(Some(CloseFrame {
        code: close_code::NORMAL,
        reason: goodbye.to_owned().into(),
    }));
    timeout(Duration::from_secs(1), sink.send(close)).await.ok();
}
