//! What one viewer has still to be sent, bounded in bytes.
//!
//! Two kinds of message: a *control* message always arrives, a *lossy* one may be dropped. A message with a
//! key replaces an older one of the same key that still waits (a newer picture of the same camera, a newer
//! status of the same robot), so a slow viewer sees less often but never sees something old late. When the
//! lossy messages exceed the limit, the oldest of them goes. Control messages without a key have a limit of
//! their own; those with one wait once per key, of questions only the newest has any, and entries of robots go when the
//! list of all of them comes. So everything that waits is bounded. Putting never waits, hence a stalled viewer costs a robot nothing.

use bytes::Bytes;
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Unkeyed control messages (errors) kept for a viewer that does not read, and their bytes. The newest is always kept.
const MAX_PLAIN_CONTROL: usize = 64;
const MAX_PLAIN_CONTROL_BYTES: usize = 256 << 10;
/// Lossy messages kept: of small ones very many would fit.
const MAX_LOSSY: usize = 256;

/// Which message a newer one replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// The robot list. It holds every entry that was put before it.
    Robots,
    /// An entry of the robot list that changed.
    Robot(String),
    /// The details of the watched robot.
    Details,
    /// The status of the watched robot.
    Status,
    /// The numbers of the watched robot.
    State,
    /// The decision that the watched robot's policy is writing.
    Tokens,
    /// The pictures that this viewer's question is about.
    Scene(u64),
    /// The answer to this viewer's question.
    Answer(u64),
    /// A camera of the watched robot.
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
    /// The one question that may have messages here.
    question: Option<u64>,
    closed: bool,
}

/// The queue of one viewer. Many may put, one takes.
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

    /// A message that replaces the one of the same key that still waits.
    pub(crate) fn put_newest(&self, key: Key, frame: Bytes) {
        let lossy = key.is_lossy();
        self.put(Entry {
            key: Some(key),
            lossy,
            frame,
        });
    }

    /// A message that may be dropped.
    pub(crate) fn put_lossy(&self, frame: Bytes) {
        self.put(Entry {
            key: None,
            lossy: true,
            frame,
        });
    }

    /// A message that arrives, unless the viewer lets very many of them wait.
    pub(crate) fn put_control(&self, frame: Bytes) {
        self.put(Entry {
            key: None,
            lossy: false,
            frame,
        });
    }

    fn put(&self, entry: Entry) {
        let mut queue = self.lock();
        let of_an_older_question = match entry.key {
            Some(Key::Scene(id) | Key::Answer(id)) => queue.question != Some(id),
            _ => false,
        };
        if queue.closed || of_an_older_question {
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
        let mut too_many = lossy.saturating_sub(MAX_LOSSY);
        while *lossy_bytes > self.max_lossy_bytes || too_many > 0 {
            let Some(oldest) = entries.iter().position(|waiting| waiting.lossy) else {
                break;
            };
            if let Some(gone) = entries.remove(oldest) {
                *lossy_bytes -= gone.frame.len();
                *dropped += 1;
            }
            too_many = too_many.saturating_sub(1);
        }
        drop(queue);
        self.filled.notify_one();
    }

    /// Forgets what waits about the robot watched so far.
    pub(crate) fn forget_watched(&self) {
        let mut queue = self.lock();
        queue
            .entries
            .retain(|entry| !entry.lossy && !matches!(entry.key, Some(Key::Status | Key::Details)));
        queue.lossy_bytes = 0;
    }

    /// Takes messages about this question from now on, and forgets those about any other.
    pub(crate) fn turn_to_question(&self, id: u64) {
        let mut queue = self.lock();
        queue.question = Some(id);
        queue
            .entries
            .retain(|entry| !matches!(entry.key, Some(Key::Scene(_) | Key::Answer(_))));
    }

    /// Forgets what waits about a question.
    pub(crate) fn forget_question(&self, id: u64) {
        let of_it = [Some(Key::Scene(id)), Some(Key::Answer(id))];
        self.lock()
            .entries
            .retain(|entry| !of_it.contains(&entry.key));
    }

    /// The next frame; `None` once closed and empty.
    pub(crate) async fn next(&self) -> Option<Bytes> {
        loop {
            let filled = self.filled.notified();
            {
                let mut queue = self.lock();
                if let Some(entry) = queue.entries.pop_front() {
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

    /// Takes nothing more, and drops what is lossy; control messages can still be read.
    pub(crate) fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        queue.entries.retain(|entry| !entry.lossy);
        queue.lossy_bytes = 0;
        drop(queue);
        self.filled.notify_one();
    }

    /// Lossy messages dropped or replaced since the last call.
    pub(crate) fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.lock().dropped)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room_for_plain_control(entries: &mut VecDeque<Entry>, bytes: usize) {
    let plain = entries.iter().filter(|entry| entry.is_plain_control());
    let (mut count, mut all_bytes) = plain.fold((1, bytes), |(count, bytes), entry| {
        (count + 1, bytes + entry.frame.len())
    });
    while count > MAX_PLAIN_CONTROL || all_bytes > MAX_PLAIN_CONTROL_BYTES {
        let oldest = entries.iter().position(Entry::is_plain_control);
        let Some(gone) = oldest.and_then(|oldest| entries.remove(oldest)) else {
            break;
        };
        count -= 1;
        all_bytes -= gone.frame.len();
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
    async fn a_newer_picture_of_the_same_camera_replaces_the_waiting_one() {
        let outbox = Outbox::new(1000);
        outbox.put_newest(Key::View("overview".to_owned()), frame(1, 100));
        outbox.put_newest(Key::View("wrist".to_owned()), frame(2, 100));
        outbox.put_newest(Key::View("overview".to_owned()), frame(3, 100));
        assert_eq!(outbox.next().await.unwrap()[0], 3);
        assert_eq!(outbox.next().await.unwrap()[0], 2);
        assert_eq!(outbox.lock().lossy_bytes, 0);
    }

    #[tokio::test]
    async fn control_messages_survive_any_flood_of_pictures() {
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
    async fn large_errors_do_not_pile_up_either_and_the_newest_is_kept() {
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
    async fn watching_another_robot_forgets_what_waited_about_the_last() {
        let outbox = Outbox::new(1000);
        outbox.put_lossy(frame(1, 10));
        outbox.put_newest(Key::Status, frame(2, 10));
        outbox.put_newest(Key::Details, frame(4, 10));
        outbox.put_newest(Key::Robots, frame(3, 10));
        outbox.forget_watched();
        assert_eq!(rest(&outbox).await, [3]);
    }

    #[tokio::test]
    async fn a_list_takes_the_place_of_the_entries_before_it() {
        let robot = |id: &str| Key::Robot(id.to_owned());
        let outbox = Outbox::new(1000);
        outbox.put_newest(robot("a"), frame(1, 10));
        outbox.put_newest(Key::Robots, frame(2, 10));
        outbox.put_newest(robot("a"), frame(3, 10));
        outbox.put_newest(robot("b"), frame(4, 10));
        outbox.put_newest(robot("a"), frame(5, 10));
        assert_eq!(outbox.lock().entries.len(), 3);
        // Put where the older list waited, it must not be overtaken by what is older than itself.
        outbox.put_newest(Key::Robots, frame(6, 10));
        outbox.put_newest(robot("a"), frame(7, 10));
        assert_eq!(rest(&outbox).await, [6, 7]);
    }

    #[tokio::test]
    async fn a_question_is_forgotten_with_its_pictures_and_others_are_not() {
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
