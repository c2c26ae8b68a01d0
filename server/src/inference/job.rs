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

/// Who gets the answer. Called on the inference thread, must not block.
pub(crate) trait ChunkSink: Send + Sync {
    /// Whether the answer would still be used.
    fn still_wanted(&self, job: &Job) -> bool;
    /// The policy begins with it now. The rows that its chunk shall begin with because the robot will have
    /// executed them by then, if it shall continue the running one.
    fn begins(&self, job: &Job) -> Option<Committed>;
    /// The action tokens so far of a chunk of `rows` x `dims` values, at most thirty times a second.
    fn wrote(&self, job: &Job, tokens: &[u32], rows: usize, dims: usize);
    /// The chunk, at once. Returns its id when it was sent on.
    fn answer(&self, job: &Job, acted: &PolicyOutput) -> Option<u64>;
    /// Everything about a chunk that was sent, for those who watch.
    fn explain(&self, job: &Job, chunk: ChunkTrace, acted: PolicyOutput);
    /// There will be no chunk for this job.
    fn failed(&self, job: &Job, error: &PolicyError);
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
