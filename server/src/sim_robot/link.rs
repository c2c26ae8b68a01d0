//! The simulated robot's connection to a studio: dials, talks, dials again.

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
/// The studio pings twice a second; silence for this long means that it is gone.
const SILENCE: Duration = Duration::from_secs(5);

/// Small packets leave at once.
const NO_DELAY: bool = true;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// An address that cannot be dialled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// Not a URL with one of the four schemes.
    #[error(
        "{url:?} is not an address of a studio; write http://HOST:PORT, for example http://127.0.0.1:8080"
    )]
    Scheme {
        /// What was given.
        url: String,
    },
    /// TLS is not built in.
    #[error("{url:?} asks for TLS, which this robot does not speak; use a plain http:// address")]
    Tls {
        /// What was given.
        url: String,
    },
}

/// The WebSocket address for robots of a studio's address. A path, if any, is kept as it is.
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
                let why = talk(socket, shared, outgoing, stop).await;
                shared.connection.store(0, Ordering::Release);
                if !stop.is_cancelled() {
                    tracing::info!(
                        "{} lost the studio: {why}; it holds and dials again",
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

/// What was meant for the connection before this one.
fn discard(outgoing: &mut Outgoing) {
    while outgoing.pictures.try_recv().is_ok() || outgoing.reports.try_recv().is_ok() {}
}

/// One connection from hello to its end; why it ended. Reading and writing go on side by side, so that a stop
/// is heard while a picture is stuck on its way out.
async fn talk(
    socket: Socket,
    shared: &Shared,
    outgoing: &mut Outgoing,
    stop: &CancellationToken,
) -> String {
    let (mut sink, stream) = socket.split();
    let why = tokio::select! {
        why = hear(stream, shared) => why,
        why = say(&mut sink, outgoing) => why,
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
    why
}

async fn hear(mut stream: SplitStream<Socket>, shared: &Shared) -> String {
    loop {
        match timeout(SILENCE, stream.next()).await {
            Err(_) => return format!("nothing heard for {} s", SILENCE.as_secs()),
            Ok(None | Some(Ok(Message::Close(_)))) => return "it closed the connection".to_owned(),
            Ok(Some(Err(error))) => return error.to_string(),
            Ok(Some(Ok(Message::Binary(frame)))) => receive(&frame, shared),
            Ok(Some(Ok(_))) => {}
        }
    }
}

async fn say(sink: &mut SplitSink<Socket, Message>, outgoing: &mut Outgoing) -> String {
    // The body sends the hello as its first report, so pictures wait until that has left.
    let mut greeted = false;
    loop {
        let frame = tokio::select! {
            biased;
            Some(frame) = outgoing.reports.recv() => {
                greeted = true;
                frame
            }
            Some(frame) = outgoing.pictures.recv(), if greeted => frame,
            else => return "the robot's threads ended".to_owned(),
        };
        match timeout(SILENCE, sink.send(Message::Binary(Bytes::from(frame)))).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return "it does not read".to_owned(),
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
    fn addresses_with_and_without_a_path_lead_to_the_robot_endpoint() {
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
