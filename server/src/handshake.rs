//! The beginning and the end of a connection, the same for robots and viewers: the hello, the writing half, and the reason
//! with which the studio refuses to go on.

use crate::{
    limits::Limits,
    metrics::Metrics,
    peer_log::{ConnectionLog, Kind},
    wire::{self, End, Reader, Source},
};
use axum::extract::ws::Message;
use futures_util::{Sink, Stream};
use protocol::ErrorMessage;
use tokio::task::{JoinError, JoinHandle};

/// The end of a connection with a reason for its peer.
pub(crate) fn refused(code: &str, message: impl Into<String>) -> End {
    End::Refused(ErrorMessage {
        code: code.to_owned(),
        message: message.into(),
        fatal: true,
    })
}

/// The hello of a peer, within the time for it. `expected` names it for a peer that begins with something else.
pub(crate) async fn hello<S, E, M, H>(
    reader: &mut Reader<'_, S, M>,
    metrics: &Metrics,
    of: fn(M) -> Option<H>,
    expected: &str,
) -> Result<H, End>
where
    S: Stream<Item = Result<Message, E>> + Unpin,
    E: std::fmt::Display,
{
    let first = reader.hello().await?;
    of(first).ok_or_else(|| {
        metrics.error("no_hello");
        refused("no_hello", format!("the first frame must be {expected}"))
    })
}

/// Starts the writing half of a connection.
pub(crate) fn write<K, Src>(sink: K, outgoing: Src, limits: Limits) -> JoinHandle<()>
where
    K: Sink<Message> + Unpin + Send + 'static,
    Src: Source + Send + Sync + 'static,
{
    tokio::spawn(async move {
        wire::write(sink, &outgoing, limits, "the studio ends this connection").await;
    })
}

/// Takes note of the end of a writing half: `whose` it was, and whether it crashed.
pub(crate) fn written(ended: &Result<(), JoinError>, whose: &str) {
    if ended.is_err() {
        tracing::error!("the writer of {whose} connection crashed");
    }
}

/// What the peer is to hear of the end of its connection, if anything; the log has it too.
pub(crate) fn farewell(end: End, whose: &str, log: &ConnectionLog) -> Option<ErrorMessage> {
    match end {
        End::Left => None,
        End::Refused(error) => {
            let words = format!("{whose} connection is refused: {}", error.message);
            log.say(Kind::Refusal, &words);
            Some(error)
        }
    }
}
