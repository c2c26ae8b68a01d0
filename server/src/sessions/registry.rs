//! All robots and all viewers of one studio.

use super::{
    latched_stop::StopNumbers,
    listing::Listing,
    places::Full,
    session::Session,
    viewers::{ViewerPlace, Viewers},
};
use crate::{
    data::{events::Events, latches::Latches},
    health::Health,
    inference::thread::Inference,
    limits::Limits,
    metrics::Metrics,
    peer_log::PeerLogs,
    queues::outbox::{Key, Outbox},
    scene_questions::SceneQuestions,
};
use bytes::Bytes;
use protocol::{ErrorMessage, viewer::PolicyDescription};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::Instant,
};
use tokio::sync::Notify;

mod admission;
mod publication;

/// The shared state behind every handler.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) inference: Arc<Inference>,
    pub(crate) scene_questions: Arc<SceneQuestions>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) latches: Arc<Latches>,
    pub(crate) events: Events,
    pub(crate) health: Arc<Health>,
    pub(crate) limits: Limits,
    pub(crate) logs: Arc<PeerLogs>,
    next_connection: AtomicU64,
    stop_numbers: Arc<StopNumbers>,
    inner: Mutex<Inner>,
    /// The newest list. Locked before `inner`, and held while any of it is queued for viewers, so that every viewer
    /// receives changes in the order in which they happened.
    listing: Mutex<Listing>,
    /// Number of changes of the list so far.
    changes: AtomicU64,
    robots_changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    robots: Vec<Arc<Session>>,
    viewers: Viewers,
    next_key: u64,
}

impl Registry {
    pub(crate) fn new(
        inference: Arc<Inference>,
        scene_questions: Arc<SceneQuestions>,
        metrics: Arc<Metrics>,
        latches: Arc<Latches>,
        events: Events,
        health: Arc<Health>,
        limits: Limits,
    ) -> Self {
        Self {
            inference,
            scene_questions,
            metrics,
            latches,
            events,
            health,
            limits,
            logs: Arc::default(),
            next_connection: AtomicU64::new(1),
            stop_numbers: Arc::default(),
            inner: Mutex::default(),
            listing: Mutex::default(),
            changes: AtomicU64::new(0),
            robots_changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listing(&self) -> MutexGuard<'_, Listing> {
        self.listing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops robots. Returns those that were not stopped before. For the others this press becomes the newest one, which a
    /// release has to name.
    pub(crate) fn stop(&self, robots: &[Arc<Session>], reason: &str) -> Vec<Arc<Session>> {
        let stopped: Vec<_> = robots
            .iter()
            .filter(|robot| robot.stop(reason))
            .cloned()
            .collect();
        if !stopped.is_empty() {
            self.broadcast_robots();
        }
        stopped
    }

    /// Lifts the stop of a robot: see [`Session::release`].
    ///
    /// # Errors
    /// Refusal of a release when the robot was stopped again since.
    pub(crate) fn release(
        &self,
        robot: &Session,
        named: Option<u64>,
        heard_at: Option<Instant>,
    ) -> Result<(), ErrorMessage> {
        robot.release(named, heard_at)?;
        self.broadcast_robots();
        Ok(())
    }

    /// Ends the instructions of a viewer that is gone or silent, except on robots that may run unattended.
    pub(crate) fn operator_gone(&self, viewer: u64, name: &str) {
        for robot in self.robots() {
            if robot.operator_gone(viewer) {
                let robot_id = robot.robot_id();
                self.events.note("operator_gone", &robot_id, name, "", "");
            }
        }
    }

    /// Returns the robot with this id, if the studio remembers one.
    pub(crate) fn robot(&self, robot_id: &str) -> Option<Arc<Session>> {
        self.lock()
            .robots
            .iter()
            .find(|robot| robot.robot_id() == robot_id)
            .cloned()
    }

    /// Returns every robot that the studio remembers, in order of arrival.
    pub(crate) fn robots(&self) -> Vec<Arc<Session>> {
        self.lock().robots.clone()
    }

    /// Adds a viewer. It receives `welcome` and the list before anything that happens from now on. If all places are taken,
    /// the viewer that uses its place least is disconnected.
    ///
    /// # Errors
    /// [`Full`] when no viewer can be disconnected for it.
    pub(crate) async fn add_viewer(
        &self,
        viewer: &Arc<ViewerPlace>,
        welcome: Option<Bytes>,
    ) -> Result<(), Full> {
        self.list_is_current().await;
        let listing = self.listing();
        let mut inner = self.lock();
        let Inner {
            robots, viewers, ..
        } = &mut *inner;
        let operators = || {
            robots
                .iter()
                .filter_map(|robot| robot.operator())
                .collect::<Vec<_>>()
        };
        viewers.add(viewer, &self.limits, operators)?;
        self.count_viewers(&inner);
        let outbox = viewer.outbox();
        if let Some(welcome) = welcome {
            outbox.put_control(welcome);
        }
        outbox.put_newest(Key::Robots, listing.frame());
        Ok(())
    }

    /// Removes a viewer that left.
    pub(crate) fn remove_viewer(&self, outbox: &Arc<Outbox>) {
        let mut inner = self.lock();
        inner.viewers.remove(outbox);
        self.count_viewers(&inner);
    }

    fn count_viewers(&self, inner: &Inner) {
        let count = i64::try_from(inner.viewers.count()).unwrap_or(i64::MAX);
        self.metrics.viewers.set(count);
    }

    /// Returns the description of the hosted policy, or of its absence.
    pub(crate) fn policy(&self) -> PolicyDescription {
        self.inference.info().map_or_else(
            || PolicyDescription {
                name: "no policy".to_owned(),
                parameters: 0,
                device: "none".to_owned(),
                horizon: 0,
                modes: Vec::new(),
                action: Vec::new(),
                has_tokenizer: false,
                depth: None,
            },
            policies::policy::PolicyInfo::describe,
        )
    }
}

#[cfg(test)]
mod tests;
