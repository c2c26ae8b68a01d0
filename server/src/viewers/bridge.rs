//! One viewer's connection: hello, then watching and commanding.

use super::{
    beats::Beats,
    outgoing::{Outgoing, heartbeat},
    presses::WaitingPresses,
};
use crate::queues::outbox::Outbox;
use crate::{
    VERSION,
    handshake::{self, refused},
    peer_log::{ConnectionLog, one_line},
    quota::Quota,
    scene_questions::CancelToken,
    sessions::{Registry, Session, session::refusal, viewers::ViewerPlace},
    wire::{End, Read, Reader},
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

mod asking;
mod stops;

/// These connections, in the log.
const WHOSE: &str = "a viewer's";
/// Of the name that a client gives itself, this much stands in records and reasons.
const MAX_CLIENT_CHARS: usize = 64;

/// Serves one viewer until it leaves, misbehaves, or `stop` is cancelled.
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
    let beats = Arc::<Beats>::default();
    let outgoing = Outgoing {
        outbox: outbox.clone(),
        metrics: metrics.clone(),
        limits,
        health: registry.health.clone(),
        heard: reader.heard().clone(),
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
        asked: None,
        presses: WaitingPresses::new(Instant::now()),
        answers: Arc::new(Semaphore::new(stops::MAX_ANSWERS)),
        releases: stops::releases(),
        is_greeted,
        beats,
        is_absent: false,
        asking: Arc::new(Semaphore::new(asking::MAX_PREPARED)),
    };
    let end = tokio::select! {
        end = viewer.serve(&mut reader) => end,
        () = stop.cancelled() => End::Left,
        written = &mut writer => {
            handshake::written(&written, WHOSE);
            return;
        }
    };
    if let Some(error) = handshake::farewell(end, WHOSE, &log) {
        put(&outbox, &error);
    }
    drop(viewer);
    handshake::written(&writer.await, WHOSE);
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
    /// Names this viewer where questions wait, and as an operator.
    key: u64,
    /// The same for people.
    name: String,
    /// The question at hand, and how to end it.
    asked: Option<(u64, CancelToken)>,
    /// Stops that were carried out and are to be answered.
    presses: WaitingPresses,
    /// Answers that wait for the disk.
    answers: Arc<Semaphore>,
    releases: Quota,
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
        let place = match self.greet(reader).await {
            Ok(place) => place,
            Err(end) => return end,
        };
        let heard = reader.heard().clone();
        let limits = self.registry.limits;
        let mut looks = tokio::time::interval(limits.operator_gone_after / 8);
        loop {
            let read = tokio::select! {
                read = reader.next() => read,
                () = place.cut().cancelled() => break gave_way(),
                _ = looks.tick() => {
                    // Pongs are no sign of a page: its browser sends them.
                    let echo = self.beats.unechoed_for(Instant::now());
                    let silent_for = echo.unwrap_or_else(|| heard.silent_for());
                    self.look(silent_for >= limits.operator_gone_after);
                    continue;
                }
                Some(permit) = stops::turn(self.presses.due(Instant::now()), self.answers.clone()),
                    if !self.presses.is_empty() =>
                {
                    self.answer(permit, &[]);
                    continue;
                }
            };
            match read {
                Ok(Read::Message(message)) => {
                    let is_stop = matches!(message, FromViewer::Stop(_) | FromViewer::StopAll(_));
                    match self.handle(message) {
                        Ok(()) => place.used(),
                        Err(error) => put(&self.outbox, &error),
                    }
                    // What came in one packet is thousands of messages: others have their turn in between.
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

    /// A viewer that is silent, or whose page hangs, cannot stop what it set off.
    fn look(&mut self, is_absent: bool) {
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
            reader.heard().clone(),
        );
        let welcome = written(&ViewerWelcome {
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
        // At once, so that there is no command without one to name.
        let first = heartbeat(&self.beats, &self.registry.health);
        put(&self.outbox, &first);
        self.is_greeted.store(true, Ordering::Release);
        Ok(place)
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
                // One that is absent ends what it sets off now at the next look.
                self.is_absent = false;
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
                    self.registry.scene_questions.stop_answer(self.key, wanted);
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

fn gave_way() -> End {
    refused(
        "idle",
        "all places are taken, and another viewer got that of this one, which was used the least; dial again",
    )
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
