//! One viewer's connection: hello, then watching and commanding.

use super::outbox::{Key, Outbox};
use crate::{
    VERSION,
    metrics::Metrics,
    peer_log::{PeerLog, one_line},
    scene::{self, Wanted},
    sessions::{Registry, Session, session::refusal},
    wire::{self, End, Read, Reader, Source},
};
use axum::extract::ws::Message;
use bytes::Bytes;
use futures_util::{Sink, Stream, StreamExt as _};
use protocol::{
    ErrorMessage, FromViewer, Message as ProtocolMessage, scene::Ask, viewer::ViewerWelcome,
};
use std::sync::{Arc, LazyLock};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Connections that are refused, of all peers.
static REFUSALS: LazyLock<PeerLog> = LazyLock::new(PeerLog::default);
/// Questions of one viewer whose pictures are being prepared; all but the newest are given up, but not at once.
const MAX_ASKING: usize = 2;

struct Outgoing {
    outbox: Arc<Outbox>,
    metrics: Arc<Metrics>,
}

impl Source for Outgoing {
    async fn next_frame(&self) -> Option<Bytes> {
        let frame = self.outbox.next().await;
        let dropped = self.outbox.take_dropped();
        if dropped > 0 {
            self.metrics.viewer_messages_dropped.inc_by(dropped);
        }
        frame
    }
}

/// Serves one viewer until it leaves, misbehaves, or `stop` is cancelled.
pub(crate) async fn bridge<S, E>(socket: S, registry: Arc<Registry>, stop: CancellationToken)
where
    S: Stream<Item = Result<Message, E>> + Sink<Message> + Send + 'static,
    E: std::fmt::Display + Send,
{
    let (sink, stream) = socket.split();
    let limits = registry.limits;
    let metrics = registry.metrics.clone();
    let mut reader = Reader::new(stream, FromViewer::decode, limits, &metrics);
    let outbox = Arc::new(Outbox::new(limits.max_lossy_bytes));
    let writer = tokio::spawn({
        let outgoing = Outgoing {
            outbox: outbox.clone(),
            metrics: metrics.clone(),
        };
        async move { wire::write(sink, &outgoing, limits, "the studio ends this connection").await }
    });

    let mut viewer = Viewer {
        registry: &registry,
        outbox: &outbox,
        watched: None,
        key: registry.asking.new_viewer(),
        asked: None,
        asking: Arc::new(Semaphore::new(MAX_ASKING)),
    };
    let end = tokio::select! {
        end = viewer.serve(&mut reader) => end,
        () = stop.cancelled() => End::Left,
    };
    viewer.leave();
    if let End::Refused(error) = end {
        REFUSALS.say(&"a viewer's connection is refused", &error.message);
        put(&outbox, &error);
    }
    outbox.close();
    if writer.await.is_err() {
        tracing::error!("the writer of a viewer's connection crashed");
    }
}

struct Viewer<'a> {
    registry: &'a Registry,
    outbox: &'a Arc<Outbox>,
    watched: Option<Arc<Session>>,
    /// Names this viewer where questions wait.
    key: u64,
    /// The question at hand, and how to end it.
    asked: Option<(u64, Wanted)>,
    /// Questions whose pictures are being prepared.
    asking: Arc<Semaphore>,
}

