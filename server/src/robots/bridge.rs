//! One robot's connection: hello, then observations in and chunks out until either side ends it.

use crate::{
    VERSION,
    mailbox::Mailbox,
    peer_log::PeerLog,
    policies::inference::unknown_tag,
    sessions::{Registry, Session, session::refusal},
    wire::{self, End, Read, Reader, Source},
};
use axum::extract::ws::Message;
use bytes::Bytes;
use futures_util::{Sink, Stream, StreamExt as _};
use protocol::{
    ErrorMessage, FromRobot, ToRobot,
    robot::{RobotHello, RobotWelcome},
};
use std::sync::{Arc, LazyLock};
use tokio_util::sync::CancellationToken;

/// Connections that are refused, of all peers.
static REFUSALS: LazyLock<PeerLog> = LazyLock::new(PeerLog::default);

/// The mailbox as frames, telling the session when a stop leaves.
struct Outgoing {
    mailbox: Arc<Mailbox>,
    session: Option<Arc<Session>>,
}

impl Source for Outgoing {
    async fn next_frame(&self) -> Option<Bytes> {
        loop {
            let message = self.mailbox.next().await?;
            if let (ToRobot::Stop(_), Some(session)) = (&message, &self.session) {
                session.stop_left();
            }
            match message.encode() {
                Ok(frame) => return Some(frame.into()),
                // A chunk is checked before it gets here; whatever else does not encode is our bug.
                Err(error) => tracing::error!("a message to a robot was dropped: {error}"),
            }
        }
    }
}

/// Serves one robot until it leaves, misbehaves, or `stop` is cancelled.
pub(crate) async fn bridge<S, E>(socket: S, registry: Arc<Registry>, stop: CancellationToken)
where
    S: Stream<Item = Result<Message, E>> + Sink<Message> + Send + 'static,
    E: std::fmt::Display + Send,
{
    let (sink, stream) = socket.split();
    let limits = registry.limits;
    let metrics = registry.metrics.clone();
    let mut reader = Reader::new(stream, FromRobot::decode, limits, &metrics);
    let mailbox = Arc::<Mailbox>::default();

    let greeted = tokio::select! {
        hello = reader.hello() => hello.and_then(|message| greet(message, &registry, &mailbox)),
        () = stop.cancelled() => Err(End::Left),
    };
    let session = match greeted {
        Ok(session) => session,
        Err(end) => {
            say(&mailbox, end);
            mailbox.close();
            let outgoing = Outgoing {
                mailbox,
                session: None,
            };
            wire::write(sink, &outgoing, limits, "refused").await;
            return;
        }
    };

    let writer = tokio::spawn({
        let outgoing = Outgoing {
            mailbox: mailbox.clone(),
            session: Some(session.clone()),
        };
        async move { wire::write(sink, &outgoing, limits, "the studio ends this connection").await }
    });
    let log = PeerLog::default();
    let end = loop {
        let read = tokio::select! {
            read = reader.next() => read,
            () = stop.cancelled() => break End::Left,
        };
        match read {
            Ok(Read::Message(message)) => handle(message, &session, &registry, &mailbox, &log),
            Ok(Read::Refused(error)) => {
                log.say(&session.robot_id(), &error.message);
                mailbox.put(error.into());
            }
            Err(end) => break end,
        }
    };
    say(&mailbox, end);
    mailbox.close();
    registry.disconnect(&session);
    tracing::info!("robot {} left", session.robot_id());
    if writer.await.is_err() {
        tracing::error!("the writer of a robot's connection crashed");
    }
}

fn say(mailbox: &Mailbox, end: End) {
    if let End::Refused(error) = end {
        REFUSALS.say(&"a robot's connection is refused", &error.message);
        mailbox.put(error.into());
    }
}

fn greet(
    message: FromRobot,
    registry: &Registry,
    mailbox: &Arc<Mailbox>,
) -> Result<Arc<Session>, End> {
    let FromRobot::Hello(hello) = message else {
        registry.metrics.error("no_hello");
        return Err(End::Refused(fatal(
            "no_hello",
            "the first frame must be RobotHello (kind 0x01)",
        )));
    };
    let tag = hello.tag.clone();
    let session = registry
        .connect(hello, mailbox)
        .map_err(|full| End::Refused(fatal("full", &full.to_string())))?;
    let robot_id = session.robot_id();
    tracing::info!("robot {robot_id} is here");
    mailbox.put(ToRobot::Welcome(RobotWelcome {
        robot_id,
        policy: registry.policy().name,
        studio_version: VERSION.to_owned(),
        resume_token: String::new(),
    }));
    if let Some(info) = registry.inference.info()
        && info.tag(&tag).is_none()
    {
        mailbox.put(refusal("unknown_tag", unknown_tag(&tag, info)).into());
    }
    Ok(session)
}

fn handle(
    message: FromRobot,
    session: &Arc<Session>,
    registry: &Registry,
    mailbox: &Mailbox,
    log: &PeerLog,
) {
    match message {
        FromRobot::Observation(observation) => session.observed(observation),
        FromRobot::Report(report) => session.reported(report),
        FromRobot::Error(error) => {
            // Faster than anybody can read they would drive what else waits for its viewers out of their queues.
            if log.say(&format_args!("{} says", session.robot_id()), &error.message) {
                session.robot_error(&ErrorMessage {
                    fatal: false,
                    ..error
                });
            }
        }
        FromRobot::Hello(hello) => update(hello, session, registry, mailbox),
    }
}

/// A robot repeats its hello to change the sentences that it offers.
fn update(hello: RobotHello, session: &Session, registry: &Registry, mailbox: &Mailbox) {
    if session.update_description(hello) {
        registry.broadcast_robots();
    } else {
        registry.metrics.error("hello_changed");
        mailbox.put(
            refusal(
                "hello_changed",
                "a repeated hello may change example_instructions only; reconnect to change joints, cameras, \
                 rate or tag",
            )
            .into(),
        );
    }
}

fn fatal(code: &str, message: &str) -> ErrorMessage {
    ErrorMessage {
        code: code.to_owned(),
        message: message.to_owned(),
        fatal: true,
    }
}
