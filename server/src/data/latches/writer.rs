//! The thread that writes the table to the folder.
//!
//! Fast stops and releases of one robot may skip intermediate states: each write brings a file to the table's state at that
//! time.

use super::{
    Shared,
    disk::Disk,
    latch,
    table::{Job, Next},
};
use crate::health::Part;
use std::{
    io,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// Interval between checks that the folder still exists, for times without writes.
const CHECK_EVERY: Duration = Duration::from_secs(2);

/// Next action of the thread.
enum Action {
    Write(Job),
    /// Check that the folder exists.
    CheckFolder,
    End,
}

/// Writes until the table is closed.
pub(super) fn run(shared: &Shared, disk: &Disk, attempted: &watch::Sender<()>, part: &Arc<Part>) {
    let _alive = part.thread();
    let mut check_at = Instant::now() + CHECK_EVERY;
    let mut is_reported = false;
    loop {
        match next_action(shared, check_at) {
            Action::Write(job) => {
                let work = part.work("writing to the data folder");
                let outcome = write(shared, disk, &job).map_err(|error| disk.explain(&error));
                drop(work);
                let error = outcome.as_ref().err().cloned();
                let is_new_failure = shared.lock().written(&job, outcome, Instant::now());
                attempted.send_replace(());
                if let (Some(error), true) = (error, is_new_failure) {
                    tracing::error!(
                        "a stop or its release ({}) is not on disk: {error}",
                        job.file
                    );
                }
            }
            Action::CheckFolder => {
                let work = part.work("checking the data folder");
                let checked = restore(shared, disk);
                drop(work);
                if let (Err(error), false) = (&checked, is_reported) {
                    tracing::error!("stops are not on disk: {}", disk.explain(error));
                }
                is_reported = checked.is_err();
                check_at = Instant::now() + CHECK_EVERY;
            }
            Action::End => return,
        }
    }
}

/// Waits for the next action.
fn next_action(shared: &Shared, check_at: Instant) -> Action {
    let mut table = shared.lock();
    loop {
        let now = Instant::now();
        let left = match table.next(now) {
            Next::Write(job) => return Action::Write(job),
            Next::End => return Action::End,
            Next::Wait(left) => left,
        };
        let until_check = check_at.saturating_duration_since(now);
        if until_check.is_zero() {
            return Action::CheckFolder;
        }
        let left = left.map_or(until_check, |left| left.min(until_check));
        let woken = shared.woken.wait_timeout(table, left);
        table = woken.unwrap_or_else(PoisonError::into_inner).0;
    }
}

/// Writes or removes one file, and makes the folder first if it is missing.
fn write(shared: &Shared, disk: &Disk, job: &Job) -> io::Result<()> {
    let first = disk.update(&job.file, job.content.as_ref());
    if first.is_ok() || !restore(shared, disk)? {
        return first;
    }
    disk.update(&job.file, job.content.as_ref())
}

/// Makes the folder again if it was deleted, and schedules all its files to be written again. Returns `true` if it was
/// deleted.
fn restore(shared: &Shared, disk: &Disk) -> io::Result<bool> {
    if !disk.is_missing() {
        return Ok(false);
    }
    disk.make_again()?;
    tracing::warn!("the folder of stops was deleted; it is made again with all latched stops");
    let content = latch("its file was deleted while the studio ran");
    shared.lock().write_again(&content, Instant::now());
    Ok(true)
}
