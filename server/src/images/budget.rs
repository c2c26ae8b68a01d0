//! The bytes that one robot's pictures may take here, wherever they are: waiting, shown, decoded, computed from.
//!
//! One robot's connection takes less than 64 MiB. A message of it stands three times at most while it is read: in the read
//! buffer, which may have grown to twice its size, and as what is decoded of it. Its views for people take 8 MiB. Its
//! pictures have the rest, and never more than [`PICTURE_BYTES`]: the larger its messages, the less.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Most bytes of pictures of one robot, decoded ones included.
pub(crate) const PICTURE_BYTES: usize = 40 << 20;
/// Bytes of one robot beside its views for people: pictures, and the message that is being read.
const ROBOT_BYTES: usize = 56 << 20;
/// Times that the largest message of a robot stands in memory while it is read.
const MESSAGE_TIMES: usize = 3;

/// Bytes that are left for the pictures of a robot whose largest message has so many.
pub(crate) fn pictures_beside(message_bytes: usize) -> usize {
    ROBOT_BYTES
        .saturating_sub(message_bytes.saturating_mul(MESSAGE_TIMES))
        .min(PICTURE_BYTES)
}

/// So many bytes and no more.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: AtomicUsize,
    used: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicUsize::new(limit),
            used: AtomicUsize::new(0),
        })
    }

    /// Another limit. What is in use beyond it is given back when it is no longer needed.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Release);
    }

    /// The bytes that there are when nothing is in use.
    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Acquire)
    }

    /// Bytes for as long as the lease is held; `None` when they are not left.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Option<Lease> {
        let limit = self.limit();
        let fits = |used: usize| used.checked_add(bytes).filter(|wanted| *wanted <= limit);
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, fits)
            .ok()?;
        Some(Lease {
            budget: self.clone(),
            bytes,
        })
    }
}

/// Bytes that are given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Lease {
    /// More bytes of the same budget.
    pub(crate) fn more(&self, bytes: usize) -> Option<Self> {
        self.budget.take(bytes)
    }

    /// Whether the budget would have so many more if nothing else were in use.
    pub(crate) fn can_grow_by(&self, bytes: usize) -> bool {
        self.bytes.saturating_add(bytes) <= self.budget.limit()
    }

    /// Gives back what is beyond `bytes`.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let back = self.bytes.saturating_sub(bytes);
        self.bytes -= back;
        self.budget.used.fetch_sub(back, Ordering::AcqRel);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn what_is_taken_is_given_back_and_never_more_than_there_is() {
        let budget = Budget::new(10);
        let six = budget.take(6).unwrap();
        assert!(budget.take(5).is_none() && budget.take(usize::MAX).is_none());
        let mut four = six.more(4).unwrap();
        assert!(budget.take(1).is_none());
        four.shrink(3);
        four.shrink(9);
        assert!(budget.take(1).is_some() && budget.take(2).is_none());
        drop(six);
        drop(four);
        assert!(budget.take(10).is_some());
    }

    #[test]
    fn a_lower_limit_holds_for_what_is_taken_from_then_on() {
        let budget = Budget::new(10);
        let six = budget.take(6).unwrap();
        assert!(six.can_grow_by(4) && !six.can_grow_by(5));
        budget.set_limit(5);
        assert!(budget.take(1).is_none() && !six.can_grow_by(0));
        drop(six);
        assert!(budget.take(6).is_none() && budget.take(5).is_some());
    }

    /// Read buffer, decoded message, pictures and views for people.
    #[test]
    fn whatever_a_robot_sends_less_than_64_mib_are_taken() {
        for message in (0..=17).map(|mebibytes| mebibytes << 20) {
            let all = 3 * message + pictures_beside(message) + (8 << 20);
            assert!(all <= 64 << 20, "{message}: {all}");
        }
        // Three cameras of full HD as JPEG of 700 kB each: file, pixels, and what the decoder needs beside.
        let pixels = 1920 * 1080 * 3;
        assert!(pictures_beside(2_100_000) > 2_100_000 + 3 * pixels + pixels);
        // Three raw ones of 1280x720: the picture and its copy.
        let raw = 3 * 1280 * 720 * 3;
        assert!(pictures_beside(raw) > 2 * raw);
        // The largest message is read, and its pictures are not kept.
        assert!(pictures_beside(16 << 20) < 16 << 20);
    }

    #[test]
    fn many_threads_take_no_more_than_there_is() {
        let budget = Budget::new(4);
        let most = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        if let Some(_lease) = budget.take(3) {
                            most.fetch_max(budget.used.load(Ordering::Acquire), Ordering::AcqRel);
                        }
                    }
                });
            }
        });
        assert_eq!(most.load(Ordering::Acquire), 3);
        assert!(budget.take(4).is_some());
    }
}
