//! The recent decisions of the robot in view, the worker's decodes of their tokens, and the one that is shown.

use std::collections::VecDeque;

use protocol::viewer::Trace;
use protocol::worker::DecodeOutcome;

/// Number of decisions kept: about half a minute of a policy that replans twice a second.
pub const MAX_DECISIONS: usize = 60;

/// One chunk and its decode.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Serial number of the decision in this page.
    pub number: u64,
    /// The studio's trace.
    pub trace: Trace,
    /// The worker's decode; `None` before it has answered.
    pub decode: Option<DecodeOutcome>,
}

/// Recent decisions, oldest first, and the one in view.
#[derive(Debug, Clone, Default)]
pub struct Decisions {
    recent: VecDeque<Decision>,
    last_number: u64,
    pinned: Option<u64>,
}

impl Decisions {
    /// Adds a trace and returns its number.
    pub fn push(&mut self, trace: Trace) -> u64 {
        self.last_number += 1;
        self.recent.push_back(Decision {
            number: self.last_number,
            trace,
            decode: None,
        });
        while self.recent.len() > MAX_DECISIONS {
            self.recent.pop_front();
        }
        if self
            .pinned
            .is_some_and(|number| self.find(number).is_none())
        {
            self.pinned = None;
        }
        self.last_number
    }

    /// Removes all decisions but keeps counting, so that a late decode matches none.
    pub fn clear(&mut self) {
        self.recent.clear();
        self.pinned = None;
    }

    /// Stores the worker's decode; ignored when the decision is gone.
    pub fn decoded(&mut self, number: u64, outcome: DecodeOutcome) {
        if let Some(decision) = self.recent.iter_mut().find(|d| d.number == number) {
            decision.decode = Some(outcome);
        }
    }

    /// Keeps one decision in view until [`Decisions::follow`].
    pub fn pin(&mut self, number: u64) {
        if self.find(number).is_some() {
            self.pinned = Some(number);
        }
    }

    /// Shows the newest decision.
    pub fn follow(&mut self) {
        self.pinned = None;
    }

    /// Moves the view by `steps` (negative: earlier). Moving onto the newest decision follows again.
    pub fn step(&mut self, steps: i64) {
        let Some(last) = self.recent.len().checked_sub(1) else {
            return;
        };
        let now = self
            .shown()
            .and_then(|shown| self.recent.iter().position(|d| d.number == shown.number))
            .unwrap_or(last);
        let then = (now as i64).saturating_add(steps).clamp(0, last as i64) as usize;
        self.pinned = self
            .recent
            .get(then)
            .filter(|_| then != last)
            .map(|decision| decision.number);
    }

    /// The decision to show.
    pub fn shown(&self) -> Option<&Decision> {
        self.pinned
            .and_then(|number| self.find(number))
            .or_else(|| self.recent.back())
    }

    /// True if an earlier decision is kept in view.
    pub fn is_pinned(&self) -> bool {
        self.pinned.is_some()
    }

    /// All decisions, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Decision> {
        self.recent.iter()
    }

    /// The decision with this number.
    pub fn find(&self, number: u64) -> Option<&Decision> {
        self.recent
            .iter()
            .find(|decision| decision.number == number)
    }

    /// The decision to decode next: the one in view first, then the newest.
    pub fn to_decode(&self) -> Option<&Decision> {
        let waiting = |d: &&Decision| d.decode.is_none() && !d.trace.action_tokens.is_empty();
        self.shown()
            .filter(waiting)
            .or_else(|| self.recent.iter().rev().find(waiting))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use protocol::viewer::TokensOrigin;
    use protocol::{Mode, Stage};

    pub(crate) fn trace(chunk_id: u64) -> Trace {
        Trace {
            robot_id: "a".into(),
            chunk_id,
            observation_sequence: chunk_id * 10,
            instruction: "reach the red cube".into(),
            mode: Mode::Discrete,
            prompt: String::new(),
            prompt_tokens: 0,
            action_tokens: vec![1, 2],
            tokens_origin: TokensOrigin::Generated,
            rows: 1,
            dims: 1,
            chunk_normalised: vec![0.0],
            actions: vec![0.0],
            stages: vec![Stage {
                name: "vision".into(),
                micros: 10,
            }],
            latency_micros: 10,
            committed_rows: 2,
            depth: None,
        }
    }

    fn filled(count: u64) -> Decisions {
        let mut decisions = Decisions::default();
        for chunk_id in 0..count {
            decisions.push(trace(chunk_id));
        }
        decisions
    }

    fn shown(decisions: &Decisions) -> Option<u64> {
        decisions.shown().map(|d| d.trace.chunk_id)
    }

    #[test]
    fn the_newest_is_shown_until_one_is_pinned() {
        let mut decisions = filled(3);
        assert_eq!(shown(&decisions), Some(2));
        decisions.step(-1);
        assert_eq!(shown(&decisions), Some(1));
        decisions.push(trace(3));
        assert_eq!((shown(&decisions), decisions.is_pinned()), (Some(1), true));
        decisions.step(9);
        assert_eq!((shown(&decisions), decisions.is_pinned()), (Some(3), false));
    }

    #[test]
    fn a_pinned_decision_that_falls_out_is_let_go() {
        let mut decisions = filled(2);
        decisions.step(-1);
        for chunk_id in 2..(MAX_DECISIONS as u64 + 2) {
            decisions.push(trace(chunk_id));
        }
        assert_eq!(decisions.iter().len(), MAX_DECISIONS);
        assert!(!decisions.is_pinned());
    }

    #[test]
    fn the_worker_gets_the_shown_one_first_and_late_answers_are_harmless() {
        let mut decisions = filled(3);
        decisions.step(-2);
        assert_eq!(decisions.to_decode().map(|d| d.number), Some(1));
        decisions.decoded(1, DecodeOutcome::Failed { reason: "x".into() });
        assert_eq!(decisions.to_decode().map(|d| d.number), Some(3));
        decisions.clear();
        decisions.decoded(
            2,
            DecodeOutcome::Failed {
                reason: "late".into(),
            },
        );
        assert!(decisions.shown().is_none());
        assert_eq!(decisions.push(trace(9)), 4);
    }
}
