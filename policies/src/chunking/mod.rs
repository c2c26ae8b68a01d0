//! Chunking: how the next chunk of a robot meets the one that is running.
//!
//! - [`committed`]: the rows of the running chunk that the next one begins with
//! - [`latency`]: how long an answer will take, so that one knows which rows those are
//!
//! While the policy computes, the robot goes on executing its old chunk. Under [`Chunking::Plain`] the next one
//! knows nothing of that, and where the two meet the target jumps. Under [`Chunking::RealTime`] the rows that
//! will have been executed when the answer arrives are handed to the policy as decided, the flow is steered
//! towards a chunk that continues them ([`molmoact2::Continuation`]), and the chunk that is sent begins with
//! exactly those rows.
//!
//! What follows from that when something is not as foreseen:
//!
//! - The answer comes sooner: the robot enters it at a row that the old chunk had too, and goes on as before.
//! - The answer comes later: the rows in between were executed from the old chunk; the new one was drawn towards
//!   them, less and less, so the jump is small but not zero.
//! - The robot holds (no chunk, its rows used up, silence, a stop): nothing is continued.
//! - Another sentence: the rows that will be executed anyway stay as they are, and nothing beyond them pulls,
//!   because the rest of the old chunk does what is not wanted any more. (lerobot's runner knows one task per
//!   run, so there is nothing to follow.)
//! - Action tokens: the discrete head has no flow to steer, its chunks are plain.

pub mod committed;
pub mod latency;

/// How the next chunk meets the running one.
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
