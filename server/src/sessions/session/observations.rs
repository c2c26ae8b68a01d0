//! Observations of a robot on their way to the policy and to subscribers, and the budget of their images.

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

/// Observations in a row without room for their images, after which the problem is reported.
const MANY_OVER_BUDGET: u32 = 5;

/// Most bytes of a view's message beside its image.
const FRAME_EXTRA_BYTES: usize = 4 << 10;

/// An observation, with the lease of its images' bytes if it has any.
pub(super) type LeasedObservation = (Arc<Observation>, Option<Arc<Lease>>);

impl Session {
    /// Drops all images of a robot that is gone, and everything derived from its observations.
    pub(super) fn forget_images(&self) {
        lock(&self.scene).take();
        lock(&self.last_problem).take();
        *lock(&self.freshness) = Freshness::default();
        self.over_budget.store(0, Ordering::Release);
        self.services.inference.forget(self.key);
    }

    /// Takes the bytes of an observation's images from the robot's budget, and keeps the observation for questions. If the
    /// images before are still in use and nothing is left, the images are dropped and the state stays.
    pub(super) fn lease_images(&self, mut observation: Observation) -> LeasedObservation {
        if observation.views.is_empty() {
            return (Arc::new(observation), None);
        }
        let bytes = image_bytes(&observation);
        let largest_message = lock(&self.connection).heard.largest_bytes();
        self.pictures.set_limit(image_budget(largest_message));
        let lease = self.pictures.take(bytes).or_else(|| {
            // The newest has precedence over the one that is kept for questions.
            lock(&self.scene).take();
            self.pictures.take(bytes)
        });
        let Some(lease) = lease else {
            self.services.metrics.observations_over_budget.inc();
            observation.views.clear();
            if self.over_budget.fetch_add(1, Ordering::AcqRel) + 1 >= MANY_OVER_BUDGET {
                let limit = self.pictures.limit();
                let reason = if bytes > limit {
                    "are too large"
                } else {
                    "arrive faster than they can be used"
                };
                let mebibytes = |bytes: usize| bytes as f64 / f64::from(1 << 20);
                self.report_problem(
                    "pictures_over_budget",
                    &format!(
                        "the images of this robot {reason}: an observation has {:.1} MiB, and a robot that sends messages \
                         of {:.1} MiB may have {:.1} MiB in use; send smaller or fewer images",
                        mebibytes(bytes),
                        mebibytes(largest_message),
                        mebibytes(limit)
                    ),
                );
            }
            return (Arc::new(observation), None);
        };
        self.over_budget.store(0, Ordering::Release);
        let leased = (Arc::new(observation), Some(Arc::new(lease)));
        *lock(&self.scene) = Some(leased.clone());
        leased
    }

    /// Hands an observation to the policy if a chunk is due. `delay` is the extra delay of the observation (see
    /// [`freshness`](crate::sessions::freshness)); it counts as age.
    pub(super) fn request_chunk(
        self: &Arc<Self>,
        observation: &Arc<Observation>,
        lease: Option<Arc<Lease>>,
        delay: Duration,
        now: Instant,
    ) {
        let job = {
            let mut state = lock(&self.state);
            let is_driven = !state.instruction().is_empty() && !state.is_stopped();
            if delay > self.services.limits.max_chunk_age
                && is_driven
                && !observation.views.is_empty()
            {
                Err(SkipReason::Problem(format!(
                    "an image arrived {:.1} s late; chunks for images older than {:.1} s are not sent; the network or \
                     the robot's computer is too slow, so send smaller or fewer images",
                    delay.as_secs_f32(),
                    self.services.limits.max_chunk_age.as_secs_f32()
                )))
            } else {
                state.job(observation, self.services.inference.info(), now)
            }
        };
        match job {
            Ok(mut job) => {
                job.arrived_at = now.checked_sub(delay).unwrap_or(now);
                self.services.inference.ask(QueuedJob {
                    robot: self.key,
                    job,
                    sink: self.clone(),
                    images: Vec::new(),
                    lease,
                });
            }
            Err(SkipReason::Idle) => {}
            Err(SkipReason::Problem(message)) => self.report_problem("no_chunk", &message),
        }
    }

    /// Prepares the views for subscribers if they are due.
    pub(super) fn prepare_views(
        self: &Arc<Self>,
        robot_id: String,
        observation: Arc<Observation>,
        lease: Option<Arc<Lease>>,
        now: Instant,
    ) {
        if observation.views.is_empty() {
            return;
        }
        let bytes = image_bytes(&observation);
        let limit = self.services.inference.encoding_limit();
        if let Some(slot) = self.encoding.try_start(limit, bytes, now) {
            let session = self.clone();
            tokio::task::spawn_blocking(move || {
                session.publish_views(&robot_id, &(observation, lease), slot);
            });
        }
    }

    fn publish_views(
        &self,
        robot_id: &str,
        (observation, _lease): &LeasedObservation,
        _slot: EncodingSlot,
    ) {
        // A message larger than the queue of a viewer would never arrive.
        let max_bytes = self
            .services
            .limits
            .max_lossy_bytes
            .saturating_sub(FRAME_EXTRA_BYTES);
        for view in &observation.views {
            match view_encoding::for_viewers_within(view, max_bytes) {
                Ok(view) => self.subscribers.newest(
                    &Key::View(view.name.clone()),
                    &ViewFrame {
                        robot_id: robot_id.to_owned(),
                        sequence: observation.sequence,
                        captured_at_micros: observation.captured_at_micros,
                        view,
                    },
                ),
                Err(reason) => self.report_problem("bad_view", &reason),
            }
        }
    }
}

fn image_bytes(observation: &Observation) -> usize {
    let views = observation.views.iter();
    views.map(|view| view.data.len() + view.name.len()).sum()
}
