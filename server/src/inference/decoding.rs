//! The threads between robots and the policy: views become pixels here, so that no picture, however large, keeps the
//! policy from answering the other robots.
//!
//! There are two lanes of one thread each. What is quickly decoded never waits behind what is not. In both a robot has
//! one place and its newest observation wins; a robot whose pictures take long pays with its own pace.

use super::job::{ChunkSink, Job, JobEvent, Step};
use crate::images::view_decoding::{self, Cost};
use crate::queues::latest::LatestQueue;
use crate::{
    health::{Health, Part, Rule},
    images::budget::Lease,
    metrics::Metrics,
    panics::caught,
};
use policies::policy::{PolicyError, TagInfo};
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

/// A picture that took longer than this is followed by a pause of the same length: a lane takes half a core at most.
const LONG: Duration = Duration::from_millis(60);
/// The longest pause.
const PAUSE: Duration = Duration::from_millis(500);

/// An observation on its way to the policy.
pub(super) struct Undecoded {
    pub(super) robot: u64,
    pub(super) job: Job,
    pub(super) asker: Arc<dyn ChunkSink>,
    /// The bytes of its views.
    pub(super) lease: Option<Arc<Lease>>,
}

/// The same with its pictures; the views are gone from its observation.
pub(super) struct Decoded {
    pub(super) robot: u64,
    pub(super) job: Job,
    pub(super) asker: Arc<dyn ChunkSink>,
    /// In the order of [`TagInfo::cameras`].
    pub(super) images: Vec<RgbImage>,
    /// Their bytes.
    pub(super) _lease: Option<Lease>,
}

struct Waiting {
    undecoded: Undecoded,
    cameras: Vec<String>,
    cost: Cost,
    /// Order of arrival.
    number: u64,
}

/// Where decoded observations go; tells whether an older one was replaced.
pub(super) type Next = Arc<LatestQueue<Decoded>>;

/// The two lanes.
pub(super) struct Decoding {
    quick: Arc<LatestQueue<Waiting>>,
    heavy: Arc<LatestQueue<Waiting>>,
    shared: Arc<Shared>,
    arrived: AtomicU64,
}

struct Shared {
    next: Next,
    /// The newest observation of each robot that went on: an older one that took longer does not follow it.
    gone_on: Mutex<HashMap<u64, u64>>,
    metrics: Arc<Metrics>,
}

impl Decoding {
    /// Starts the threads; decoded observations are put into `next`.
    pub(super) fn start(
        next: Next,
        metrics: Arc<Metrics>,
        health: &Health,
    ) -> std::io::Result<(Self, Vec<JoinHandle<()>>)> {
        let decoding = Self {
            quick: Arc::default(),
            heavy: Arc::default(),
            shared: Arc::new(Shared {
                next,
                gone_on: Mutex::default(),
                metrics,
            }),
            arrived: AtomicU64::new(0),
        };
        let mut threads = Vec::new();
        for (name, subject, lane) in [
            ("pictures", "decoding of pictures", &decoding.quick),
            (
                "large-pictures",
                "decoding of large pictures",
                &decoding.heavy,
            ),
        ] {
            let part = health.part(subject, Rule::Learned);
            let (lane, shared) = (lane.clone(), decoding.shared.clone());
            let thread = std::thread::Builder::new().name(name.to_owned());
            threads.push(thread.spawn(move || run(&lane, &shared, &part))?);
        }
        Ok((decoding, threads))
    }

    /// Takes an observation for a policy that knows `tag`. Never waits.
    pub(super) fn put(&self, undecoded: Undecoded, tag: &TagInfo) {
        match view_decoding::cost(&undecoded.job.observation, &tag.cameras) {
            Ok(cost) => {
                let robot = undecoded.robot;
                let waiting = Waiting {
                    undecoded,
                    cameras: tag.cameras.clone(),
                    cost,
                    number: self.arrived.fetch_add(1, Ordering::Relaxed),
                };
                let (lane, other) = if cost.is_heavy {
                    (&self.heavy, &self.quick)
                } else {
                    (&self.quick, &self.heavy)
                };
                // The newest wins, whichever lane the older one waits in.
                let replaced = other.forget(robot) | lane.put(robot, waiting);
                if replaced {
                    self.shared.metrics.observations_replaced.inc();
                }
            }
            Err(error) => refuse(&undecoded, &error, &self.shared.metrics),
        }
    }

