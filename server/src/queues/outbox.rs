//! Messages to one viewer that wait for its connection, bounded in bytes.
//!
//! There are two kinds: a *control* message arrives, a *lossy* one may be dropped. A message with a key replaces an older one
//! of the same key that still waits (a newer image of the same camera, a newer status of the same robot), so a slow viewer
//! sees fewer messages but no outdated ones.
//!
//! Everything that waits is bounded. When lossy messages exceed their limit, the oldest of them is dropped. Control messages
//! without a key have a limit too. Those with a key wait once per key; only the newest question has any, and entries of
//! robots are dropped when the list of all robots comes. Putting never waits, so a stalled viewer does not delay a robot.

use bytes::Bytes;
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Most control messages without a key (errors) for a viewer that does not read. The newest always stays.
const MAX_PLAIN_CONTROL: usize = 64;
/// Most bytes of these.
const MAX_PLAIN_CONTROL_BYTES: usize = 256 << 10;
/// Most lossy messages; the limit in bytes alone would admit very many small ones.
const MAX_LOSSY: usize = 256;

/// Key of a message; a newer message replaces an older one with the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// The robot list. It contains every entry that was put before it.
    Robots,
    /// An entry of the robot list that changed.
    Robot(String),
    /// The details of the watched robot.
    Details,
    /// The status of the watched robot.
    Status,
    /// The state vector of the watched robot.
    State,
    /// The action tokens so far of the watched robot's next chunk.
    Tokens,
    /// The images of this viewer's question.
    Scene(u64),
    /// The answer to this viewer's question.
    Answer(u64),
    /// The image of a camera of the watched robot.
    View(String),
}

impl Key {
    fn is_lossy(&self) -> bool {
        matches!(self, Self::State | Self::Tokens | Self::View(_))
    }
}

#[derive(Debug, Clone)]
struct Entry {
    key: Option<Key>,
    lossy: bool,
    frame: Bytes,
}

impl Entry {
    fn is_plain_control(&self) -> bool {
        !self.lossy && self.key.is_none()
    }
}

#[derive(Debug, Default)]
struct Queue {
    entries: VecDeque<Entry>,
    lossy_bytes: usize,
    dropped: u64,
    /// The only question that may have messages here.
    question: Option<u64>,
    closed: bool,
}

/// The queue of one viewer, with many writers and one reader.
#[derive(Debug)]
pub(crate) struct Outbox {
    max_lossy_bytes: usize,
    queue: Mutex<Queue>,
    filled: Notify,
}

impl Outbox {
    pub(crate) fn new(max_lossy_bytes: usize) -> Self {
        Self {
            max_lossy_bytes,
            queue: Mutex::default(),
            filled: Notify::new(),
        }
    }

    /// Puts a message that replaces the one of the same key that still waits.
    pub(crate) fn put_newest(&self, key: Key, frame: Bytes) {
        let lossy = key.is_lossy();
        self.put(Entry {
            key: Some(key),
            lossy,
            frame,
        });
    }

    /// Puts a message that may be dropped.
    pub(crate) fn put_lossy(&self, frame: Bytes) {
        self.put(Entry {
            key: None,
            lossy: true,
            frame,
        });
    }

    /// Puts a message that arrives, unless the viewer lets very many of them wait.
    pub(crate) fn put_control(&self, frame: Bytes) {
        self.put(Entry {
            key: None,
            lossy: false,
            frame,
        });
    }

    fn put(&self, entry: Entry) {
        let mut queue = self.lock();
        let is_of_older_question = match entry.key {
            Some(Key::Scene(id) | Key::Answer(id)) => queue.question != Some(id),
            _ => false,
        };
        if queue.closed || is_of_older_question {
            return;
        }
        let Queue {
            entries,
            lossy_bytes,
            dropped,
            ..
        } = &mut *queue;
        if entry.key == Some(Key::Robots) {
            entries.retain(|waiting| !matches!(waiting.key, Some(Key::Robot(_))));
        }
        if entry.lossy {
            *lossy_bytes += entry.frame.len();
        }
        let older = entries
            .iter_mut()
            .find(|waiting| waiting.key.is_some() && waiting.key == entry.key);
        if let Some(older) = older {
            if older.lossy {
                *lossy_bytes -= older.frame.len();
                *dropped += 1;
            }
            *older = entry;
        } else {
            if entry.is_plain_control() {
                make_room_for_plain_control(entries, entry.frame.len());
            }
            entries.push_back(entry);
        }
        let lossy = entries.iter().filter(|waiting| waiting.lossy).count();
        let mut surplus = lossy.saturating_sub(MAX_LOSSY);
        while *lossy_bytes > self.max_lossy_bytes || surplus > 0 {
            let Some(oldest) = entries.iter().position(|waiting| waiting.lossy) else {
                break;
            };
            if let Some(gone) = entries.remove(oldest) {
                *lossy_bytes -= gone.frame.len();
                *dropped += 1;
            }
            surplus = surplus.saturating_sub(1);
        }
        drop(queue);
        self.filled.notify_one();
    }

