//! One robot's connection: hello, then observations in and chunks out until either side ends it.

use crate::{
    VERSION,
    inference::job::unknown_tag,
    limits::Limits,
    metrics::Metrics,
    peer_log::PeerLog,
    queues::mailbox::Mailbox,
    sessions::{Registry, Session, connection::Connection, session::refusal},
    wire::{self, End, Heard, Read, Reader, Source},
};
use axum::extract::ws::Message;
use bytes::Bytes;
use futures_util::{Sink, Stream, StreamExt as _};
use protocol::{
    ErrorMessage, FromRobot, ToRobot,
    robot::{RobotHello, RobotWelcome},
};
use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Connections that are refused, of all peers.
static REFUSALS: LazyLock<PeerLog> = LazyLock::new(PeerLog::default);

/// The mailbox as frames, telling the session when a stop leaves and when it has left.
struct Outgoing {
    mailbox: Arc<Mailbox>,
    limits: Limits,
    session: Option<(Arc<Session>, Connection)>,
    /// The frame on its way is a stop.
    is_stop: AtomicBool,
}

impl Source for Outgoing {
    async fn next_frame(&self) -> Option<Bytes> {
        loop {
            let message = self.mailbox.next().await?;
            if let (ToRobot::Stop(_), Some((session, _))) = (&message, &self.session) {
                session.stop_left();
                self.is_stop.store(true, Ordering::Release);
            }
            match message.encode() {
                Ok(frame) => return Some(frame.into()),
                // A chunk is checked before it gets here; whatever else does not encode is our bug.
                Err(error) => tracing::error!("a message to a robot was dropped: {error}"),
            }
        }
    }

    fn was_written(&self) {
        if self.is_stop.swap(false, Ordering::AcqRel)
            && let Some((session, connection)) = &self.session
        {
            session.stop_delivered(connection.number);
        }
    }

    fn write_within(&self) -> Duration {
        self.limits.robot_write_within
    }
}

/// Gives the robot's place back when its connection ends, by a panic too.
struct Place {
    registry: Arc<Registry>,
    session: Arc<Session>,
    connection: Connection,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connection.mailbox.close();
        self.registry
            .disconnect(&self.session, self.connection.number);
        tracing::info!("robot {} left", self.session.robot_id());
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
    let heard = reader.heard().clone();
    let mailbox = Arc::<Mailbox>::default();

    let greeted = tokio::select! {
        hello = reader.hello() => match hello {
            Ok(message) => greet(message, &registry, &mailbox, &heard).await,
            Err(end) => Err(end),
        },
        () = stop.cancelled() => Err(End::Left),
    };
    let (session, connection) = match greeted {
        Ok(place) => place,
        Err(end) => {
            say(&mailbox, end);
            mailbox.close();
            let outgoing = Outgoing {
                mailbox,
                limits,
                session: None,
                is_stop: AtomicBool::new(false),
            };
            wire::write(sink, &outgoing, limits, "refused").await;
            return;
        }
    };
    let place = Place {
        registry: registry.clone(),
        session: session.clone(),
        connection: connection.clone(),
    };

