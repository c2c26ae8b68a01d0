//! The table of latches, and what of it is not on disk yet: a plain value; time is handed in.
//!
//! What changed waits in turn. What could not be written is tried again behind everything that is new, so that one
//! latch that cannot be written holds up no other.

use crate::robot_id;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

/// Pause before a failed write is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Robots that can be latched; beyond it, robots of further names are refused. Those of an earlier run all count.
const MAX_LATCHES: usize = 1 << 20;
/// Changes that may wait for the disk; beyond it, robots of further names are refused.
const MAX_PENDING: usize = 1 << 16;
/// Ending of the file that says that a robot was released from a latch under its id without a hash. No id has a dot.
const RELEASED: &str = ".released";

/// One latched stop, as its file has it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Latch {
    /// Who or what stopped the robot.
    pub(super) reason: String,
    /// Seconds since 1970, UTC.
    pub(super) stopped_at_unix_secs: u64,
}

/// A file that is behind the memory.
#[derive(Debug, Default)]
struct Pending {
    /// Its content; none, and the file is removed.
    wanted: Option<Latch>,
    /// Number of the change.
    change: u64,
    /// It waits in `fresh`.
    is_fresh: bool,
    /// It waits in `later`.
    is_later: bool,
    /// Why the last try failed.
    error: Option<String>,
}

/// One file to bring in line.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) file: String,
    /// Its content; none, and the file is removed.
    pub(super) wanted: Option<Latch>,
    change: u64,
}

/// What there is to do for the disk.
#[derive(Debug)]
pub(super) enum Next {
    Write(Job),
    /// Nothing now, and something after this time if it is given.
    Wait(Option<Duration>),
    /// Nothing any more.
    End,
}

/// Whether a restart finds a robot stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OnDisk {
    Yes,
    NotYet,
    No(String),
}

/// All latches.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Names of their files: ids of robots, and those with the ending [`RELEASED`].
    latched: BTreeSet<Box<str>>,
    /// Whether there is a disk to bring in line.
    is_kept: bool,
    pending: BTreeMap<String, Pending>,
    fresh: VecDeque<String>,
    later: VecDeque<(Instant, String)>,
    changes: u64,
    is_closed: bool,
}

impl Table {
    pub(super) fn new(latched: BTreeSet<Box<str>>, is_kept: bool) -> Self {
        Self {
            latched,
            is_kept,
            ..Self::default()
        }
    }

    /// Whether a stop of this robot is latched, under its id or under the one that earlier versions gave it.
    pub(super) fn is_latched(&self, robot_id: &str) -> bool {
        self.latched.contains(robot_id) || self.is_latched_without_hash(robot_id)
    }

    /// A latch under an id without a hash may be of any robot with that id. It holds for each of them until that one is
    /// released, which says nothing about the others.
    fn is_latched_without_hash(&self, robot_id: &str) -> bool {
        robot_id::without_hash(robot_id).is_some_and(|id| self.latched.contains(id))
            && !self.latched.contains(released(robot_id).as_str())
    }

    /// Why robots of further names cannot be latched, if they cannot.
    pub(super) fn full(&self) -> Option<String> {
        if self.latched.len() >= MAX_LATCHES {
            Some(format!(
                "{} stops are latched, and no robot of a further name is accepted beyond {MAX_LATCHES}; release robots, \
                 or end the studio and remove the files of robots that are gone from the folder `stops` of its data folder",
                self.latched.len()
            ))
        } else if self.pending.len() >= MAX_PENDING {
            Some(format!(
                "{} stops and releases wait for the disk of the data folder, so no robot of a further name is accepted; \
                 look at that disk",
                self.pending.len()
            ))
        } else {
            None
        }
    }

    pub(super) fn latch(&mut self, robot_id: &str, latch: Latch) {
        self.set(robot_id, Some(latch));
    }

    /// Ends a latch. `latch` is the content of the file that says so where an id without a hash stays latched.
    pub(super) fn release(&mut self, robot_id: &str, latch: Latch) {
        if self.is_latched_without_hash(robot_id) {
            self.set(&released(robot_id), Some(latch));
        }
        if self.latched.contains(robot_id) {
            self.set(robot_id, None);
        }
    }