    /// Drops the messages about the robot that was watched so far.
    pub(crate) fn forget_watched(&self) {
        let mut queue = self.lock();
        queue
            .entries
            .retain(|entry| !entry.lossy && !matches!(entry.key, Some(Key::Status | Key::Details)));
        queue.lossy_bytes = 0;
    }

    /// Accepts messages about this question from now on, and drops those about any other.
    pub(crate) fn turn_to_question(&self, id: u64) {
        let mut queue = self.lock();
        queue.question = Some(id);
        queue
            .entries
            .retain(|entry| !matches!(entry.key, Some(Key::Scene(_) | Key::Answer(_))));
    }

    /// Drops the messages about a question.
    pub(crate) fn forget_question(&self, id: u64) {
        let keys = [Some(Key::Scene(id)), Some(Key::Answer(id))];
        self.lock()
            .entries
            .retain(|entry| !keys.contains(&entry.key));
    }

    /// Waits for the next encoded message; `None` once closed and empty.
    pub(crate) async fn next(&self) -> Option<Bytes> {
        loop {
            let filled = self.filled.notified();
            {
                let mut queue = self.lock();
                // The answer to a stop does not wait behind images.
                let first = queue.entries.iter().position(|entry| !entry.lossy);
                if let Some(entry) = queue.entries.remove(first.unwrap_or(0)) {
                    if entry.lossy {
                        queue.lossy_bytes -= entry.frame.len();
                    }
                    return Some(entry.frame);
                }
                if queue.closed {
                    return None;
                }
            }
            filled.await;
        }
    }

