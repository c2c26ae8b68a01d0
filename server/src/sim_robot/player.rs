//! Playback of action chunks by time, with every rule that ends or refuses one.
//!
//! A plain value: the caller passes the time on the robot's monotonic clock with every call.

use protocol::robot::ActionChunk;

/// The robot holds when no valid chunk arrived for this long, in microseconds.
pub const HOLD_AFTER_MICROS: u64 = 300_000;

/// Reasons for refusing a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A stop is latched.
    #[error("a stop is latched")]
    Stopped,
    /// Computed from an observation made before the stop was released.
    #[error("computed from an observation made before the stop was released")]
    BeforeRelease,
    /// The number of values does not match the announced shape, or the row length not the robot's joints.
    #[error("{values} values as {rows} rows of {dims}, the robot has {want_dims} joints")]
    WrongSize {
        /// Values in the chunk.
        values: usize,
        /// Rows announced.
        rows: u32,
        /// Values per row announced.
        dims: u32,
        /// Joints of the robot.
        want_dims: usize,
    },
    /// A value is not a finite number.
    #[error("row {row}, joint {joint} is not a finite number")]
    NotFinite {
        /// Row of the value.
        row: usize,
        /// Joint of the value.
        joint: usize,
    },
    /// The chunk's validity has ended.
    #[error("stale: its validity ended {late_micros} us ago")]
    Stale {
        /// Microseconds since the end of its validity.
        late_micros: u64,
    },
    /// The chunk starts in the future.
    #[error("starts {early_micros} us in the future; the clock of a chunk is the robot's own")]
    FromTheFuture {
        /// Microseconds until its start.
        early_micros: u64,
    },
    /// Computed from an older observation than the active chunk.
    #[error("out of order: older than the active chunk")]
    OutOfOrder,
}

/// The command of one tick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Motion<'a> {
    /// Command this target.
    Follow(&'a [f32]),
    /// Hold the current position.
    Hold,
}

/// Player of the newest valid chunk.
#[derive(Debug, Clone)]
pub struct ChunkPlayer {
    joints: usize,
    rate_hz: f64,
    chunk: Option<ActionChunk>,
    arrived_micros: u64,
    stopped: bool,
    released_micros: u64,
}

impl ChunkPlayer {
    /// A player for a robot with `joints` joints that executes `rate_hz` rows per second.
    pub fn new(joints: usize, rate_hz: f64) -> Self {
        Self {
            joints,
            rate_hz,
            chunk: None,
            arrived_micros: 0,
            stopped: false,
            released_micros: 0,
        }
    }

    /// Accepts a chunk that arrived now, if it may be executed.
    ///
    /// # Errors
    /// [`Refusal`]; the active chunk continues.
    pub fn offer(&mut self, now_micros: u64, chunk: ActionChunk) -> Result<(), Refusal> {
        if self.stopped {
            return Err(Refusal::Stopped);
        }
        let expected = (chunk.rows as usize).checked_mul(self.joints);
        if chunk.dims as usize != self.joints
            || chunk.rows == 0
            || expected != Some(chunk.actions.len())
        {
            return Err(Refusal::WrongSize {
                values: chunk.actions.len(),
                rows: chunk.rows,
                dims: chunk.dims,
                want_dims: self.joints,
            });
        }
        if let Some(at) = chunk.actions.iter().position(|value| !value.is_finite()) {
            return Err(Refusal::NotFinite {
                row: at / self.joints,
                joint: at % self.joints,
            });
        }
        if now_micros >= chunk.valid_until_micros {
            return Err(Refusal::Stale {
                late_micros: now_micros - chunk.valid_until_micros,
            });
        }
        if chunk.starts_at_micros > now_micros {
            return Err(Refusal::FromTheFuture {
                early_micros: chunk.starts_at_micros - now_micros,
            });
        }
        if chunk.starts_at_micros < self.released_micros {
            return Err(Refusal::BeforeRelease);
        }
        if let Some(active) = &self.chunk
            && chunk.starts_at_micros < active.starts_at_micros
        {
            return Err(Refusal::OutOfOrder);
        }
        self.arrived_micros = now_micros;
        self.chunk = Some(chunk);
        Ok(())
    }

