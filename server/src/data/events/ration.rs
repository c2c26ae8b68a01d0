//! The part of a record that one viewer may fill. A plain value; time is passed in.

use std::{collections::HashMap, time::Instant};

/// Most allowances; beyond this the least recently used one is forgotten.
const MAX_ALLOWANCES: usize = 1024;
/// Refill of an allowance, in bytes per second.
const BYTES_PER_SEC: f64 = 1024.0;

/// The part of an event that is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// The event.
    Full {
        /// Events of the same kind and viewer that were left out before it.
        left_out: u64,
    },
    /// Nothing.
    Nothing,
}

/// The allowances of all viewers.
#[derive(Debug)]
pub(super) struct Ration {
    /// Largest burst of a viewer, in bytes.
    burst_bytes: f64,
    allowances: HashMap<(&'static str, String), Allowance>,
}

#[derive(Debug)]
struct Allowance {
    bytes: f64,
    counted_at: Instant,
    left_out: u64,
}

impl Ration {
    pub(super) fn new(burst_bytes: u32) -> Self {
        Self {
            burst_bytes: f64::from(burst_bytes),
            allowances: HashMap::new(),
        }
    }

    /// Takes a line's bytes from the allowance of its kind and viewer. The second value counts lines that were left out for
    /// another viewer, whose allowance had to be forgotten.
    pub(super) fn take(
        &mut self,
        what: &'static str,
        by: &str,
        bytes: usize,
        now: Instant,
    ) -> (Share, u64) {
        let key = (what, by.to_owned());
        let forgotten = if self.allowances.contains_key(&key) {
            0
        } else {
            self.make_room()
        };
        let burst = self.burst_bytes;
        let allowance = self.allowances.entry(key).or_insert(Allowance {
            bytes: burst,
            counted_at: now,
            left_out: 0,
        });
        let passed = now.saturating_duration_since(allowance.counted_at);
        allowance.bytes = (allowance.bytes + passed.as_secs_f64() * BYTES_PER_SEC).min(burst);
        allowance.counted_at = now;
        let bytes = bytes as f64;
        if allowance.bytes < bytes {
            allowance.left_out += 1;
            return (Share::Nothing, forgotten);
        }
        allowance.bytes -= bytes;
        let left_out = std::mem::take(&mut allowance.left_out);
        (Share::Full { left_out }, forgotten)
    }

    fn make_room(&mut self) -> u64 {
        if self.allowances.len() < MAX_ALLOWANCES {
            return 0;
        }
        let oldest = self.allowances.iter().min_by_key(|(_, a)| a.counted_at);
        let oldest = oldest.map(|(key, _)| key.clone());
        let forgotten = oldest.and_then(|key| self.allowances.remove(&key));
        forgotten.map_or(0, |allowance| allowance.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const LINE: usize = 100;

    #[test]
    fn a_flood_is_counted_and_others_are_recorded() {
        let mut ration = Ration::new(1000);
        let start = Instant::now();
        let mut recorded = 0;
        for _ in 0..16_000 {
            if ration.take("command", "viewer 1", LINE, start).0 != Share::Nothing {
                recorded += 1;
            }
        }
        assert_eq!(recorded, 10);
        let full = |left_out| (Share::Full { left_out }, 0);
        assert_eq!(ration.take("command", "viewer 2", LINE, start), full(0));
        assert_eq!(ration.take("reset", "viewer 1", LINE, start), full(0));
        let later = start + Duration::from_secs(1);
        let next = ration.take("command", "viewer 1", LINE, later);
        assert_eq!(next, full(15_990));
        assert_eq!(ration.take("command", "viewer 1", LINE, later), full(0));
    }

    #[test]
    fn the_least_recently_used_allowance_is_forgotten_and_its_count_returned() {
        let mut ration = Ration::new(150);
        let start = Instant::now();
        for _ in 0..3 {
            ration.take("command", "viewer 0", LINE, start);
        }
        for number in 1..MAX_ALLOWANCES as u32 {
            let now = start + Duration::from_millis(u64::from(number));
            let by = format!("viewer {number}");
            assert_eq!(ration.take("command", &by, LINE, now).1, 0);
        }
        let now = start + Duration::from_secs(60);
        let (share, forgotten) = ration.take("command", "one more", LINE, now);
        assert_eq!((share, forgotten), (Share::Full { left_out: 0 }, 2));
        assert_eq!(ration.allowances.len(), MAX_ALLOWANCES);
    }
}
