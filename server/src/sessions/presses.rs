//! Stop presses that were carried out recently. A client repeats a press until it is answered; it must stop only once.

use std::collections::VecDeque;

/// Presses remembered. A repeated press is seconds old at most.
const REMEMBERED: usize = 1024;

/// The numbers of the last presses.
#[derive(Debug, Default)]
pub(crate) struct Presses {
    newest_last: VecDeque<u64>,
}

impl Presses {
    /// True if the press is remembered. Presses without a number (0) never are.
    pub(crate) fn contains(&self, press_id: u64) -> bool {
        self.newest_last.contains(&press_id)
    }

    /// Remembers a press.
    pub(crate) fn remember(&mut self, press_id: u64) {
        if press_id == 0 || self.contains(press_id) {
            return;
        }
        if self.newest_last.len() >= REMEMBERED {
            self.newest_last.pop_front();
        }
        self.newest_last.push_back(press_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_press_that_comes_again_is_not_new() {
        let mut presses = Presses::default();
        presses.remember(7);
        presses.remember(7);
        assert!(presses.contains(7) && !presses.contains(8));
        assert_eq!(presses.newest_last.len(), 1);
        presses.remember(0);
        assert!(!presses.contains(0));
        for press_id in 100..100 + REMEMBERED as u64 {
            presses.remember(press_id);
        }
        assert!(!presses.contains(7), "as many others came since");
        assert_eq!(presses.newest_last.len(), REMEMBERED);
    }
}
