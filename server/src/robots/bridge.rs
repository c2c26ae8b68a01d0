//! Connection of one robot: hello, then observations in and chunks out until either side ends it.

use super::outgoing::Outgoing;
use crate::{
    VERSION,
    connection_io::{self, End, PeerActivity, Read, Reader},
    handshake::{self, refused},
    inference::job::unknown_tag,
    metrics::Metrics,
    peer_log::{ConnectionLog, Kind, PeerLog},
    queues::mailbox::Mailbox,
    sessions::{Registry, Session, connection::Connection, session::refusal},
};
use axum::extract::ws::Message;
use futures_util::{Sink, Stream, StreamExt as _};
use protocol::{
    ErrorMessage, FromRobot, ToRobot,
    robot::{RobotHello, RobotWelcome},
};
use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Possessive for the lines of the log about these connections.
const OWNER: &str = "a robot's";

/// Guard that disconnects the robot when its connection ends, also by a panic.
struct ConnectedRobot {
    registry: Arc<Registry>,
    session: Arc<Session>,
    connection: Connection,
}

impl Drop for ConnectedRobot {
    fn drop(&mut self) {
        self.connection.mailbox.close();
        self.registry
            .disconnect(&self.session, self.connection.number);
        let line = format!("robot {} left", self.session.robot_id());
        self.connection.log.say(Kind::Presence, &line);
    }
}

/// Serves one robot until it leaves, violates the protocol, or `stop` is cancelled.
pub(crate) async fn bridge<S, E>(
    socket: S,
    registry: Arc<Registry>,
    log: ConnectionLog,
    stop: CancellationToken,
) where
    S: Stream<Item = Result<Message, E>> + Sink<Message> + Send + 'static,
    E: std::fmt::Display + Send,
{
    let (sink, stream) = socket.split();
    let limits = registry.limits;
    let metrics = registry.metrics.clone();
    let mut reader = Reader::new(stream, FromRobot::decode, limits, &metrics);
    let activity = reader.activity().clone();
    let mailbox = Arc::<Mailbox>::default();

    let greeted = tokio::select! {
        hello = handshake::hello(&mut reader, &metrics, hello_of, "RobotHello (kind 0x01)") => match hello {
            Ok(hello) => greet(hello, &registry, &mailbox, &activity, &log).await,
            Err(end) => Err(end),
        },
        () = stop.cancelled() => Err(End::Left),
    };
    let (session, connection) = match greeted {
        Ok(connected) => connected,
        Err(end) => {
            put_closing_error(&mailbox, end, &log);
            mailbox.close();
            let outgoing = Outgoing {
                mailbox,
                activity,
                limits,
                session: None,
                is_stop: AtomicBool::new(false),
            };
            connection_io::write(sink, &outgoing, limits, "refused").await;
            return;
        }
    };
    let connected = ConnectedRobot {
        registry: registry.clone(),
        session: session.clone(),
        connection: connection.clone(),
    };

    let outgoing = Outgoing {
        mailbox: mailbox.clone(),
        activity: activity.clone(),
        limits,
        session: Some((session.clone(), connection.clone())),
        is_stop: AtomicBool::new(false),
    };
    let mut writer = handshake::write(sink, outgoing, limits);
    let mut ping_checks = tokio::time::interval(limits.ping_every);
    let errors = PeerLog::default();
    let end = loop {
        let read = tokio::select! {
            biased;
            () = stop.cancelled() => break End::Left,
            () = connection.cut.cancelled() => break cut(&connection),
            // A robot that cannot be written to cannot be stopped: a connection works in both directions or ends.
            ended = &mut writer => {
                let line = format!("{} does not read: its connection ends", session.robot_id());
                log.say(Kind::Warning, &line);
                handshake::check_writer(&ended, OWNER);
                return;
            }
            _ = ping_checks.tick() => {
                let deaf_for = activity.pings().deaf_for(Instant::now());
                if deaf_for < limits.deaf_after {
                    continue;
                }
                break deaf(deaf_for, &metrics);
            }
            read = reader.next() => read,
        };
        match read {
            Ok(Read::Message(message)) => {
                // What a replaced connection says is not about the one that took its place.
                if !connection.cut.is_cancelled() {
                    handle(message, &session, &registry, &mailbox, &errors);
                }
                // One packet may hold thousands of small messages: other tasks run in between.
                tokio::task::coop::consume_budget().await;
            }
            Ok(Read::Refused(error)) => {
                let line = format!("{}: {}", session.robot_id(), error.message);
                log.say(Kind::Fault, &line);
                mailbox.put(error.into());
            }
            Err(end) => break end,
        }
    };
    put_closing_error(&mailbox, end, &log);
    drop(connected);
    handshake::check_writer(&writer.await, OWNER);
}

