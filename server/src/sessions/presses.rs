//! Stop presses that were carried out lately: a press is sent again until it is answered, and stops once.

use std::collections::VecDeque;

/// Presses remembered. One that comes again is at most seconds old.
const REMEMBERED: usize = 1024;

/// The numbers of the last presses.
#[derive(Debug, Default)]
pub(crate) struct Presses {
    newest_last: VecDeque<u64>,
}

impl Presses {
    /// Whether this press is a new one; then it is remembered. Presses without a number, 0, always are.
    pub(crate) fn is_new(&mut self, press_id: u64) -> bool {
        if press_id == 0 {
            return true;
        }
        if self.newest_last.contains(&press_id) {
            return false;
        }
        if self.newest_last.len() >= REMEMBERED {
            self.newest_last.pop_front();
        }
        self.newest_last.push_back(press_id);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_press_that_comes_again_is_not_new() {
        let mut presses = Presses::default();
        assert!(presses.is_new(7) && !presses.is_new(7) && presses.is_new(8));
        assert!(presses.is_new(0) && presses.is_new(0));
        for press_id in 100..100 + REMEMBERED as u64 {
            assert!(presses.is_new(press_id));
        }
        assert_eq!(presses.newest_last.len(), REMEMBERED);
    }
}
