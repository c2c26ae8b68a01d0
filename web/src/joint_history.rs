//! Recent joint states, by the robot's clock.

use std::collections::VecDeque;

use protocol::viewer::RobotState;

/// Time span kept: long enough to show the outcome of a plan that is viewed a little later.
const KEEP_MICROS: u64 = 30_000_000;

/// Recent joint states, oldest first.
#[derive(Debug, Clone, Default)]
pub struct History {
    samples: VecDeque<RobotState>,
}

impl History {
    /// Adds a state. One that is older than the newest means that the robot was restarted, so the history is cleared.
    pub fn push(&mut self, sample: RobotState) {
        if self.samples.back().is_some_and(|newest| {
            sample.captured_at_micros <= newest.captured_at_micros
                || sample.sequence <= newest.sequence
        }) {
            self.samples.clear();
        }
        let oldest_kept = sample.captured_at_micros.saturating_sub(KEEP_MICROS);
        self.samples.push_back(sample);
        while self
            .samples
            .front()
            .is_some_and(|s| s.captured_at_micros < oldest_kept)
        {
            self.samples.pop_front();
        }
    }

    /// Removes all states.
    pub fn clear(&mut self) {
        self.samples.clear();
    }

    /// The newest state.
    pub fn newest(&self) -> Option<&RobotState> {
        self.samples.back()
    }

    /// States between two moments of the robot's clock, in order.
    pub fn between(&self, from_micros: i64, to_micros: i64) -> impl Iterator<Item = &RobotState> {
        self.samples.iter().filter(move |sample| {
            let at = sample.captured_at_micros as i64;
            (from_micros..=to_micros).contains(&at)
        })
    }

    /// Capture time of an observation. States are lossy, so a missing one is interpolated between its neighbors, or
    /// extrapolated by the mean rate.
    pub fn time_of(&self, sequence: u64) -> Option<i64> {
        let after = self
            .samples
            .partition_point(|sample| sample.sequence < sequence);
        let next = self.samples.get(after);
        if let Some(exact) = next.filter(|sample| sample.sequence == sequence) {
            return Some(exact.captured_at_micros as i64);
        }
        let (first, last) = match (after.checked_sub(1).and_then(|i| self.samples.get(i)), next) {
            (Some(before), Some(next)) => (before, next),
            _ => (self.samples.front()?, self.samples.back()?),
        };
        if first.sequence == last.sequence {
            return None;
        }
        let pace = (last.captured_at_micros as f64 - first.captured_at_micros as f64)
            / (last.sequence as f64 - first.sequence as f64);
        let steps = sequence as f64 - first.sequence as f64;
        Some((first.captured_at_micros as f64 + steps * pace).round() as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(sequence: u64, at_micros: u64) -> RobotState {
        RobotState {
            robot_id: "a".into(),
            sequence,
            captured_at_micros: at_micros,
            state: vec![0.0],
            commanded: vec![],
        }
    }

    fn history(samples: &[(u64, u64)]) -> History {
        let mut history = History::default();
        for &(sequence, at) in samples {
            history.push(state(sequence, at));
        }
        history
    }

    #[test]
    fn a_lost_observation_is_placed_between_its_neighbours() {
        let history = history(&[(10, 1_000_000), (11, 1_033_000), (14, 1_132_000)]);
        assert_eq!(history.time_of(11), Some(1_033_000));
        assert_eq!(history.time_of(12), Some(1_066_000));
        assert_eq!(history.time_of(9), Some(967_000));
        assert_eq!(history.time_of(15), Some(1_165_000));
        assert_eq!(History::default().time_of(3), None);
    }

    #[test]
    fn the_past_is_bounded_and_forgotten_when_the_robot_restarts() {
        let mut history = history(&[(1, 0), (2, 10_000_000), (3, 45_000_000)]);
        assert_eq!(history.between(0, i64::MAX).count(), 1);
        history.push(state(1, 5_000));
        assert_eq!(history.between(0, i64::MAX).count(), 1);
        assert_eq!(history.newest().map(|s| s.captured_at_micros), Some(5_000));
    }
}
