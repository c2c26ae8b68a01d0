//! Everything the page knows, as signals, and the one place where messages of the studio come in.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use leptos::prelude::*;
use protocol::Mode;
use protocol::robot::ResetScene;
use protocol::viewer::{
    Command, FromViewer, ReleaseRobot, ResetRobot, RobotList, RobotState, RobotStatus,
    RobotSummary, StopRobot, ToViewer, ViewerWelcome, Watch,
};

use super::painter::Painter;
use super::{score, settings, socket, worker};
use crate::asking::Asking;
use crate::compute::Compute;
use crate::decisions::Decisions;
use crate::depth::Drawings;
use crate::history::History;
use crate::reconnect::Connection;
use crate::situation::{Situation, situation};
use crate::stream::Stream;
use crate::trial::Trial;
use crate::unfold::Unfolding;

/// Plots follow the robot at this pace; faster would cost the visitor's battery and show nothing more.
const REDRAW_MILLIS: u64 = 80;

/// Something that went wrong and that a person should read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) number: u64,
    pub(crate) text: String,
}

/// A stop that was pressed here.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct StopPress {
    /// When, in page milliseconds; `None` when none is outstanding.
    pub(crate) pressed_at_millis: Option<f64>,
    /// How long the robot's confirmation took.
    pub(crate) confirmed_after_millis: Option<f64>,
    /// It could not be sent yet and goes out first thing after the connection is back.
    pub(crate) waits_for_connection: bool,
}

/// The page's state. Copies are handles to the same signals.
#[derive(Clone, Copy)]
pub(crate) struct Studio {
    pub(crate) connection: RwSignal<Connection>,
    pub(crate) welcome: RwSignal<Option<ViewerWelcome>>,
    pub(crate) robots: RwSignal<Vec<RobotSummary>>,
    pub(crate) watched: RwSignal<Option<String>>,
    pub(crate) status: RwSignal<Option<RobotStatus>>,
    /// Newest joint state, at the pace of the wire.
    pub(crate) newest: RwSignal<Option<RobotState>>,
    /// The joints' past; read it when [`Studio::redraw`] changes.
    pub(crate) history: StoredValue<History>,
    /// Counts up at the plots' pace while something new is there.
    pub(crate) redraw: RwSignal<u64>,
    /// Page milliseconds, a few times a second, for ages.
    pub(crate) now_millis: RwSignal<f64>,
    pub(crate) decisions: RwSignal<Decisions>,
    /// A question about the scene and its answer.
    pub(crate) asking: RwSignal<Asking>,
    /// The decision that is being written.
    pub(crate) stream: RwSignal<Stream>,
    /// A chunk that the visitor changes, in this tab alone.
    pub(crate) trial: RwSignal<Option<Trial>>,
    /// The tokens that are looked at.
    pub(crate) unfolding: RwSignal<Unfolding>,
    /// Depth maps as the worker draws them.
    pub(crate) drawings: RwSignal<Drawings>,
    pub(crate) compute: RwSignal<Compute>,
    /// Videos and what they score.
    pub(crate) score: score::Desk,
    pub(crate) mode: RwSignal<Mode>,
    pub(crate) notices: RwSignal<Vec<Notice>>,
    pub(crate) stop: RwSignal<StopPress>,
    /// One per camera on the page, by view name.
    pub(crate) painters: StoredValue<HashMap<String, Rc<Painter>>, LocalStorage>,
    pub(crate) wire: socket::Wire,
    pub(crate) worker: worker::Handle,
    has_new: StoredValue<bool>,
    chosen_by_visitor: StoredValue<bool>,
}

impl Studio {
    pub(crate) fn new() -> Self {
        Self {
            connection: RwSignal::default(),
            welcome: RwSignal::new(None),
            robots: RwSignal::new(vec![]),
            watched: RwSignal::new(None),
            status: RwSignal::new(None),
            newest: RwSignal::new(None),
            history: StoredValue::new(History::default()),
            redraw: RwSignal::new(0),
            now_millis: RwSignal::new(now_millis()),
            decisions: RwSignal::default(),
            asking: RwSignal::default(),
            stream: RwSignal::default(),
            trial: RwSignal::new(None),
            unfolding: RwSignal::default(),
            drawings: RwSignal::default(),
            compute: RwSignal::default(),
            score: score::Desk::default(),
            mode: RwSignal::new(Mode::Continuous),
            notices: RwSignal::new(vec![]),
            stop: RwSignal::default(),
            painters: StoredValue::new_local(HashMap::new()),
            wire: socket::Wire::default(),
            worker: worker::Handle::default(),
            has_new: StoredValue::new(false),
            chosen_by_visitor: StoredValue::new(false),
        }
    }

