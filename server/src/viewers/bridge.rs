//! Connection of one viewer: hello, then subscriptions and commands.

use super::{
    heartbeats::Heartbeats,
    outgoing::{Outgoing, heartbeat},
    presses::{CarriedOut, WaitingPresses},
};
use crate::{
    VERSION,
    connection_io::{End, Read, Reader},
    handshake::{self, refused},
    peer_log::{ConnectionLog, one_line},
    queues::outbox::Outbox,
    quota::Quota,
    scene_questions::CancelToken,
    sessions::{Registry, Session, session::refusal, viewers::ViewerPlace},
};
use axum::extract::ws::Message;
use bytes::Bytes;
use futures_util::{Sink, Stream, StreamExt as _};
use protocol::{
    ErrorMessage, FromViewer, Message as ProtocolMessage,
    viewer::{ViewerHello, ViewerWelcome},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

mod questions;
mod stops;

/// Possessive for the lines of the log about these connections.
const OWNER: &str = "a viewer's";
/// Characters of a client's name that records and stop reasons contain.
const MAX_CLIENT_CHARS: usize = 64;

/// Serves one viewer until it leaves, violates the protocol, or `stop` is cancelled.
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
    let mut reader = Reader::new(stream, FromViewer::decode, limits, &metrics);
    let outbox = Arc::new(Outbox::new(limits.max_lossy_bytes));
    let is_greeted = Arc::<AtomicBool>::default();
    let beats = Arc::<Heartbeats>::default();
    let outgoing = Outgoing {
        outbox: outbox.clone(),
        metrics: metrics.clone(),
        limits,
        health: registry.health.clone(),
        activity: reader.activity().clone(),
        is_greeted: is_greeted.clone(),
        beats: beats.clone(),
    };
    let mut writer = handshake::write(sink, outgoing, limits);

    let mut viewer = Viewer {
        registry: registry.clone(),
        outbox: outbox.clone(),
        log: log.clone(),
        watched: None,
        key: registry.scene_questions.new_viewer(),
        name: String::new(),
        question: None,
        carried_out: CarriedOut::default(),
        presses: WaitingPresses::new(Instant::now()),
        answers: Arc::new(Semaphore::new(stops::MAX_ANSWERS)),
        releases: stops::releases(),
        is_greeted,
        beats,
        is_absent: false,
        preparing: Arc::new(Semaphore::new(questions::MAX_PREPARED)),
    };
    let end = tokio::select! {
        end = viewer.serve(&mut reader) => end,
        () = stop.cancelled() => End::Left,
        ended = &mut writer => {
            handshake::check_writer(&ended, OWNER);
            return;
        }
    };
    if let Some(error) = handshake::closing_error(end, OWNER, &log) {
        put(&outbox, &error);
    }
    drop(viewer);
    handshake::check_writer(&writer.await, OWNER);
}

fn hello_of(message: FromViewer) -> Option<ViewerHello> {
    match message {
        FromViewer::Hello(hello) => Some(hello),
        _ => None,
    }
}

struct Viewer {
    registry: Arc<Registry>,
    outbox: Arc<Outbox>,
    log: ConnectionLog,
    watched: Option<Arc<Session>>,
    /// Identifies this viewer in the queue of questions and as an operator.
    key: u64,
    /// Name in records and stop reasons.
    name: String,
    /// Id of the current question and its cancel token.
    question: Option<(u64, CancelToken)>,
    /// Stops that were carried out and are not answered yet.
    presses: WaitingPresses,
    carried_out: CarriedOut,
    /// Permits for answers that wait for the disk.
    answers: Arc<Semaphore>,
    releases: Quota,
    is_greeted: Arc<AtomicBool>,
    /// Heartbeats of this connection, for the check of late commands.
    beats: Arc<Heartbeats>,
    /// The viewer was silent for so long that its instructions have ended.
    is_absent: bool,
    /// Permits for questions whose images are being prepared.
    preparing: Arc<Semaphore>,
}

