//! Messages of the studio: each is passed to the part of the page that it concerns.

use leptos::prelude::*;
use protocol::ErrorMessage;
use protocol::viewer::{RobotChanged, RobotList, RobotStatus, ToViewer, ViewerWelcome};

use super::canvas_image::CanvasImage;
use super::score::live;
use super::socket;
use super::state::Studio;
use super::time::now_millis;
use super::worker::requests;
use crate::pending_instruction::PendingInstruction;
use crate::robot_list;
use crate::scene_question::SceneQuestion;
use crate::stopping::Stopping;

/// Error codes of refused commands, which are shown beside the command box.
const OF_COMMANDS: [&str; 6] = [
    "late",
    "stopped",
    "units_mismatch",
    "robot_disconnected",
    "mode_unavailable",
    "no_policy",
];

/// Starts receiving the studio's messages.
pub(super) fn start(studio: Studio) {
    studio
        .socket
        .listen(move |message| receive(studio, message));
}

fn receive(studio: Studio, message: ToViewer) {
    match message {
        ToViewer::Welcome(welcome) => on_welcome(studio, welcome),
        ToViewer::Robots(RobotList { robots }) => {
            studio.robots.set(robots);
            studio.keep_watching();
        }
        ToViewer::Robot(RobotChanged { robot }) => {
            studio
                .robots
                .update(|robots| robot_list::put(robots, robot));
            studio.keep_watching();
        }
        ToViewer::Details(details) if studio.watches(&details.robot_id) => {
            // Updated on changes only: a new connection delivers them again.
            if studio
                .details
                .with_untracked(|known| known.as_ref() != Some(&details))
            {
                studio.details.set(Some(details));
            }
        }
        ToViewer::Frame(frame) if studio.watches(&frame.robot_id) => {
            live::on_frame(studio, &frame);
            let name = frame.view.name.clone();
            let canvas_image = studio
                .canvas_images
                .with_value(|all| all.get(&name).cloned());
            if let Some(canvas_image) = canvas_image {
                CanvasImage::show(&canvas_image, frame.view);
            }
        }
        ToViewer::State(state) if studio.watches(&state.robot_id) => {
            studio
                .history
                .update_value(|history| history.push(state.clone()));
            studio.newest.set(Some(state));
            studio.has_new.set_value(true);
        }
        ToViewer::Trace(trace) if studio.watches(&trace.robot_id) => {
            let about = trace.observation_sequence;
            studio.decisions.update(|decisions| {
                decisions.push(trace);
            });
            if studio
                .stream
                .with_untracked(|stream| stream.newest().is_some())
            {
                studio.stream.update(|stream| stream.decided(about));
            } else {
                studio
                    .stream
                    .update_untracked(|stream| stream.decided(about));
            }
            studio.has_new.set_value(true);
            requests::decode_next(studio);
        }
        ToViewer::Tokens(tokens) if studio.watches(&tokens.robot_id) => {
            studio
                .stream
                .update(|stream| stream.push(tokens, now_millis()));
        }
        ToViewer::Scene(scene) => studio
            .scene_question
            .update(|question| question.on_images(scene)),
        ToViewer::Answer(answer) => studio
            .scene_question
            .update(|question| question.on_answer(answer)),
        ToViewer::StopAccepted(answer) => {
            studio.stopping.update(|stopping| stopping.accepted(answer));
            studio.send_stops();
        }
        ToViewer::Heartbeat(heartbeat) => {
            socket::heartbeat(studio, heartbeat.beat);
            on_problems(studio, heartbeat.problems);
        }
        ToViewer::Status(status) if studio.watches(&status.robot_id) => on_status(studio, status),
        ToViewer::Error(error) => on_error(studio, error),
        // Messages of a robot that was in view a moment ago.
        ToViewer::Frame(_)
        | ToViewer::State(_)
        | ToViewer::Trace(_)
        | ToViewer::Tokens(_)
        | ToViewer::Details(_)
        | ToViewer::Status(_) => {}
    }
}

fn on_welcome(studio: Studio, welcome: ViewerWelcome) {
    let modes = &welcome.policy.modes;
    if let Some(first) = modes
        .first()
        .filter(|_| !modes.contains(&studio.mode.get_untracked()))
    {
        studio.mode.set(*first);
    }
    // An answer does not outlive its connection.
    studio.scene_question.update(SceneQuestion::connection_lost);
    studio.welcome.set(Some(welcome));
    // The robot's status belongs to the previous connection; the list and the new status follow at once.
    studio.subscribed_to.set_value(None);
    studio.status.set(None);
    studio.stopping.update(Stopping::connected);
    studio
        .pending_instruction
        .update_value(PendingInstruction::reconnected);
    socket::welcomed(studio);
    studio.send_stops();
    requests::load_tokenizer(studio);
    requests::load_depth_decoder(studio);
}

fn on_problems(studio: Studio, problems: Vec<String>) {
    // Updated on changes only, so that a screen reader does not read them with every heartbeat.
    if studio.problems.with_untracked(|known| *known != problems) {
        studio.problems.set(problems);
    }
}

fn on_error(studio: Studio, error: ErrorMessage) {
    if error.code == "wrong_version" {
        socket::refuse(studio);
    }
    // An older studio supports everything except the echoes.
    if error.code == "unexpected_kind" && socket::echo_refused(studio) {
        return;
    }
    let is_stop = studio.stopping.with_untracked(Stopping::is_open);
    // The dock shows the state of the stop, which is sent until the studio knows the robot.
    if is_stop && error.code == "unknown_robot" {
        return;
    }
    if OF_COMMANDS.contains(&error.code.as_str()) {
        studio
            .pending_instruction
            .update_value(PendingInstruction::forget);
        return studio.refusal.set(Some(error.message));
    }
    let reconnects = error.fatal && error.code != "wrong_version";
    studio.notify(if reconnects {
        format!(
            "The studio closed the connection: {}. The page reconnects automatically.",
            error.message.trim_end_matches('.')
        )
    } else {
        error.message
    });
}

fn on_status(studio: Studio, status: RobotStatus) {
    live::on_status(studio, &status);
    let now = now_millis();
    studio
        .stopping
        .update(|stopping| stopping.seen(&status, now));
    let lost = studio
        .pending_instruction
        .try_update_value(|pending| pending.seen(&status, now))
        .flatten();
    if studio
        .status
        .with_untracked(|old| old.as_ref() != Some(&status))
    {
        studio.status.set(Some(status));
    }
    if lost.is_some() {
        studio.refusal.set(lost);
    }
}
