//! One viewer's connection: hello, then watching and commanding.

use super::{
    beats::Beats,
    outgoing::{Outgoing, heartbeat},
};
use crate::queues::outbox::Outbox;
use crate::{
    VERSION,
    peer_log::{PeerLog, one_line},
    scene_questions::{self, CancelToken},
    sessions::{Registry, Session, session::refusal},
    wire::{self, End, Read, Reader},
};
use axum::extract::ws::Message;
use bytes::Bytes;
use futures_util::{Sink, Stream, StreamExt as _};
use protocol::{
    ErrorMessage, FromViewer, Message as ProtocolMessage,
    scene::Ask,
    viewer::{StopAccepted, StoppedRobot, ViewerWelcome},
};
use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Connections that are refused, of all peers.
static REFUSALS: LazyLock<PeerLog> = LazyLock::new(PeerLog::default);
/// Questions of one viewer whose pictures are being prepared; all but the newest are given up, but not at once.
const MAX_ASKING: usize = 2;
/// Of the name that a client gives itself, this much stands in records and reasons.
const MAX_CLIENT_CHARS: usize = 64;
/// Stops of one viewer whose answer may wait for the disk.
const MAX_ANSWERS: usize = 16;

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
    let is_greeted = Arc::<AtomicBool>::default();
    let beats = Arc::<Beats>::default();
    let mut writer = tokio::spawn({
        let outgoing = Outgoing {
            outbox: outbox.clone(),
            metrics: metrics.clone(),
            limits,
            health: registry.health.clone(),
            is_greeted: is_greeted.clone(),
            beats: beats.clone(),
        };
        async move { wire::write(sink, &outgoing, limits, "the studio ends this connection").await }
    });

    let mut viewer = Viewer {
        registry: registry.clone(),
        outbox: outbox.clone(),
        watched: None,
        key: registry.asking.new_viewer(),
        name: String::new(),
        asked: None,
        answers: Arc::new(Semaphore::new(MAX_ANSWERS)),
        is_greeted,
        beats,
        is_absent: false,
        asking: Arc::new(Semaphore::new(MAX_ASKING)),
    };
    let end = tokio::select! {
        end = viewer.serve(&mut reader) => end,
        () = stop.cancelled() => End::Left,
        written = &mut writer => {
            if written.is_err() {
                tracing::error!("the writer of a viewer's connection crashed");
            }
            return;
        }
    };
    if let End::Refused(error) = end {
        REFUSALS.say(&"a viewer's connection is refused", &error.message);
        put(&outbox, &error);
    }
    drop(viewer);
    if writer.await.is_err() {
        tracing::error!("the writer of a viewer's connection crashed");
    }
}

struct Viewer {
    registry: Arc<Registry>,
    outbox: Arc<Outbox>,
    watched: Option<Arc<Session>>,
    /// Names this viewer where questions wait, and as an operator.
    key: u64,
    /// The same for people.
    name: String,
    /// The question at hand, and how to end it.
    asked: Option<(u64, CancelToken)>,
    /// Stops whose answer waits for the disk.
    answers: Arc<Semaphore>,
    is_greeted: Arc<AtomicBool>,
    /// By which is known what comes too late.
    beats: Arc<Beats>,
    /// It was not heard for so long that what it set off has ended.
    is_absent: bool,
    /// Questions whose pictures are being prepared.
    asking: Arc<Semaphore>,
}

/// A viewer leaves its places, by a panic too.
impl Drop for Viewer {
    fn drop(&mut self) {
        self.unwatch();
        self.abandon_question();
        self.outbox.close();
        self.registry.remove_viewer(&self.outbox);
        self.registry.operator_gone(self.key, &self.name);
    }
}

