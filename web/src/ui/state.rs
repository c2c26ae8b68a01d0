//! Everything the page knows, as signals, and the one place where messages of the studio come in.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use leptos::prelude::*;
use protocol::robot::ResetScene;
use protocol::viewer::{
    Command, FromViewer, ResetRobot, RobotList, RobotState, RobotStatus, RobotSummary, ToViewer,
    ViewerWelcome, Watch,
};
use protocol::{ErrorMessage, Mode};

use super::canvas_image::CanvasImage;
use super::{score, settings, socket, worker};
use crate::backoff::Connection;
use crate::compute::Compute;
use crate::decisions::Decisions;
use crate::depth::DepthImages;
use crate::joint_history::History;
use crate::partial_decode::PartialDecode;
use crate::scene_question::SceneQuestion;
use crate::stopping::Stopping;
use crate::token_stream::TokenStream;
use crate::what_if::WhatIf;

/// Plots follow the robot at this pace; faster would cost the visitor's battery and show nothing more.
const REDRAW_MILLIS: u64 = 80;
/// Refusals of a command, which are shown where it was typed.
const OF_COMMANDS: [&str; 5] = [
    "stopped",
    "units_mismatch",
    "robot_disconnected",
    "mode_unavailable",
    "no_policy",
];

/// Something that went wrong and that a person should read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) number: u64,
    pub(crate) text: String,
}

/// The page's state. Copies are handles to the same signals.
#[derive(Clone, Copy)]
pub(crate) struct Studio {
    pub(crate) connection: RwSignal<Connection>,
    /// Plain HTTP reaches the studio and a WebSocket does not.
    pub(crate) upgrade_is_blocked: RwSignal<bool>,
    /// Parts of the studio that do not answer, as long as it says so.
    pub(crate) problems: RwSignal<Vec<String>>,
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
    pub(crate) scene_question: RwSignal<SceneQuestion>,
    /// The decision that is being written.
    pub(crate) stream: RwSignal<TokenStream>,
    /// A chunk that the visitor changes, in this tab alone.
    pub(crate) what_if: RwSignal<Option<WhatIf>>,
    /// The tokens that are looked at.
    pub(crate) partial_decode: RwSignal<PartialDecode>,
    /// Depth maps as the worker draws them.
    pub(crate) depth_images: RwSignal<DepthImages>,
    pub(crate) compute: RwSignal<Compute>,
    /// Videos and what they score.
    pub(crate) score: score::ScoreState,
    pub(crate) mode: RwSignal<Mode>,
    pub(crate) notices: RwSignal<Vec<Notice>>,
    /// Why the last command was not taken.
    pub(crate) refusal: RwSignal<Option<String>>,
    /// Stops that were pressed here.
    pub(crate) stopping: RwSignal<Stopping>,
    /// One per camera on the page, by view name.
    pub(crate) canvas_images: StoredValue<HashMap<String, Rc<CanvasImage>>, LocalStorage>,
    pub(crate) wire: socket::Wire,
    pub(crate) worker: worker::WorkerHandle,
    has_new: StoredValue<bool>,
    chosen_by_viewer: StoredValue<bool>,
    /// The robot that this connection was told to show.
    asked_for: StoredValue<Option<String>>,
}

