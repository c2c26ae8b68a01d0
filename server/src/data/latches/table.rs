//! The table of latches, and the changes that are not on disk yet. A plain value; time is passed in.
//!
//! Changes are written in order. A failed write is repeated after all new changes, so that a file that cannot be written
//! delays no other.

use crate::robot_id;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

/// Pause before a failed write is repeated.
const RETRY: Duration = Duration::from_secs(1);
/// Most latches; beyond this, robots with new names are refused. Latches of earlier runs are all loaded and counted.
const MAX_LATCHES: usize = 1 << 20;
/// Most changes that wait for the disk; beyond this, robots with new names are refused.
const MAX_PENDING: usize = 1 << 16;
/// Suffix of a file that marks a robot as released from a latch under its id without a hash. No id contains a dot.
const RELEASED: &str = ".released";

/// Content of the file of a latched stop.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Latch {
    /// Reason of the stop.
    pub(super) reason: String,
    /// Seconds since 1970, UTC.
    pub(super) stopped_at_unix_secs: u64,
}

/// A file that differs from the table.
#[derive(Debug, Default)]
struct Pending {
    /// Content to write; `None` removes the file.
    content: Option<Latch>,
    /// Number of the change.
    change: u64,
    /// `true` while it waits in `fresh`.
    is_fresh: bool,
    /// `true` while it waits in `later`.
    is_later: bool,
    /// Error of the last attempt.
    error: Option<String>,
}

/// One file to write or remove.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) file: String,
    /// Content to write; `None` removes the file.
    pub(super) content: Option<Latch>,
    change: u64,
}

/// Next step of the writer.
#[derive(Debug)]
pub(super) enum Next {
    Write(Job),
    /// Wait: for this time, or for the next change.
    Wait(Option<Duration>),
    /// End: the table is closed and written.
    End,
}

/// State on disk of a robot's latch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OnDisk {
    /// A restart would find it.
    Yes,
    /// It waits to be written.
    NotYet,
    /// The last attempt failed with this error.
    No(String),
}

/// All latches.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Names of their files: robot ids, some with the suffix [`RELEASED`].
    latched: BTreeSet<Box<str>>,
    /// `true` if there is a data folder to write to.
    has_disk: bool,
    pending: BTreeMap<String, Pending>,
    fresh: VecDeque<String>,
    later: VecDeque<(Instant, String)>,
    changes: u64,
    is_closed: bool,
}

impl Table {
    pub(super) fn new(latched: BTreeSet<Box<str>>, has_disk: bool) -> Self {
        Self {
            latched,
            has_disk,
            ..Self::default()
        }
    }

    /// True if a stop of this robot is latched, under its id or under the one of earlier versions.
    pub(super) fn is_latched(&self, robot_id: &str) -> bool {
        self.latched.contains(robot_id) || self.is_latched_without_hash(robot_id)
    }

    /// True if an id without a hash holds this robot. Such a latch of an earlier version may belong to several robots. It
    /// holds each of them until that robot is released.
    fn is_latched_without_hash(&self, robot_id: &str) -> bool {
        robot_id::without_hash(robot_id).is_some_and(|id| self.latched.contains(id))
            && !self.latched.contains(released(robot_id).as_str())
    }

    /// Reason why robots with new names cannot be latched, if there is one.
    pub(super) fn full(&self) -> Option<String> {
        if self.latched.len() >= MAX_LATCHES {
            Some(format!(
                "{} stops are latched, and beyond {MAX_LATCHES} no robot with a new name is accepted; release robots, or end \
                 the studio and remove the files of robots that are gone from the folder `stops` of its data folder",
                self.latched.len()
            ))
        } else if self.pending.len() >= MAX_PENDING {
            Some(format!(
                "{} stops and releases wait for the disk of the data folder, so no robot with a new name is accepted; check \
                 that disk",
                self.pending.len()
            ))
        } else {
            None
        }
    }

    pub(super) fn latch(&mut self, robot_id: &str, latch: Latch) {
        self.set(robot_id, Some(latch));
    }

