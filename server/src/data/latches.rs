//! Latched stops by robot id: in memory for every question, on disk for the next run of the studio.
//!
//! A latch is never evicted: neither other robots nor a restart make the studio forget that a robot was stopped. The
//! folder belongs to this studio alone, so it is read once, at the start, and no question waits for the disk after that.
//!
//! - [`table`]: who is latched, and what of it is not on disk yet
//! - [`disk`]: the folder `stops/`
//! - [`writer`]: the thread that brings the folder in line with the table
//!
//! The lock of the table is held for a few statements, never while the disk works, and under it no other is taken.

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

/// A disk that takes longer than this for a latch is reported.
const DISK_WITHIN: Duration = Duration::from_millis(800);
/// Longest reason that is kept, in bytes.
const MAX_REASON_BYTES: usize = 200;
/// Robots whose latch is not on disk are named up to this number.
const MAX_NAMED: usize = 8;

/// The latched stops.
#[derive(Debug)]
pub(crate) struct Latches {
    shared: Arc<Shared>,
    /// Whether there is a data folder.
    is_kept: bool,
    /// Changes whenever a file was tried.
    tried: watch::Receiver<()>,
}

#[derive(Debug)]
struct Shared {
    table: Mutex<Table>,
    woken: Condvar,
}

impl Latches {
    /// Reads what the studio before left in `stops/` of the data folder. Without a folder latches end with the process.
    ///
    /// # Errors
    /// [`DataError`] when the folder cannot be made or listed: a studio that does not know which robots are stopped
    /// must not serve any.
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
        let (tell, tried) = watch::channel(());
        let is_kept = disk.is_some();
        if let Some(disk) = disk {
            let part = health.part("the writer of stops", Rule::Fixed);
            std::thread::Builder::new()
                .name("latches".to_owned())
                .spawn({
                    let shared = shared.clone();
                    move || writer::run(&shared, &disk, &tell, &part)
                })
                .map_err(DataError::Thread)?;
        }
        Ok(Self {
            shared,
            is_kept,
            tried,
        })
    }

    /// Whether a stop of this robot is latched.
    pub(crate) fn is_latched(&self, robot_id: &str) -> bool {
        self.shared.lock().is_latched(robot_id)
    }

    /// Why robots of further names cannot be latched, if they cannot.
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

    /// Waits until the latches of these robots are on disk, but not for long. Empty when they are; otherwise why not, in
    /// words, and of which robots when these are several. A latch that is not holds in memory, and writing it is tried
    /// again.
    pub(crate) async fn not_on_disk(&self, robot_ids: &[String]) -> String {
        if !self.is_kept {
            return "this studio runs without a data folder".to_owned();
        }
        let mut tried = self.tried.clone();
        let until = tokio::time::Instant::now() + DISK_WITHIN;
        loop {
            tried.mark_unchanged();
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
            let is_one = robot_ids.len() == 1;
            if waiting.is_empty() {
                return words(&missing, is_one);
            }
            let why = match tokio::time::timeout_at(until, tried.changed()).await {
                Ok(Ok(())) => continue,
                Ok(Err(_)) => "the thread that writes the data folder has ended".to_owned(),
                Err(_) => format!(
                    "the disk of the data folder did not answer within {} ms",
                    DISK_WITHIN.as_millis()
                ),
            };
            missing.entry(why).or_default().extend(waiting);
            return words(&missing, is_one);
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

/// Reasons with the robots that they are of; alone, a robot need not be named.
fn words(missing: &BTreeMap<String, Vec<&str>>, is_one: bool) -> String {
    let sentences: Vec<String> = missing
        .iter()
        .map(|(why, robots)| {
            if is_one {
                return why.clone();
            }
            let named = robots[..robots.len().min(MAX_NAMED)].join(", ");
            match robots.len().saturating_sub(MAX_NAMED) {
                0 => format!("{named}: {why}"),
                more => format!("{named} and {more} more: {why}"),
            }
        })
        .collect();
    sentences.join("; ")
}

#[cfg(test)]
mod tests;
