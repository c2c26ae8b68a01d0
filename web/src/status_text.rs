//! Status of the robot in view as text, which is also announced to screen readers.
//!
//! It states only what the page can know. For a robot that cannot be reached this is the last known state, marked as such.

use protocol::TaskState;
use protocol::viewer::{RobotStatus, RobotSummary};

use crate::backoff::Connection;
use crate::format;
use crate::stopping::{BY_HAND, PageKnowledge, Stopping};

/// Status of the robot in view: a sentence, details, and a stable name for styles and tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusText {
    /// Stable name: `idle`, `running`, `succeeded`, `unknown`, `holding`, `stopping`, `undelivered`, `unconfirmed`,
    /// `stopped` or `disconnected`.
    pub state: &'static str,
    /// The sentence; changes only on events, so it can be announced.
    pub headline: String,
    /// Details, which may change all the time; may be empty.
    pub detail: String,
    /// True if the studio holds a stop of the robot in view, which can be released.
    pub is_latched: bool,
}

impl StatusText {
    fn new(state: &'static str, headline: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            state,
            headline: headline.into(),
            detail: detail.into(),
            is_latched: false,
        }
    }

    fn latched(self) -> Self {
        Self {
            is_latched: true,
            ..self
        }
    }
}

/// Status of the robot in view as text. `status` is its newest one, of any age.
pub fn status_text(
    seen: &PageKnowledge,
    stopping: &Stopping,
    status: Option<&RobotStatus>,
) -> StatusText {
    let mut text = if let Some(stop) = stopping.press_text(seen) {
        let state = if stop.is_late {
            "undelivered"
        } else {
            "stopping"
        };
        return StatusText::new(state, stop.headline, stop.detail);
    } else {
        match seen.connection {
            Connection::Live => of_studio(seen, stopping, status),
            _ => disconnected(seen, status),
        }
    };
    let note = stopping.note(seen);
    if !note.is_empty() {
        text.detail = format!("{} {note}", text.detail).trim_start().to_owned();
    }
    text
}

/// The reason that no command can be given; `None` when one can.
pub fn blocked_reason(
    seen: &PageKnowledge,
    stopping: &Stopping,
    status: Option<&RobotStatus>,
) -> Option<String> {
    if stopping.is_open() {
        return Some(
            "A stop is being sent. Nothing else is sent until the studio confirms it.".into(),
        );
    }
    if seen.connection != Connection::Live {
        return Some("There is no connection to the studio, so nothing can be sent.".into());
    }
    let robot = seen.watched?;
    let status = status.filter(|status| status.robot_id == robot)?;
    if status.stop_requested || status.stopped {
        return Some(
            "The robot is stopped. Release it first. Nothing moves until there is a new instruction.".into(),
        );
    }
    (!status.connected).then(|| "The studio has no connection to the robot.".into())
}

fn disconnected(seen: &PageKnowledge, status: Option<&RobotStatus>) -> StatusText {
    let state = "disconnected";
    let last = last_known(seen, status);
    let with_last = |text: &str| format!("{text} {last}").trim_end().to_owned();
    if seen.upgrade_is_blocked && seen.connection != Connection::Refused {
        return StatusText::new(
            state,
            "The studio answers, but its WebSocket does not open.",
            with_last(
                "A proxy in between may be dropping the WebSocket upgrade. It must use HTTP/1.1 towards the studio and pass on \
                 the headers Upgrade, Connection and Host (docs/deployment.md has an example for nginx). Trying again.",
            ),
        );
    }
    match seen.connection {
        Connection::Connecting => StatusText::new(state, "Connecting to the studio …", ""),
        Connection::Silent => StatusText::new(
            state,
            "The studio is not responding.",
            with_last("The connection is dead, or the studio hangs."),
        ),
        Connection::Refused => StatusText::new(
            state,
            "The page and the studio have different versions.",
            with_last("Reload the page: this version can neither show nor stop a robot."),
        ),
        Connection::Live | Connection::Waiting { .. } => StatusText::new(
            state,
            "There is no connection to the studio.",
            with_last("Trying again."),
        ),
    }
}

/// The last known state of the robot in view, and what may have happened since.
fn last_known(seen: &PageKnowledge, status: Option<&RobotStatus>) -> String {
    let Some(status) = status else {
        return String::new();
    };
    let is_unattended = robot_of(seen, status).is_some_and(|robot| robot.unattended);
    if status.stopped {
        "At the last report, the robot was stopped and had confirmed it.".to_owned()
    } else if status.stop_requested {
        format!(
            "At the last report, the studio held a stop that the robot had not confirmed. {BY_HAND}"
        )
    } else if !status.connected {
        "At the last report, the studio had no connection to the robot.".to_owned()
    } else if status.instruction.is_empty() {
        "At the last report, the robot had no instruction.".to_owned()
    } else if is_unattended {
        "The robot may still be moving: it continues without this page.".to_owned()
    } else {
        "The robot may still be moving. The studio makes it hold about two seconds after it loses the page that gave the \
         instruction; this page cannot tell whether it has."
            .to_owned()
    }
}

