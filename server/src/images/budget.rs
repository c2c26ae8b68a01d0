//! Byte budget for one robot's images, wherever they are: queued, published, decoded or in use by the policy.
//!
//! One robot's connection takes less than 64 MiB. While a message is read, up to three copies of it exist: the read
//! buffer, which may have grown to twice the message's size, and the decoded message. The robot's views for viewers take
//! 8 MiB. Its images get the rest, but never more than [`MAX_IMAGE_BYTES`]: larger messages leave less for images.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Largest image budget of one robot, decoded images included.
pub(crate) const MAX_IMAGE_BYTES: usize = 40 << 20;
/// Memory of one robot apart from its views for viewers: images, and the message that is being read. Measured, the whole is
/// up to 10 MiB more than the sum of its parts, for what the allocator and the sockets hold.
const ROBOT_BYTES: usize = 46 << 20;
/// Copies of the largest message in memory while it is read.
const MESSAGE_COPIES: usize = 3;

/// Image budget of a robot whose largest message has `message_bytes` bytes.
pub(crate) fn image_budget(message_bytes: usize) -> usize {
    ROBOT_BYTES
        .saturating_sub(message_bytes.saturating_mul(MESSAGE_COPIES))
        .min(MAX_IMAGE_BYTES)
}

/// A byte budget shared by leases.
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

    /// Changes the limit. Leases beyond a lower limit stay valid until they are dropped.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Release);
    }

    /// The limit in bytes.
    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Acquire)
    }

    /// Leases `bytes` until the lease is dropped; `None` if fewer are free.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Option<Lease> {
        let limit = self.limit();
        let fits = |used: usize| used.checked_add(bytes).filter(|total| *total <= limit);
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, fits)
            .ok()?;
        Some(Lease {
            budget: self.clone(),
            bytes,
        })
    }
}

/// Leased bytes, returned to the budget on drop.
#[derive(Debug)]
pub(crate) struct Lease {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Lease {
    /// Leases more bytes of the same budget.
    pub(crate) fn more(&self, bytes: usize) -> Option<Self> {
        self.budget.take(bytes)
    }

    /// True if this lease plus `bytes` fits into the budget when nothing else is leased.
    pub(crate) fn can_grow_by(&self, bytes: usize) -> bool {
        self.bytes.saturating_add(bytes) <= self.budget.limit()
    }

    /// Returns everything beyond `bytes` to the budget.
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
    fn leases_never_exceed_the_limit_and_return_their_bytes() {
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
    fn a_lower_limit_applies_to_new_leases() {
        let budget = Budget::new(10);
        let six = budget.take(6).unwrap();
        assert!(six.can_grow_by(4) && !six.can_grow_by(5));
        budget.set_limit(5);
        assert!(budget.take(1).is_none() && !six.can_grow_by(0));
        drop(six);
        assert!(budget.take(6).is_none() && budget.take(5).is_some());
    }

    /// Read buffer, decoded message, images and views for viewers.
    #[test]
    fn a_robot_takes_at_most_64_mib_for_any_message_size() {
        for message in (0..=15).map(|mebibytes| mebibytes << 20) {
            let all = 3 * message + image_budget(message) + (8 << 20) + (10 << 20);
            assert!(all <= 64 << 20, "{message}: {all}");
        }
        // Three full HD cameras, a JPEG of 700 kB each: file, pixels, and the decoder's scratch memory.
        let pixels = 1920 * 1080 * 3;
        assert!(image_budget(2_100_000) > 2_100_000 + 3 * pixels + pixels);
        // Three raw 1280x720 images: the image and its copy.
        let raw = 3 * 1280 * 720 * 3;
        assert!(image_budget(raw) > 2 * raw);
        // The largest message is read, but its images do not fit, so they are not prepared for viewers either.
        assert!(image_budget(16 << 20) < 16 << 20);
    }

    #[test]
    fn concurrent_leases_never_exceed_the_limit() {
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
