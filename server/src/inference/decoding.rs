//! The decoding threads between robots and the policy. They decode views to pixels, so that a large image does not delay the
//! chunks of other robots.
//!
//! There are two lanes with one thread each, so that small images never wait behind large ones. In each lane a robot has one
//! entry, and its newest observation replaces an older one: large images slow down only the robot that sends them.

use super::job::{Job, QueuedJob, Step};
use crate::images::view_decoding::{self, Cost};
use crate::queues::latest::LatestQueue;
use crate::{
    health::{Health, Part, Rule},
    metrics::Metrics,
    panics::caught,
};
use policies::policy::{PolicyError, PolicyInfo, TagInfo};
use protocol::robot::Observation;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use vision::RgbImage;

/// Decoding time of one observation beyond which the lane pauses for the same time, so that it takes half a core at most.
const LONG: Duration = Duration::from_millis(60);
/// The longest pause.
const PAUSE: Duration = Duration::from_millis(500);

/// A job before decoding.
struct Waiting {
    queued: QueuedJob,
    cost: Cost,
    /// Order of arrival.
    number: u64,
}

/// The two lanes.
pub(super) struct Decoding {
    light: Arc<LatestQueue<Waiting>>,
    heavy: Arc<LatestQueue<Waiting>>,
    shared: Arc<Shared>,
    arrived: AtomicU64,
}

struct Shared {
    info: PolicyInfo,
    /// The queue of the inference thread.
    decoded: Arc<LatestQueue<QueuedJob>>,
    /// Number of the newest decoded observation of each robot: an older one that took longer is dropped.
    newest: Mutex<HashMap<u64, u64>>,
    metrics: Arc<Metrics>,
}

impl Decoding {
    /// Starts the threads. Decoded jobs for the policy that `info` describes are put into `decoded`.
    pub(super) fn start(
        info: PolicyInfo,
        decoded: Arc<LatestQueue<QueuedJob>>,
        metrics: Arc<Metrics>,
        health: &Health,
    ) -> std::io::Result<(Self, Vec<JoinHandle<()>>)> {
        let decoding = Self {
            light: Arc::default(),
            heavy: Arc::default(),
            shared: Arc::new(Shared {
                info,
                decoded,
                newest: Mutex::default(),
                metrics,
            }),
            arrived: AtomicU64::new(0),
        };
        let mut threads = Vec::new();
        for (name, subject, lane) in [
            ("images", "decoding of images", &decoding.light),
            ("large-images", "decoding of large images", &decoding.heavy),
        ] {
            let part = health.part(subject, Rule::Learned);
            let (lane, shared) = (lane.clone(), decoding.shared.clone());
            let thread = std::thread::Builder::new().name(name.to_owned());
            threads.push(thread.spawn(move || run(&lane, &shared, &part))?);
        }
        Ok((decoding, threads))
    }

    /// Takes a job without waiting. A job whose tag the policy lacks is dropped.
    pub(super) fn put(&self, queued: QueuedJob) {
        let Some(tag) = self.shared.info.tag(&queued.job.tag) else {
            return;
        };
        match view_decoding::cost(&queued.job.observation, &tag.cameras) {
            Ok(cost) => {
                let robot = queued.robot;
                let waiting = Waiting {
                    queued,
                    cost,
                    number: self.arrived.fetch_add(1, Ordering::Relaxed),
                };
                let (lane, other) = if cost.is_heavy {
                    (&self.heavy, &self.light)
                } else {
                    (&self.light, &self.heavy)
                };
                // The newest replaces an older one in either lane.
                let replaced = other.forget(robot) | lane.put(robot, waiting);
                if replaced {
                    self.shared.metrics.observations_replaced.inc();
                }
            }
            Err(error) => self.shared.refuse(&queued, &error),
        }
    }

    /// Drops what waits of a robot that is gone.
    pub(super) fn forget(&self, robot: u64) {
        self.light.forget(robot);
        self.heavy.forget(robot);
        self.shared.lock().remove(&robot);
    }