fn robot_of<'a>(seen: &PageKnowledge<'a>, status: &RobotStatus) -> Option<&'a RobotSummary> {
    seen.robots
        .iter()
        .find(|robot| robot.robot_id == status.robot_id)
}

fn of_studio(
    seen: &PageKnowledge,
    stopping: &Stopping,
    status: Option<&RobotStatus>,
) -> StatusText {
    if let Some(watched) = seen.watched
        && !seen.knows(watched)
    {
        return StatusText::new(
            "disconnected",
            "The studio does not know this robot.",
            "It appears here when it connects. After a restart the studio does not know a robot until then.",
        );
    }
    match status {
        Some(status) => of_robot(seen, stopping, status),
        None if seen.robots.is_empty() => StatusText::new(
            "disconnected",
            "No robot is connected yet.",
            "Start one with: policy-studio sim",
        ),
        None => StatusText::new("idle", "Waiting for the robot's first report …", ""),
    }
}

fn of_robot(seen: &PageKnowledge, stopping: &Stopping, status: &RobotStatus) -> StatusText {
    let is_listed = robot_of(seen, status).is_none_or(|robot| robot.connected);
    if !(status.connected && is_listed) {
        let headline = "The studio has no connection to the robot.";
        return if status.stop_requested || status.stopped {
            StatusText::new(
                "disconnected",
                headline,
                "A stop is latched. The robot receives it when it connects.",
            )
            .latched()
        } else {
            StatusText::new(
                "disconnected",
                headline,
                "Its current state cannot be seen from here. It appears again when it reconnects.",
            )
        };
    }
    if status.stopped {
        let took = stopping
            .confirmed_after_millis()
            .map(|millis| {
                format!(
                    "The confirmation came {} after the press. ",
                    format::millis(millis)
                )
            })
            .unwrap_or_default();
        return StatusText::new(
            "stopped",
            "Stopped. The robot confirmed it.",
            format!("{took}After a release, nothing moves until there is a new instruction."),
        )
        .latched();
    }
    if status.stop_requested {
        return stopping_robot(seen, stopping, status).latched();
    }
    working(status)
}

fn stopping_robot(seen: &PageKnowledge, stopping: &Stopping, status: &RobotStatus) -> StatusText {
    let is_late = stopping.is_unconfirmed(seen.now_millis);
    let (state, headline) = if is_late {
        ("unconfirmed", "The robot has NOT confirmed the stop.")
    } else {
        ("stopping", "Stopping …")
    };
    let mut detail = if status.stop_delivered {
        "The studio holds the stop and has sent it to the robot, which has not confirmed it yet."
            .to_owned()
    } else {
        "The studio holds the stop; it has not been sent to the robot yet.".to_owned()
    };
    if is_late {
        detail = format!("{BY_HAND} {detail}");
    }
    StatusText::new(state, headline, detail)
}

fn working(status: &RobotStatus) -> StatusText {
    let instruction = quoted(&status.instruction);
    if status.instruction.is_empty() {
        return StatusText::new("idle", "Ready.", "Give the robot an instruction.");
    }
    let elapsed = format!("{:.1} s", status.task_secs.max(0.0));
    match status.task {
        TaskState::Succeeded => StatusText::new(
            "succeeded",
            format!("Done: {instruction}"),
            format!("The robot's success test passed after {elapsed}."),
        ),
        _ if status.holding => StatusText::new(
            "holding",
            format!("Holding: {instruction}"),
            "The robot reports that no valid plan has arrived for 300 ms and that it is holding its position.",
        ),
        TaskState::Running => {
            StatusText::new("running", format!("Working on {instruction}"), elapsed)
        }
        TaskState::Unknown => StatusText::new(
            "unknown",
            format!("Working on {instruction}"),
            format!("{elapsed}. The robot has no success test for this instruction."),
        ),
        TaskState::Idle => StatusText::new(
            "idle",
            format!("About to start {instruction}"),
            "The robot has not reported yet that it started.",
        ),
    }
}

fn quoted(text: &str) -> String {
    format!("\u{201c}{text}\u{201d}")
}

#[cfg(test)]
mod tests;