    /// The command for now. Row `k` belongs to `starts_at + k / rate`; the nearest row is followed.
    pub fn motion(&self, now_micros: u64) -> Motion<'_> {
        let Some(chunk) = self.chunk.as_ref().filter(|_| !self.stopped) else {
            return Motion::Hold;
        };
        let is_overdue = now_micros.saturating_sub(self.arrived_micros) > HOLD_AFTER_MICROS;
        if is_overdue || now_micros >= chunk.valid_until_micros {
            return Motion::Hold;
        }
        let since_start_secs = now_micros.saturating_sub(chunk.starts_at_micros) as f64 * 1e-6;
        let row = (since_start_secs * self.rate_hz).round() as usize;
        chunk
            .actions
            .chunks_exact(self.joints)
            .nth(row)
            .map_or(Motion::Hold, Motion::Follow)
    }

    /// Halts the robot and latches the stop.
    pub fn stop(&mut self) {
        self.stopped = true;
        self.chunk = None;
    }

    /// Lifts the latch. Only a chunk computed from an observation after `now_micros` moves the robot again.
    pub fn release(&mut self, now_micros: u64) {
        if self.stopped {
            self.stopped = false;
            self.released_micros = now_micros;
        }
    }

    /// True while a stop is latched.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Drops the active chunk, because the task, the scene or the connection ended.
    pub fn forget(&mut self) {
        self.chunk = None;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const JOINTS: usize = 2;
    const MS: u64 = 1000;

    fn player() -> ChunkPlayer {
        ChunkPlayer::new(JOINTS, 100.0)
    }

    /// Ten rows at 100 Hz; row k commands [k, -k].
    fn chunk(starts_at_micros: u64) -> ActionChunk {
        ActionChunk {
            chunk_id: 1,
            observation_sequence: 1,
            starts_at_micros,
            valid_until_micros: starts_at_micros + 1000 * MS,
            rows: 100,
            dims: 2,
            actions: (0..100u16)
                .flat_map(|k| [f32::from(k), -f32::from(k)])
                .collect(),
        }
    }

    fn row(motion: Motion<'_>) -> Option<f32> {
        match motion {
            Motion::Follow(row) => Some(row[0]),
            Motion::Hold => None,
        }
    }

    #[test]
    fn rows_are_played_by_time_and_past_ones_are_skipped() {
        let mut player = player();
        player.offer(1050 * MS, chunk(1000 * MS)).unwrap();
        assert_eq!(row(player.motion(1050 * MS)), Some(5.0));
        assert_eq!(row(player.motion(1061 * MS)), Some(6.0));
        assert_eq!(row(player.motion(1066 * MS)), Some(7.0), "the nearest row");
    }

    #[test]
    fn without_a_valid_chunk_for_300_ms_the_robot_holds() {
        let mut player = player();
        assert_eq!(player.motion(0), Motion::Hold);
        player.offer(1000 * MS, chunk(1000 * MS)).unwrap();
        assert!(row(player.motion(1300 * MS)).is_some());
        assert_eq!(player.motion(1301 * MS), Motion::Hold);
        player.offer(1400 * MS, chunk(1400 * MS)).unwrap();
        assert_eq!(row(player.motion(1400 * MS)), Some(0.0));
    }

    #[test]
    fn a_refused_chunk_does_not_keep_the_robot_moving() {
        let mut player = player();
        player.offer(1000 * MS, chunk(1000 * MS)).unwrap();
        let mut broken = chunk(1200 * MS);
        broken.actions[7] = f32::NAN;
        assert_eq!(
            player.offer(1200 * MS, broken),
            Err(Refusal::NotFinite { row: 3, joint: 1 })
        );
        assert_eq!(player.motion(1301 * MS), Motion::Hold);
    }

    #[test]
    fn a_stale_chunk_is_refused() {
        let mut player = player();
        assert_eq!(
            player.offer(2010 * MS, chunk(1000 * MS)),
            Err(Refusal::Stale {
                late_micros: 10 * MS
            })
        );
    }

    #[test]
    fn nothing_is_executed_past_its_validity() {
        let mut player = player();
        let mut short = chunk(1000 * MS);
        short.valid_until_micros = 1100 * MS;
        player.offer(1000 * MS, short).unwrap();
        assert!(row(player.motion(1099 * MS)).is_some());
        assert_eq!(player.motion(1100 * MS), Motion::Hold);
    }

    #[test]
    fn past_the_last_row_the_robot_holds() {
        let mut player = player();
        let mut short = chunk(1000 * MS);
        short.rows = 3;
        short.actions.truncate(6);
        player.offer(1000 * MS, short).unwrap();
        assert_eq!(row(player.motion(1020 * MS)), Some(2.0));
        assert_eq!(player.motion(1040 * MS), Motion::Hold);
    }

    #[test]
    fn a_chunk_older_than_the_active_one_is_refused() {
        let mut player = player();
        player.offer(1100 * MS, chunk(1100 * MS)).unwrap();
        assert_eq!(
            player.offer(1110 * MS, chunk(1000 * MS)),
            Err(Refusal::OutOfOrder)
        );
        assert_eq!(row(player.motion(1110 * MS)), Some(1.0));
    }

    #[test]
    fn a_chunk_of_another_size_is_refused() {
        let mut player = player();
        let mut wide = chunk(0);
        wide.dims = 3;
        assert!(matches!(
            player.offer(0, wide),
            Err(Refusal::WrongSize { .. })
        ));
        let mut short = chunk(0);
        short.actions.pop();
        assert!(matches!(
            player.offer(0, short),
            Err(Refusal::WrongSize { .. })
        ));
        let mut huge = chunk(0);
        huge.rows = u32::MAX;
        assert!(matches!(
            player.offer(0, huge),
            Err(Refusal::WrongSize { .. })
        ));
    }

    #[test]
    fn a_chunk_from_the_future_is_refused() {
        let refused = player().offer(0, chunk(5));
        assert_eq!(refused, Err(Refusal::FromTheFuture { early_micros: 5 }));
    }

    #[test]
    fn a_stop_halts_at_once_and_latches() {
        let mut player = player();
        player.offer(1000 * MS, chunk(1000 * MS)).unwrap();
        player.stop();
        assert_eq!(player.motion(1010 * MS), Motion::Hold);
        assert_eq!(
            player.offer(1020 * MS, chunk(1020 * MS)),
            Err(Refusal::Stopped)
        );
        assert!(player.is_stopped());
    }

    #[test]
    fn after_a_release_only_a_chunk_from_a_newer_observation_moves_the_robot() {
        let mut player = player();
        player.stop();
        player.release(1000 * MS);
        assert_eq!(player.motion(1000 * MS), Motion::Hold);
        assert_eq!(
            player.offer(1010 * MS, chunk(999 * MS)),
            Err(Refusal::BeforeRelease)
        );
        player.offer(1020 * MS, chunk(1005 * MS)).unwrap();
        assert!(row(player.motion(1020 * MS)).is_some());
    }

    #[test]
    fn a_release_without_a_stop_changes_nothing() {
        let mut player = player();
        player.offer(1000 * MS, chunk(1000 * MS)).unwrap();
        player.release(1010 * MS);
        assert!(row(player.motion(1010 * MS)).is_some());
        player.offer(1020 * MS, chunk(1005 * MS)).unwrap();
    }
}
