//! The chunk that a robot executes, and the rows of it that will be past when the next chunk arrives.
//!
//! The studio does not see the robot execute. It has the chunk that it sent last, the times of its rows on the robot's
//! clock, and the latency of the policy. Time that passes outside (images are captured and sent, the chunk travels back) is
//! unknown, because the clocks are not synchronized; one row is allowed for it ([`TRANSPORT_ROWS`]).

use policies::{
    PolicyOutput,
    chunking::{
        committed::{Committed, Running},
        latency::{Latencies, rows_in},
    },
};
use std::time::{Duration, Instant};

/// Rows that pass before an observation arrives and after its chunk has left.
const TRANSPORT_ROWS: usize = 1;

/// A robot holds when it has received nothing valid for this long (`protocol/README.md`).
const HOLDS_AFTER: Duration = Duration::from_millis(300);

/// Time after a chunk left from which on a report proves that the robot has it.
const HAS_ARRIVED_MICROS: u64 = 100_000;

/// The chunk that was sent last.
#[derive(Debug)]
struct Sent {
    chunk: Running,
    /// Time of its first row on the robot's clock.
    starts_at_micros: u64,
    at: Instant,
    /// Time at which it left on the robot's clock, as if observations arrived at once.
    left_at_micros: u64,
    /// `false` once another instruction is in force.
    same_instruction: bool,
}

/// One robot's execution.
#[derive(Debug, Default)]
pub(super) struct Execution {
    sent: Option<Sent>,
    latencies: Latencies,
    begun_at: Option<Instant>,
}

impl Execution {
    /// Records that the policy begins now with an observation that was captured at `captured_at_micros` of the robot's clock
    /// and arrived at `arrived_at`. Returns the rows that its chunk must begin with, if it is to continue the running one.
    pub(super) fn begin(
        &mut self,
        captured_at_micros: u64,
        arrived_at: Instant,
        rate_hz: f64,
        now: Instant,
    ) -> Option<Committed> {
        self.begun_at = Some(now);
        let sent = self.sent.as_ref()?;
        let compute = self.latencies.expected()?;
        if now + compute > sent.at + HOLDS_AFTER {
            return None;
        }
        let since_start_micros = captured_at_micros.checked_sub(sent.starts_at_micros)?;
        let first = (since_start_micros as f64 * 1e-6 * rate_hz).round() as usize;
        let latency = now.saturating_duration_since(arrived_at) + compute;
        let delay = rows_in(latency, rate_hz) + TRANSPORT_ROWS;
        sent.chunk.committed(first, delay, sent.same_instruction)
    }

    /// Records that the chunk is sent now.
    pub(super) fn sent(
        &mut self,
        captured_at_micros: u64,
        arrived_at: Instant,
        output: &PolicyOutput,
        now: Instant,
    ) {
        if let Some(begun_at) = self.begun_at.take() {
            self.latencies.add(now.saturating_duration_since(begun_at));
        }
        let here = now.saturating_duration_since(arrived_at).as_micros();
        self.sent = Some(Sent {
            chunk: Running::of(output),
            starts_at_micros: captured_at_micros,
            at: now,
            left_at_micros: captured_at_micros.saturating_add(here.try_into().unwrap_or(u64::MAX)),
            same_instruction: true,
        });
    }

    /// Records another instruction. The robot continues its chunk until it receives a new one.
    pub(super) fn instruction_changed(&mut self) {
        if let Some(sent) = &mut self.sent {
            sent.same_instruction = false;
        }
    }

    /// Records a change of the head, whose latency is different.
    pub(super) fn head_changed(&mut self) {
        self.latencies = Latencies::default();
    }

    /// Records the robot's report, at this time of its clock, that it holds: then it does not execute its last chunk, unless
    /// that had not arrived yet.
    pub(super) fn holds(&mut self, at_micros: u64) {
        let arrived =
            |sent: &mut Sent| at_micros > sent.left_at_micros.saturating_add(HAS_ARRIVED_MICROS);
        self.sent.take_if(arrived);
    }

