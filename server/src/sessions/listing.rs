//! The list of robots, as viewers and programs are given it: one copy of each version, however many ask for it.
//!
//! A plain value; time and the robots are handed in. Entries that changed are sent one by one, and the whole list follows a
//! while later: it is the truth, and says which robots are forgotten.

use bytes::Bytes;
use protocol::viewer::{MAX_ROBOTS, RobotChanged, RobotList, RobotSummary};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// A version of the list is built at most this often.
pub(super) const BUILD_PERIOD: Duration = Duration::from_millis(100);
/// The whole list is sent to everybody at most this often.
const LIST_PERIOD: Duration = Duration::from_secs(2);
/// Entries that are sent one by one between two lists; whatever else changes comes with the next list. So many wait at
/// most for a viewer that does not read.
const MAX_CHANGES: usize = 64;

/// The newest version.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Changes that this version contains.
    version: u64,
    built_at: Option<Instant>,
    robots: Vec<RobotSummary>,
    /// As viewers are sent it.
    frame: Bytes,
    /// As programs fetch it.
    json: Bytes,
    /// Viewers have not been sent all of this version.
    is_due: bool,
    sent_at: Option<Instant>,
    /// Entries that were sent since the last list.
    changes: usize,
}

impl Listing {
    /// Whether this version contains so many changes.
    pub(super) fn contains(&self, version: u64) -> bool {
        self.built_at.is_some() && self.version >= version
    }

    /// How long the next version must wait.
    pub(super) fn may_be_built_in(&self, now: Instant) -> Duration {
        self.built_at.map_or(Duration::ZERO, |at| {
            BUILD_PERIOD.saturating_sub(now.saturating_duration_since(at))
        })
    }

    /// As viewers are sent it.
    pub(super) fn frame(&self) -> Bytes {
        self.frame.clone()
    }

    /// As programs fetch it.
    pub(super) fn json(&self) -> Bytes {
        self.json.clone()
    }

    /// Takes over a version. The entries that everybody is sent at once, by robot; none where the whole list is due now.
    pub(super) fn build(
        &mut self,
        version: u64,
        robots: Vec<RobotSummary>,
        now: Instant,
    ) -> Vec<(String, Bytes)> {
        let robots = shown(robots);
        let is_first = self.built_at.replace(now).is_none();
        self.version = version;
        let is_same = robots == self.robots;
        if is_same && !is_first {
            return Vec::new();
        }
        let changed = changed(&self.robots, &robots);
        let list = RobotList { robots };
        match protocol::encode(&list) {
            Ok(frame) => self.frame = frame.into(),
            // The types alone keep it far below its limit.
            Err(error) => tracing::error!("the robot list was not built: {error}"),
        }
        match serde_json::to_vec(&list) {
            Ok(json) => self.json = json.into(),
            Err(error) => tracing::error!("the robot list was not built: {error}"),
        }
        self.robots = list.robots;
        self.is_due |= !is_same;
        let waits = self.is_due_in(now).is_some_and(|wait| !wait.is_zero());
        if !waits {
            return Vec::new();
        }
        if self.changes + changed.len() > MAX_CHANGES {
            // They come with the list, and so does whatever follows them: nobody is told of changes with gaps.
            self.changes = MAX_CHANGES;
            return Vec::new();
        }
        self.changes += changed.len();
        let entries = changed.into_iter().filter_map(|robot| {
            let robot_id = robot.robot_id.clone();
            match protocol::encode(&RobotChanged { robot }) {
                Ok(frame) => Some((robot_id, Bytes::from(frame))),
                Err(error) => {
                    tracing::error!("an entry of the robot list was not sent: {error}");
                    None
                }
            }
        });
        entries.collect()
    }

    /// How long until the whole list is sent; `None` when everybody has it.
    pub(super) fn is_due_in(&self, now: Instant) -> Option<Duration> {
        let left = |at: Instant| LIST_PERIOD.saturating_sub(now.saturating_duration_since(at));
        self.is_due
            .then(|| self.sent_at.map_or(Duration::ZERO, left))
    }

    /// The whole list, if it is due now.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Bytes> {
        if self.is_due_in(now) != Some(Duration::ZERO) {
            return None;
        }
        self.is_due = false;
        self.sent_at = Some(now);
        self.changes = 0;
        Some(self.frame.clone())
    }
}

/// Entries that are new or not what they were.
fn changed(before: &[RobotSummary], robots: &[RobotSummary]) -> Vec<RobotSummary> {
    let before: HashMap<&str, &RobotSummary> = before
        .iter()
        .map(|robot| (robot.robot_id.as_str(), robot))
        .collect();
    let is_new = |robot: &&RobotSummary| before.get(robot.robot_id.as_str()) != Some(robot);
    robots.iter().filter(is_new).cloned().collect()
}

/// As many as a list has room for: of more, those that left go first, the oldest before the others.
fn shown(mut robots: Vec<RobotSummary>) -> Vec<RobotSummary> {
    let mut surplus = robots.len().saturating_sub(MAX_ROBOTS);
    robots.retain(|robot| {
        let goes = surplus > 0 && !robot.connected;
        surplus -= usize::from(goes);
        !goes
    });
    robots.truncate(MAX_ROBOTS);
    robots
}

#[cfg(test)]
mod tests;
