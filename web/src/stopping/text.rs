//! Text about stops. It claims nothing that the page cannot know.

use protocol::viewer::{RobotSummary, StopAccepted};

use super::{LATE_MILLIS, Press, Stopping, Target};
use crate::backoff::Connection;

/// Remedy while the studio cannot be relied on.
pub const BY_HAND: &str = "Use the robot’s own emergency stop.";
/// Largest number of names in a sentence; the rest is counted.
const MAX_NAMES: usize = 4;

/// State of the page on which the text is based.
#[derive(Debug, Clone, Copy)]
pub struct PageKnowledge<'a> {
    /// The connection to the studio.
    pub connection: Connection,
    /// True if plain HTTP reaches the studio and a WebSocket does not.
    pub upgrade_is_blocked: bool,
    /// The studio's list of robots, of this connection or the last.
    pub robots: &'a [RobotSummary],
    /// The robot in view.
    pub watched: Option<&'a str>,
    /// Current time in page milliseconds.
    pub now_millis: f64,
}

impl PageKnowledge<'_> {
    /// True if the studio lists a robot.
    pub fn knows(&self, robot_id: &str) -> bool {
        self.robots.iter().any(|robot| robot.robot_id == robot_id)
    }

    /// Name of a robot for people.
    pub fn name(&self, robot_id: &str) -> String {
        self.robots
            .iter()
            .find(|robot| robot.robot_id == robot_id)
            .map_or_else(|| robot_id.to_owned(), |robot| robot.name.clone())
    }
}

/// Text about a stop: a sentence, details, and whether the stop is overdue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopText {
    /// True if the press is older than a stop may take.
    pub is_late: bool,
    /// The sentence; changes only on events.
    pub headline: String,
    /// Reason and remedy.
    pub detail: String,
}

impl Stopping {
    /// Text about unanswered presses; `None` if there are none. It outranks every other status.
    pub fn press_text(&self, seen: &PageKnowledge) -> Option<StopText> {
        // The worst press is shown: an overdue one first, then the oldest.
        let press = self
            .presses
            .iter()
            .find(|press| press.is_late(seen.now_millis))
            .or_else(|| self.presses.first())?;
        let stop = subject(&press.target, seen);
        if seen.connection == Connection::Refused {
            return Some(StopText {
                is_late: true,
                headline: format!("{stop} has NOT arrived and cannot be sent from this page."),
                detail: format!(
                    "{BY_HAND} The page and the studio have different versions: reload the page."
                ),
            });
        }
        if !press.is_late(seen.now_millis) {
            let detail = if press.was_sent {
                "Sent; the studio has not answered yet."
            } else {
                "Not sent yet: there is no connection to the studio."
            };
            return Some(StopText {
                is_late: false,
                headline: "Stopping …".to_owned(),
                detail: detail.to_owned(),
            });
        }
        let (headline, why) = late(press, &stop, seen);
        Some(StopText {
            is_late: true,
            headline,
            detail: format!("{BY_HAND} {why}"),
        })
    }

    /// Text about the answer to the newest press, beyond the status of the robot in view.
    pub fn note(&self, seen: &PageKnowledge) -> String {
        let Some((target, answer)) = &self.newest_answer else {
            return String::new();
        };
        let mut sentences = vec![];
        if *target == Target::All {
            sentences.push(all_robots(answer, seen));
        }
        if !answer.not_on_disk.is_empty() {
            sentences.push(format!(
                "The studio could not write the stop to its disk ({}). It is in force, but a restart of the studio would lose it.",
                answer.not_on_disk
            ));
        }
        sentences.join(" ")
    }

    /// True if the robot in view is overdue to confirm the stop that the studio holds.
    pub fn is_unconfirmed(&self, now_millis: f64) -> bool {
        self.unconfirmed_since
            .is_some_and(|since| now_millis - since >= LATE_MILLIS)
    }

    /// Time from the press to the confirmation by the robot in view (ms).
    pub fn confirmed_after_millis(&self) -> Option<f64> {
        self.confirmed_after
    }
}

fn subject(target: &Target, seen: &PageKnowledge) -> String {
    match target {
        Target::All => "The stop of all robots".to_owned(),
        Target::Robot(id) if seen.watched == Some(id) => "The stop".to_owned(),
        Target::Robot(id) => format!("The stop of {}", seen.name(id)),
    }
}

fn late(press: &Press, stop: &str, seen: &PageKnowledge) -> (String, String) {
    let is_unknown = match &press.target {
        Target::Robot(robot_id) => !seen.knows(robot_id),
        Target::All => false,
    };
    if seen.connection == Connection::Live && is_unknown {
        return (
            format!("{stop} has NOT arrived: the studio does not know the robot."),
            "It may have restarted, and the robot has not connected since. The page keeps sending the stop until it does."
                .to_owned(),
        );
    }
    let next_step = match seen.connection {
        Connection::Live => {
            "The connection works, but the studio does not answer. The page keeps sending the stop."
        }
        Connection::Silent => "The studio does not answer. The page keeps sending the stop.",
        Connection::Connecting | Connection::Waiting { .. } | Connection::Refused => {
            "The page keeps trying to reach the studio and sends the stop first."
        }
    };
    let headline = if press.was_sent {
        format!("{stop} is not confirmed: assume that it has NOT arrived.")
    } else {
        format!("{stop} has NOT arrived: the studio cannot be reached.")
    };
    (headline, next_step.to_owned())
}

fn all_robots(answer: &StopAccepted, seen: &PageKnowledge) -> String {
    let named = |connected: bool| {
        let names: Vec<String> = answer
            .robots
            .iter()
            .filter(|robot| robot.connected == connected)
            .map(|robot| seen.name(&robot.robot_id))
            .collect();
        list(&names)
    };
    match (named(true), named(false)) {
        (None, None) => "The studio knows no robot, so none was stopped.".to_owned(),
        (Some(here), None) => format!("The studio holds the stop of {here}."),
        (None, Some(gone)) => format!(
            "The studio holds the stop of {gone} (not connected; it takes effect on connecting)."
        ),
        (Some(here), Some(gone)) => format!(
            "The studio holds the stop of {here}, and of {gone} (not connected; it takes effect on connecting)."
        ),
    }
}

/// A list of names: `a`, `a and b`, `a, b and 3 more`.
fn list(names: &[String]) -> Option<String> {
    let mut shown: Vec<String> = names.iter().take(MAX_NAMES).cloned().collect();
    if names.len() > MAX_NAMES {
        shown.push(format!("{} more", names.len() - MAX_NAMES));
    }
    let last = shown.pop()?;
    Some(if shown.is_empty() {
        last
    } else {
        format!("{} and {last}", shown.join(", "))
    })
}
