//! WebSocket of the studio: its upgrade, and the limits on the data that a peer sends.
//!
//! Messages are small before the hello, and after it as large as the kind of peer needs. A message must be complete within a
//! time limit. Each kind of peer has a maximum rate. The number of connections without a hello is limited.

mod bucket;
mod meter;
mod ungreeted;

pub(crate) use ungreeted::UngreetedLimit;

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
use ungreeted::UngreetedPermit;

/// Largest message before the hello, and largest message of a viewer. A hello that is slightly too large still fits, so
/// that the protocol refuses it with a reason.
const SMALL_BYTES: usize = 72 << 10;
/// Largest message of a robot. A frame that is slightly too large still fits, so that the protocol refuses it with a
/// reason instead of the transport without one.
const LARGE_BYTES: usize = protocol::MAX_FRAME_BYTES + (1 << 20);

/// Rate of a robot: slightly more than a network of 1 Gbit/s carries (119 MiB/s), so that no robot on such a network is
/// ever slowed down. Three raw 640x480 cameras at 30 Hz send 79 MiB/s. The burst is two of the largest messages.
const ROBOT_RATE: Rate = Rate {
    bytes_at_once: 2 * LARGE_BYTES as u32,
    bytes_per_sec: 128 << 20,
    // 32,000 small messages per second; a robot with a control rate of 1 kHz needs 2,000.
    bytes_per_frame: 4 << 10,
};
/// Rate of a viewer. A page sends a few small messages per second. A script may send a burst of 30,000 commands without
/// delay for a stop behind them, and 16,000 commands per second in the long run.
const VIEWER_RATE: Rate = Rate {
    bytes_at_once: 32 << 20,
    bytes_per_sec: 16 << 20,
    bytes_per_frame: 1 << 10,
};

/// Kind of a peer.
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

    /// Size of the read buffer, which every connection allocates.
    fn read_buffer_bytes(self) -> usize {
        match self {
            Self::Robot => 64 << 10,
            Self::Viewer => 8 << 10,
        }
    }
}

/// Answers the request for a WebSocket, and runs `serve` with it after the upgrade.
pub(crate) fn upgrade<F>(
    peer: Peer,
    limit: &Arc<UngreetedLimit>,
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
            let reason = format!(
                "this address serves WebSockets, version 13: {error}; a proxy in between must forward the headers \
                 Connection and Upgrade\n"
            );
            return (StatusCode::BAD_REQUEST, reason).into_response();
        }
    };
    let upgrading = hyper::upgrade::on(&mut request);
    let permit = limit.admit(log.address());
    tokio::spawn(async move {
        match upgrading.await {
            Ok(connection) => {
                serve(Socket::new(peer, permit, log, message_within, connection).await).await;
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
    /// Absent once the first message has been accepted as a hello.
    ungreeted: Option<UngreetedPermit>,
    evicted: Pin<Box<WaitForCancellationFutureOwned>>,
    has_message: bool,
    /// Time limit for a message, from its first to its last byte.
    message_within: Duration,
    message_deadline: Pin<Box<Sleep>>,
    /// The log has a line about the rate of this connection.
    is_reported: bool,
}

/// Reason why a connection failed.
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
        permit: UngreetedPermit,
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
            evicted: Box::pin(permit.evicted().clone().cancelled_owned()),
            ungreeted: Some(permit),
            has_message: false,
            message_within,
            message_deadline: Box::pin(tokio::time::sleep(message_within)),
            is_reported: false,
        }
    }

    /// Raises the size limit once the first message was a hello: only then does the bridge read on.
    fn raise_limit_after_hello(&mut self) {
        if self.has_message && self.ungreeted.take().is_some() {
            self.inner.get_mut().raise(self.peer.max_message_bytes());
        }
    }

    /// True if the current message has exceeded its time limit. Otherwise wakes the reader at the limit.
    fn is_overdue(&mut self, context: &mut Context<'_>) -> bool {
        let Some(since) = self.inner.get_ref().unfinished_since() else {
            return false;
        };
        let until = since + self.message_within;
        if self.message_deadline.deadline() != until {
            self.message_deadline.as_mut().reset(until);
        }
        self.message_deadline.poll_unpin(context).is_ready()
    }

    /// Logs once that the connection is read at its maximum rate: to the peer its network appears slow.
    fn report_pause(&mut self) {
        if !self.is_reported && self.inner.get_ref().was_paused() {
            self.is_reported = true;
            let peer = match self.peer {
                Peer::Robot => "a robot",
                Peer::Viewer => "a viewer",
            };
            let line = format!(
                "{peer} sends more than {} MiB/s and is read at that rate; send smaller or fewer images",
                self.peer.rate().bytes_per_sec >> 20
            );
            self.log.say(Kind::HeldBack, &line);
        }
    }

    /// Ends both halves at once, without the cooperation of the peer.
    fn cut(&mut self, reason: String) -> SocketError {
        self.inner.get_mut().cut();
        SocketError(reason)
    }
}

impl Stream for Socket {
    type Item = Result<ws::Message, SocketError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        this.raise_limit_after_hello();
        if this.ungreeted.is_some() && this.evicted.poll_unpin(context).is_ready() {
            let reason = "closed for a newer connection, because no hello had been received";
            return Poll::Ready(Some(Err(this.cut(reason.to_owned()))));
        }
        loop {
            let item = Pin::new(&mut this.inner).poll_next(context);
            this.report_pause();
            // Pings between the fragments do not extend the time limit of a message.
            let is_ping = matches!(
                item,
                Poll::Ready(Some(Ok(
                    tungstenite::Message::Ping(_) | tungstenite::Message::Pong(_)
                )))
            );
            if (item.is_pending() || is_ping) && this.is_overdue(context) {
                let within = this.message_within.as_secs_f32();
                let reason =
                    format!("a message was not complete {within:.1} s after its first byte");
                return Poll::Ready(Some(Err(this.cut(reason))));
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
                this.has_message = true;
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
