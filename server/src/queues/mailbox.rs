//! What the studio has to tell one robot, waiting for the wire: bounded by construction.
//!
//! Every kind of message has one slot in which the newest wins, so a robot that reads slowly never finds a
//! queue of old orders. A stop has the first slot, empties the chunk's, takes back a release that has not
//! left yet, and latches: chunks put in afterwards are refused until a release. The robot's side of the wire
//! keeps the same mailbox, so that the order of precedence is written down once.

use protocol::{
    ErrorMessage, ToRobot,
    robot::{ActionChunk, Instruction, Release, ResetScene, RobotWelcome, Stop},
};
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Errors kept for a peer that does not read; older ones go.
const MAX_ERRORS: usize = 8;

/// One slot per kind of message, the newest of each.
#[derive(Debug, Default)]
pub struct Mailbox {
    slots: Mutex<Slots>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Slots {
    closed: bool,
    latched: bool,
    stop: Option<Stop>,
    welcome: Option<RobotWelcome>,
    release: Option<Release>,
    reset: Option<ResetScene>,
    instruction: Option<Instruction>,
    errors: VecDeque<ErrorMessage>,
    chunk: Option<ActionChunk>,
}

impl Slots {
    fn next(&mut self) -> Option<ToRobot> {
        if let Some(message) = self.stop.take() {
            return Some(message.into());
        }
        if let Some(message) = self.welcome.take() {
            return Some(message.into());
        }
        if let Some(message) = self.release.take() {
            return Some(message.into());
        }
        if let Some(message) = self.reset.take() {
            return Some(message.into());
        }
        if let Some(message) = self.instruction.take() {
            return Some(message.into());
        }
        if let Some(message) = self.errors.pop_front() {
            return Some(message.into());
        }
        self.chunk.take().map(ToRobot::Chunk)
    }
}

impl Mailbox {
    /// A mailbox that takes nothing.
    pub(crate) fn closed() -> Self {
        let mailbox = Self::default();
        mailbox.close();
        mailbox
    }

    /// Puts a message into its slot. Never waits. Returns whether it was taken: a chunk is not while a stop
    /// is latched, and nothing is after [`close`](Self::close).
    pub fn put(&self, message: ToRobot) -> bool {
        let mut slots = self.lock();
        if slots.closed {
            return false;
        }
        match message {
            ToRobot::Stop(stop) => {
                slots.latched = true;
                slots.chunk = None;
                slots.release = None;
                slots.stop = Some(stop);
            }
            ToRobot::Release(release) => {
                slots.latched = false;
                slots.release = Some(release);
            }
            ToRobot::Chunk(_) if slots.latched => return false,
            ToRobot::Chunk(chunk) => slots.chunk = Some(chunk),
            ToRobot::Instruction(instruction) => {
                // Whatever was computed for the sentence before is not wanted any more.
                slots.chunk = None;
                slots.instruction = Some(instruction);
            }
            ToRobot::Reset(reset) => {
                slots.chunk = None;
                slots.reset = Some(reset);
            }
            ToRobot::Welcome(welcome) => slots.welcome = Some(welcome),
            ToRobot::Error(error) => {
                if slots.errors.len() >= MAX_ERRORS {
                    slots.errors.pop_front();
                }
                slots.errors.push_back(error);
            }
        }
        drop(slots);
        self.filled.notify_one();
        true
    }

    /// Takes the most urgent message, if there is one.
    pub fn take(&self) -> Option<ToRobot> {
        self.lock().next()
    }

    /// Waits for the most urgent message; `None` once the mailbox is closed and empty. For one reader.
    pub async fn next(&self) -> Option<ToRobot> {
        loop {
            let filled = self.filled.notified();
            {
                let mut slots = self.lock();
                if let Some(message) = slots.next() {
                    return Some(message);
                }
                if slots.closed {
                    return None;
                }
            }
            filled.await;
        }
    }

    /// Waits for a stop alone. Everything else stays for [`next`](Self::next), except that what is in a closed mailbox
    /// comes as from there. For one reader.
    pub async fn next_stop(&self) -> Option<ToRobot> {
        loop {
            let filled = self.filled.notified();
            {
                let mut slots = self.lock();
                if slots.closed {
                    return slots.next();
                }
                if let Some(stop) = slots.stop.take() {
                    return Some(stop.into());
                }
            }
            filled.await;
        }
    }