/// Unregisters the viewer, also after a panic.
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
        let place = match self.greet(reader).await {
            Ok(place) => place,
            Err(end) => return end,
        };
        let activity = reader.activity().clone();
        let limits = self.registry.limits;
        let mut presence_checks = tokio::time::interval(limits.operator_gone_after / 8);
        loop {
            let read = tokio::select! {
                read = reader.next() => read,
                () = place.cut().cancelled() => break gave_way(),
                _ = presence_checks.tick() => {
                    // A pong does not show that a page runs: its browser sends it.
                    let echo = self.beats.unechoed_for(Instant::now());
                    let silent_for = echo.unwrap_or_else(|| activity.silent_for());
                    self.set_absent(silent_for >= limits.operator_gone_after);
                    continue;
                }
                Some(permit) = stops::answer_permit(self.presses.due(Instant::now()), self.answers.clone()),
                    if !self.presses.is_empty() =>
                {
                    self.answer(permit, &[]);
                    continue;
                }
            };
            match read {
                Ok(Read::Message(message)) => {
                    let is_stop = matches!(message, FromViewer::Stop(_) | FromViewer::StopAll(_));
                    // An echo shows presence only: an open page sends echoes by itself.
                    let is_use = !matches!(message, FromViewer::Heard(_));
                    match self.handle(message) {
                        Ok(()) if is_use => place.used(),
                        Ok(()) => {}
                        Err(error) => put(&self.outbox, &error),
                    }
                    // One packet may hold thousands of messages: other tasks run in between.
                    if is_stop {
                        tokio::task::yield_now().await;
                    } else {
                        tokio::task::coop::consume_budget().await;
                    }
                }
                Ok(Read::Refused(error)) => put(&self.outbox, &error),
                Err(end) => break end,
            }
        }
    }

    /// Ends the instructions of a viewer that becomes absent: it could not stop the robots that it set in motion.
    fn set_absent(&mut self, is_absent: bool) {
        if is_absent && !self.is_absent {
            self.registry.operator_gone(self.key, &self.name);
        }
        self.is_absent = is_absent;
    }

    async fn greet<S, E>(
        &mut self,
        reader: &mut Reader<'_, S, FromViewer>,
    ) -> Result<Arc<ViewerPlace>, End>
    where
        S: Stream<Item = Result<Message, E>> + Unpin,
        E: std::fmt::Display,
    {
        let metrics = self.registry.metrics.clone();
        let expected = "ViewerHello (kind 0x21)";
        let hello = handshake::hello(reader, &metrics, hello_of, expected).await?;
        let place = ViewerPlace::new(
            self.outbox.clone(),
            self.key,
            self.log.address(),
            reader.activity().clone(),
        );
        let welcome = encoded(&ViewerWelcome {
            studio_version: VERSION.to_owned(),
            policy: self.registry.policy(),
            answerer: self.registry.scene_questions.describe(),
        });
        let added = self.registry.add_viewer(&place, welcome).await;
        added.map_err(|full| refused("full", full.to_string()))?;
        let client: String = one_line(&hello.client)
            .chars()
            .take(MAX_CLIENT_CHARS)
            .collect();
        self.name = format!("viewer {} ({client})", self.key);
        tracing::debug!("{} is here", self.name);
        // Sent at once, so that the first command can already name a heartbeat.
        let first = heartbeat(&self.beats, &self.registry.health);
        put(&self.outbox, &first);
        self.is_greeted.store(true, Ordering::Release);
        Ok(place)
    }

    fn handle(&mut self, message: FromViewer) -> Result<(), ErrorMessage> {
        match message {
            FromViewer::Hello(_) => Err(refusal(
                "hello_twice",
                "the hello was already received; a connection has one",
            )),
            FromViewer::Watch(watch) => {
                let session = self.robot(&watch.robot_id)?;
                self.unwatch();
                session.watch(&self.outbox);
                self.watched = Some(session);
                Ok(())
            }
            FromViewer::Command(command) => {
                let robot = self.robot(&command.robot_id)?;
                // If the viewer is still absent, the next check ends this instruction too.
                self.is_absent = false;
                // Ending an instruction is never too late.
                let in_time = if command.text.trim().is_empty() {
                    Ok(())
                } else {
                    self.in_time("the instruction", command.heard_beat)
                };
                let result =
                    in_time.and_then(|()| robot.command(&command.text, command.mode, self.key));
                self.note("command", &command.robot_id, &command.text, &result);
                result
            }
            FromViewer::Stop(stop) => {
                let robot = self.robot(&stop.robot_id)?;
                self.stop(Some(stop.robot_id), &[robot], stop.press_id);
                Ok(())
            }
            FromViewer::StopAll(stop) => {
                let robots = self.registry.robots();
                self.stop(None, &robots, stop.press_id);
                Ok(())
            }
            FromViewer::Release(release) => self.release(&release),
            FromViewer::Reset(reset) => {
                let robot = self.robot(&reset.robot_id)?;
                let result = self
                    .in_time("the request for a new scene", reset.heard_beat)
                    .and_then(|()| robot.reset(reset.scene));
                self.note("reset", &reset.robot_id, "", &result);
                result
            }
            FromViewer::Ask(ask) => {
                self.ask(ask);
                Ok(())
            }
            FromViewer::StopAnswer(stop) => {
                if let Some((id, cancel)) = &self.question
                    && *id == stop.question_id
                {
                    self.registry.scene_questions.stop_answer(self.key, cancel);
                }
                Ok(())
            }
            FromViewer::Heard(heard) => self.beats.echoed(heard.beat).map_err(|late| {
                refusal(
                    "unknown_beat",
                    format!("an echo came {late}; echo the beat of each heartbeat when it arrives"),
                )
            }),
        }
    }

    /// Refuses a message that can set a robot in motion and is late. `subject` names it in the refusal.
    fn in_time(&self, subject: &str, heard_beat: Option<u64>) -> Result<(), ErrorMessage> {
        let within = self.registry.limits.command_within;
        let checked = self.beats.check(heard_beat, within, Instant::now());
        checked.map_err(|late| {
            self.registry.metrics.error("late");
            refusal(
                "late",
                format!(
                    "{subject} came {late}: too late, so it was not carried out; the connection was interrupted or is \
                     slow; look at the robot, then send it again if it is still needed"
                ),
            )
        })
    }

    /// Records an event of this viewer with its result.
    fn note(
        &self,
        kind: &'static str,
        robot_id: &str,
        text: &str,
        result: &Result<(), ErrorMessage>,
    ) {
        let refused = result
            .as_ref()
            .err()
            .map_or("", |error| error.code.as_str());
        let events = &self.registry.events;
        events.note(kind, robot_id, &self.name, text, refused);
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
                    "there is no robot {robot_id:?}; known robots: {}",
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

fn gave_way() -> End {
    refused(
        "idle",
        "all places are taken, and this one, the least used, was given to another viewer; connect again",
    )
}

fn put<M: ProtocolMessage>(outbox: &Outbox, message: &M) {
    if let Some(frame) = encoded(message) {
        outbox.put_control(frame);
    }
}

fn encoded<M: ProtocolMessage>(message: &M) -> Option<Bytes> {
    match protocol::encode(message) {
        Ok(frame) => Some(frame.into()),
        Err(error) => {
            tracing::warn!("a message to a viewer was dropped: {error}");
            None
        }
    }
}
