//! Commands of viewers to a robot: instructions, stops, releases, scene resets.

use super::{Session, lock, refusal};
use crate::sessions::latched_stop::Released;
use protocol::{
    ErrorMessage, Mode, ToRobot,
    robot::{Instruction, Observation, Release, ResetScene, Stop},
};
use std::{sync::Arc, time::Instant};

impl Session {
    /// Returns the newest observation with images.
    pub(crate) fn scene(&self) -> Option<Arc<Observation>> {
        lock(&self.scene)
            .as_ref()
            .map(|(observation, _)| observation.clone())
    }

    /// Gives the robot an instruction; an empty one ends the instruction in force.
    ///
    /// # Errors
    /// Refusal of the instruction. `no_policy` is a refusal too, but the instruction was passed on to the robot.
    pub(crate) fn command(
        &self,
        text: &str,
        mode: Mode,
        operator: u64,
    ) -> Result<(), ErrorMessage> {
        {
            let mut state = lock(&self.state);
            if !state.connected {
                return Err(refusal(
                    "robot_disconnected",
                    format!(
                        "{} is not connected; wait until it connects again",
                        state.robot_id
                    ),
                ));
            }
            if state.is_stopped() && !text.trim().is_empty() {
                return Err(refusal(
                    "stopped",
                    format!(
                        "{} is stopped and takes no instruction; release it first, then give the instruction again",
                        state.robot_id
                    ),
                ));
            }
            if let (Some(info), false) = (self.services.inference.info(), text.trim().is_empty())
                && !info.modes.contains(&mode)
            {
                return Err(refusal(
                    "mode_unavailable",
                    format!("the policy {:?} has no {mode:?} head", info.name),
                ));
            }
            let contradictions = lock(&self.contradictions);
            if let Some(found) = contradictions.iter().find(|found| found.refused)
                && !text.trim().is_empty()
            {
                return Err(refusal(
                    found.code,
                    format!("{} is not driven: {}", state.robot_id, found.message),
                ));
            }
            state.command(text, mode, operator, Instant::now());
            lock(&self.connection)
                .mailbox
                .put(ToRobot::Instruction(Instruction {
                    text: state.instruction().to_owned(),
                }));
        }
        self.publish_status();
        match self.services.inference.unavailable() {
            Some(reason) if !text.trim().is_empty() => Err(refusal("no_policy", reason)),
            _ => Ok(()),
        }
    }

    /// True if a stop is latched.
    pub(crate) fn is_stopped(&self) -> bool {
        lock(&self.state).is_stopped()
    }

    /// Stops the robot without waiting. The stop overtakes everything in the mailbox, and latches here, in the mailbox and,
    /// soon after, on disk. Returns `false` if it was latched already.
    pub(crate) fn stop(&self, reason: &str) -> bool {
        {
            let mut state = lock(&self.state);
            let stop = self.services.stop_pressed();
            if state.is_stopped() {
                // Nothing to write to disk. Releases must name the newest press, which `repeat_stop` shows to viewers.
                state.stop_again(stop);
                return false;
            }
            let mailbox = &lock(&self.connection).mailbox;
            mailbox.put(ToRobot::Stop(Stop {
                reason: reason.to_owned(),
            }));
            state.stop(stop);
            // Behind the stop: it ends the instruction on the robot, so that a release finds none.
            mailbox.put(ToRobot::Instruction(Instruction {
                text: String::new(),
            }));
            self.services.latches.latch(&state.robot_id, reason);
        }
        self.services.metrics.stops.inc();
        self.publish_status();
        true
    }

    /// Sends the stop of a stopped robot again, and publishes the number of its newest press.
    pub(crate) fn repeat_stop(&self, reason: &str) {
        {
            let state = lock(&self.state);
            if !state.is_stopped() {
                return;
            }
            lock(&self.connection).mailbox.put(ToRobot::Stop(Stop {
                reason: reason.to_owned(),
            }));
        }
        self.publish_status();
    }

    /// Lifts the stop that a release names (`named`), or that its sender can have seen at the time of the newest heartbeat
    /// that it had received (`heard_at`). The robot idles until the next instruction.
    ///
    /// # Errors
    /// Refusal of a release when the robot was stopped again since.
    pub(crate) fn release(
        &self,
        named: Option<u64>,
        heard_at: Option<Instant>,
    ) -> Result<(), ErrorMessage> {
        {
            let mut state = lock(&self.state);
            let was_stopped = state.is_stopped();
            match state.release(named, heard_at) {
                Released::Now => {}
                Released::Before => return Ok(()),
                Released::StoppedAgain => {
                    let refused = refusal(
                        "stopped_again",
                        format!(
                            "{} was stopped again since, so the release was not carried out and the stop holds; look at the \
                             robot, then release it again if it may move",
                            state.robot_id
                        ),
                    );
                    drop(state);
                    // Viewers may lack the newest number: its viewer may have left before the answer was due.
                    self.publish_status();
                    return Err(refused);
                }
            }
            let mailbox = &lock(&self.connection).mailbox;
            mailbox.put(ToRobot::Release(Release {}));
            if !was_stopped {
                // Its instruction has ended, and the robot may be following it. This also withdraws a waiting chunk.
                mailbox.put(ToRobot::Instruction(Instruction {
                    text: String::new(),
                }));
            }
            // In memory it takes effect at once. Until it is on disk a restart finds the robot stopped, which is safe.
            self.services.latches.release(&state.robot_id);
        }
        self.publish_status();
        Ok(())
    }

    /// Resets the scene of the robot and ends its instruction.
    ///
    /// # Errors
    /// Refusal while the robot is stopped.
    pub(crate) fn reset(&self, scene: ResetScene) -> Result<(), ErrorMessage> {
        {
            let mut state = lock(&self.state);
            if state.is_stopped() {
                return Err(refusal(
                    "stopped",
                    format!(
                        "{} is stopped, so its scene cannot be reset; release it first",
                        state.robot_id
                    ),
                ));
            }
            state.reset();
            let mailbox = &lock(&self.connection).mailbox;
            mailbox.put(ToRobot::Instruction(Instruction {
                text: String::new(),
            }));
            mailbox.put(ToRobot::Reset(scene));
        }
        self.publish_status();
        Ok(())
    }

    /// Ends the instruction of a viewer that is gone or silent, unless the robot may run unattended. Returns `true` if an
    /// instruction ended.
    pub(crate) fn operator_gone(&self, viewer: u64) -> bool {
        {
            let mut state = lock(&self.state);
            if self.services.limits.unattended
                || state.hello.simulated
                || !state.operator_gone(viewer)
            {
                return false;
            }
            lock(&self.connection)
                .mailbox
                .put(ToRobot::Instruction(Instruction {
                    text: String::new(),
                }));
        }
        self.publish_status();
        self.subscribers.control(&refusal(
            "operator_gone",
            format!(
                "the viewer that gave {} its instruction is gone, so the robot holds; give the instruction again to go on",
                self.robot_id()
            ),
        ));
        true
    }
}
