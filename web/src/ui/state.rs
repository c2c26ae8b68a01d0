//! The page's state, as signals.

use std::collections::HashMap;
use std::rc::Rc;

use leptos::prelude::*;
use protocol::Mode;
use protocol::viewer::{RobotDetails, RobotState, RobotStatus, RobotSummary, ViewerWelcome};

use super::canvas_image::CanvasImage;
use super::score::state::ScoreState;
use super::socket_handle::SocketHandle;
use super::time::now_millis;
use super::worker::handle::WorkerHandle;
use crate::backoff::Connection;
use crate::compute::Compute;
use crate::decisions::Decisions;
use crate::depth::DepthImages;
use crate::joint_history::History;
use crate::partial_decode::PartialDecoder;
use crate::pending_instruction::PendingInstruction;
use crate::scene_question::SceneQuestion;
use crate::stopping::Stopping;
use crate::token_stream::TokenStream;
use crate::what_if::WhatIf;

/// An error message for the viewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) number: u64,
    pub(crate) text: String,
}

/// The page's state. Copies are handles to the same signals.
#[derive(Clone, Copy)]
pub(crate) struct Studio {
    pub(crate) connection: RwSignal<Connection>,
    /// True if plain HTTP reaches the studio and a WebSocket does not.
    pub(crate) upgrade_is_blocked: RwSignal<bool>,
    /// Problems that the studio reports about its parts, while they last.
    pub(crate) problems: RwSignal<Vec<String>>,
    pub(crate) welcome: RwSignal<Option<ViewerWelcome>>,
    pub(crate) robots: RwSignal<Vec<RobotSummary>>,
    pub(crate) watched: RwSignal<Option<String>>,
    /// Details of the robot in view; the last ones while it is away.
    pub(super) details: RwSignal<Option<RobotDetails>>,
    pub(crate) status: RwSignal<Option<RobotStatus>>,
    /// Newest joint state, at the rate of the messages.
    pub(crate) newest: RwSignal<Option<RobotState>>,
    /// Recent joint states; to be read when [`Studio::redraw`] changes.
    pub(crate) history: StoredValue<History>,
    /// Counter of redraws of the plots.
    pub(crate) redraw: RwSignal<u64>,
    /// Time of the last tick [page milliseconds].
    pub(crate) now_millis: RwSignal<f64>,
    pub(crate) decisions: RwSignal<Decisions>,
    /// The question about the scene and its answer.
    pub(crate) scene_question: RwSignal<SceneQuestion>,
    /// The decision that is being generated.
    pub(crate) stream: RwSignal<TokenStream>,
    /// A chunk that the viewer edits, in this tab only.
    pub(crate) what_if: RwSignal<Option<WhatIf>>,
    /// The token stream in view, and its decode.
    pub(crate) partial_decoder: RwSignal<PartialDecoder>,
    /// Depth images decoded by the worker.
    pub(crate) depth_images: RwSignal<DepthImages>,
    pub(crate) compute: RwSignal<Compute>,
    /// State of the scoring panel.
    pub(crate) score: ScoreState,
    pub(crate) mode: RwSignal<Mode>,
    pub(crate) notices: RwSignal<Vec<Notice>>,
    /// The reason that the last command was refused.
    pub(crate) refusal: RwSignal<Option<String>>,
    /// The last instruction, until the studio is known to have it.
    pub(crate) pending_instruction: StoredValue<PendingInstruction>,
    /// Stops that were pressed here.
    pub(crate) stopping: RwSignal<Stopping>,
    /// Canvases of the cameras, by view name.
    pub(crate) canvas_images: StoredValue<HashMap<String, Rc<CanvasImage>>, LocalStorage>,
    pub(crate) socket: SocketHandle,
    pub(crate) worker: WorkerHandle,
    /// True if the plots have something new to draw.
    pub(super) has_new: StoredValue<bool>,
    pub(super) chosen_by_viewer: StoredValue<bool>,
    /// The robot that this connection is subscribed to.
    pub(super) subscribed_to: StoredValue<Option<String>>,
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
            details: RwSignal::new(None),
            status: RwSignal::new(None),
            newest: RwSignal::new(None),
            history: StoredValue::new(History::default()),
            redraw: RwSignal::new(0),
            now_millis: RwSignal::new(now_millis()),
            decisions: RwSignal::default(),
            scene_question: RwSignal::default(),
            stream: RwSignal::default(),
            what_if: RwSignal::new(None),
            partial_decoder: RwSignal::default(),
            depth_images: RwSignal::default(),
            compute: RwSignal::default(),
            score: ScoreState::default(),
            mode: RwSignal::new(Mode::Continuous),
            notices: RwSignal::new(vec![]),
            refusal: RwSignal::new(None),
            pending_instruction: StoredValue::new(PendingInstruction::default()),
            stopping: RwSignal::new(Stopping::new(first_press())),
            canvas_images: StoredValue::new_local(HashMap::new()),
            socket: SocketHandle::default(),
            worker: WorkerHandle::default(),
            has_new: StoredValue::new(false),
            chosen_by_viewer: StoredValue::new(false),
            subscribed_to: StoredValue::new(None),
        }
    }

    /// True if a robot is the one in view.
    pub(super) fn watches(self, robot_id: &str) -> bool {
        self.watched
            .with_untracked(|watched| watched.as_deref() == Some(robot_id))
    }

    /// Details of the robot in view, once the studio has sent them.
    pub(crate) fn robot(self) -> Option<RobotDetails> {
        self.details.get()
    }

    /// Names of the cameras of the robot in view.
    pub(crate) fn camera_names(self) -> Vec<String> {
        self.robot().map_or_else(Vec::new, |robot| {
            let cameras = robot.cameras.into_iter();
            cameras.map(|camera| camera.name).collect()
        })
    }

    /// Shows a notice.
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

/// Random first number of this tab's presses, exact as a JavaScript number.
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