impl Studio {
    pub(crate) fn new() -> Self {
        Self {
            connection: RwSignal::default(),
            upgrade_is_blocked: RwSignal::new(false),
            problems: RwSignal::new(vec![]),
            welcome: RwSignal::new(None),
            robots: RwSignal::new(vec![]),
            watched: RwSignal::new(None),
            status: RwSignal::new(None),
            newest: RwSignal::new(None),
            history: StoredValue::new(History::default()),
            redraw: RwSignal::new(0),
            now_millis: RwSignal::new(now_millis()),
            decisions: RwSignal::default(),
            scene_question: RwSignal::default(),
            stream: RwSignal::default(),
            what_if: RwSignal::new(None),
            partial_decode: RwSignal::default(),
            depth_images: RwSignal::default(),
            compute: RwSignal::default(),
            score: score::ScoreState::default(),
            mode: RwSignal::new(Mode::Continuous),
            notices: RwSignal::new(vec![]),
            refusal: RwSignal::new(None),
            stopping: RwSignal::new(Stopping::new(first_press())),
            canvas_images: StoredValue::new_local(HashMap::new()),
            wire: socket::Wire::default(),
            worker: worker::WorkerHandle::default(),
            has_new: StoredValue::new(false),
            chosen_by_viewer: StoredValue::new(false),
            asked_for: StoredValue::new(None),
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
                score::on_frame(self, &frame);
                let name = frame.view.name.clone();
                let canvas_image = self.canvas_images.with_value(|all| all.get(&name).cloned());
                if let Some(canvas_image) = canvas_image {
                    CanvasImage::show(&canvas_image, frame.view);
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
                worker::decode_next(self);
            }
            ToViewer::Tokens(tokens) if self.watches(&tokens.robot_id) => {
                self.stream
                    .update(|stream| stream.push(tokens, now_millis()));
            }
            ToViewer::Scene(scene) => self
                .scene_question
                .update(|scene_question| scene_question.on_images(scene)),
            ToViewer::Answer(answer) => self
                .scene_question
                .update(|scene_question| scene_question.on_answer(answer)),
            ToViewer::StopAccepted(answer) => {
                self.stopping.update(|stopping| stopping.accepted(answer));
                self.send_stops();
            }
            ToViewer::Heartbeat(beat) => self.suffers(beat.problems),
            ToViewer::Status(status) if self.watches(&status.robot_id) => self.reported(status),
            ToViewer::Error(error) => self.refused(error),
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
        self.scene_question.update(SceneQuestion::connection_lost);
        self.welcome.set(Some(welcome));
        // What was known of the robot is of the connection before; the list and the robot's status follow at once.
        self.asked_for.set_value(None);
        self.status.set(None);
        self.stopping.update(Stopping::connected);
        socket::welcomed(self);
        self.send_stops();
        worker::load_tokenizer(self);
        worker::load_depth_decoder(self);
    }

    fn suffers(self, problems: Vec<String>) {
        // Told once and not with every heartbeat.
        if self.problems.with_untracked(|known| *known != problems) {
            self.problems.set(problems);
        }
    }

    fn refused(self, error: ErrorMessage) {
        if error.code == "wrong_version" {
            socket::refuse(self);
        }
        let is_stop = self.stopping.with_untracked(Stopping::is_open);
        // The dock says what becomes of a stop, which is sent until the robot is known.
        if is_stop && error.code == "unknown_robot" {
            return;
        }
        if OF_COMMANDS.contains(&error.code.as_str()) {
            return self.refusal.set(Some(error.message));
        }
        let goes_on = error.fatal && error.code != "wrong_version";
        self.notify(if goes_on {
            format!(
                "The studio ended the connection: {}. The page connects again by itself.",
                error.message.trim_end_matches('.')
            )
        } else {
            error.message
        });
    }

    fn reported(self, status: RobotStatus) {
        score::on_status(self, &status);
        let now = now_millis();
        self.stopping.update(|stopping| stopping.seen(&status, now));
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
            .is_some_and(|id| known(id) || self.chosen_by_viewer.get_value())
        {
            return self.look();
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
        self.chosen_by_viewer.set_value(true);
        settings::put_robot_in_address(&robot_id);
        self.watch(robot_id);
    }

    fn watch(self, robot_id: String) {
        self.status.set(None);
        self.newest.set(None);
        self.refusal.set(None);
        self.stopping.update(Stopping::looks_elsewhere);
        self.history.update_value(History::clear);
        self.decisions.update(Decisions::clear);
        self.stream.set(TokenStream::default());
        self.watched.set(Some(robot_id));
        score::robot_changed(self);
        self.look();
    }

    /// Has this connection show the watched robot, once the studio knows it: after a restart it may dial in later.
    fn look(self) {
        let Some(robot_id) = self.watched.get_untracked() else {
            return;
        };
        let is_known = self
            .robots
            .with_untracked(|robots| robots.iter().any(|robot| robot.robot_id == robot_id));
        if !is_known {
            return self.asked_for.set_value(None);
        }
        let is_asked = self
            .asked_for
            .with_value(|asked| asked.as_deref() == Some(robot_id.as_str()));
        if !is_asked && self.connection.get_untracked() == Connection::Live {
            self.asked_for.set_value(Some(robot_id.clone()));
            self.send(Watch { robot_id });
        }
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

    /// Gives the watched robot a sentence. Says why when that is not possible.
    pub(crate) fn command(self, text: &str) -> bool {
        let mode = self.mode.get_untracked();
        let outcome = match (
            untrack(|| self.blocked_reason()),
            self.watched.get_untracked(),
        ) {
            (Some(reason), _) => Err(reason),
            (None, None) => Err("There is no robot to tell that to yet.".to_owned()),
            (None, Some(robot_id)) => self.wire.send(
                &Command {
                    robot_id,
                    text: text.to_owned(),
                    mode,
                }
                .into(),
            ),
        };
        let is_sent = outcome.is_ok();
        self.refusal.set(outcome.err());
        is_sent
    }

    pub(crate) fn press_reset(self) {
        if let Some(robot_id) = self.watched.get_untracked() {
            self.send(ResetRobot {
                robot_id,
                scene: ResetScene { seed: None },
            });
        }
    }

    /// Sends one message; says so when it cannot, and when it would arrive late if at all.
    pub(crate) fn send(self, message: impl Into<FromViewer>) -> bool {
        let outcome = match self.connection.get_untracked() {
            Connection::Silent => Err("That was not sent: the studio is not heard.".to_owned()),
            _ => self.wire.send(&message.into()),
        };
        match outcome {
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

/// A number from which this tab counts its presses. It stays exact as a JavaScript number.
fn first_press() -> u64 {
    const BELOW: f64 = 9_007_199_254_740_992.0;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to 2^53"
    )]
    let number = (js_sys::Math::random() * BELOW) as u64;
    number
}

/// Keeps the plots going.
pub(crate) fn start_redraw(studio: Studio) {
    set_interval(
        move || {
            if studio.has_new.get_value() {
                studio.has_new.set_value(false);
                studio.redraw.update(|count| *count += 1);
            }
        },
        Duration::from_millis(REDRAW_MILLIS),
    );
}