    /// The robot is gone.
    pub(super) fn forget(&self, robot: u64) {
        self.quick.forget(robot);
        self.heavy.forget(robot);
        self.shared.lock().remove(&robot);
    }

    /// Lets the threads end.
    pub(super) fn close(&self) {
        self.quick.close();
        self.heavy.close();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, u64>> {
        self.gone_on.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn go_on(&self, decoded: Decoded, number: u64) {
        let robot = decoded.robot;
        let mut gone_on = self.lock();
        let newest = gone_on.entry(robot).or_insert(number);
        if *newest > number {
            return;
        }
        *newest = number;
        drop(gone_on);
        if self.next.put(robot, decoded) {
            self.metrics.observations_replaced.inc();
        }
    }
}

fn run(lane: &LatestQueue<Waiting>, shared: &Shared, part: &Arc<Part>) {
    let _alive = part.thread();
    while let Some(waiting) = lane.take(1) {
        let begun_at = Instant::now();
        for waiting in waiting {
            let _work = part.work("busy with one observation");
            let number = waiting.number;
            if let Err(words) = caught(|| decode(waiting, shared, number)) {
                shared.metrics.inference_failures.inc();
                tracing::error!("an observation was lost to a crash: {words}");
            }
        }
        let took = begun_at.elapsed();
        if took > LONG {
            std::thread::sleep(took.min(PAUSE));
        }
    }
}

fn decode(waiting: Waiting, shared: &Shared, number: u64) {
    let Waiting {
        undecoded,
        cameras,
        cost,
        ..
    } = waiting;
    if undecoded
        .asker
        .begin(&undecoded.job, Step::Decoding)
        .is_err()
    {
        return;
    }
    let needed = cost.bytes + cost.on_the_way;
    let mut lease = match &undecoded.lease {
        Some(lease) => match lease.more(needed) {
            Some(lease) => Some(lease),
            None => {
                // Pictures of this robot are still being computed from or shown; the next one has its chance.
                shared.metrics.observations_over_budget.inc();
                if !lease.can_grow_by(needed) {
                    let error = PolicyError::new(format!(
                        "the views {} take {:.1} MiB more while they are decoded, which this robot does not have beside \
                         them and its messages; send smaller images, or JPEG",
                        cameras.join(", "),
                        needed as f64 / f64::from(1 << 20)
                    ));
                    refuse(&undecoded, &error, &shared.metrics);
                }
                return;
            }
        },
        None => None,
    };
    let read = caught(|| {
        let observation = &undecoded.job.observation;
        let images = cameras
            .iter()
            .map(|camera| view_decoding::image_of(observation, camera));
        images.collect::<Result<Vec<_>, _>>()
    });
    let images = read.unwrap_or_else(|words| {
        Err(PolicyError::new(format!(
            "a view crashed whoever decoded it: {words}"
        )))
    });
    match images {
        Ok(images) => {
            let Undecoded {
                robot, job, asker, ..
            } = undecoded;
            if let Some(lease) = &mut lease {
                lease.shrink(cost.bytes);
            }
            let decoded = Decoded {
                robot,
                job: without_views(job),
                asker,
                images,
                _lease: lease,
            };
            shared.go_on(decoded, number);
        }
        Err(error) => refuse(&undecoded, &error, &shared.metrics),
    }
}

/// Nobody looks at the views again, and they are large.
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

fn refuse(undecoded: &Undecoded, error: &PolicyError, metrics: &Metrics) {
    metrics.inference_failures.inc();
    undecoded
        .asker
        .event(&undecoded.job, JobEvent::Failed(error));
}
