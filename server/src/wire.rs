//! What every WebSocket of the studio has in common: the first message within a time, pings, silence,
//! refusals in words.
//!
//! Written over any stream and sink of messages, so that the same code runs on a socket and on channels.

use crate::{metrics::Metrics, sessions::registry::Limits};
use axum::extract::ws::{CloseFrame, Message, close_code};
use bytes::Bytes;
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use protocol::{ErrorMessage, FrameError};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

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
            bad_frames: 0,
        }
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
            let Ok(item) = timeout(self.limits.silence, self.stream.next()).await else {
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
}

/// Writes frames and pings until the source ends or a write takes longer than the permitted silence, then
/// says goodbye.
pub(crate) async fn write<K, Src>(mut sink: K, source: &Src, limits: Limits, goodbye: &str)
where
    K: Sink<Message> + Unpin,
    Src: Source,
{
    let mut pings = tokio::time::interval(limits.ping_every);
    pings.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    pings.reset();
    loop {
        let message = tokio::select! {
            biased;
            frame = source.next_frame() => match frame {
                Some(frame) => Message::Binary(frame),
                None => break,
            },
            _ = pings.tick() => Message::Ping(Bytes::new()),
        };
        match timeout(limits.silence, sink.send(message)).await {
            Ok(Ok(())) => {}
            // The reader notices the same and ends the session; there is nobody left to tell.
            Ok(Err(_)) | Err(_) => return,
        }
    }
    let close = Message::Close(Some(CloseFrame {
        code: close_code::NORMAL,
        reason: goodbye.to_owned().into(),
    }));
    timeout(Duration::from_secs(1), sink.send(close)).await.ok();
}