impl Viewer {
    async fn serve<S, E>(&mut self, reader: &mut Reader<'_, S, FromViewer>) -> End
    where
        S: Stream<Item = Result<Message, E>> + Unpin,
        E: std::fmt::Display,
    {
        if let Err(end) = self.greet(reader).await {
            return end;
        }
        let heard = reader.heard().clone();
        let limits = self.registry.limits;
        let mut looks = tokio::time::interval(limits.operator_gone_after / 8);
        loop {
            let read = tokio::select! {
                read = reader.next() => read,
                _ = looks.tick() => {
                    self.look(heard.silent_for() >= limits.operator_gone_after);
                    continue;
                }
            };
            match read {
                Ok(Read::Message(message)) => {
                    if let Err(error) = self.handle(message) {
                        put(&self.outbox, &error);
                    }
                }
                Ok(Read::Refused(error)) => put(&self.outbox, &error),
                Err(end) => break end,
            }
        }
    }

    /// A viewer that is silent cannot stop what it set off.
    fn look(&mut self, is_absent: bool) {
        if is_absent && !self.is_absent {
            self.registry.operator_gone(self.key, &self.name);
        }
        self.is_absent = is_absent;
    }

    async fn greet<S, E>(&mut self, reader: &mut Reader<'_, S, FromViewer>) -> Result<(), End>
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
        let welcome = written(&ViewerWelcome {
            studio_version: VERSION.to_owned(),
            policy: self.registry.policy(),
            answerer: self.registry.asking.describe(),
        });
        let added = self.registry.add_viewer(&self.outbox, welcome);
        added.await.map_err(|full| {
            End::Refused(ErrorMessage {
                code: "full".to_owned(),
                message: full.to_string(),
                fatal: true,
            })
        })?;
        let client: String = one_line(&hello.client)
            .chars()
            .take(MAX_CLIENT_CHARS)
            .collect();
        self.name = format!("viewer {} ({client})", self.key);
        tracing::debug!("{} is here", self.name);
        // At once, so that there is no command without one to name.
        let first = heartbeat(&self.beats, &self.registry.health);
        put(&self.outbox, &first);
        self.is_greeted.store(true, Ordering::Release);
        Ok(())
    }

    fn handle(&mut self, message: FromViewer) -> Result<(), ErrorMessage> {
        match message {
            FromViewer::Hello(_) => Err(refusal("hello_twice", "the hello was already said")),
            FromViewer::Watch(watch) => {
                let session = self.robot(&watch.robot_id)?;
                self.unwatch();
                session.watch(&self.outbox);
                self.watched = Some(session);
                Ok(())
            }
            FromViewer::Command(command) => {
                let robot = self.robot(&command.robot_id)?;
                // To end what a robot does it is never too late.
                let in_time = if command.text.trim().is_empty() {
                    Ok(())
                } else {
                    self.in_time("the instruction", command.heard_beat)
                };
                let given =
                    in_time.and_then(|()| robot.command(&command.text, command.mode, self.key));
                self.note("command", &command.robot_id, &command.text, &given);
                given
            }
            FromViewer::Stop(stop) => {
                let robot = self.robot(&stop.robot_id)?;
                self.stop("stop", &[robot], stop.press_id);
                Ok(())
            }
            FromViewer::StopAll(stop) => {
                let robots = self.registry.robots();
                self.stop("stop_all", &robots, stop.press_id);
                Ok(())
            }
            FromViewer::Release(release) => {
                let robot = self.robot(&release.robot_id)?;
                let given = self.in_time("the release", release.heard_beat);
                if given.is_ok() {
                    self.registry.release(&robot);
                }
                self.note("release", &release.robot_id, "", &given);
                given
            }
            FromViewer::Reset(reset) => {
                let robot = self.robot(&reset.robot_id)?;
                let given = self
                    .in_time("the new scene", reset.heard_beat)
                    .and_then(|()| robot.reset(reset.scene));
                self.note("reset", &reset.robot_id, "", &given);
                given
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

    /// Refuses what can set a robot in motion and was given too long ago.
    fn in_time(&self, what: &str, heard_beat: Option<u64>) -> Result<(), ErrorMessage> {
        let within = self.registry.limits.command_within;
        let checked = self.beats.check(heard_beat, within, Instant::now());
        checked.map_err(|late| {
            self.registry.metrics.error("late");
            refusal(
                "late",
                format!(
                    "{what} came {late}: too late, so it was not carried out; the connection was interrupted or is slow; \
                     look at the robot, then do it again if it is still wanted"
                ),
            )
        })
    }

    fn note(
        &self,
        what: &'static str,
        robot_id: &str,
        text: &str,
        given: &Result<(), ErrorMessage>,
    ) {
        let refused = given.as_ref().err().map_or("", |error| error.code.as_str());
        let events = &self.registry.events;
        events.note(what, robot_id, &self.name, text, refused);
    }

    /// Stops robots at once; answers when the latches are on disk, and waits for that nowhere. A press that comes again
    /// stops nothing and is answered again, because the first answer may be lost.
    fn stop(&self, what: &'static str, robots: &[Arc<Session>], press_id: u64) {
        let reason = format!("{} pressed stop", self.name);
        let moving: Vec<_> = robots.iter().filter(|robot| !robot.is_stopped()).collect();
        let change = self.registry.stop(robots, press_id, &reason);
        if change.is_some() {
            for robot in moving {
                let robot_id = robot.robot_id();
                tracing::info!("{robot_id} is stopped: {reason}");
                self.note(what, &robot_id, "", &Ok(()));
            }
        }
        let mut accepted = StopAccepted {
            press_id,
            // A press that comes again may find robots that were released since, or that came since.
            robots: robots
                .iter()
                .filter(|robot| robot.is_stopped())
                .map(|robot| StoppedRobot {
                    robot_id: robot.robot_id(),
                    connected: robot.is_connected(),
                })
                .collect(),
            not_on_disk: String::new(),
        };
        let Ok(permit) = self.answers.clone().try_acquire_owned() else {
            // Presses are sent again, so another answer will come.
            return;
        };
        let (registry, outbox) = (self.registry.clone(), self.outbox.clone());
        tokio::spawn(async move {
            let on_disk = registry.latches.on_disk(change).await;
            accepted.not_on_disk = on_disk.err().unwrap_or_default();
            put(&outbox, &accepted);
            drop(permit);
        });
    }

    fn ask(&mut self, ask: Ask) {
        self.abandon_question();
        self.outbox.turn_to_question(ask.question_id);
        // Every question gets an answer, so that nobody waits for one in vain.
        let robot = match self.robot(&ask.robot_id) {
            Ok(robot) => robot,
            Err(error) => {
                scene_questions::refuse(&self.outbox, ask.question_id, &error.message);
                return;
            }
        };
        let Ok(permit) = self.asking.clone().try_acquire_owned() else {
            scene_questions::refuse(
                &self.outbox,
                ask.question_id,
                "the questions before this one are still being prepared; ask more slowly",
            );
            return;
        };
        let scene = robot.scene();
        let wanted = CancelToken::default();
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
            session.unwatch(&self.outbox);
            self.outbox.forget_watched();
        }
    }
}

fn put<M: ProtocolMessage>(outbox: &Outbox, message: &M) {
    if let Some(frame) = written(message) {
        outbox.put_control(frame);
    }
}

fn written<M: ProtocolMessage>(message: &M) -> Option<Bytes> {
    match protocol::encode(message) {
        Ok(frame) => Some(frame.into()),
        Err(error) => {
            tracing::warn!("a message to a viewer was dropped: {error}");
            None
        }
    }
}
