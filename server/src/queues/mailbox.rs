//! Messages to one robot that wait for its connection, bounded by construction.
//!
//! Every kind of message has one slot in which the newest wins, so a robot that reads slowly never finds a queue of old
//! messages. A stop has the first slot, drops the chunk, withdraws a release that has not left yet, and latches: chunks are
//! refused until a release. The built-in robot uses the same mailbox for incoming messages, so that the order of precedence
//! is defined once.

use protocol::{
    ErrorMessage, ToRobot,
    robot::{ActionChunk, Instruction, Release, ResetScene, RobotWelcome, Stop},
};
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Most errors for a robot that does not read; the oldest is dropped first.
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
    /// A mailbox that accepts nothing.
    pub(crate) fn closed() -> Self {
        let mailbox = Self::default();
        mailbox.close();
        mailbox
    }

    /// Puts a message into its slot. Never waits. Returns `false` if the message was refused: a chunk while a stop is
    /// latched, and anything after [`close`](Self::close).
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
                slots.reset = None;
                slots.stop = Some(stop);
            }
            ToRobot::Release(release) => {
                slots.latched = false;
                slots.release = Some(release);
            }
            ToRobot::Chunk(_) if slots.latched => return false,
            ToRobot::Chunk(chunk) => slots.chunk = Some(chunk),
            ToRobot::Instruction(instruction) => {
                // A chunk for the instruction before is obsolete.
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

    /// Waits for a stop only. Other messages stay for [`next`](Self::next), but a closed mailbox yields all of them, as
    /// there. For one reader.
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

    /// Withdraws the chunk that waits. Returns `true` if there was one.
    pub fn take_chunk(&self) -> bool {
        self.lock().chunk.take().is_some()
    }

    /// Accepts nothing more. Messages that are in can still be read, except a chunk.
    pub fn close(&self) {
        let mut slots = self.lock();
        slots.closed = true;
        // The next connection has its own mailbox and chunks.
        slots.chunk = None;
        drop(slots);
        self.filled.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        // The slots are plain values, complete after every statement, so a panic elsewhere leaves them usable.
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
    fn a_stop_withdraws_a_release_that_has_not_left() {
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
        let count = std::iter::from_fn(|| mailbox.take()).count();
        assert_eq!(count, MAX_ERRORS);
    }

    #[tokio::test]
    async fn waiting_for_a_stop_leaves_other_messages() {
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
