//! Stops pressed on this page. Each is sent repeatedly until the studio confirms that it holds the stop.
//!
//! Handing a message to the browser does not send it, and sending it does not deliver it. A press has a number, is sent
//! four times a second and first on every new connection, and ends with the answer to its number. Until then the page
//! shows that it has not arrived, after almost a second as an alarm. The caller supplies the time.

use protocol::FromViewer;
use protocol::viewer::{ReleaseRobot, RobotStatus, StopAccepted, StopAll, StopRobot};

mod text;

pub use text::{BY_HAND, PageKnowledge, StopText};

/// Interval at which an unanswered press is sent again.
const AGAIN_MILLIS: f64 = 250.0;
/// Time after which an unanswered press is shown as failed: a little under a second, for the page to draw it.
pub const LATE_MILLIS: f64 = 900.0;

/// Target of a stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One robot, by its id.
    Robot(String),
    /// Every robot that the studio knows.
    All,
}

/// An unanswered press.
#[derive(Debug, Clone, PartialEq)]
struct Press {
    id: u64,
    target: Target,
    /// Robots that the press is meant for: the one, or those on the page.
    robots: Vec<String>,
    pressed_at: f64,
    sent_at: Option<f64>,
    /// True if it was handed to an open socket at least once, so that it may have arrived.
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

/// Release of the stop that the page shows for a robot. It names that stop, so that it does not lift a later one.
pub fn release(
    robot_id: String,
    status: Option<&RobotStatus>,
    heard_beat: Option<u64>,
) -> ReleaseRobot {
    let shown = status.filter(|status| status.robot_id == robot_id);
    ReleaseRobot {
        stop_number: shown.and_then(|status| status.stop_number),
        heard_beat,
        robot_id,
    }
}

/// The presses of this page, and the outcome of the newest.
#[derive(Debug, Clone, PartialEq)]
pub struct Stopping {
    next_id: u64,
    /// At most one per target.
    presses: Vec<Press>,
    /// Target of the newest answered press, and the studio's answer.
    newest_answer: Option<(Target, StopAccepted)>,
    /// The newest press, for the time until the robot confirms.
    pressed: Option<(Target, f64)>,
    /// Time since which the robot in view has a latched stop that it has not confirmed.
    unconfirmed_since: Option<f64>,
    /// True if the robot in view has already confirmed a stop, so that another press has no time to measure.
    is_stopped: bool,
    confirmed_after: Option<f64>,
}

impl Stopping {
    /// A page without presses. `first_id` is random, so that presses of different tabs and visits differ in their numbers.
    pub fn new(first_id: u64) -> Self {
        Self {
            next_id: first_id,
            presses: vec![],
            newest_answer: None,
            pressed: None,
            unconfirmed_since: None,
            is_stopped: false,
            confirmed_after: None,
        }
    }

    /// Records a press. `seen`: the robots on the page.
    ///
    /// A press for a target that already has one replaces it under a new number: the studio may have executed the old one,
    /// and the robot may have been released since.
    pub fn press(&mut self, target: Target, seen: Vec<String>, now_millis: f64) {
        self.newest_answer = None;
        self.confirmed_after = None;
        self.pressed = (!self.is_stopped).then(|| (target.clone(), now_millis));
        let robots = match &target {
            Target::Robot(robot_id) => vec![robot_id.clone()],
            Target::All => seen,
        };
        if let Some(press) = self.presses.iter_mut().find(|press| press.target == target) {
            press.id = self.next_id;
            press.robots = robots;
            press.sent_at = None;
            self.next_id = self.next_id.wrapping_add(1);
            return;
        }
        self.add_press(target, robots, now_millis);
    }

    fn add_press(&mut self, target: Target, robots: Vec<String>, pressed_at: f64) {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        self.presses.push(Press {
            id,
            target,
            robots,
            pressed_at,
            sent_at: None,
            was_sent: false,
        });
    }

    /// True if a press is unanswered.
    pub fn is_open(&self) -> bool {
        !self.presses.is_empty()
    }

    /// The messages to send now, with their numbers for [`Stopping::sent`].
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

    /// Records that a press was handed to an open socket.
    pub fn sent(&mut self, id: u64, now_millis: f64) {
        if let Some(press) = self.presses.iter_mut().find(|press| press.id == id) {
            press.sent_at = Some(now_millis);
            press.was_sent = true;
        }
    }

    /// Follows a new connection: every press is sent at once.
    pub fn connected(&mut self) {
        for press in &mut self.presses {
            press.sent_at = None;
        }
        // The robot's state was that of the previous connection.
        self.unconfirmed_since = None;
    }

    /// Records that the studio holds the stop.
    pub fn accepted(&mut self, answer: StopAccepted) {
        let Some(at) = self.presses.iter().position(|p| p.id == answer.press_id) else {
            return;
        };
        let press = self.presses.remove(at);
        let holds = |id: &String| answer.robots.iter().any(|robot| robot.robot_id == *id);
        // After a restart the studio may not know a robot of the page yet.
        for robot_id in press.robots.iter().filter(|id| !holds(id)) {
            let target = Target::Robot(robot_id.clone());
            if !self.presses.iter().any(|other| other.target == target) {
                self.add_press(target, vec![], press.pressed_at);
            }
        }
        self.newest_answer = Some((press.target, answer));
    }

    /// Records the newest status of the robot in view.
    pub fn seen(&mut self, status: &RobotStatus, now_millis: f64) {
        self.is_stopped = status.stopped;
        if status.stopped {
            self.unconfirmed_since = None;
            let includes = |target: &Target| match target {
                Target::Robot(robot_id) => *robot_id == status.robot_id,
                Target::All => true,
            };
            if self.pressed.as_ref().is_some_and(|(t, _)| includes(t)) {
                self.confirmed_after = self.pressed.take().map(|(_, at)| now_millis - at);
            }
        } else if status.stop_requested {
            self.unconfirmed_since.get_or_insert(now_millis);
        } else {
            self.unconfirmed_since = None;
            self.confirmed_after = None;
        }
    }

    /// Follows a change of the robot in view. Presses remain.
    pub fn robot_changed(&mut self) {
        self.is_stopped = false;
        self.unconfirmed_since = None;
        self.confirmed_after = None;
    }

    /// Records a release of the robot in view: older stops are no longer shown.
    pub fn released(&mut self) {
        self.newest_answer = None;
        self.pressed = None;
        self.robot_changed();
    }
}

#[cfg(test)]
mod tests;