    /// Ends a latch. `latch` is the content of the file with the suffix [`RELEASED`], for a robot whose id without a hash
    /// stays latched.
    pub(super) fn release(&mut self, robot_id: &str, latch: Latch) {
        if self.is_latched_without_hash(robot_id) {
            self.set(&released(robot_id), Some(latch));
        }
        if self.latched.contains(robot_id) {
            self.set(robot_id, None);
        }
    }

    fn set(&mut self, file: &str, content: Option<Latch>) {
        if content.is_some() {
            self.latched.insert(file.into());
        } else {
            self.latched.remove(file);
        }
        if !self.has_disk {
            return;
        }
        self.changes += 1;
        let pending = self.pending.entry(file.to_owned()).or_default();
        pending.content = content;
        pending.change = self.changes;
        pending.error = None;
        if !pending.is_fresh {
            pending.is_fresh = true;
            self.fresh.push_back(file.to_owned());
        }
    }

    /// Schedules all files to be written again after the folder was deleted, behind new changes.
    pub(super) fn write_again(&mut self, latch: &Latch, now: Instant) {
        for file in &self.latched {
            let file: &str = file;
            if self.pending.contains_key(file) {
                continue;
            }
            self.changes += 1;
            self.pending.insert(
                file.to_owned(),
                Pending {
                    content: Some(latch.clone()),
                    change: self.changes,
                    is_later: true,
                    ..Pending::default()
                },
            );
            self.later.push_back((now, file.to_owned()));
        }
    }

    /// Returns the next step of the writer.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        while let Some(file) = self.fresh.pop_front() {
            if let Some(pending) = self.pending.get_mut(&file) {
                pending.is_fresh = false;
                return Next::Write(job(file, pending));
            }
        }
        if self.is_closed {
            return Next::End;
        }
        while let Some((at, file)) = self.later.pop_front() {
            let left = at.saturating_duration_since(now);
            if !left.is_zero() {
                self.later.push_front((at, file));
                return Next::Wait(Some(left));
            }
            // It may have been written since it was put here.
            if let Some(pending) = self.pending.get_mut(&file)
                && std::mem::take(&mut pending.is_later)
            {
                return Next::Write(job(file, pending));
            }
        }
        Next::Wait(None)
    }

    /// Records the outcome of writing a file. Returns `true` for the first failure of a change.
    pub(super) fn written(&mut self, job: &Job, outcome: Result<(), String>, now: Instant) -> bool {
        let Some(pending) = self.pending.get_mut(&job.file) else {
            return false;
        };
        if pending.change != job.change {
            // It changed meanwhile and will be written again.
            return false;
        }
        match outcome {
            Ok(()) => {
                self.pending.remove(&job.file);
                false
            }
            Err(error) => {
                if !std::mem::replace(&mut pending.is_later, true) {
                    self.later.push_back((now + RETRY, job.file.clone()));
                }
                pending.error.replace(error).is_none()
            }
        }
    }

    /// State on disk of this robot's latch.
    pub(super) fn on_disk(&self, robot_id: &str) -> OnDisk {
        match self.pending.get(robot_id) {
            // A pending removal is a release that came since, so there is no latch to write.
            None | Some(Pending { content: None, .. }) => OnDisk::Yes,
            Some(Pending {
                error: Some(error), ..
            }) => OnDisk::No(error.clone()),
            Some(_) => OnDisk::NotYet,
        }
    }

    /// Closes the table: no more changes follow.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }
}

fn job(file: String, pending: &Pending) -> Job {
    Job {
        file,
        content: pending.content.clone(),
        change: pending.change,
    }
}

