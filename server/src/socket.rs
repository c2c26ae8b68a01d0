//! A WebSocket of the studio: its upgrade, and how much a peer may send when.
//!
//! Before the hello a message is small, after it as large as the kind of peer needs; a message that has begun ends
//! within a time; nobody is read faster than the kind of peer needs; and only so many connections wait for a hello at once.

mod bucket;
mod meter;
mod waiting;

pub(crate) use waiting::WaitingRoom;

use crate::peer_log::{ConnectionLog, Kind};
use axum::{
    body::Body,
    extract::{Request, ws},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use bucket::Rate;
use futures_util::{Sink, Stream, future::FutureExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use meter::Meter;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Sleep;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self,
        handshake::server::create_response_with_body,
        protocol::{Role, WebSocketConfig},
    },
};
use tokio_util::sync::WaitForCancellationFutureOwned;
use waiting::Guest;

/// Largest message before the hello, and ever from a viewer. The largest hello fits, and one slightly too large, so
/// that it is refused in words.
const SMALL_BYTES: usize = 72 << 10;
/// Room for a frame slightly too large, so that it is refused in words rather than by the transport.
const LARGE_BYTES: usize = protocol::MAX_FRAME_BYTES + (1 << 20);

/// A robot may send a little more than a network of 1 Gbit/s carries (119 MiB/s), so that none behind one is ever held
/// back; three raw 640x480 cameras at 30 Hz send 79 MiB/s. At once two of the largest messages may come.
const ROBOT_RATE: Rate = Rate {
    bytes_at_once: 2 * LARGE_BYTES as u32,
    bytes_per_sec: 128 << 20,
    // 32,000 small messages per second; a robot of 1 kHz has use for 2,000.
    bytes_per_frame: 4 << 10,
};
/// A page sends a few small messages per second. A script may send 30,000 commands at once, and a stop behind them does not
/// wait; in the long run it gets 16,000 per second through.
const VIEWER_RATE: Rate = Rate {
    bytes_at_once: 32 << 20,
    bytes_per_sec: 16 << 20,
    bytes_per_frame: 1 << 10,
};

/// Who connects.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Peer {
    Robot,
    Viewer,
}

impl Peer {
    fn max_message_bytes(self) -> usize {
        match self {
            Self::Robot => LARGE_BYTES,
            Self::Viewer => SMALL_BYTES,
        }
    }

    fn rate(self) -> Rate {
        match self {
            Self::Robot => ROBOT_RATE,
            Self::Viewer => VIEWER_RATE,
        }
    }

    /// What is read at once; every connection has so much memory.
    fn read_buffer_bytes(self) -> usize {
        match self {
            Self::Robot => 64 << 10,
            Self::Viewer => 8 << 10,
        }
    }
}

/// Answers the request for a WebSocket, and serves it once it is there.
pub(crate) fn upgrade<F>(
    peer: Peer,
    room: &Arc<WaitingRoom>,
    log: ConnectionLog,
    message_within: Duration,
    mut request: Request,
    serve: impl FnOnce(Socket) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    let answer = match create_response_with_body(&request, Body::empty) {
        Ok(answer) => answer,
        Err(error) => {
            let words = format!(
                "this address speaks WebSocket, version 13: {error}; where a proxy stands between, it must pass on \
                 Connection and Upgrade\n"
            );
            return (StatusCode::BAD_REQUEST, words).into_response();
        }
    };
    let upgrading = hyper::upgrade::on(&mut request);
    let guest = room.enter(log.address());
    tokio::spawn(async move {
        match upgrading.await {
            Ok(connection) => {
                serve(Socket::new(peer, guest, log, message_within, connection).await).await;
            }
            Err(error) => tracing::debug!("a connection did not become a WebSocket: {error}"),
        }
    });
    answer
}

/// One connection after the upgrade.
pub(crate) struct Socket {
    peer: Peer,
    log: ConnectionLog,
    inner: WebSocketStream<Meter<TokioIo<Upgraded>>>,
    /// Until the first message has been taken for a hello.
    guest: Option<Guest>,
    sent_away: Pin<Box<WaitForCancellationFutureOwned>>,
    had_a_message: bool,
    /// A message that has begun must have ended after this.
    message_within: Duration,
    patience: Pin<Box<Sleep>>,
    /// It was said that this connection sends more than it may.
    is_told: bool,
}

/// Why a connection broke, in words.
#[derive(Debug)]
pub(crate) struct SocketError(String);

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<tungstenite::Error> for SocketError {
    fn from(error: tungstenite::Error) -> Self {
        Self(match error {
            tungstenite::Error::Io(error) => error.to_string(),
            other => other.to_string(),
        })
    }
}

