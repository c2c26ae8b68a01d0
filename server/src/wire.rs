//! What every WebSocket of the studio has in common: the first message within a time, pings, silence,
//! refusals in words.
//!
//! Written over any stream and sink of messages, so that the same code runs on a socket and on channels.

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

/// When a peer was last heard, which pings it answered, and how much it said at once.
#[derive(Debug)]
pub(crate) struct Heard {
    from: Instant,
    /// Milliseconds after `from`.
    anything: AtomicU64,
    /// Counts what was heard.
    count: AtomicU64,
    /// Bytes of its largest message.
    largest_bytes: AtomicUsize,
    again: Notify,
    pings: Pings,
}

impl Default for Heard {
    fn default() -> Self {
        let from = Instant::now();
        Self {
            from,
            anything: AtomicU64::new(0),
            count: AtomicU64::new(0),
            largest_bytes: AtomicUsize::new(0),
            again: Notify::new(),
            pings: Pings::new(from),
        }
    }
}

impl Heard {
    fn now_millis(&self) -> u64 {
        self.from
            .elapsed()
            .as_millis()
            .try_into()
            .unwrap_or(u64::MAX)
    }

    /// Something came.
    pub(crate) fn note(&self) {
        self.anything.store(self.now_millis(), Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.again.notify_waiters();
    }

    fn note_bytes(&self, bytes: usize) {
        self.largest_bytes.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Bytes of its largest message so far, a refused one included.
    pub(crate) fn largest_bytes(&self) -> usize {
        self.largest_bytes.load(Ordering::Relaxed)
    }

    /// How long nothing came.
    pub(crate) fn silent_for(&self) -> Duration {
        let heard_at = self.anything.load(Ordering::Relaxed);
        Duration::from_millis(self.now_millis().saturating_sub(heard_at))
    }

    /// What it has read.
    pub(crate) fn pings(&self) -> &Pings {
        &self.pings
    }

    /// Waits until something comes that was not there at the call; false when nothing does in time.
    pub(crate) async fn again_within(&self, limit: Duration) -> bool {
        let before = self.count.load(Ordering::Relaxed);
        let comes = async {
            loop {
                let again = self.again.notified();
                if self.count.load(Ordering::Relaxed) != before {
                    return;
                }
                again.await;
            }
        };
        timeout(limit, comes).await.is_ok()
    }

    /// When the silence has lasted for `limit`.
    fn silent_until(&self, limit: Duration) -> Instant {
        self.from + Duration::from_millis(self.anything.load(Ordering::Relaxed)) + limit
    }
}

/// Refused frames in a row after which a connection ends.
const MAX_BAD_FRAMES: u32 = 20;

/// Why a connection ends from our side, or that the peer ended it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The peer closed or its network broke.
    Left,
    /// We refuse to go on.
    Refused(ErrorMessage),
}

/// Decodes one message of a direction.
pub(crate) type Decode<M> = fn(&[u8]) -> Result<M, FrameError>;

/// The reading half: frames become messages, broken ones become answers.
#[derive(Debug)]
pub(crate) struct Reader<'a, S, M> {
    stream: S,
    decode: Decode<M>,
    limits: Limits,
    metrics: &'a Metrics,
    heard: Arc<Heard>,
    bad_frames: u32,
}

/// What reading gave.
#[derive(Debug)]
pub(crate) enum Read<M> {
    /// A message.
    Message(M),
    /// A frame that breaks a rule; the peer is to be told, and the connection goes on.
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
            heard: Arc::default(),
            bad_frames: 0,
        }
    }

    /// When the peer was last heard.
    pub(crate) fn heard(&self) -> &Arc<Heard> {
        &self.heard
    }

    /// The first message, within the time for it. Pings do not extend that time.
    pub(crate) async fn hello(&mut self) -> Result<M, End> {
        let until = Instant::now() + self.limits.hello_within;
        loop {
            match timeout_at(until, self.stream.next()).await {
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

    /// The next message or refusal. Ends when the peer leaves, is silent too long, or sends nothing but
    /// broken frames.
    pub(crate) async fn next(&mut self) -> Result<Read<M>, End> {
        loop {
            // Since it was last heard, not since this call: a caller may look at its clock between two messages.
            let until = self.heard.silent_until(self.limits.silence);
            let Ok(item) = timeout_at(until, self.stream.next()).await else {
                return Err(self.refuse(
                    "silent",
                    format!(
                        "nothing was heard for {:.0} s, not even a pong",
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
            Some(Err(error)) => return Err(self.broken(&error.to_string())),
            Some(Ok(message)) => message,
        };
        self.heard.note();
        match &message {
            Message::Pong(content) => self.heard.pings.answer(content),
            Message::Binary(bytes) => self.heard.note_bytes(bytes.len()),
            Message::Text(text) => self.heard.note_bytes(text.as_str().len()),
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

    fn bad_frame(&mut self, code: &str, words: String, fatal: bool) -> Result<Read<M>, End> {
        self.bad_frames += 1;
        if fatal {
            return Err(self.refuse(code, words));
        }
        if self.bad_frames >= MAX_BAD_FRAMES {
            return Err(self.refuse(
                code,
                format!("{words}; that was the {MAX_BAD_FRAMES}th broken frame in a row"),
            ));
        }
        self.metrics.error(code);
        Ok(Read::Refused(ErrorMessage {
            code: code.to_owned(),
            message: words,
            fatal: false,
        }))
    }

    /// The transport gave up. Its error type is not ours, so the one case with a remedy is known by its words.
    fn broken(&self, words: &str) -> End {
        if words.contains("too long") || words.contains("too big") {
            return self.refuse("too_large", format!("{words}; send smaller images"));
        }
        self.metrics.error("connection");
        tracing::debug!("a connection broke: {words}");
        End::Left
    }

    fn refuse(&self, code: &str, words: String) -> End {
        self.metrics.error(code);
        End::Refused(ErrorMessage {
            code: code.to_owned(),
            message: words,
            fatal: true,
        })
    }
}

/// Where the writing half gets its frames.
pub(crate) trait Source {
    /// The next frame; `None` at the end.
    fn next_frame(&self) -> impl Future<Output = Option<Bytes>> + Send;

    /// The frame of the last [`next_frame`](Self::next_frame) was written.
    fn was_written(&self) {}

    /// What is known of the peer that the frames are for.
    fn heard(&self) -> &Heard;

    /// A frame that goes out with every ping, for peers that cannot see pings.
    fn heartbeat(&self) -> Option<Bytes> {
        None
    }

    /// A write that takes longer than this ends the connection.
    fn write_within(&self) -> Duration;
}

/// Writes frames and pings until the source ends or a write takes too long, then says goodbye. After a write that
/// took too long nothing is written any more, and the caller must end the connection.
pub(crate) async fn write<K, Src>(mut sink: K, source: &Src, limits: Limits, goodbye: &str)
where
    K: Sink<Message> + Unpin,
    Src: Source,
{
    let mut ticks = tokio::time::interval(limits.ping_every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.reset();
    let pings = source.heard().pings();
    loop {
        // A ping first: beside a flood of frames it would never have its turn.
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
