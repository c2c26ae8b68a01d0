//! A stop that was pressed here: a wish that is sent again until the studio says that it holds it.
//!
//! Handing a message to the browser is not sending it, and sending it is not its arrival. A press has a number, goes out
//! again four times a second and first thing on every new connection, and ends with the answer that names its number.
//! Until then it is said that it has not arrived, from a second on loudly. Time comes from outside.

use protocol::FromViewer;
use protocol::viewer::{RobotStatus, StopAccepted, StopAll, StopRobot};

mod text;

pub use text::{BY_HAND, PageKnowledge, StopText};

/// A press that was not answered is sent again after this long.
const AGAIN_MILLIS: f64 = 250.0;
/// A press that was not answered for this long is said to have failed; a little under a second, for the page to draw it.
pub const LATE_MILLIS: f64 = 900.0;

/// What shall stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One robot, by its id.
    Robot(String),
    /// Every robot that the studio knows.
    All,
}

/// A press that the studio has not answered.
#[derive(Debug, Clone, PartialEq)]
struct Press {
    id: u64,
    target: Target,
    /// For a stop of all: the robots that the visitor saw.
    meant: Vec<String>,
    pressed_at: f64,
    sent_at: Option<f64>,
    /// It was handed to an open socket at least once, so that it may have arrived.
    was_sent: bool,
}

impl Press {
    fn is_late(&self, now_millis: f64) -> bool {
        now_millis - self.pressed_at >= LATE_MILLIS
    }

    fn message(&self) -> FromViewer {
        let press_id = self.id;
        match &self.target {
            Target::Robot(robot_id) => StopRobot {
                robot_id: robot_id.clone(),
                press_id,
            }
            .into(),
            Target::All => StopAll { press_id }.into(),
        }
    }
}

/// The presses of this page, and what came of the newest.
#[derive(Debug, Clone, PartialEq)]
pub struct Stopping {
    next_id: u64,
    /// At most one per target: a second press of the same is the same wish.
    presses: Vec<Press>,
    /// The studio's answer to the newest press, and whether all robots were meant.
    taken: Option<(Target, StopAccepted)>,
    /// The newest press, for the time to the robot's word.
    pressed: Option<(Target, f64)>,
    /// Since when the watched robot has a latched stop that it has not confirmed.
    unconfirmed_since: Option<f64>,
    /// The watched robot confirmed a stop already: another press has no time to measure.
    is_stopped: bool,
    confirmed_after: Option<f64>,
}

impl Stopping {
    /// `first_id`: by chance, so that no two tabs and no two visits give the same number to different presses.
    pub fn new(first_id: u64) -> Self {
        Self {
            next_id: first_id,
            presses: vec![],
            taken: None,
            pressed: None,
            unconfirmed_since: None,
            is_stopped: false,
            confirmed_after: None,
        }
    }

    /// A stop is pressed. `seen`: the robots that the page knows of.
    pub fn press(&mut self, target: Target, seen: Vec<String>, now_millis: f64) {
        self.taken = None;
        self.confirmed_after = None;
        self.pressed = (!self.is_stopped).then(|| (target.clone(), now_millis));
        if let Some(press) = self.presses.iter_mut().find(|press| press.target == target) {
            press.sent_at = None;
            return;
        }
        self.want(target, seen, now_millis);
    }

    fn want(&mut self, target: Target, meant: Vec<String>, pressed_at: f64) {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        self.presses.push(Press {
            id,
            target,
            meant,
            pressed_at,
            sent_at: None,
            was_sent: false,
        });
    }

    /// Whether a press waits for its answer.
    pub fn is_open(&self) -> bool {
        !self.presses.is_empty()
    }

    /// What is to be sent now, with the numbers for [`Stopping::sent`].
    pub fn due(&self, now_millis: f64) -> Vec<(u64, FromViewer)> {
        self.presses
            .iter()
            .filter(|press| {
                press
                    .sent_at
                    .is_none_or(|sent| now_millis - sent >= AGAIN_MILLIS)
            })
            .map(|press| (press.id, press.message()))
            .collect()
    }

    /// A press was handed to an open socket.
    pub fn sent(&mut self, id: u64, now_millis: f64) {
        if let Some(press) = self.presses.iter_mut().find(|press| press.id == id) {
            press.sent_at = Some(now_millis);
            press.was_sent = true;
        }
    }

    /// There is a new connection: everything goes out at once.
    pub fn connected(&mut self) {
        for press in &mut self.presses {
            press.sent_at = None;
        }
        // What was known of the robot is of the connection before.
        self.unconfirmed_since = None;
    }

    /// The studio holds the stop.
    pub fn accepted(&mut self, answer: StopAccepted) {
        let Some(at) = self.presses.iter().position(|p| p.id == answer.press_id) else {
            return;
        };
        let press = self.presses.remove(at);
        let holds = |id: &String| answer.robots.iter().any(|robot| robot.robot_id == *id);
        // A studio that was restarted may not know a robot yet that the visitor saw and meant.
        for robot_id in press.meant.iter().filter(|id| !holds(id)) {
            let target = Target::Robot(robot_id.clone());
            if !self.presses.iter().any(|other| other.target == target) {
                self.want(target, vec![], press.pressed_at);
            }
        }
        self.taken = Some((press.target, answer));
    }

    /// The watched robot's newest status.
    pub fn seen(&mut self, status: &RobotStatus, now_millis: f64) {
        self.is_stopped = status.stopped;
        if status.stopped {
            self.unconfirmed_since = None;
            let is_meant = |target: &Target| match target {
                Target::Robot(robot_id) => *robot_id == status.robot_id,
                Target::All => true,
            };
            if self.pressed.as_ref().is_some_and(|(t, _)| is_meant(t)) {
                self.confirmed_after = self.pressed.take().map(|(_, at)| now_millis - at);
            }
        } else if status.stop_requested {
            self.unconfirmed_since.get_or_insert(now_millis);
        } else {
            self.unconfirmed_since = None;
            self.confirmed_after = None;
        }
    }

    /// Another robot is watched. What was pressed stays pressed.
    pub fn looks_elsewhere(&mut self) {
        self.is_stopped = false;
        self.unconfirmed_since = None;
        self.confirmed_after = None;
    }

    /// The visitor released the watched robot: what is said of an older stop ends.
    pub fn released(&mut self) {
        self.taken = None;
        self.pressed = None;
        self.looks_elsewhere();
    }
}

#[cfg(test)]
mod tests;