    fn set(&mut self, file: &str, wanted: Option<Latch>) {
        if wanted.is_some() {
            self.latched.insert(file.into());
        } else {
            self.latched.remove(file);
        }
        if !self.is_kept {
            return;
        }
        self.changes += 1;
        let pending = self.pending.entry(file.to_owned()).or_default();
        pending.wanted = wanted;
        pending.change = self.changes;
        pending.error = None;
        if !pending.is_fresh {
            pending.is_fresh = true;
            self.fresh.push_back(file.to_owned());
        }
    }

    /// The files are gone: all are written again, behind what changes meanwhile.
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
                    wanted: Some(latch.clone()),
                    change: self.changes,
                    is_later: true,
                    ..Pending::default()
                },
            );
            self.later.push_back((now, file.to_owned()));
        }
    }

    /// The next file to bring in line.
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
            // It may have been written, or have changed and been written, since it was put here.
            if let Some(pending) = self.pending.get_mut(&file)
                && std::mem::take(&mut pending.is_later)
            {
                return Next::Write(job(file, pending));
            }
        }
        Next::Wait(None)
    }

    /// A file was brought in line, or why not. Whether that is the first failure of its change.
    pub(super) fn tried(&mut self, job: &Job, outcome: Result<(), String>, now: Instant) -> bool {
        let Some(pending) = self.pending.get_mut(&job.file) else {
            return false;
        };
        if pending.change != job.change {
            // It changed meanwhile, so its turn comes again.
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

    /// Whether a restart would find this robot stopped.
    pub(super) fn on_disk(&self, robot_id: &str) -> OnDisk {
        match self.pending.get(robot_id) {
            // A removal that waits is a release that came since: nothing is to be found any more.
            None | Some(Pending { wanted: None, .. }) => OnDisk::Yes,
            Some(Pending {
                error: Some(error), ..
            }) => OnDisk::No(error.clone()),
            Some(_) => OnDisk::NotYet,
        }
    }

    /// Nothing changes any more.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }
}

fn job(file: String, pending: &Pending) -> Job {
    Job {
        file,
        wanted: pending.wanted.clone(),
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
    fn what_cannot_be_written_is_tried_again_behind_what_is_new() {
        let mut table = table(&[]);
        let now = Instant::now();
        table.latch("bad", latch());
        table.latch("good", latch());
        let bad = next(&mut table, now);
        assert_eq!(bad.file, "bad");
        assert!(table.tried(&bad, Err("no".to_owned()), now), "the first");
        let good = next(&mut table, now);
        assert!(!table.tried(&good, Ok(()), now));
        assert_eq!(table.on_disk("good"), OnDisk::Yes);
        assert_eq!(table.on_disk("bad"), OnDisk::No("no".to_owned()));
        let Next::Wait(Some(left)) = table.next(now) else {
            panic!("it is tried again");
        };
        assert_eq!(left, RETRY);
        table.latch("new", latch());
        let later = now + RETRY;
        assert_eq!(next(&mut table, later).file, "new");
        let bad = next(&mut table, later);
        assert_eq!(bad.file, "bad");
        assert!(!table.tried(&bad, Err("no".to_owned()), later), "known");
        // Turns of stop and release on a disk that takes nothing leave one entry, not one each.
        for _ in 0..1000 {
            table.release("bad", latch());
            table.latch("bad", latch());
            let bad = next(&mut table, later);
            table.tried(&bad, Err("no".to_owned()), later);
        }
        assert_eq!((table.later.len(), table.pending.len()), (1, 2));
    }

    #[test]
    fn a_change_during_a_write_has_its_own_turn() {
        let mut table = table(&[]);
        let now = Instant::now();
        table.latch("arm", latch());
        let first = next(&mut table, now);
        table.release("arm", latch());
        table.tried(&first, Ok(()), now);
        let second = next(&mut table, now);
        assert_eq!(
            (second.file.as_str(), second.wanted.is_some()),
            ("arm", false)
        );
        table.tried(&second, Ok(()), now);
        assert!(matches!(table.next(now), Next::Wait(None)));
    }

    #[test]
    fn a_release_of_a_robot_that_is_not_latched_is_no_work_for_the_disk() {
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
        let written = next(&mut table, Instant::now());
        assert_eq!(written.file, format!("{one}.released"));
        assert!(written.wanted.is_some());
        // As the next run finds it.
        let mut again = self::table(&["arm--", &written.file]);
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
