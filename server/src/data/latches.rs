//! Latched stops by robot id: in memory for lookups, on disk for the next run of the studio.
//!
//! A latch is never evicted: neither other robots nor a restart make the studio forget that a robot was stopped. This studio
//! owns the folder, so it is read once at the start, and no lookup waits for the disk after that.
//!
//! - [`table`]: the latches, and the changes that are not on disk yet
//! - [`disk`]: the folder `stops/`
//! - [`writer`]: the thread that brings the folder in line with the table
//!
//! The lock of the table is held for a few statements and never during disk access. No other lock is taken under it.

mod disk;
mod table;
mod writer;

use super::{DataError, DataFolder};
use crate::health::{Health, Rule};
use disk::Disk;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use table::{Latch, OnDisk, Table};
use tokio::sync::watch;

/// Longest wait for the disk before a latch is reported as not written.
const DISK_WITHIN: Duration = Duration::from_millis(800);
/// Longest reason in a file, in bytes.
const MAX_REASON_BYTES: usize = 200;
/// Most robots that a message names.
const MAX_NAMED: usize = 8;

/// The latched stops.
#[derive(Debug)]
pub(crate) struct Latches {
    shared: Arc<Shared>,
    /// `true` if there is a data folder.
    has_disk: bool,
    /// Changes after every attempt to write a file.
    attempts: watch::Receiver<()>,
}

#[derive(Debug)]
struct Shared {
    table: Mutex<Table>,
    woken: Condvar,
}

impl Latches {
    /// Reads the latches that earlier runs left in `stops/` of the data folder. Without a folder latches end with the
    /// process.
    ///
    /// # Errors
    /// [`DataError`] when the folder cannot be made or listed: without the list of stopped robots the studio must not serve
    /// any.
    pub(crate) fn open(data: Option<&DataFolder>, health: &Health) -> Result<Self, DataError> {
        let disk = data.map(Disk::new);
        let latched = match &disk {
            Some(disk) => disk.read()?,
            None => BTreeSet::new(),
        };
        let shared = Arc::new(Shared {
            table: Mutex::new(Table::new(latched, disk.is_some())),
            woken: Condvar::new(),
        });
        let (attempted, attempts) = watch::channel(());
        let has_disk = disk.is_some();
        if let Some(disk) = disk {
            let part = health.part("the writer of stops", Rule::Fixed);
            std::thread::Builder::new()
                .name("latches".to_owned())
                .spawn({
                    let shared = shared.clone();
                    move || writer::run(&shared, &disk, &attempted, &part)
                })
                .map_err(DataError::Thread)?;
        }
        Ok(Self {
            shared,
            has_disk,
            attempts,
        })
    }

    /// True if a stop of this robot is latched.
    pub(crate) fn is_latched(&self, robot_id: &str) -> bool {
        self.shared.lock().is_latched(robot_id)
    }

    /// Reason why robots with new names cannot be latched, if there is one.
    pub(crate) fn full(&self) -> Option<String> {
        self.shared.lock().full()
    }

    /// Latches a robot. Never waits for the disk.
    pub(crate) fn latch(&self, robot_id: &str, reason: &str) {
        let latch = latch(reason);
        self.change(|table| table.latch(robot_id, latch));
    }

    /// Ends a latch. Never waits for the disk.
    pub(crate) fn release(&self, robot_id: &str) {
        let latch = latch("released");
        self.change(|table| table.release(robot_id, latch));
    }

    fn change(&self, apply: impl FnOnce(&mut Table)) {
        apply(&mut self.shared.lock());
        self.shared.woken.notify_one();
    }

    /// Waits until the latches of these robots are on disk, at most [`DISK_WITHIN`]. Returns an empty text if they are,
    /// otherwise the reasons why not, with the names of the robots if there are several. A latch that is not on disk holds
    /// in memory, and writing it is attempted again.
    pub(crate) async fn not_on_disk(&self, robot_ids: &[String]) -> String {
        if !self.has_disk {
            return "this studio runs without a data folder".to_owned();
        }
        let mut attempts = self.attempts.clone();
        let until = tokio::time::Instant::now() + DISK_WITHIN;
        loop {
            attempts.mark_unchanged();
            let mut missing = BTreeMap::<String, Vec<&str>>::new();
            let mut waiting = Vec::new();
            {
                let table = self.shared.lock();
                for robot_id in robot_ids {
                    match table.on_disk(robot_id) {
                        OnDisk::Yes => {}
                        OnDisk::NotYet => waiting.push(robot_id.as_str()),
                        OnDisk::No(error) => missing.entry(error).or_default().push(robot_id),
                    }
                }
            }
            let is_single = robot_ids.len() == 1;
            if waiting.is_empty() {
                return message(&missing, is_single);
            }
            let reason = match tokio::time::timeout_at(until, attempts.changed()).await {
                Ok(Ok(())) => continue,
                Ok(Err(_)) => "the thread that writes the data folder has ended".to_owned(),
                Err(_) => format!(
                    "the disk of the data folder did not answer within {} ms",
                    DISK_WITHIN.as_millis()
                ),
            };
            missing.entry(reason).or_default().extend(waiting);
            return message(&missing, is_single);
        }
    }
}

impl Drop for Latches {
    fn drop(&mut self) {
        self.change(Table::close);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Table> {
        // The table is complete after each statement, so a panic elsewhere leaves it usable.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn latch(reason: &str) -> Latch {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Latch {
        reason: protocol::shortened(reason, MAX_REASON_BYTES),
        stopped_at_unix_secs: now.map_or(0, |at| at.as_secs()),
    }
}

/// The reasons, each with its robots unless there is only one robot.
fn message(missing: &BTreeMap<String, Vec<&str>>, is_single: bool) -> String {
    let parts: Vec<String> = missing
        .iter()
        .map(|(reason, robots)| {
            if is_single {
                return reason.clone();
            }
            let named = robots[..robots.len().min(MAX_NAMED)].join(", ");
            match robots.len().saturating_sub(MAX_NAMED) {
                0 => format!("{named}: {reason}"),
                more => format!("{named} and {more} more: {reason}"),
            }
        })
        .collect();
    parts.join("; ")
}

#[cfg(test)]
mod tests;
