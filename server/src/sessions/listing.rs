//! The list of robots for viewers and programs, one shared copy per version.
//!
//! A plain value; time and robots are passed in. Entries that changed are sent one by one. The full list follows within
//! [`LIST_PERIOD`]: it is authoritative, and a robot that is missing in it was forgotten.

use bytes::Bytes;
use protocol::viewer::{MAX_ROBOTS, RobotChanged, RobotList, RobotSummary};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Minimum interval between two versions of the list.
pub(super) const BUILD_PERIOD: Duration = Duration::from_millis(100);
/// Minimum interval between two full lists to viewers.
const LIST_PERIOD: Duration = Duration::from_secs(2);
/// Most entries that are sent one by one between two full lists; further changes come with the next list. It bounds the
/// entries that wait for a viewer that does not read.
const MAX_CHANGES: usize = 64;

/// The newest version of the list.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Number of changes that this version contains.
    version: u64,
    built_at: Option<Instant>,
    robots: Vec<RobotSummary>,
    /// The encoded message for viewers.
    frame: Bytes,
    /// JSON for programs.
    json: Bytes,
    /// `true` while viewers lack a part of this version.
    is_due: bool,
    sent_at: Option<Instant>,
    /// Entries sent since the last full list.
    changes: usize,
}

impl Listing {
    /// True if this version contains the change with this number.
    pub(super) fn contains(&self, version: u64) -> bool {
        self.built_at.is_some() && self.version >= version
    }

    /// Time until the next version may be built.
    pub(super) fn buildable_in(&self, now: Instant) -> Duration {
        self.built_at.map_or(Duration::ZERO, |at| {
            BUILD_PERIOD.saturating_sub(now.saturating_duration_since(at))
        })
    }

    /// The encoded message for viewers.
    pub(super) fn frame(&self) -> Bytes {
        self.frame.clone()
    }

    /// JSON for programs.
    pub(super) fn json(&self) -> Bytes {
        self.json.clone()
    }

    /// Builds a version. Returns the encoded entries to send at once, with their robot ids; none if the full list is due
    /// now.
    pub(super) fn build(
        &mut self,
        version: u64,
        robots: Vec<RobotSummary>,
        now: Instant,
    ) -> Vec<(String, Bytes)> {
        let robots = fitting(robots);
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
            // The bounds of its fields keep it far below the limit of a message.
            Err(error) => tracing::error!("the robot list was not built: {error}"),
        }
        match serde_json::to_vec(&list) {
            Ok(json) => self.json = json.into(),
            Err(error) => tracing::error!("the robot list was not built: {error}"),
        }
        self.robots = list.robots;
        self.is_due |= !is_same;
        let list_comes_later = self.due_in(now).is_some_and(|wait| !wait.is_zero());
        if !list_comes_later {
            return Vec::new();
        }
        if self.changes + changed.len() > MAX_CHANGES {
            // They come with the list, and so does whatever follows them: entries never have gaps.
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

    /// Time until the full list is sent; `None` if every viewer has it.
    pub(super) fn due_in(&self, now: Instant) -> Option<Duration> {
        let left = |at: Instant| LIST_PERIOD.saturating_sub(now.saturating_duration_since(at));
        self.is_due
            .then(|| self.sent_at.map_or(Duration::ZERO, left))
    }

    /// Takes the full list if it is due now.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Bytes> {
        if self.due_in(now) != Some(Duration::ZERO) {
            return None;
        }
        self.is_due = false;
        self.sent_at = Some(now);
        self.changes = 0;
        Some(self.frame.clone())
    }
}

/// Entries that are new or differ from before.
fn changed(before: &[RobotSummary], robots: &[RobotSummary]) -> Vec<RobotSummary> {
    let before: HashMap<&str, &RobotSummary> = before
        .iter()
        .map(|robot| (robot.robot_id.as_str(), robot))
        .collect();
    let is_new = |robot: &&RobotSummary| before.get(robot.robot_id.as_str()) != Some(robot);
    robots.iter().filter(is_new).cloned().collect()
}

/// The robots that fit into a list. Of more, those that left are omitted first, oldest first.
fn fitting(mut robots: Vec<RobotSummary>) -> Vec<RobotSummary> {
    let mut surplus = robots.len().saturating_sub(MAX_ROBOTS);
    robots.retain(|robot| {
        let is_omitted = surplus > 0 && !robot.connected;
        surplus -= usize::from(is_omitted);
        !is_omitted
    });
    robots.truncate(MAX_ROBOTS);
    robots
}

#[cfg(test)]
mod tests;