    /// Takes in one message of the studio.
    pub(crate) fn receive(self, message: ToViewer) {
        match message {
            ToViewer::Welcome(welcome) => self.welcomed(welcome),
            ToViewer::Robots(RobotList { robots }) => {
                self.robots.set(robots);
                self.keep_watching();
            }
            ToViewer::Frame(frame) if self.watches(&frame.robot_id) => {
                score::saw(self, &frame);
                let name = frame.view.name.clone();
                let painter = self.painters.with_value(|all| all.get(&name).cloned());
                if let Some(painter) = painter {
                    Painter::show(&painter, frame.view);
                }
            }
            ToViewer::State(state) if self.watches(&state.robot_id) => {
                self.history
                    .update_value(|history| history.push(state.clone()));
                self.newest.set(Some(state));
                self.has_new.set_value(true);
            }
            ToViewer::Trace(trace) if self.watches(&trace.robot_id) => {
                let about = trace.observation_sequence;
                self.decisions.update(|decisions| {
                    decisions.push(trace);
                });
                if self
                    .stream
                    .with_untracked(|stream| stream.newest().is_some())
                {
                    self.stream.update(|stream| stream.decided(about));
                } else {
                    self.stream.update_untracked(|stream| stream.decided(about));
                }
                self.has_new.set_value(true);
                worker::pump(self);
            }
            ToViewer::Tokens(tokens) if self.watches(&tokens.robot_id) => {
                self.stream
                    .update(|stream| stream.push(tokens, now_millis()));
            }
            ToViewer::Scene(scene) => self.asking.update(|asking| asking.saw(scene)),
            ToViewer::Answer(answer) => self.asking.update(|asking| asking.heard(answer)),
            ToViewer::StopAccepted(_) | ToViewer::Heartbeat(_) => {}
            ToViewer::Status(status) if self.watches(&status.robot_id) => self.reported(status),
            ToViewer::Error(error) => {
                if error.fatal {
                    self.connection.set(Connection::Refused);
                }
                self.notify(error.message);
            }
            // Something of a robot that was watched a moment ago.
            ToViewer::Frame(_)
            | ToViewer::State(_)
            | ToViewer::Trace(_)
            | ToViewer::Tokens(_)
            | ToViewer::Status(_) => {}
        }
    }

    fn welcomed(self, welcome: ViewerWelcome) {
        let modes = &welcome.policy.modes;
        if let Some(first) = modes
            .first()
            .filter(|_| !modes.contains(&self.mode.get_untracked()))
        {
            self.mode.set(*first);
        }
        // Whoever was answering before a reconnection answers no more.
        self.asking.update(Asking::lost);
        self.welcome.set(Some(welcome));
        self.connection.set(Connection::Live);
        worker::load_tokenizer(self);
        worker::load_depth_decoder(self);
        if let Some(robot_id) = self.watched.get_untracked() {
            self.send(Watch { robot_id });
            if self.stop.with_untracked(|stop| stop.waits_for_connection) {
                self.press_stop();
            }
        }
    }

    fn reported(self, status: RobotStatus) {
        score::reported(self, &status);
        if status.stopped {
            self.stop.update(|stop| {
                if let Some(pressed) = stop.pressed_at_millis.take() {
                    stop.confirmed_after_millis = Some(now_millis() - pressed);
                }
            });
        } else if !status.stop_requested {
            self.stop.update(|stop| stop.confirmed_after_millis = None);
        }
        if self
            .status
            .with_untracked(|old| old.as_ref() != Some(&status))
        {
            self.status.set(Some(status));
        }
    }

    /// Stays with the robot that is watched, or finds one: the address names it, or the first connected.
    fn keep_watching(self) {
        let robots = self.robots.get_untracked();
        let known = |id: &str| robots.iter().any(|robot| robot.robot_id == id);
        let watched = self.watched.get_untracked();
        if watched
            .as_deref()
            .is_some_and(|id| known(id) || self.chosen_by_visitor.get_value())
        {
            return;
        }
        let from_address = settings::robot_in_address().filter(|id| known(id));
        let first = robots
            .iter()
            .find(|robot| robot.connected)
            .or_else(|| robots.first());
        if let Some(robot_id) = from_address.or_else(|| first.map(|robot| robot.robot_id.clone())) {
            self.watch(robot_id);
        }
    }

