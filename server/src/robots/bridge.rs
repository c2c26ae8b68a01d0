//! One robot's connection: hello, then observations in and chunks out until either side ends it.

use crate::{
    VERSION,
    mailbox::Mailbox,
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
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

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

    let here = Here {
        registry: &registry,
        session: &session,
        mailbox: &mailbox,
    };
    let writer = tokio::spawn({
        let outgoing = Outgoing {
            mailbox: mailbox.clone(),
            session: Some(session.clone()),
        };
        async move { wire::write(sink, &outgoing, limits, "the studio ends this connection").await }
    });
    let end = loop {
        let read = tokio::select! {
            read = reader.next() => read,
            () = stop.cancelled() => break End::Left,
        };
        match read {
            Ok(Read::Message(message)) => handle(message, &session, &registry, &mailbox),
            Ok(Read::Refused(error)) => {
                tracing::info!("{}: {}", session.robot_id(), error.message);
                mailbox.put(error.into());
            }
            Err(end) => break end,
        }
    };
    say(&mailbox, end);
    drop(here);
    if writer.await.is_err() {
        tracing::error!("the writer of a robot's connection crashed");
    }
}

/// A robot that is connected, until this is dropped: however its task ends, nobody takes it for connected afterwards.
struct Here<'a> {
    registry: &'a Registry,
    session: &'a Session,
    mailbox: &'a Mailbox,
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        self.mailbox.close();
        self.registry.disconnect(self.session);
        tracing::info!("robot {} left", self.session.robot_id());
    }
}

fn say(mailbox: &Mailbox, end: End) {
    if let End::Refused(error) = end {
        tracing::info!("a robot's connection is refused: {}", error.message);
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
    for contradiction in session.contradictions() {
        tracing::warn!("{}: {}", session.robot_id(), contradiction.message);
        mailbox.put(contradiction.into());
    }
    Ok(session)
}

fn handle(message: FromRobot, session: &Arc<Session>, registry: &Registry, mailbox: &Mailbox) {
    match message {
        FromRobot::Observation(observation) => session.observed(observation),
        FromRobot::Report(report) => session.reported(report),
        FromRobot::Error(error) => {
            tracing::info!("{} says: {}", session.robot_id(), error.message);
            session.robot_error(&ErrorMessage {
                fatal: false,
                ..error
            });
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
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::{
        health::Health, metrics::Metrics, policies::inference::Inference, scene::Asking,
        sessions::registry::Limits,
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
        let none = || Err("none".to_owned());
        let (inference, _) = Inference::start(none(), metrics.clone(), 1, &health).unwrap();
        let (asking, _) = Asking::start(none(), &health).unwrap();
        let registry = Registry::new(inference, asking, metrics, health, Limits::default());
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
        let robots = registry.robot_list().robots;
        assert_eq!((robots.len(), robots[0].connected), (1, false));
        assert_eq!(registry.metrics.robots.get(), 0);
    }
}