    /// Ends the threads.
    pub(super) fn close(&self) {
        self.light.close();
        self.heavy.close();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, u64>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a decoded job over to the policy, unless a newer one of the same robot was faster.
    fn hand_over(&self, decoded: QueuedJob, number: u64) {
        let robot = decoded.robot;
        let mut newest = self.lock();
        let newest_of_robot = newest.entry(robot).or_insert(number);
        if *newest_of_robot > number {
            return;
        }
        *newest_of_robot = number;
        drop(newest);
        if self.decoded.put(robot, decoded) {
            self.metrics.observations_replaced.inc();
        }
    }

    fn refuse(&self, queued: &QueuedJob, error: &PolicyError) {
        self.metrics.inference_failures.inc();
        queued.fail(error);
    }
}

fn run(lane: &LatestQueue<Waiting>, shared: &Shared, part: &Arc<Part>) {
    let _alive = part.thread();
    while let Some(waiting) = lane.take(1) {
        let begun_at = Instant::now();
        for waiting in waiting {
            let _work = part.work("busy with one observation");
            let number = waiting.number;
            if let Err(message) = caught(|| decode(waiting, shared, number)) {
                shared.metrics.inference_failures.inc();
                tracing::error!("an observation was lost to a crash: {message}");
            }
        }
        let took = begun_at.elapsed();
        if took > LONG {
            std::thread::sleep(took.min(PAUSE));
        }
    }
}

fn decode(waiting: Waiting, shared: &Shared, number: u64) {
    let Waiting { queued, cost, .. } = waiting;
    let begun = queued.sink.begin(&queued.job, Step::Decoding);
    let Some(tag) = shared.info.tag(&queued.job.tag).filter(|_| begun.is_ok()) else {
        return;
    };
    let needed = cost.bytes + cost.scratch_bytes;
    let mut lease = match &queued.lease {
        Some(lease) => match lease.more(needed) {
            Some(lease) => Some(lease),
            None => {
                // Images of this robot are still in use by the policy or for viewers; the next observation may fit.
                shared.metrics.observations_over_budget.inc();
                if !lease.can_grow_by(needed) {
                    let error = PolicyError::new(format!(
                        "decoding the views {} takes {:.1} MiB beyond the memory of this robot's views and messages, which \
                         exceeds its budget; send smaller images, or JPEG",
                        tag.cameras.join(", "),
                        needed as f64 / f64::from(1 << 20)
                    ));
                    shared.refuse(&queued, &error);
                }
                return;
            }
        },
        None => None,
    };
    match images(&queued.job.observation, tag) {
        Ok(images) => {
            if let Some(lease) = &mut lease {
                lease.shrink(cost.bytes);
            }
            let decoded = QueuedJob {
                job: without_views(queued.job),
                images,
                lease: lease.map(Arc::new),
                ..queued
            };
            shared.hand_over(decoded, number);
        }
        Err(error) => shared.refuse(&queued, &error),
    }
}

fn images(observation: &Observation, tag: &TagInfo) -> Result<Vec<RgbImage>, PolicyError> {
    let decoded = caught(|| {
        let cameras = tag.cameras.iter();
        let images = cameras.map(|camera| view_decoding::image_of(observation, camera));
        images.collect::<Result<Vec<_>, _>>()
    });
    decoded.unwrap_or_else(|message| {
        Err(PolicyError::new(format!(
            "the decoder crashed on a view: {message}"
        )))
    })
}

/// Drops the views of a job, which are large and not needed any more.
fn without_views(job: Job) -> Job {
    let Observation {
        sequence,
        captured_at_micros,
        state,
        ..
    } = &*job.observation;
    let observation = Observation {
        sequence: *sequence,
        captured_at_micros: *captured_at_micros,
        state: state.clone(),
        commanded: Vec::new(),
        views: Vec::new(),
    };
    Job {
        observation: Arc::new(observation),
        ..job
    }
}
