//! The thread that brings the folder in line with the table.
//!
//! The order of a stop and a release that follow each other fast does not matter: each file becomes what the table says
//! when its turn comes.

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

/// A folder that was deleted is noticed within this time, with nothing to write too.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What to do next.
enum Turn {
    Write(Job),
    /// See whether the folder is there.
    Look,
    End,
}

/// Writes until the table is closed.
pub(super) fn run(shared: &Shared, disk: &Disk, tell: &watch::Sender<()>, part: &Arc<Part>) {
    let _alive = part.thread();
    let mut look_at = Instant::now() + LOOK_EVERY;
    let mut is_told = false;
    loop {
        match turn(shared, look_at) {
            Turn::Write(job) => {
                let work = part.work("writing to the data folder");
                let outcome = write(shared, disk, &job).map_err(|error| disk.explain(&error));
                drop(work);
                let error = outcome.as_ref().err().cloned();
                let is_news = shared.lock().tried(&job, outcome, Instant::now());
                tell.send_replace(());
                if let (Some(error), true) = (error, is_news) {
                    tracing::error!(
                        "a stop or its release ({}) is not on disk: {error}",
                        job.file
                    );
                }
            }
            Turn::Look => {
                let work = part.work("looking at the data folder");
                let seen = restore(shared, disk);
                drop(work);
                if let (Err(error), false) = (&seen, is_told) {
                    tracing::error!("stops are not on disk: {}", disk.explain(error));
                }
                is_told = seen.is_err();
                look_at = Instant::now() + LOOK_EVERY;
            }
            Turn::End => return,
        }
    }
}

/// Waits for something to do.
fn turn(shared: &Shared, look_at: Instant) -> Turn {
    let mut table = shared.lock();
    loop {
        let now = Instant::now();
        let left = match table.next(now) {
            Next::Write(job) => return Turn::Write(job),
            Next::End => return Turn::End,
            Next::Wait(left) => left,
        };
        let until_look = look_at.saturating_duration_since(now);
        if until_look.is_zero() {
            return Turn::Look;
        }
        let left = left.map_or(until_look, |left| left.min(until_look));
        let woken = shared.woken.wait_timeout(table, left);
        table = woken.unwrap_or_else(PoisonError::into_inner).0;
    }
}

/// Brings one file in line, and the folder before if it is missing.
fn write(shared: &Shared, disk: &Disk, job: &Job) -> io::Result<()> {
    let first = disk.bring_in_line(&job.file, job.wanted.as_ref());
    if first.is_ok() || !restore(shared, disk)? {
        return first;
    }
    disk.bring_in_line(&job.file, job.wanted.as_ref())
}

/// Makes the folder again if it was deleted, and lets everything that was in it be written again. Whether it was.
fn restore(shared: &Shared, disk: &Disk) -> io::Result<bool> {
    if !disk.is_missing() {
        return Ok(false);
    }
    disk.make_again()?;
    tracing::warn!("the folder of stops was deleted; it is made again, and the stops in it");
    let gone = latch("its file was deleted while the studio ran");
    shared.lock().write_again(&gone, Instant::now());
    Ok(true)
}