    /// Accepts nothing more and drops lossy messages; control messages can still be read.
    pub(crate) fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        queue.entries.retain(|entry| !entry.lossy);
        queue.lossy_bytes = 0;
        drop(queue);
        self.filled.notify_one();
    }

    /// Returns the number of lossy messages that were dropped or replaced since the last call.
    pub(crate) fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.lock().dropped)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room_for_plain_control(entries: &mut VecDeque<Entry>, bytes: usize) {
    let plain = entries.iter().filter(|entry| entry.is_plain_control());
    let (mut count, mut total_bytes) = plain.fold((1, bytes), |(count, bytes), entry| {
        (count + 1, bytes + entry.frame.len())
    });
    while count > MAX_PLAIN_CONTROL || total_bytes > MAX_PLAIN_CONTROL_BYTES {
        let oldest = entries.iter().position(Entry::is_plain_control);
        let Some(gone) = oldest.and_then(|oldest| entries.remove(oldest)) else {
            break;
        };
        count -= 1;
        total_bytes -= gone.frame.len();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn frame(content: u8, bytes: usize) -> Bytes {
        Bytes::from(vec![content; bytes])
    }

    async fn rest(outbox: &Outbox) -> Vec<u8> {
        outbox.close();
        let mut contents = Vec::new();
        while let Some(frame) = outbox.next().await {
            contents.push(frame[0]);
        }
        contents
    }

    #[tokio::test]
    async fn the_oldest_lossy_message_goes_when_the_bytes_run_out() {
        let outbox = Outbox::new(250);
        outbox.put_lossy(frame(1, 100));
        outbox.put_control(frame(2, 1000));
        outbox.put_lossy(frame(3, 100));
        outbox.put_lossy(frame(4, 100));
        assert_eq!(outbox.take_dropped(), 1);
        for want in [2, 3, 4] {
            assert_eq!(outbox.next().await.unwrap()[0], want);
        }
    }

    #[tokio::test]
    async fn a_newer_image_of_the_same_camera_replaces_the_waiting_one() {
        let outbox = Outbox::new(1000);
        outbox.put_newest(Key::View("overview".to_owned()), frame(1, 100));
        outbox.put_newest(Key::View("wrist".to_owned()), frame(2, 100));
        outbox.put_newest(Key::View("overview".to_owned()), frame(3, 100));
        assert_eq!(outbox.next().await.unwrap()[0], 3);
        assert_eq!(outbox.next().await.unwrap()[0], 2);
        assert_eq!(outbox.lock().lossy_bytes, 0);
    }

    #[tokio::test]
    async fn control_messages_survive_a_flood_of_images() {
        let outbox = Outbox::new(1000);
        outbox.put_newest(Key::Status, frame(1, 10));
        for _ in 0..10_000 {
            outbox.put_lossy(frame(9, 400));
        }
        outbox.put_newest(Key::Status, frame(2, 10));
        assert!(outbox.lock().lossy_bytes <= 1000);
        assert_eq!(rest(&outbox).await, [2]);
    }

    #[tokio::test]
    async fn errors_do_not_pile_up() {
        let outbox = Outbox::new(1000);
        for _ in 0..1000 {
            outbox.put_control(frame(1, 10));
        }
        assert_eq!(rest(&outbox).await.len(), MAX_PLAIN_CONTROL);
    }

    #[tokio::test]
    async fn large_errors_do_not_pile_up_and_the_newest_stays() {
        let outbox = Outbox::new(1000);
        for content in 0..100 {
            outbox.put_control(frame(content, 64 << 10));
        }
        assert_eq!(rest(&outbox).await, [96, 97, 98, 99]);
        let outbox = Outbox::new(1000);
        outbox.put_control(frame(1, 10));
        outbox.put_control(frame(2, 1 << 20));
        assert_eq!(rest(&outbox).await, [2]);
    }

    #[tokio::test]
    async fn small_lossy_messages_under_ever_new_names_do_not_pile_up() {
        let outbox = Outbox::new(1 << 20);
        for name in 0..10_000 {
            outbox.put_newest(Key::View(name.to_string()), frame(1, 10));
        }
        assert_eq!(outbox.lock().entries.len(), MAX_LOSSY);
        assert_eq!(outbox.take_dropped(), 10_000 - MAX_LOSSY as u64);
    }

    #[tokio::test]
    async fn of_ever_new_questions_only_the_newest_waits() {
        let outbox = Outbox::new(1000);
        for id in 0..60_000 {
            outbox.turn_to_question(id);
            outbox.put_newest(Key::Answer(id), frame(1, 10));
        }
        outbox.put_newest(Key::Answer(7), frame(2, 10));
        outbox.put_newest(Key::Scene(59_999), frame(3, 10));
        assert_eq!(rest(&outbox).await, [1, 3]);
    }

    #[tokio::test]
    async fn watching_another_robot_drops_messages_about_the_last() {
        let outbox = Outbox::new(1000);
        outbox.put_lossy(frame(1, 10));
        outbox.put_newest(Key::Status, frame(2, 10));
        outbox.put_newest(Key::Details, frame(4, 10));
        outbox.put_newest(Key::Robots, frame(3, 10));
        outbox.forget_watched();
        assert_eq!(rest(&outbox).await, [3]);
    }

    #[tokio::test]
    async fn a_list_replaces_the_entries_before_it() {
        let robot = |id: &str| Key::Robot(id.to_owned());
        let outbox = Outbox::new(1000);
        outbox.put_newest(robot("a"), frame(1, 10));
        outbox.put_newest(Key::Robots, frame(2, 10));
        outbox.put_newest(robot("a"), frame(3, 10));
        outbox.put_newest(robot("b"), frame(4, 10));
        outbox.put_newest(robot("a"), frame(5, 10));
        assert_eq!(outbox.lock().entries.len(), 3);
        // The newer list takes the position of the older one; older entries must not follow it.
        outbox.put_newest(Key::Robots, frame(6, 10));
        outbox.put_newest(robot("a"), frame(7, 10));
        assert_eq!(rest(&outbox).await, [6, 7]);
    }

    #[tokio::test]
    async fn a_question_is_dropped_with_its_images_and_others_are_not() {
        let outbox = Outbox::new(1000);
        for id in 1..=2 {
            let content = u8::try_from(id).unwrap();
            outbox.turn_to_question(id);
            outbox.put_newest(Key::Scene(id), frame(content, 10));
            outbox.put_newest(Key::Answer(id), frame(content, 10));
        }
        outbox.forget_question(1);
        assert_eq!(outbox.lock().entries.len(), 2);
        outbox.forget_question(2);
        assert!(rest(&outbox).await.is_empty());
    }
}
