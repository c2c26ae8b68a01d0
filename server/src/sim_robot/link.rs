//! The simulated robot's connection to a studio, with reconnects.

use super::{Outgoing, Shared, SimConfig};
use bytes::Bytes;
use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use protocol::ToRobot;
use std::{
    sync::{PoisonError, atomic::Ordering},
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Message, Utf8Bytes, protocol::CloseFrame, protocol::frame::coding::CloseCode},
};
use tokio_util::sync::CancellationToken;

/// Pause before the first attempt to reconnect; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The studio pings twice a second; after this long without a message the connection counts as lost.
const SILENCE: Duration = Duration::from_secs(5);

/// Sets `TCP_NODELAY`: small packets leave at once.
const NO_DELAY: bool = true;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// An invalid studio address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// Not a URL with one of the four schemes.
    #[error(
        "{url:?} is not an address of a studio; write http://HOST:PORT, for example http://127.0.0.1:8080"
    )]
    Scheme {
        /// The given address.
        url: String,
    },
    /// TLS is not built in.
    #[error("{url:?} needs TLS, which this robot does not support; use a plain http:// address")]
    Tls {
        /// The given address.
        url: String,
    },
}

/// The WebSocket address for robots at a studio's address. A path, if given, is kept unchanged.
///
/// # Errors
/// [`BadUrl`] for anything but `http://` and `ws://`.
pub fn robot_url(studio_url: &str) -> Result<String, BadUrl> {
    let url = studio_url.trim();
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("ws://"));
    let Some(rest) = rest.filter(|rest| !rest.is_empty()) else {
        let url = url.to_owned();
        return Err(
            if url.starts_with("https://") || url.starts_with("wss://") {
                BadUrl::Tls { url }
            } else {
                BadUrl::Scheme { url }
            },
        );
    };
    Ok(match rest.split_once('/') {
        None | Some((_, "")) => format!("ws://{}/ws/robot", rest.trim_end_matches('/')),
        Some(_) => format!("ws://{rest}"),
    })
}

/// Keeps the robot connected until `stop` is cancelled.
pub(super) async fn run(
    url: &str,
    config: &SimConfig,
    shared: &Shared,
    outgoing: &mut Outgoing,
    stop: &CancellationToken,
) {
    let mut pause = FIRST_PAUSE;
    let mut connection = 0;
    while !stop.is_cancelled() {
        let dialled = tokio::select! {
            dialled = timeout(LONGEST_PAUSE, connect_async_with_config(url, None, NO_DELAY)) => dialled,
            () = stop.cancelled() => return,
        };
        match dialled {
            Ok(Ok((socket, _))) => {
                pause = FIRST_PAUSE;
                connection += 1;
                discard(outgoing);
                shared.connection.store(connection, Ordering::Release);
                let reason = serve(socket, shared, outgoing, stop).await;
                shared.connection.store(0, Ordering::Release);
                if !stop.is_cancelled() {
                    tracing::info!(
                        "{} lost the studio: {reason}; it holds and reconnects",
                        config.name
                    );
                }
            }
            Ok(Err(error)) => tracing::info!("{} cannot reach {url}: {error}", config.name),
            Err(_) => tracing::info!("{} cannot reach {url}: no answer", config.name),
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Drops messages meant for the previous connection.
fn discard(outgoing: &mut Outgoing) {
    while outgoing.observations.try_recv().is_ok() || outgoing.reports.try_recv().is_ok() {}
}

/// Serves one connection and returns the reason for its end. Reads and writes run concurrently, so that a stop arrives even
/// while sending an observation blocks.
async fn serve(
    socket: Socket,
    shared: &Shared,
    outgoing: &mut Outgoing,
    stop: &CancellationToken,
) -> String {
    let (mut sink, stream) = socket.split();
    let reason = tokio::select! {
        reason = receive_all(stream, shared) => reason,
        reason = send_all(&mut sink, outgoing) => reason,
        () = stop.cancelled() => "switched off".to_owned(),
    };
    if stop.is_cancelled() {
        let goodbye = CloseFrame {
            code: CloseCode::Away,
            reason: Utf8Bytes::from_static("the robot is switched off"),
        };
        timeout(FIRST_PAUSE, sink.send(Message::Close(Some(goodbye))))
            .await
            .ok();
    }
    reason
}

async fn receive_all(mut stream: SplitStream<Socket>, shared: &Shared) -> String {
    loop {
        match timeout(SILENCE, stream.next()).await {
            Err(_) => return format!("no message for {} s", SILENCE.as_secs()),
            Ok(None | Some(Ok(Message::Close(_)))) => {
                return "the studio closed the connection".to_owned();
            }
            Ok(Some(Err(error))) => return error.to_string(),
            Ok(Some(Ok(Message::Binary(frame)))) => receive(&frame, shared),
            Ok(Some(Ok(_))) => {}
        }
    }
}

async fn send_all(sink: &mut SplitSink<Socket, Message>, outgoing: &mut Outgoing) -> String {
    // The control loop sends the hello as its first report; observations wait until it is sent.
    let mut hello_sent = false;
    loop {
        let frame = tokio::select! {
            biased;
            Some(frame) = outgoing.reports.recv() => {
                hello_sent = true;
                frame
            }
            Some(frame) = outgoing.observations.recv(), if hello_sent => frame,
            else => return "the robot's threads ended".to_owned(),
        };
        match timeout(SILENCE, sink.send(Message::Binary(Bytes::from(frame)))).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return "the studio does not read".to_owned(),
        }
    }
}

fn receive(frame: &[u8], shared: &Shared) {
    match ToRobot::decode(frame) {
        Ok(message) => {
            if let ToRobot::Welcome(welcome) = &message
                && !welcome.resume_token.is_empty()
            {
                *shared
                    .resume_token
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = Some(welcome.resume_token.clone());
            }
            shared.inbox.put(message);
        }
        Err(error) => tracing::warn!("the studio sent a broken frame: {error}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_path_is_kept_and_defaults_to_the_robot_endpoint() {
        assert_eq!(
            robot_url("http://127.0.0.1:8080").unwrap(),
            "ws://127.0.0.1:8080/ws/robot"
        );
        assert_eq!(robot_url("ws://host:1/").unwrap(), "ws://host:1/ws/robot");
        assert_eq!(
            robot_url("http://host/x/ws/robot").unwrap(),
            "ws://host/x/ws/robot"
        );
    }

    #[test]
    fn other_addresses_are_refused_with_an_example() {
        assert!(
            robot_url("127.0.0.1:8080")
                .unwrap_err()
                .to_string()
                .contains("http://127.0.0.1:8080")
        );
        assert!(matches!(robot_url("https://x"), Err(BadUrl::Tls { .. })));
        assert!(matches!(robot_url("http://"), Err(BadUrl::Scheme { .. })));
    }
}