    /// Watches a robot because the visitor said so.
    pub(crate) fn choose(self, robot_id: String) {
        self.chosen_by_visitor.set_value(true);
        settings::put_robot_in_address(&robot_id);
        self.watch(robot_id);
    }

    fn watch(self, robot_id: String) {
        self.status.set(None);
        self.newest.set(None);
        self.stop.set(StopPress::default());
        self.history.update_value(History::clear);
        self.decisions.update(Decisions::clear);
        self.stream.set(Stream::default());
        self.watched.set(Some(robot_id.clone()));
        score::robot_changed(self);
        self.send(Watch { robot_id });
    }

    fn watches(self, robot_id: &str) -> bool {
        self.watched
            .with_untracked(|watched| watched.as_deref() == Some(robot_id))
    }

    /// The watched robot's description.
    pub(crate) fn robot(self) -> Option<RobotSummary> {
        let watched = self.watched.get()?;
        self.robots.with(|robots| {
            robots
                .iter()
                .find(|robot| robot.robot_id == watched)
                .cloned()
        })
    }

    /// What the robot is doing, in words.
    pub(crate) fn situation(self) -> Situation {
        let robots = self.robots.with(Vec::len);
        let mut status = self.status.get();
        if let (Some(status), Some(robot)) = (status.as_mut(), self.robot()) {
            status.connected &= robot.connected;
        }
        situation(self.connection.get(), robots, status.as_ref())
    }

    /// Gives the watched robot a sentence. Says why when that is not possible.
    pub(crate) fn command(self, text: &str) -> bool {
        let mode = self.mode.get_untracked();
        match self.watched.get_untracked() {
            Some(robot_id) => self.send(Command {
                robot_id,
                text: text.to_owned(),
                mode,
            }),
            None => {
                self.notify("There is no robot to tell that to yet.".to_owned());
                false
            }
        }
    }

    /// Stops the watched robot, now or as soon as the connection is back.
    pub(crate) fn press_stop(self) {
        let Some(robot_id) = self.watched.get_untracked() else {
            return;
        };
        let live = self.connection.get_untracked() == Connection::Live;
        self.stop.update(|stop| {
            stop.pressed_at_millis = live.then(now_millis);
            stop.confirmed_after_millis = None;
            stop.waits_for_connection = !live;
        });
        if live {
            self.send(StopRobot {
                robot_id,
                press_id: 0,
            });
        }
    }

    pub(crate) fn press_release(self) {
        if let Some(robot_id) = self.watched.get_untracked() {
            self.stop.set(StopPress::default());
            self.send(ReleaseRobot { robot_id });
        }
    }

    pub(crate) fn press_reset(self) {
        if let Some(robot_id) = self.watched.get_untracked() {
            self.send(ResetRobot {
                robot_id,
                scene: ResetScene { seed: None },
            });
        }
    }

    /// Sends one message; says so when it cannot.
    pub(crate) fn send(self, message: impl Into<FromViewer>) -> bool {
        match self.wire.send(&message.into()) {
            Ok(()) => true,
            Err(why) => {
                self.notify(why);
                false
            }
        }
    }

    /// Shows a person that something went wrong.
    pub(crate) fn notify(self, text: String) {
        self.notices.update(|notices| {
            if notices.last().is_some_and(|last| last.text == text) {
                return;
            }
            let number = notices.last().map_or(0, |last| last.number + 1);
            notices.push(Notice { number, text });
            let surplus = notices.len().saturating_sub(3);
            notices.drain(..surplus);
        });
    }
}

/// Milliseconds since the page was opened.
pub(crate) fn now_millis() -> f64 {
    window()
        .performance()
        .map_or(0.0, |performance| performance.now())
}

/// Keeps the plots and the ages going.
pub(crate) fn tick(studio: Studio) {
    set_interval(
        move || {
            if studio.has_new.get_value() {
                studio.has_new.set_value(false);
                studio.redraw.update(|count| *count += 1);
            }
        },
        Duration::from_millis(REDRAW_MILLIS),
    );
    set_interval(
        move || {
            let now = now_millis();
            studio.now_millis.set(now);
            let mut stream = studio.stream.get_untracked();
            if stream.give_up(now) {
                studio.stream.set(stream);
            }
        },
        Duration::from_millis(500),
    );
}
