//! The inference thread: owns the policy, takes the newest observation of each robot in turn.
//!
//! When the policy is free it answers all waiting jobs in one batch, and never waits for a batch to fill. A policy that fails
//! or panics costs the robot concerned one chunk. The subscribers of that robot see the error, and its next observation is
//! handled normally.

use super::{batch, decoding::Decoding, job::QueuedJob};
use crate::queues::latest::LatestQueue;
use crate::{
    health::{Health, Part, Rule},
    images::view_publishing::EncodingLimit,
    metrics::Metrics,
    panics::caught,
};
use policies::policy::{Policy, PolicyInfo};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

/// The handle that the sessions share.
pub(crate) struct Inference {
    queue: Arc<LatestQueue<QueuedJob>>,
    decoding: Option<Decoding>,
    info: Option<PolicyInfo>,
    /// Reason why there is no policy.
    unavailable: Option<String>,
    part: Arc<Part>,
    encoding_limit: EncodingLimit,
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
    /// Starts the threads. Without a policy everything else works, and instructions are refused with the reason.
    pub(crate) fn start(
        policy: Result<Box<dyn Policy>, String>,
        metrics: Arc<Metrics>,
        max_batch: usize,
        health: &Health,
    ) -> std::io::Result<(Arc<Self>, Vec<JoinHandle<()>>)> {
        let part = health.part("the policy", Rule::Learned);
        let queue = Arc::new(LatestQueue::default());
        let (info, unavailable, policy) = match policy {
            Ok(policy) => (Some(policy.info().clone()), None, Some(policy)),
            Err(reason) => (None, Some(reason), None),
        };
        let gone = Arc::<Gone>::default();
        let mut threads = Vec::new();
        let mut decoding = None;
        if let Some(policy) = policy {
            let info = policy.info().clone();
            let (started, lanes) = Decoding::start(info, queue.clone(), metrics.clone(), health)?;
            decoding = Some(started);
            threads.extend(lanes);
            let (queue, part, gone) = (queue.clone(), part.clone(), gone.clone());
            let thread = std::thread::Builder::new().name("inference".to_owned());
            threads.push(thread.spawn(move || {
                run(policy, &queue, max_batch, &gone, &part, &metrics);
            })?);
        }
        let inference = Self {
            queue,
            decoding,
            info,
            unavailable,
            part,
            encoding_limit: EncodingLimit::new(health),
            gone,
        };
        Ok((Arc::new(inference), threads))
    }

    /// Description of the hosted policy.
    pub(crate) fn info(&self) -> Option<&PolicyInfo> {
        self.info.as_ref()
    }

    /// Reason why no chunk will be computed: there is no policy, or its thread has ended.
    pub(crate) fn unavailable(&self) -> Option<String> {
        self.unavailable.clone().or_else(|| self.part.gone())
    }

    /// Hands over a job. It replaces an older one of the same robot that still waits.
    pub(crate) fn ask(&self, queued: QueuedJob) {
        if let Some(decoding) = &self.decoding {
            decoding.put(queued);
        }
    }

    /// Forgets a robot that left: drops its waiting jobs and images, and the policy's state of it.
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

    /// Resizing and encoding of views for viewers.
    pub(crate) fn encoding_limit(&self) -> &EncodingLimit {
        &self.encoding_limit
    }

    /// Ends the threads after their current job.
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
    mut policy: Box<dyn Policy>,
    queue: &LatestQueue<QueuedJob>,
    max_batch: usize,
    gone: &Gone,
    part: &Arc<Part>,
    metrics: &Metrics,
) {
    let _alive = part.thread();
    while let Some(waiting) = queue.take(max_batch) {
        for robot in gone.take() {
            if let Err(message) = caught(|| policy.forget(robot)) {
                tracing::error!("the policy crashed when a robot left: {message}");
            }
        }
        if waiting.is_empty() {
            continue;
        }
        let work = part.work("computing a chunk");
        // No observation may end the thread.
        if let Err(message) = caught(|| batch::answer(policy.as_mut(), waiting, metrics, &work)) {
            metrics.inference_failures.inc();
            tracing::error!("the jobs of a batch were lost to a crash: {message}");
        }
    }
}
