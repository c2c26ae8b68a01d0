//! One observation on its way to a chunk, and the session that takes the chunk.

use policies::{
    chunking::committed::Committed,
    policy::{PolicyError, PolicyInfo, PolicyOutput},
};
use protocol::{Mode, robot::Observation, viewer::TokensOrigin};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// One observation that shall become a chunk.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// What the robot saw.
    pub(crate) observation: Arc<Observation>,
    /// When it arrived here.
    pub(crate) arrived_at: Instant,
    /// The sentence in force then.
    pub(crate) instruction: String,
    /// The head to use.
    pub(crate) mode: Mode,
    /// Which command this is for; a chunk for an older one is dropped.
    pub(crate) epoch: u64,
    /// The robot's norm tag.
    pub(crate) tag: String,
}

/// Step of a job that is about to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Its views are decoded.
    Decoding,
    /// The policy computes its chunk.
    Inference,
}

/// A job whose chunk the session would not send: stopped, gone, another instruction, or too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotCurrent;

/// Destination of a job's chunk. Called on the inference and decoding threads, must not block.
pub(crate) trait ChunkSink: Send + Sync {
    /// A step of the job begins. Before [`Step::Inference`] it returns the rows that the chunk has to begin with because
    /// the robot will have executed them by then, if the chunk is to continue the running one.
    ///
    /// # Errors
    /// [`NotCurrent`] when the chunk would not be sent.
    fn begin(&self, job: &Job, step: Step) -> Result<Option<Committed>, NotCurrent>;
    /// Takes the chunk and sends it on at once. Returns its id when it was sent.
    fn deliver(&self, job: &Job, output: &PolicyOutput) -> Option<u64>;
    /// Everything else, for those who watch.
    fn event(&self, job: &Job, event: JobEvent<'_>);
}

/// News of a job for those who watch.
#[derive(Debug)]
pub(crate) enum JobEvent<'a> {
    /// The action tokens so far of a chunk of `rows` x `dims` values, at most thirty times a second.
    Tokens {
        /// OpenFAST ids.
        tokens: &'a [u32],
        /// Rows of the chunk.
        rows: usize,
        /// Values per row.
        dims: usize,
    },
    /// A chunk that was sent, with everything about it.
    Trace(ChunkTrace, Box<PolicyOutput>),
    /// There is no chunk for this job.
    Failed(&'a PolicyError),
}

/// What there is to say about a chunk that was sent, beside the policy's own answer.
#[derive(Debug, Clone)]
pub(crate) struct ChunkTrace {
    /// Its id.
    pub(crate) id: u64,
    /// Its action tokens, and where they come from.
    pub(crate) tokens: (Vec<u32>, TokensOrigin),
    /// Rows of the chunk before that it begins with.
    pub(crate) committed_rows: usize,
    /// From the observation's arrival to its departure.
    pub(crate) latency: Duration,
}

/// Words for a robot whose embodiment the policy was not trained for.
pub(crate) fn unknown_tag(tag: &str, info: &PolicyInfo) -> String {
    let known: Vec<&str> = info.tags.iter().map(|known| known.tag.as_str()).collect();
    format!(
        "the policy {:?} has no norm tag {tag:?}; it knows {}. Start the studio with a policy that was \
         trained for this robot, or let the robot name one of these tags",
        info.name,
        known.join(", ")
    )
}
