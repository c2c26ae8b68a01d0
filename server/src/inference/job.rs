//! One observation on its way to a chunk, and the session that takes the chunk.
//!
//! The forms that an observation takes from the socket to the chunk, nine in all: `protocol`'s `Observation`, [`Job`],
//! [`QueuedJob`], [`ActRequest`](policies::policy::ActRequest), the `Request`, `PreparedRequest`, `HeadOutput` and
//! `Action` of `molmoact2`, and [`PolicyOutput`].

use crate::images::budget::Lease;
use policies::{
    chunking::committed::Committed,
    policy::{PolicyError, PolicyInfo, PolicyOutput},
};
use protocol::{Mode, robot::Observation, viewer::TokensOrigin};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use vision::RgbImage;

/// An observation that is to become a chunk.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// The observation.
    pub(crate) observation: Arc<Observation>,
    /// Time of its arrival.
    pub(crate) arrived_at: Instant,
    /// The instruction in force at that time.
    pub(crate) instruction: String,
    /// The head to use.
    pub(crate) mode: Mode,
    /// Epoch of the session's state; a chunk of an older epoch is dropped.
    pub(crate) epoch: u64,
    /// The robot's norm tag.
    pub(crate) tag: String,
}

/// A [`Job`] in a queue: before decoding with views in its observation, after decoding with `images` instead.
pub(crate) struct QueuedJob {
    /// Number of the robot.
    pub(crate) robot: u64,
    /// The job.
    pub(crate) job: Job,
    /// Destination of its chunk.
    pub(crate) sink: Arc<dyn ChunkSink>,
    /// Decoded images in the order of [`TagInfo::cameras`](policies::TagInfo::cameras); none before decoding.
    pub(crate) images: Vec<RgbImage>,
    /// Lease of the bytes of its views or images.
    pub(crate) lease: Option<Arc<Lease>>,
}

impl QueuedJob {
    /// Reports that there is no chunk for this job.
    pub(crate) fn fail(&self, error: &PolicyError) {
        self.sink.event(&self.job, JobEvent::Failed(error));
    }
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
    /// Publishes everything else.
    fn event(&self, job: &Job, event: JobEvent<'_>);
}

/// Event of a job, for viewers.
#[derive(Debug)]
pub(crate) enum JobEvent<'a> {
    /// Action tokens so far of a chunk of `rows` x `dims` values, at most thirty times a second.
    Tokens {
        /// OpenFAST ids.
        tokens: &'a [u32],
        /// Rows of the chunk.
        rows: usize,
        /// Values per row.
        dims: usize,
    },
    /// A chunk that was sent, with its trace.
    Trace(ChunkTrace, Box<PolicyOutput>),
    /// There is no chunk for this job.
    Failed(&'a PolicyError),
}

/// Facts about a chunk that was sent, beside the policy's output.
#[derive(Debug, Clone)]
pub(crate) struct ChunkTrace {
    /// Its id.
    pub(crate) id: u64,
    /// Its action tokens and their origin.
    pub(crate) tokens: (Vec<u32>, TokensOrigin),
    /// Rows that it repeats of the chunk before.
    pub(crate) committed_rows: usize,
    /// Time from the observation's arrival to the chunk's departure.
    pub(crate) latency: Duration,
}

/// Error text for a robot whose embodiment the policy was not trained for.
pub(crate) fn unknown_tag(tag: &str, info: &PolicyInfo) -> String {
    let known: Vec<&str> = info.tags.iter().map(|known| known.tag.as_str()).collect();
    format!(
        "the policy {:?} has no norm tag {tag:?}; it has {}. Start the studio with a policy that was trained for this \
         robot, or let the robot name one of these tags",
        info.name,
        known.join(", ")
    )
}
