//! What a robot sees, on its way to the policy and to people: how much of it is kept, and for how long.

use super::{Session, lock};
use crate::{
    images::{
        budget::{Lease, image_budget},
        view_encoding,
        view_publishing::EncodingSlot,
    },
    inference::job::QueuedJob,
    queues::outbox::Key,
    sessions::{freshness::Freshness, rules::SkipReason},
};
use protocol::{robot::Observation, viewer::ViewFrame};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

/// Observations in a row whose pictures had no room, after which people are told.
const MANY_OVER_BUDGET: u32 = 5;

/// Bytes of a view's message beside its picture, at most.
const FRAME_EXTRA_BYTES: usize = 4 << 10;

/// An observation and the bytes of its pictures.
pub(super) type Seen = (Arc<Observation>, Option<Arc<Lease>>);

impl Session {
    /// Nothing that the robot saw is kept for a robot that is gone.
    pub(super) fn forget_pictures(&self) {
        lock(&self.scene).take();
        lock(&self.last_problem).take();
        *lock(&self.freshness) = Freshness::default();
        self.over_budget.store(0, Ordering::Release);
        self.services.inference.forget(self.key);
    }

    /// Takes the bytes of an observation's pictures from what this robot may have, and remembers it as what the robot
    /// sees. Where those before are still in use, the pictures go and the numbers stay.
    pub(super) fn keep(&self, mut observation: Observation) -> Seen {
        if observation.views.is_empty() {
            return (Arc::new(observation), None);
        }
        let bytes = picture_bytes(&observation);
        let largest_message = lock(&self.connection).heard.largest_bytes();
        self.pictures.set_limit(image_budget(largest_message));
        let lease = self.pictures.take(bytes).or_else(|| {
            // The newest wins over the one that is only looked at when somebody asks.
            lock(&self.scene).take();
            self.pictures.take(bytes)
        });
        let Some(lease) = lease else {
            self.services.metrics.observations_over_budget.inc();
            observation.views.clear();
            if self.over_budget.fetch_add(1, Ordering::AcqRel) + 1 >= MANY_OVER_BUDGET {
                let most = self.pictures.limit();
                let why = if bytes > most {
                    "are too large to be kept"
                } else {
                    "come faster than they can be used"
                };
                let mebibytes = |bytes: usize| bytes as f64 / f64::from(1 << 20);
                self.tell_problem(
                    "pictures_over_budget",
                    &format!(
                        "the pictures of this robot {why}: {:.1} MiB each, and {:.1} MiB are kept of a robot that sends \
                         messages of {:.1} MiB; send smaller or fewer pictures",
                        mebibytes(bytes),
                        mebibytes(most),
                        mebibytes(largest_message)
                    ),
                );
            }
            return (Arc::new(observation), None);
        };
        self.over_budget.store(0, Ordering::Release);
        let seen = (Arc::new(observation), Some(Arc::new(lease)));
        *lock(&self.scene) = Some(seen.clone());
        seen
    }

    /// Hands an observation to the policy if a chunk is due. `late`: how much longer than usual it was on its way,
    /// which counts as its age.
    pub(super) fn ask(
        self: &Arc<Self>,
        observation: &Arc<Observation>,
        lease: Option<Arc<Lease>>,
        late: Duration,
        now: Instant,
    ) {
        let job = {
            let mut live = lock(&self.live);
            let is_driven = !live.instruction().is_empty() && !live.is_stopped();
            if late > self.services.limits.max_chunk_age
                && is_driven
                && !observation.views.is_empty()
            {
                Err(SkipReason::Problem(format!(
                    "a picture arrived {:.1} s later than it should; chunks for pictures older than {:.1} s are not \
                     sent; the network or the robot's computer cannot keep up",
                    late.as_secs_f32(),
                    self.services.limits.max_chunk_age.as_secs_f32()
                )))
            } else {
                live.job(observation, self.services.inference.info(), now)
            }
        };
        match job {
            Ok(mut job) => {
                job.arrived_at = now.checked_sub(late).unwrap_or(now);
                self.services.inference.ask(QueuedJob {
                    robot: self.key,
                    job,
                    sink: self.clone(),
                    images: Vec::new(),
                    lease,
                });
            }
            Err(SkipReason::Idle) => {}
            Err(SkipReason::Problem(words)) => self.tell_problem("no_chunk", &words),
        }
    }

    /// Makes the views ready for those who watch, if they are due.
    pub(super) fn show(
        self: &Arc<Self>,
        robot_id: String,
        observation: Arc<Observation>,
        lease: Option<Arc<Lease>>,
        now: Instant,
    ) {
        if observation.views.is_empty() {
            return;
        }
        let bytes = picture_bytes(&observation);
        let limit = self.services.inference.encoding_limit();
        if let Some(slot) = self.encoding.try_start(limit, bytes, now) {
            let session = self.clone();
            tokio::task::spawn_blocking(move || {
                session.show_views(&robot_id, &(observation, lease), slot);
            });
        }
    }

    fn show_views(&self, robot_id: &str, (observation, _lease): &Seen, _slot: EncodingSlot) {
        // What is larger than all that may wait for a viewer never arrives.
        let most_bytes = self
            .services
            .limits
            .max_lossy_bytes
            .saturating_sub(FRAME_EXTRA_BYTES);
        for view in &observation.views {
            match view_encoding::for_viewers_within(view, most_bytes) {
                Ok(view) => self.subscribers.newest(
                    &Key::View(view.name.clone()),
                    &ViewFrame {
                        robot_id: robot_id.to_owned(),
                        sequence: observation.sequence,
                        captured_at_micros: observation.captured_at_micros,
                        view,
                    },
                ),
                Err(words) => self.tell_problem("bad_view", &words),
            }
        }
    }
}

fn picture_bytes(observation: &Observation) -> usize {
    let views = observation.views.iter();
    views.map(|view| view.data.len() + view.name.len()).sum()
}
