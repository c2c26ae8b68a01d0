//! An instruction given on this page, until the studio is known to have it.
//!
//! Handing a message to the browser does not send it. A stop is sent again until it arrives. An instruction is never sent
//! again, because it would move a robot unexpectedly, and the studio refuses one that arrives late. If the connection broke
//! meanwhile, the page checks whether the instruction is in force and shows a message if it is not.

use protocol::viewer::RobotStatus;

/// Time after which the studio does not accept the instruction any more, and a live connection has brought its answer.
const SETTLED_MILLIS: f64 = 3_000.0;

/// The newest instruction whose outcome is unknown, if there is one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PendingInstruction(Option<Given>);

#[derive(Debug, Clone, PartialEq)]
struct Given {
    robot_id: String,
    text: String,
    at_millis: f64,
    /// True if its connection has ended.
    is_cut_off: bool,
}

impl PendingInstruction {
    /// Records an instruction that was handed to the browser.
    pub fn give(&mut self, robot_id: &str, text: &str, now_millis: f64) {
        self.0 = Some(Given {
            robot_id: robot_id.to_owned(),
            text: text.to_owned(),
            at_millis: now_millis,
            is_cut_off: false,
        });
    }

    /// Drops the instruction: the studio refused it, or the viewer withdrew it.
    pub fn forget(&mut self) {
        self.0 = None;
    }

    /// Follows a new connection.
    pub fn reconnected(&mut self) {
        if let Some(given) = &mut self.0 {
            given.is_cut_off = true;
        }
    }

    /// Processes a robot's status; returns a message if the instruction was lost with its connection.
    pub fn seen(&mut self, status: &RobotStatus, now_millis: f64) -> Option<String> {
        let given = self
            .0
            .take_if(|given| given.robot_id == status.robot_id)
            .filter(|given| given.text != status.instruction)?;
        if given.is_cut_off {
            return Some(format!(
                "The connection broke while \u{201c}{}\u{201d} was being sent, and the robot is not working on it. Send it \
                 again if it is still wanted.",
                given.text
            ));
        }
        // The status may be older than its arrival.
        if now_millis - given.at_millis < SETTLED_MILLIS {
            self.0 = Some(given);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::test_status::idle_status;

    fn status(robot_id: &str, instruction: &str) -> RobotStatus {
        RobotStatus {
            instruction: instruction.to_owned(),
            ..idle_status(robot_id)
        }
    }

    fn given() -> PendingInstruction {
        let mut pending = PendingInstruction::default();
        pending.give("arm", "push the cube", 0.0);
        pending
    }

    #[test]
    fn an_instruction_that_was_lost_with_its_connection_is_reported_once() {
        let mut pending = given();
        let before = status("arm", "");
        assert_eq!(pending.seen(&before, 100.0), None, "it is on its way");
        pending.reconnected();
        assert_eq!(pending.seen(&status("other", ""), 9_000.0), None);
        let message = pending.seen(&before, 9_000.0).unwrap();
        assert!(
            message.contains("push the cube") && message.contains("again if it is still wanted"),
            "{message}"
        );
        assert_eq!(pending.seen(&before, 9_100.0), None);
    }

    #[test]
    fn an_instruction_that_arrived_is_not_reported_whatever_breaks_afterwards() {
        let (at_work, idle) = (status("arm", "push the cube"), status("arm", ""));
        let mut pending = given();
        assert_eq!(pending.seen(&at_work, 100.0), None);
        pending.reconnected();
        assert_eq!(pending.seen(&idle, 9_000.0), None);
        let mut pending = given();
        pending.reconnected();
        assert_eq!(pending.seen(&at_work, 9_000.0), None);
        assert_eq!(pending.seen(&idle, 9_100.0), None);
    }

    #[test]
    fn an_instruction_whose_status_was_replaced_by_a_newer_one_is_settled_after_a_while() {
        let mut pending = given();
        let of_another = status("arm", "lift the cube");
        assert_eq!(pending.seen(&of_another, SETTLED_MILLIS), None);
        pending.reconnected();
        assert_eq!(pending.seen(&of_another, 9_000.0), None);
    }

    #[test]
    fn a_refused_instruction_is_reported_by_the_refusal_alone() {
        let mut pending = given();
        pending.forget();
        pending.reconnected();
        assert_eq!(pending.seen(&status("arm", ""), 9_000.0), None);
    }
}
