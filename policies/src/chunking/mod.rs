//! Chunking: the transition from the running chunk of a robot to the next.
//!
//! - [`committed`]: the rows of the running chunk with which the next one begins
//! - [`latency`]: the expected latency of the policy, which determines those rows
//!
//! While the policy computes, the robot continues to execute its running chunk. Under [`Chunking::Plain`] the next chunk does
//! not depend on it, and the target jumps at the transition. Under [`Chunking::RealTime`] the rows that will have been
//! executed when the next chunk arrives are committed. The flow is guided towards a chunk that continues them
//! ([`molmoact2::Continuation`]), and the chunk that is sent begins with exactly those rows.
//!
//! Deviations from the expected course:
//!
//! - The chunk arrives sooner: the robot enters it at a committed row and continues without a jump.
//! - The chunk arrives later: the rows in between were executed from the old chunk. The new one was guided towards them with
//!   decreasing weight, so the jump is small but not zero.
//! - The robot holds (no chunk, no rows left, silence, a stop): there is nothing to continue.
//! - Another instruction: the committed rows stay, and the rows behind them do not guide the flow, because they serve the
//!   old instruction. (LeRobot's runner has one task per run, so it is no reference here.)
//! - Action tokens: the discrete head has no flow to guide, so its chunks are plain.

pub mod committed;
pub mod latency;

/// Transition from the running chunk to the next.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Chunking {
    /// The next chunk continues the rows of the running one that are already committed. Chunks of the
    /// continuous head only; those of the discrete head are plain.
    #[default]
    RealTime,
    /// Every chunk is computed from its observation alone.
    Plain,
}

impl std::fmt::Display for Chunking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::RealTime => "real-time",
            Self::Plain => "plain",
        })
    }
}
