//! The inference thread: owns the policy, takes the newest observation of each robot in turn.
//!
//! Whenever the policy is free it is asked for everybody who waits, in one batch; it never waits for a batch to
//! fill. A policy that fails or panics costs the robot that asked one chunk; the viewers of that robot are told,
//! and the next observation is taken as if nothing had happened.

use super::{
    actor::{Acted, Actor, ActorError, ActorInfo},
    batch::{self, Queued},
    queue::LatestQueue,
};
use crate::{chunking::committed::Committed, metrics::Metrics};
use protocol::{Mode, robot::Observation, viewer::TokensOrigin};
use std::{
    sync::Arc,
    thread::JoinHandle,
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
pub(crate) trait Asker: Send + Sync {
    /// Whether the answer would still be used.
    fn still_wanted(&self, job: &Job) -> bool;
    /// The policy begins with it now. The rows that its chunk shall begin with because the robot will have
    /// executed them by then, if it shall continue the running one.
    fn begins(&self, job: &Job) -> Option<Committed>;
    /// The action tokens so far of a chunk of `rows` x `dims` values, at most thirty times a second.
    fn wrote(&self, job: &Job, tokens: &[u32], rows: usize, dims: usize);
    /// The chunk, at once. Returns its id when it was sent on.
    fn answer(&self, job: &Job, acted: &Acted) -> Option<u64>;
    /// Everything about a chunk that was sent, for those who watch.
    fn explain(&self, job: &Job, chunk: Explained, acted: Acted);
    /// There will be no chunk for this job.
    fn failed(&self, job: &Job, error: &ActorError);
}

/// What there is to say about a chunk that was sent, beside the policy's own answer.
#[derive(Debug, Clone)]
pub(crate) struct Explained {
    /// Its id.
    pub(crate) id: u64,
    /// Its action tokens, and where they come from.
    pub(crate) tokens: (Vec<u32>, TokensOrigin),
    /// Rows of the chunk before that it begins with.
    pub(crate) committed_rows: usize,
    /// From the observation's arrival to its departure.
    pub(crate) latency: Duration,
}

/// The handle that the sessions share.
pub(crate) struct Inference {
    queue: Arc<LatestQueue<Queued>>,
    info: Option<ActorInfo>,
    /// Why there is no policy, in words.
    unavailable: Option<String>,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Inference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inference")
            .field("info", &self.info)
            .field("unavailable", &self.unavailable)
            .finish_non_exhaustive()
    }
}

impl Inference {
    /// Starts the thread. Without a policy everything else works and commands are answered with the reason.
    pub(crate) fn start(
        actor: Result<Box<dyn Actor>, String>,
        metrics: Arc<Metrics>,
        max_batch: usize,
    ) -> std::io::Result<(Arc<Self>, Option<JoinHandle<()>>)> {
        let queue = Arc::new(LatestQueue::default());
        let (info, unavailable, actor) = match actor {
            Ok(actor) => (Some(actor.info().clone()), None, Some(actor)),
            Err(reason) => (None, Some(reason), None),
        };
        let thread = match actor {
            Some(actor) => Some(
                std::thread::Builder::new()
                    .name("inference".to_owned())
                    .spawn({
                        let (queue, metrics) = (queue.clone(), metrics.clone());
                        move || run(actor, &queue, max_batch, &metrics)
                    })?,
            ),
            None => None,
        };
        let inference = Self {
            queue,
            info,
            unavailable,
            metrics,
        };
        Ok((Arc::new(inference), thread))
    }

    /// What is hosted.
    pub(crate) fn info(&self) -> Option<&ActorInfo> {
        self.info.as_ref()
    }

    /// Why nothing is hosted.
    pub(crate) fn unavailable(&self) -> Option<&str> {
        self.unavailable.as_deref()
    }

    /// Hands over a job; replaces an older one of the same robot that still waits.
    pub(crate) fn ask(&self, robot: u64, job: Job, asker: Arc<dyn Asker>) {
        if self.info.is_some() && self.queue.put(robot, Queued { robot, job, asker }) {
            self.metrics.observations_replaced.inc();
        }
    }

    /// Lets the thread end after the job it is at.
    pub(crate) fn stop(&self) {
        self.queue.close();
    }
}

fn run(
    mut actor: Box<dyn Actor>,
    queue: &LatestQueue<Queued>,
    max_batch: usize,
    metrics: &Metrics,
) {
    while let Some(waiting) = queue.take(max_batch) {
        batch::answer(actor.as_mut(), waiting, metrics);
    }
}

/// Words for a robot whose embodiment the policy was not trained for.
pub(crate) fn unknown_tag(tag: &str, info: &ActorInfo) -> String {
    let known: Vec<&str> = info.tags.iter().map(|known| known.tag.as_str()).collect();
    format!(
        "the policy {:?} has no norm tag {tag:?}; it knows {}. Start the studio with a policy that was \
         trained for this robot, or let the robot name one of these tags",
        info.name,
        known.join(", ")
    )
}
