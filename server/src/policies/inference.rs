//! The inference thread: owns the policy, takes the newest observation of each robot in turn.
//!
//! Whenever the policy is free it is asked for everybody who waits, in one batch; it never waits for a batch to
//! fill. A policy that fails or panics costs the robot that asked one chunk; the viewers of that robot are told,
//! and the next observation is taken as if nothing had happened.

use super::{
    actor::{Acted, Actor, ActorError, ActorInfo},
    batch,
    decoding::{Decoded, Decoding, Undecoded},
    queue::LatestQueue,
};
use crate::{
    chunking::committed::Committed,
    health::{Health, Part, Rule},
    metrics::Metrics,
    panics::caught,
    robots::{budget::Lease, showing::Easel},
};
use protocol::{Mode, robot::Observation, viewer::TokensOrigin};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
    queue: Arc<LatestQueue<Decoded>>,
    decoding: Option<Decoding>,
    info: Option<ActorInfo>,
    /// Why there is no policy, in words.
    unavailable: Option<String>,
    part: Arc<Part>,
    easel: Easel,
    gone: Arc<Gone>,
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
    /// Starts the threads. Without a policy everything else works and commands are answered with the reason.
    pub(crate) fn start(
        actor: Result<Box<dyn Actor>, String>,
        metrics: Arc<Metrics>,
        max_batch: usize,
        health: &Health,
    ) -> std::io::Result<(Arc<Self>, Vec<JoinHandle<()>>)> {
        let part = health.part("the policy", Rule::Learned);
        let queue = Arc::new(LatestQueue::default());
        let (info, unavailable, actor) = match actor {
            Ok(actor) => (Some(actor.info().clone()), None, Some(actor)),
            Err(reason) => (None, Some(reason), None),
        };
        let gone = Arc::<Gone>::default();
        let mut threads = Vec::new();
        let mut decoding = None;
        if let Some(actor) = actor {
            let (started, lanes) = Decoding::start(queue.clone(), metrics.clone(), health)?;
            decoding = Some(started);
            threads.extend(lanes);
            let (queue, part, gone) = (queue.clone(), part.clone(), gone.clone());
            let thread = std::thread::Builder::new().name("inference".to_owned());
            threads.push(thread.spawn(move || {
                run(actor, &queue, max_batch, &gone, &part, &metrics);
            })?);
        }
        let inference = Self {
            queue,
            decoding,
            info,
            unavailable,
            part,
            easel: Easel::new(health),
            gone,
        };
        Ok((Arc::new(inference), threads))
    }

    /// What is hosted.
    pub(crate) fn info(&self) -> Option<&ActorInfo> {
        self.info.as_ref()
    }

    /// Why no chunk will be computed: nothing is hosted, or the thread is gone.
    pub(crate) fn unavailable(&self) -> Option<String> {
        self.unavailable.clone().or_else(|| self.part.gone())
    }

    /// Hands over a job; replaces an older one of the same robot that still waits. `lease` holds the bytes of its
    /// views.
    pub(crate) fn ask(
        &self,
        robot: u64,
        job: Job,
        asker: Arc<dyn Asker>,
        lease: Option<Arc<Lease>>,
    ) {
        let tag = self.info.as_ref().and_then(|info| info.tag(&job.tag));
        let (Some(decoding), Some(tag)) = (&self.decoding, tag) else {
            return;
        };
        let undecoded = Undecoded {
            robot,
            job,
            asker,
            lease,
        };
        decoding.put(undecoded, tag);
    }

    /// The robot is gone: what waits of it is dropped, its pictures first of all.
    pub(crate) fn forget(&self, robot: u64) {
        if let Some(decoding) = &self.decoding {
            decoding.forget(robot);
        }
        self.queue.forget(robot);
        if self.info.is_some() {
            self.gone.add(robot);
            self.queue.nudge();
        }
    }

    /// What the views of robots share on their way to people.
    pub(crate) fn easel(&self) -> &Easel {
        &self.easel
    }

    /// Lets the threads end after what they are at.
    pub(crate) fn stop(&self) {
        if let Some(decoding) = &self.decoding {
            decoding.close();
        }
        self.queue.close();
    }
}

/// Robots that left, until the policy has forgotten them.
#[derive(Debug, Default)]
struct Gone(Mutex<Vec<u64>>);

impl Gone {
    fn lock(&self) -> MutexGuard<'_, Vec<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, robot: u64) {
        let mut robots = self.lock();
        if !robots.contains(&robot) {
            robots.push(robot);
        }
    }

    fn take(&self) -> Vec<u64> {
        std::mem::take(&mut *self.lock())
    }
}

fn run(
    mut actor: Box<dyn Actor>,
    queue: &LatestQueue<Decoded>,
    max_batch: usize,
    gone: &Gone,
    part: &Arc<Part>,
    metrics: &Metrics,
) {
    let _alive = part.thread();
    while let Some(waiting) = queue.take(max_batch) {
        for robot in gone.take() {
            if let Err(words) = caught(|| actor.forget(robot)) {
                tracing::error!("the policy crashed when a robot left: {words}");
            }
        }
        if waiting.is_empty() {
            continue;
        }
        let work = part.work("computing a chunk");
        // Nothing that an observation does ends the thread.
        if let Err(words) = caught(|| batch::answer(actor.as_mut(), waiting, metrics, &work)) {
            metrics.inference_failures.inc();
            tracing::error!("the questions of a batch were lost to a crash: {words}");
        }
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
