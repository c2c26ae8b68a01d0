//! Publication of the list of robots and of their details.

use super::Registry;
use crate::{
    queues::outbox::Key,
    sessions::listing::{BUILD_PERIOD, Listing},
};
use bytes::Bytes;
use std::{sync::atomic::Ordering, time::Instant};
use tokio::time::{sleep, timeout};

impl Registry {
    /// Schedules publication of a change in the list or in the details of a robot.
    pub(crate) fn broadcast_robots(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.robots_changed.notify_one();
    }

    /// Publishes changes as they happen, at most ten times a second: without this limit, robots that connect and
    /// disconnect quickly would load every viewer.
    pub(crate) async fn publish_changes(&self) {
        loop {
            let due_in = self.listing().due_in(Instant::now());
            let changed = self.robots_changed.notified();
            match due_in {
                Some(wait) => {
                    timeout(wait, changed).await.ok();
                }
                None => changed.await,
            }
            self.list_is_current().await;
            self.publish_due(Instant::now());
            sleep(BUILD_PERIOD).await;
        }
    }

    /// Sends viewers the full list if it is due, and subscribers the details that changed.
    fn publish_due(&self, now: Instant) {
        {
            let mut listing = self.listing();
            if let Some(list) = listing.take_due(now) {
                for viewer in self.lock().viewers.outboxes() {
                    viewer.put_newest(Key::Robots, list.clone());
                }
            }
        }
        for robot in self.robots() {
            robot.publish_details();
        }
    }

    /// Builds the newest version of the list, and sends viewers the entries that changed.
    fn build(&self, listing: &mut Listing, now: Instant) {
        // Read before the robots: a change in between is counted again.
        let version = self.changes.load(Ordering::Acquire);
        let robots = self.robots();
        let summaries = robots.iter().map(|robot| robot.summary()).collect();
        let entries = listing.build(version, summaries, now);
        for viewer in self.lock().viewers.outboxes() {
            for (robot_id, entry) in &entries {
                viewer.put_newest(Key::Robot(robot_id.clone()), entry.clone());
            }
        }
    }

    /// Waits until the list contains everything that has happened by now, a tenth of a second at most. The number of
    /// callers does not change how often the list is built.
    pub(super) async fn list_is_current(&self) {
        let version = self.changes.load(Ordering::Acquire);
        loop {
            let wait = {
                let mut listing = self.listing();
                if listing.contains(version) {
                    return;
                }
                let now = Instant::now();
                let wait = listing.buildable_in(now);
                if wait.is_zero() {
                    self.build(&mut listing, now);
                    return;
                }
                wait
            };
            sleep(wait).await;
        }
    }

    /// Returns the list as JSON. All callers share one copy.
    pub(crate) async fn robots_json(&self) -> Bytes {
        self.list_is_current().await;
        self.listing().json()
    }
}