fn hello_of(message: FromRobot) -> Option<RobotHello> {
    match message {
        FromRobot::Hello(hello) => Some(hello),
        _ => None,
    }
}

/// End of a connection that the registry has cut.
fn cut(connection: &Connection) -> End {
    if connection.gave_way() {
        refused(
            "idle",
            "all places are taken, and this one was given to another robot because no observation was sent; connect \
             again to send observations",
        )
    } else {
        refused(
            "replaced",
            "another connection has taken the place of this one",
        )
    }
}

fn deaf(deaf_for: Duration, metrics: &Metrics) -> End {
    metrics.error("deaf");
    let message = format!(
        "no ping was answered for {:.0} s: this robot does not read its connection, so a stop would not reach it",
        deaf_for.as_secs_f32()
    );
    refused("deaf", message)
}

fn put_closing_error(mailbox: &Mailbox, end: End, log: &ConnectionLog) {
    if let Some(error) = handshake::closing_error(end, OWNER, log) {
        mailbox.put(error.into());
    }
}

async fn greet(
    hello: RobotHello,
    registry: &Registry,
    mailbox: &Arc<Mailbox>,
    activity: &Arc<PeerActivity>,
    log: &ConnectionLog,
) -> Result<(Arc<Session>, Connection), End> {
    let tag = hello.tag.clone();
    let (session, connection) = registry
        .connect(hello, mailbox, activity, log)
        .await
        .map_err(|refused| {
            registry.metrics.error(&refused.code);
            End::Refused(refused)
        })?;
    let robot_id = session.robot_id();
    log.say(Kind::Presence, &format!("robot {robot_id} is here"));
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
        let line = format!("{}: {}", session.robot_id(), contradiction.message);
        log.say(Kind::Warning, &line);
        mailbox.put(contradiction.into());
    }
    Ok((session, connection))
}

fn handle(
    message: FromRobot,
    session: &Arc<Session>,
    registry: &Registry,
    mailbox: &Mailbox,
    errors: &PeerLog,
) {
    match message {
        FromRobot::Observation(observation) => session.observed(observation),
        FromRobot::Report(report) => session.reported(report),
        FromRobot::Error(error) => {
            let line = format!("{} reports: {}", session.robot_id(), error.message);
            session.connection().log.say(Kind::Fault, &line);
            // Without a limit they would push other messages out of the viewers' queues.
            if errors.allows() {
                session.robot_error(&ErrorMessage {
                    fatal: false,
                    ..error
                });
            }
        }
        FromRobot::Hello(hello) => update(hello, session, registry, mailbox),
    }
}

/// Handles a repeated hello, which may change the example instructions.
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
        limits::Limits,
        peer_address::PeerAddress,
        scene_questions::SceneQuestions,
    };
    use protocol::JointDescription;
    use std::{
        convert::Infallible,
        pin::Pin,
        task::{Context, Poll},
    };

    /// Socket that delivers a hello and then panics when it is read.
    struct PanickingSocket(Option<Message>);

    impl Stream for PanickingSocket {
        type Item = Result<Message, Infallible>;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            match self.0.take() {
                Some(hello) => Poll::Ready(Some(Ok(hello))),
                None => panic!("a bug in the bridge"),
            }
        }
    }

    impl Sink<Message> for PanickingSocket {
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
    async fn a_robot_whose_connection_panics_is_disconnected() {
        let metrics = Arc::new(Metrics::new());
        let health = Health::new();
        let (inference, _) =
            Inference::start(Err("none".to_owned()), metrics.clone(), 1, &health).unwrap();
        let (asking, _) = SceneQuestions::start(Err("none".to_owned()), &health).unwrap();
        let latches = Arc::new(Latches::open(None, &health).unwrap());
        let events = Events::open(None, &health).unwrap();
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
        let socket = PanickingSocket(Some(Message::Binary(hello.unwrap().into())));
        let log = ConnectionLog::new(PeerAddress::UNKNOWN, registry.logs.clone());
        let task = tokio::spawn(bridge(
            socket,
            registry.clone(),
            log,
            CancellationToken::new(),
        ));
        assert!(task.await.unwrap_err().is_panic());
        let robots = registry.robots();
        assert_eq!((robots.len(), robots[0].is_connected()), (1, false));
        assert_eq!(registry.metrics.robots.get(), 0);
    }
}
