//! Beginning and end of a connection, the same for robots and viewers: the hello, the writing half, and the reason of a
//! refusal.

use crate::{
    connection_io::{self, End, FrameSource, Reader},
    limits::Limits,
    metrics::Metrics,
    peer_log::{ConnectionLog, Kind},
};
use axum::extract::ws::Message;
use futures_util::{Sink, Stream};
use protocol::ErrorMessage;
use tokio::task::{JoinError, JoinHandle};

/// End of a connection that the studio refuses, with the reason for its peer.
pub(crate) fn refused(code: &str, message: impl Into<String>) -> End {
    End::Refused(ErrorMessage {
        code: code.to_owned(),
        message: message.into(),
        fatal: true,
    })
}

/// Reads the hello of a peer. `expected` is its name in the refusal of any other first message.
pub(crate) async fn hello<S, E, M, H>(
    reader: &mut Reader<'_, S, M>,
    metrics: &Metrics,
    into_hello: fn(M) -> Option<H>,
    expected: &str,
) -> Result<H, End>
where
    S: Stream<Item = Result<Message, E>> + Unpin,
    E: std::fmt::Display,
{
    let first = reader.hello().await?;
    into_hello(first).ok_or_else(|| {
        metrics.error("no_hello");
        refused("no_hello", format!("the first frame must be {expected}"))
    })
}

/// Starts the writing half of a connection.
pub(crate) fn write<K, Src>(sink: K, outgoing: Src, limits: Limits) -> JoinHandle<()>
where
    K: Sink<Message> + Unpin + Send + 'static,
    Src: FrameSource + Send + Sync + 'static,
{
    tokio::spawn(async move {
        connection_io::write(sink, &outgoing, limits, "the studio ends this connection").await;
    })
}

/// Logs a writing half that panicked. `owner` is a possessive, such as `a robot's`.
pub(crate) fn check_writer(ended: &Result<(), JoinError>, owner: &str) {
    if ended.is_err() {
        tracing::error!("the writer of {owner} connection crashed");
    }
}

/// Logs a refusal and returns its message for the peer; `None` for a connection that the peer ended.
pub(crate) fn closing_error(end: End, owner: &str, log: &ConnectionLog) -> Option<ErrorMessage> {
    match end {
        End::Left => None,
        End::Refused(error) => {
            let line = format!("{owner} connection is refused: {}", error.message);
            log.say(Kind::Refusal, &line);
            Some(error)
        }
    }
}