impl Socket {
    async fn new(
        peer: Peer,
        guest: Guest,
        log: ConnectionLog,
        message_within: Duration,
        connection: Upgraded,
    ) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(peer.read_buffer_bytes())
            .max_message_size(Some(LARGE_BYTES))
            .max_frame_size(Some(LARGE_BYTES));
        let meter = Meter::new(TokioIo::new(connection), SMALL_BYTES, peer.rate());
        Self {
            peer,
            log,
            inner: WebSocketStream::from_raw_socket(meter, Role::Server, Some(config)).await,
            sent_away: Box::pin(guest.sent_away().clone().cancelled_owned()),
            guest: Some(guest),
            had_a_message: false,
            message_within,
            patience: Box::pin(tokio::time::sleep(message_within)),
            is_told: false,
        }
    }

    /// The bridge reads on after the first message only if that was a hello.
    fn greet(&mut self) {
        if self.had_a_message && self.guest.take().is_some() {
            self.inner.get_mut().raise(self.peer.max_message_bytes());
        }
    }

    /// Whether the message that has begun takes too long; wakes the reader when it does.
    fn is_dripping(&mut self, context: &mut Context<'_>) -> bool {
        let Some(since) = self.inner.get_ref().unfinished_since() else {
            return false;
        };
        let until = since + self.message_within;
        if self.patience.deadline() != until {
            self.patience.as_mut().reset(until);
        }
        self.patience.poll_unpin(context).is_ready()
    }

    /// Says once that the peer is held back: it will find its network slow.
    fn tell(&mut self) {
        if !self.is_told && self.inner.get_ref().was_paused() {
            self.is_told = true;
            let whose = match self.peer {
                Peer::Robot => "a robot",
                Peer::Viewer => "a viewer",
            };
            let words = format!(
                "{whose} sends more than {} MiB/s and is read at that rate; send smaller or fewer pictures",
                self.peer.rate().bytes_per_sec >> 20
            );
            self.log.say(Kind::HeldBack, &words);
        }
    }

    /// Gives up, whatever the peer and the other half do.
    fn cut(&mut self, words: String) -> SocketError {
        self.inner.get_mut().cut();
        SocketError(words)
    }
}

impl Stream for Socket {
    type Item = Result<ws::Message, SocketError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        this.greet();
        if this.guest.is_some() && this.sent_away.poll_unpin(context).is_ready() {
            let words = "others needed the place of a connection that had not said hello";
            return Poll::Ready(Some(Err(this.cut(words.to_owned()))));
        }
        loop {
            let item = Pin::new(&mut this.inner).poll_next(context);
            this.tell();
            // Pings in between do not make a message any quicker.
            let is_ping = matches!(
                item,
                Poll::Ready(Some(Ok(
                    tungstenite::Message::Ping(_) | tungstenite::Message::Pong(_)
                )))
            );
            if (item.is_pending() || is_ping) && this.is_dripping(context) {
                let within = this.message_within.as_secs_f32();
                let words =
                    format!("a message was not complete {within:.1} s after its first byte");
                return Poll::Ready(Some(Err(this.cut(words))));
            }
            let message = match ready!(item) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Some(Ok(message)) => message,
            };
            let message = match message {
                tungstenite::Message::Binary(bytes) => ws::Message::Binary(bytes),
                tungstenite::Message::Text(text) => ws::Message::Text(text.as_str().into()),
                tungstenite::Message::Ping(bytes) => ws::Message::Ping(bytes),
                tungstenite::Message::Pong(bytes) => ws::Message::Pong(bytes),
                tungstenite::Message::Close(_) => ws::Message::Close(None),
                tungstenite::Message::Frame(_) => continue,
            };
            if matches!(message, ws::Message::Binary(_)) {
                this.had_a_message = true;
            }
            return Poll::Ready(Some(Ok(message)));
        }
    }
}

impl Sink<ws::Message> for Socket {
    type Error = SocketError;

    fn poll_ready(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), SocketError>> {
        ready!(Pin::new(&mut self.get_mut().inner).poll_ready(context))?;
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, message: ws::Message) -> Result<(), SocketError> {
        let message = match message {
            ws::Message::Binary(bytes) => tungstenite::Message::Binary(bytes),
            ws::Message::Text(text) => tungstenite::Message::Text(text.as_str().into()),
            ws::Message::Ping(bytes) => tungstenite::Message::Ping(bytes),
            ws::Message::Pong(bytes) => tungstenite::Message::Pong(bytes),
            ws::Message::Close(close) => {
                tungstenite::Message::Close(close.map(|close| tungstenite::protocol::CloseFrame {
                    code: close.code.into(),
                    reason: close.reason.as_str().into(),
                }))
            }
        };
        Pin::new(&mut self.get_mut().inner).start_send(message)?;
        Ok(())
    }

    fn poll_flush(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), SocketError>> {
        ready!(Pin::new(&mut self.get_mut().inner).poll_flush(context))?;
        Poll::Ready(Ok(()))
    }

    fn poll_close(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), SocketError>> {
        ready!(Pin::new(&mut self.get_mut().inner).poll_close(context))?;
        Poll::Ready(Ok(()))
    }
}
