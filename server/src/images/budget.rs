//! The bytes that one robot's pictures may take here, wherever they are: waiting, shown, decoded, computed from.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Bytes of pictures of one robot, decoded ones included. What is on the wire is not counted: one frame more.
pub(crate) const ROBOT_BYTES: usize = 40 << 20;

/// So many bytes and no more.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
        })
    }

    /// Bytes for as long as the lease is held; `None` when they are not left.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Option<Lease> {
        let fits = |used: usize| {
            used.checked_add(bytes)
                .filter(|wanted| *wanted <= self.limit)
        };
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