fn released(robot_id: &str) -> String {
    format!("{robot_id}{RELEASED}")
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test fails by panicking"
    )]

    use super::*;

    fn latch() -> Latch {
        Latch {
            reason: "pressed".to_owned(),
            stopped_at_unix_secs: 1,
        }
    }

    fn table(files: &[&str]) -> Table {
        Table::new(files.iter().map(|file| Box::from(*file)).collect(), true)
    }

    fn next(table: &mut Table, now: Instant) -> Job {
        match table.next(now) {
            Next::Write(job) => job,
            other => panic!("expected a file to write, got {other:?}"),
        }
    }

    #[test]
    fn a_failed_write_is_repeated_behind_new_changes() {
        let mut table = table(&[]);
        let now = Instant::now();
        table.latch("bad", latch());
        table.latch("good", latch());
        let bad = next(&mut table, now);
        assert_eq!(bad.file, "bad");
        assert!(table.written(&bad, Err("no".to_owned()), now), "the first");
        let good = next(&mut table, now);
        assert!(!table.written(&good, Ok(()), now));
        assert_eq!(table.on_disk("good"), OnDisk::Yes);
        assert_eq!(table.on_disk("bad"), OnDisk::No("no".to_owned()));
        let Next::Wait(Some(left)) = table.next(now) else {
            panic!("the write is repeated");
        };
        assert_eq!(left, RETRY);
        table.latch("new", latch());
        let later = now + RETRY;
        assert_eq!(next(&mut table, later).file, "new");
        let bad = next(&mut table, later);
        assert_eq!(bad.file, "bad");
        assert!(!table.written(&bad, Err("no".to_owned()), later), "known");
        // Alternating stops and releases on a failing disk leave one entry.
        for _ in 0..1000 {
            table.release("bad", latch());
            table.latch("bad", latch());
            let bad = next(&mut table, later);
            table.written(&bad, Err("no".to_owned()), later);
        }
        assert_eq!((table.later.len(), table.pending.len()), (1, 2));
    }

    #[test]
    fn a_change_during_a_write_is_written_too() {
        let mut table = table(&[]);
        let now = Instant::now();
        table.latch("arm", latch());
        let first = next(&mut table, now);
        table.release("arm", latch());
        table.written(&first, Ok(()), now);
        let second = next(&mut table, now);
        assert_eq!(
            (second.file.as_str(), second.content.is_some()),
            ("arm", false)
        );
        table.written(&second, Ok(()), now);
        assert!(matches!(table.next(now), Next::Wait(None)));
    }

    #[test]
    fn a_release_of_a_robot_that_is_not_latched_writes_nothing() {
        let mut table = table(&[]);
        table.release("arm", latch());
        assert!(matches!(table.next(Instant::now()), Next::Wait(None)));
    }

    #[test]
    fn a_latch_of_an_earlier_version_holds_for_each_robot_until_that_one_is_released() {
        let mut table = table(&["arm--"]);
        let [one, two] = ["Arm ä", "Arm ö"].map(robot_id::of_name);
        assert!(table.is_latched(&one) && table.is_latched(&two));
        assert!(!table.is_latched("arm"));
        table.release(&one, latch());
        assert!(!table.is_latched(&one) && table.is_latched(&two));
        let marker = next(&mut table, Instant::now());
        assert_eq!(marker.file, format!("{one}.released"));
        assert!(marker.content.is_some());
        // The next run of the studio.
        let mut again = self::table(&["arm--", &marker.file]);
        assert!(!again.is_latched(&one) && again.is_latched(&two));
        again.latch(&one, latch());
        assert!(again.is_latched(&one));
        again.release(&one, latch());
        assert!(!again.is_latched(&one));
        again.release("arm--", latch());
        assert!(!again.is_latched(&two));
    }

    #[test]
    fn a_table_that_is_full_refuses_names_and_forgets_none() {
        let files = (0..MAX_LATCHES).map(|n| format!("r{n}").into_boxed_str());
        let mut table = Table::new(files.collect(), true);
        assert!(table.full().unwrap().contains("stops are latched"));
        table.latch("arm", latch());
        assert!(table.is_latched("arm") && table.is_latched("r0"));
        let mut behind = self::table(&[]);
        for n in 0..MAX_PENDING {
            assert_eq!(behind.full(), None);
            behind.latch(&format!("r{n}"), latch());
        }
        assert!(behind.full().unwrap().contains("wait for the disk"));
    }
}
