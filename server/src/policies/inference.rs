//! The inference thread: owns the policy, takes the newest observation of each robot in turn.
//!
//! A policy that fails or panics costs the robot that asked one chunk; the viewers of that robot are told,
//! and the next observation is taken as if nothing had happened.

use super::{
    actor::{ActRequest, Acted, Actor, ActorError, ActorInfo, tokens_of},
    queue::LatestQueue,
};
use crate::metrics::Metrics;
use protocol::{Mode, robot::Observation, viewer::TokensOrigin};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Tokens of a chunk that is being written are told at most this often: 30 times a second. A chunk that is
/// done sooner is told only when it is.
const TOKENS_PERIOD: Duration = Duration::from_millis(33);

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
    /// The action tokens so far of a chunk of `rows` x `dims` values, at most every [`TOKENS_PERIOD`].
    fn wrote(&self, job: &Job, tokens: &[u32], rows: usize, dims: usize);
    /// The chunk, at once. Returns its id when it was sent on.
    fn answer(&self, job: &Job, acted: &Acted) -> Option<u64>;
    /// Everything about a chunk that was sent, for those who watch.
    fn explain(&self, job: &Job, chunk_id: u64, acted: Acted, tokens: (Vec<u32>, TokensOrigin));
    /// There will be no chunk for this job.
    fn failed(&self, job: &Job, error: &ActorError);
}

struct Queued {
    robot: u64,
    job: Job,
    asker: Arc<dyn Asker>,
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
                        move || run(actor, &queue, &metrics)
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

fn run(mut actor: Box<dyn Actor>, queue: &LatestQueue<Queued>, metrics: &Metrics) {
    while let Some(Queued { robot, job, asker }) = queue.take() {
        if !asker.still_wanted(&job) {
            continue;
        }
        let started = Instant::now();
        // The policy is a value of its own: whatever a panic leaves half done in it is not seen by anyone
        // else, and it is asked again from the start.
        let acted = catch_unwind(AssertUnwindSafe(|| {
            act(actor.as_mut(), robot, &job, asker.as_ref())
        }))
        .unwrap_or_else(|panic| Err(ActorError::new(panic_words(panic.as_ref()))));
        match acted {
            Ok(acted) => {
                metrics.observe_inference(started.elapsed(), &acted.stages);
                if let Some(chunk_id) = asker.answer(&job, &acted) {
                    metrics.observe_latency(job.arrived_at.elapsed());
                    let tokens = catch_unwind(AssertUnwindSafe(|| {
                        tokens_of(actor.as_mut(), job.mode, &acted)
                    }))
                    .unwrap_or((Vec::new(), TokensOrigin::Encoded));
                    asker.explain(&job, chunk_id, acted, tokens);
                }
            }
            Err(error) => {
                metrics.inference_failures.inc();
                asker.failed(&job, &error);
            }
        }
    }
}

fn act(
    actor: &mut dyn Actor,
    robot: u64,
    job: &Job,
    asker: &dyn Asker,
) -> Result<Acted, ActorError> {
    let info = actor.info();
    let tag = info
        .tag(&job.tag)
        .ok_or_else(|| ActorError::new(unknown_tag(&job.tag, info)))?;
    let images = tag
        .cameras
        .iter()
        .map(|camera| super::images::image_of(&job.observation, camera))
        .collect::<Result<Vec<_>, _>>()?;
    let (want_rows, want_dims) = (tag.horizon, tag.action.len());
    let mut told_at: Option<Instant> = None;
    let mut written = |tokens: &[u32]| {
        let now = Instant::now();
        // The clock starts with the first token, so that what is quick is not told twice.
        let told = *told_at.get_or_insert(now);
        if now.saturating_duration_since(told) >= TOKENS_PERIOD {
            told_at = Some(now);
            asker.wrote(job, tokens, want_rows, want_dims);
        }
    };
    let request = ActRequest {
        robot,
        tag: &job.tag,
        images: &images,
        state: &job.observation.state,
        instruction: &job.instruction,
        mode: job.mode,
        // Fresh noise for every chunk: a fixed one would let the same small error point the same way each time.
        seed: job
            .epoch
            .wrapping_mul(1 << 32)
            .wrapping_add(job.observation.sequence),
        continuation: None,
    };
    let acted = actor.act_streaming(&request, &mut written)?;
    check(&acted, want_rows, want_dims)?;
    Ok(acted)
}

/// Nothing that is not a number, and nothing of another size, leaves towards a robot.
fn check(acted: &Acted, want_rows: usize, want_dims: usize) -> Result<(), ActorError> {
    let values = acted.rows * acted.dims;
    if acted.rows == 0
        || acted.rows > want_rows
        || acted.dims != want_dims
        || acted.actions.len() != values
    {
        return Err(ActorError::new(format!(
            "the policy returned {} values as {}x{}, expected up to {want_rows} rows of {want_dims}; \
             the chunk was not sent",
            acted.actions.len(),
            acted.rows,
            acted.dims
        )));
    }
    match acted.actions.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(ActorError::new(format!(
            "value {} of row {} of the policy's chunk is not a finite number; the chunk was not sent",
            at % acted.dims,
            at / acted.dims
        ))),
        None => Ok(()),
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

fn panic_words(panic: &(dyn std::any::Any + Send)) -> String {
    let words = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    format!("the policy crashed on this observation: {words}")
}