    let mut writer = tokio::spawn({
        let outgoing = Outgoing {
            mailbox: mailbox.clone(),
            limits,
            session: Some((session.clone(), connection.clone())),
            is_stop: AtomicBool::new(false),
        };
        async move { wire::write(sink, &outgoing, limits, "the studio ends this connection").await }
    });
    let mut looks = tokio::time::interval(limits.ping_every);
    let log = PeerLog::default();
    let end = loop {
        let read = tokio::select! {
            read = reader.next() => read,
            () = stop.cancelled() => break End::Left,
            () = connection.cut.cancelled() => break replaced(),
            // Whoever cannot be written to cannot be stopped either: a connection lives in both directions or ends.
            written = &mut writer => {
                tracing::warn!(
                    "{} does not read: its connection ends",
                    session.robot_id()
                );
                if written.is_err() {
                    tracing::error!("the writer of a robot's connection crashed");
                }
                return;
            }
            _ = looks.tick() => {
                let deaf_for = heard.deaf_for();
                if deaf_for < limits.deaf_after {
                    continue;
                }
                break deaf(deaf_for, &metrics);
            }
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
    drop(place);
    if writer.await.is_err() {
        tracing::error!("the writer of a robot's connection crashed");
    }
}

fn replaced() -> End {
    End::Refused(fatal(
        "replaced",
        "another connection has taken the place of this one",
    ))
}

fn deaf(deaf_for: Duration, metrics: &Metrics) -> End {
    metrics.error("deaf");
    let words = format!(
        "no ping was answered for {:.0} s: this robot does not read its connection, so a stop would not reach it",
        deaf_for.as_secs_f32()
    );
    End::Refused(fatal("deaf", &words))
}

fn say(mailbox: &Mailbox, end: End) {
    if let End::Refused(error) = end {
        REFUSALS.say(&"a robot's connection is refused", &error.message);
        mailbox.put(error.into());
    }
}

async fn greet(
    message: FromRobot,
    registry: &Registry,
    mailbox: &Arc<Mailbox>,
    heard: &Arc<Heard>,
) -> Result<(Arc<Session>, Connection), End> {
    let FromRobot::Hello(hello) = message else {
        registry.metrics.error("no_hello");
        return Err(End::Refused(fatal(
            "no_hello",
            "the first frame must be RobotHello (kind 0x01)",
        )));
    };
    let tag = hello.tag.clone();
    let (session, connection) =
        registry
            .connect(hello, mailbox, heard)
            .await
            .map_err(|refused| {
                registry.metrics.error(&refused.code);
                End::Refused(refused)
            })?;
    let robot_id = session.robot_id();
    tracing::info!("robot {robot_id} is here");
    mailbox.put(ToRobot::Welcome(RobotWelcome {
        robot_id,
        policy: registry.policy().name,
        studio_version: VERSION.to_owned(),
        resume_token: connection.resume_token.clone(),
    }));
    if let Some(info) = registry.inference.info()
        && info.tag(&tag).is_none()
    {
        mailbox.put(refusal("unknown_tag", unknown_tag(&tag, info)).into());
    }
    for contradiction in session.contradictions() {
        tracing::warn!("{}: {}", session.robot_id(), contradiction.message);
        mailbox.put(contradiction.into());
    }
    Ok((session, connection))
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

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test fails by panicking"
    )]

    use super::*;
    use crate::{
        data::{events::Events, latches::Latches},
        health::Health,
        inference::thread::Inference,
        scene_questions::SceneQuestions,
    };
    use protocol::JointDescription;
    use std::{
        convert::Infallible,
        pin::Pin,
        task::{Context, Poll},
    };

    /// Says hello, then crashes whoever reads it.
    struct Cursed(Option<Message>);

    impl Stream for Cursed {
        type Item = Result<Message, Infallible>;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            match self.0.take() {
                Some(hello) => Poll::Ready(Some(Ok(hello))),
                None => panic!("a bug in the bridge"),
            }
        }
    }

    impl Sink<Message> for Cursed {
        type Error = Infallible;

        fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn start_send(self: Pin<&mut Self>, _: Message) -> Result<(), Infallible> {
            Ok(())
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_robot_whose_connection_crashes_is_gone() {
        let metrics = Arc::new(Metrics::new());
        let health = Health::new();
        let (inference, _) =
            Inference::start(Err("none".to_owned()), metrics.clone(), 1, &health).unwrap();
        let (asking, _) = SceneQuestions::start(Err("none".to_owned()), &health).unwrap();
        let latches = Arc::new(Latches::open(None).unwrap());
        let events = Events::open(None).unwrap();
        let limits = Limits::default();
        let registry = Registry::new(inference, asking, metrics, latches, events, health, limits);
        let registry = Arc::new(registry);
        let hello = protocol::encode(&RobotHello {
            name: "arm".to_owned(),
            tag: "tag".to_owned(),
            joints: vec![JointDescription {
                name: "pan".to_owned(),
                unit: "deg".to_owned(),
                min: -1.0,
                max: 1.0,
            }],
            cameras: Vec::new(),
            control_rate_hz: 30.0,
            example_instructions: Vec::new(),
            simulated: false,
            resume_token: None,
        });
        let wire = Cursed(Some(Message::Binary(hello.unwrap().into())));
        let task = tokio::spawn(bridge(wire, registry.clone(), CancellationToken::new()));
        assert!(task.await.unwrap_err().is_panic());
        let robots = registry.robots();
        assert_eq!((robots.len(), robots[0].is_connected()), (1, false));
        assert_eq!(registry.metrics.robots.get(), 0);
    }
}