    /// Takes back the chunk that waits. Whether there was one.
    pub fn take_chunk(&self) -> bool {
        self.lock().chunk.take().is_some()
    }

    /// Takes nothing more; what is already in can still be read.
    pub fn close(&self) {
        let mut slots = self.lock();
        slots.closed = true;
        // Whoever takes the place has its own.
        slots.chunk = None;
        drop(slots);
        self.filled.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        // The slots are plain values, complete after every statement: a panicking holder leaves them usable.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use std::time::Duration;

    fn chunk(chunk_id: u64) -> ToRobot {
        ToRobot::Chunk(ActionChunk {
            chunk_id,
            observation_sequence: 0,
            starts_at_micros: 0,
            valid_until_micros: 1,
            rows: 1,
            dims: 1,
            actions: vec![0.0],
        })
    }

    fn stop() -> ToRobot {
        ToRobot::Stop(Stop {
            reason: "test".to_owned(),
        })
    }

    #[test]
    fn the_newest_chunk_wins() {
        let mailbox = Mailbox::default();
        mailbox.put(chunk(1));
        mailbox.put(chunk(2));
        assert_eq!(mailbox.take().unwrap(), chunk(2));
        assert_eq!(mailbox.take(), None);
    }

    #[test]
    fn a_stop_overtakes_everything_and_latches() {
        let mailbox = Mailbox::default();
        mailbox.put(chunk(1));
        mailbox.put(ToRobot::Instruction(Instruction {
            text: "go".to_owned(),
        }));
        mailbox.put(stop());
        assert!(!mailbox.put(chunk(2)), "no chunk while latched");
        assert_eq!(mailbox.take().unwrap(), stop());
        assert!(matches!(mailbox.take(), Some(ToRobot::Instruction(_))));
        assert_eq!(mailbox.take(), None);
        mailbox.put(ToRobot::Release(Release {}));
        assert!(mailbox.put(chunk(3)));
    }

    #[test]
    fn a_stop_takes_back_a_release_that_has_not_left() {
        let mailbox = Mailbox::default();
        mailbox.put(stop());
        mailbox.put(ToRobot::Release(Release {}));
        mailbox.put(stop());
        assert_eq!(mailbox.take().unwrap(), stop());
        assert_eq!(mailbox.take(), None);
    }

    #[test]
    fn a_stop_and_its_release_leave_in_that_order() {
        let mailbox = Mailbox::default();
        mailbox.put(stop());
        mailbox.put(ToRobot::Release(Release {}));
        assert_eq!(mailbox.take().unwrap(), stop());
        assert!(matches!(mailbox.take(), Some(ToRobot::Release(_))));
    }

    #[test]
    fn errors_do_not_pile_up() {
        let mailbox = Mailbox::default();
        for _ in 0..1000 {
            mailbox.put(ToRobot::Error(ErrorMessage {
                code: "x".to_owned(),
                message: String::new(),
                fatal: false,
            }));
        }
        let kept = std::iter::from_fn(|| mailbox.take()).count();
        assert_eq!(kept, MAX_ERRORS);
    }

    #[tokio::test]
    async fn a_stop_alone_can_be_waited_for_and_the_rest_stays() {
        let mailbox = Mailbox::default();
        mailbox.put(ToRobot::Instruction(Instruction {
            text: "go".to_owned(),
        }));
        mailbox.put(chunk(1));
        assert!(mailbox.take_chunk() && !mailbox.take_chunk());
        let waits = tokio::time::timeout(Duration::from_millis(20), mailbox.next_stop());
        assert!(waits.await.is_err());
        mailbox.put(stop());
        assert_eq!(mailbox.next_stop().await.unwrap(), stop());
        mailbox.close();
        assert!(matches!(
            mailbox.next_stop().await,
            Some(ToRobot::Instruction(_))
        ));
        assert_eq!(mailbox.next_stop().await, None);
    }

    #[tokio::test]
    async fn a_closed_mailbox_is_read_to_its_end() {
        let mailbox = Mailbox::default();
        mailbox.put(stop());
        mailbox.close();
        assert!(!mailbox.put(chunk(1)));
        assert_eq!(mailbox.next().await.unwrap(), stop());
        assert_eq!(mailbox.next().await, None);
    }
}