impl Viewer<'_> {
    async fn serve<S, E>(&mut self, reader: &mut Reader<'_, S, FromViewer>) -> End
    where
        S: Stream<Item = Result<Message, E>> + Unpin,
        E: std::fmt::Display,
    {
        if let Err(end) = self.greet(reader).await {
            return end;
        }
        loop {
            match reader.next().await {
                Ok(Read::Message(message)) => {
                    if let Err(error) = self.handle(message) {
                        put(self.outbox, &error);
                    }
                }
                Ok(Read::Refused(error)) => put(self.outbox, &error),
                Err(end) => break end,
            }
        }
    }

    async fn greet<S, E>(&self, reader: &mut Reader<'_, S, FromViewer>) -> Result<(), End>
    where
        S: Stream<Item = Result<Message, E>> + Unpin,
        E: std::fmt::Display,
    {
        let FromViewer::Hello(hello) = reader.hello().await? else {
            self.registry.metrics.error("no_hello");
            return Err(End::Refused(ErrorMessage {
                code: "no_hello".to_owned(),
                message: "the first frame must be ViewerHello (kind 0x21)".to_owned(),
                fatal: true,
            }));
        };
        self.registry.add_viewer(self.outbox).map_err(|full| {
            End::Refused(ErrorMessage {
                code: "full".to_owned(),
                message: full.to_string(),
                fatal: true,
            })
        })?;
        tracing::debug!("viewer {:?} is here", one_line(&hello.client));
        put(
            self.outbox,
            &ViewerWelcome {
                studio_version: VERSION.to_owned(),
                policy: self.registry.policy(),
                answerer: self.registry.asking.describe(),
            },
        );
        match protocol::encode(&self.registry.robot_list()) {
            Ok(frame) => self.outbox.put_newest(Key::Robots, frame.into()),
            Err(error) => tracing::warn!("the robot list was not sent: {error}"),
        }
        Ok(())
    }

    fn handle(&mut self, message: FromViewer) -> Result<(), ErrorMessage> {
        match message {
            FromViewer::Hello(_) => Err(refusal("hello_twice", "the hello was already said")),
            FromViewer::Watch(watch) => {
                let session = self.robot(&watch.robot_id)?;
                self.unwatch();
                session.watch(self.outbox);
                self.watched = Some(session);
                Ok(())
            }
            FromViewer::Command(command) => self
                .robot(&command.robot_id)?
                .command(&command.text, command.mode),
            FromViewer::Stop(stop) => {
                self.robot(&stop.robot_id)?
                    .stop("a viewer pressed stop".to_owned());
                Ok(())
            }
            FromViewer::StopAll(_) => {
                for robot in self.registry.robots() {
                    robot.stop("a viewer stopped all robots".to_owned());
                }
                Ok(())
            }
            FromViewer::Release(release) => {
                self.robot(&release.robot_id)?.release();
                Ok(())
            }
            FromViewer::Reset(reset) => {
                self.robot(&reset.robot_id)?.reset(reset.scene);
                Ok(())
            }
            FromViewer::Ask(ask) => {
                self.ask(ask);
                Ok(())
            }
            FromViewer::StopAnswer(stop) => {
                if let Some((id, wanted)) = &self.asked
                    && *id == stop.question_id
                {
                    self.registry.asking.stop_answer(self.key, wanted);
                }
                Ok(())
            }
        }
    }

    fn ask(&mut self, ask: Ask) {
        self.abandon_question();
        self.outbox.turn_to_question(ask.question_id);
        // Every question gets an answer, so that nobody waits for one in vain.
        let robot = match self.robot(&ask.robot_id) {
            Ok(robot) => robot,
            Err(error) => {
                scene::refuse(self.outbox, ask.question_id, &error.message);
                return;
            }
        };
        let Ok(permit) = self.asking.clone().try_acquire_owned() else {
            scene::refuse(
                self.outbox,
                ask.question_id,
                "the questions before this one are still being prepared; ask more slowly",
            );
            return;
        };
        let scene = robot.scene();
        let wanted = Wanted::default();
        self.asked = Some((ask.question_id, wanted.clone()));
        let (asking, outbox, key) = (self.registry.asking.clone(), self.outbox.clone(), self.key);
        tokio::spawn(async move {
            asking.ask(key, ask, scene, &outbox, &wanted).await;
            drop(permit);
        });
    }

    /// Nothing more of it is told, and what waits to be sent is dropped: a viewer that asks much and reads little costs
    /// no memory.
    fn abandon_question(&mut self) {
        if let Some((id, wanted)) = self.asked.take() {
            self.registry.asking.abandon(self.key, &wanted);
            self.outbox.forget_question(id);
        }
    }

    fn robot(&self, robot_id: &str) -> Result<Arc<Session>, ErrorMessage> {
        self.registry.robot(robot_id).ok_or_else(|| {
            let known: Vec<String> = self
                .registry
                .robots()
                .iter()
                .map(|robot| robot.robot_id())
                .collect();
            refusal(
                "unknown_robot",
                format!(
                    "there is no robot {robot_id:?}; known are: {}",
                    known.join(", ")
                ),
            )
        })
    }

    fn unwatch(&mut self) {
        if let Some(session) = self.watched.take() {
            session.unwatch(self.outbox);
            self.outbox.forget_watched();
        }
    }

    fn leave(&mut self) {
        self.unwatch();
        self.abandon_question();
        self.registry.remove_viewer(self.outbox);
    }
}

fn put<M: ProtocolMessage>(outbox: &Outbox, message: &M) {
    match protocol::encode(message) {
        Ok(frame) => outbox.put_control(frame.into()),
        Err(error) => tracing::warn!("a message to a viewer was dropped: {error}"),
    }
}