    /// Records that nothing is executed.
    pub(super) fn forget(&mut self) {
        self.sent = None;
        self.begun_at = None;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use molmoact2::Schedule;

    const RATE_HZ: f64 = 10.0;

    fn output(rows: u8) -> PolicyOutput {
        let values: Vec<f32> = (0..rows).map(f32::from).collect();
        PolicyOutput {
            rows: rows.into(),
            dims: 1,
            actions: values.clone(),
            chunk_normalised: values,
            prompt: String::new(),
            prompt_tokens: 0,
            action_tokens: Vec::new(),
            depth: None,
            stages: Vec::new(),
        }
    }

    struct Robot {
        execution: Execution,
        start: Instant,
    }

    impl Robot {
        /// A robot with a first chunk of ten rows, from an observation at 0 of both clocks, sent after 50 ms.
        fn driven() -> Self {
            let mut robot = Self {
                execution: Execution::default(),
                start: Instant::now(),
            };
            assert_eq!(robot.begin(0, 0), None, "nothing runs yet");
            robot.sent(0, 50);
            robot
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        /// Begins at `now` with an observation that was captured and arrived at `captured`.
        fn begin(&mut self, captured: u64, now: u64) -> Option<Committed> {
            let (arrived_at, now) = (self.at(captured), self.at(now));
            self.execution
                .begin(captured * 1000, arrived_at, RATE_HZ, now)
        }

        fn sent(&mut self, captured: u64, now: u64) {
            let (arrived_at, now) = (self.at(captured), self.at(now));
            self.execution
                .sent(captured * 1000, arrived_at, &output(10), now);
        }
    }

    #[test]
    fn rows_that_pass_while_it_waits_and_computes_are_committed() {
        let mut robot = Robot::driven();
        let committed = robot.begin(200, 200).unwrap();
        // From row 2 on: one row for 50 ms, and one for the transport.
        assert_eq!(committed.rows(), 2);
        assert_eq!(committed.continuation().left_over[..3], [2.0, 3.0, 4.0]);
        assert_eq!(committed.continuation().schedule, Schedule::Linear);
        // It waited for 100 ms behind another robot.
        assert_eq!(robot.begin(200, 299).unwrap().rows(), 3);
    }

    #[test]
    fn a_robot_that_will_hold_by_then_continues_nothing() {
        let mut robot = Robot::driven();
        assert!(robot.begin(250, 299).is_some());
        assert!(
            robot.begin(250, 301).is_none(),
            "300 ms of silence are over"
        );
        let mut robot = Robot::driven();
        robot.execution.holds(149_000);
        assert!(robot.begin(200, 200).is_some(), "the chunk was on its way");
        robot.execution.holds(151_000);
        assert!(robot.begin(200, 200).is_none());
    }

    #[test]
    fn a_used_up_or_forgotten_chunk_and_another_clock_continue_nothing() {
        let mut robot = Robot::driven();
        // The robot's clock is ahead of the studio's by more than the chunk is long.
        let now = robot.at(200);
        assert!(robot.execution.begin(990_000, now, RATE_HZ, now).is_none());
        robot.sent(100, 150);
        let now = robot.at(200);
        assert!(robot.execution.begin(99_000, now, RATE_HZ, now).is_none());
        assert!(robot.begin(200, 200).is_some());
        robot.execution.forget();
        assert!(robot.begin(200, 200).is_none());
    }

    #[test]
    fn the_latency_of_one_head_does_not_count_for_the_other() {
        let mut robot = Robot::driven();
        robot.execution.head_changed();
        assert!(robot.begin(200, 200).is_none(), "its latency is unknown");
        robot.sent(200, 290);
        assert_eq!(robot.begin(400, 400).unwrap().rows(), 2);
    }

    #[test]
    fn another_instruction_keeps_only_the_committed_rows_until_its_first_chunk() {
        let mut robot = Robot::driven();
        robot.execution.instruction_changed();
        let committed = robot.begin(200, 200).unwrap();
        assert_eq!(committed.continuation().schedule, Schedule::Zeros);
        robot.sent(200, 250);
        let committed = robot.begin(400, 400).unwrap();
        assert_eq!(committed.continuation().schedule, Schedule::Linear);
    }
}
