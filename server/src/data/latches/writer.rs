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
    time::Instant,
};
use tokio::sync::watch;

/// Writes until the table is closed.
pub(super) fn run(shared: &Shared, disk: &Disk, tell: &watch::Sender<()>, part: &Arc<Part>) {
    let _alive = part.thread();
    while let Some(job) = next(shared) {
        let outcome = {
            let _work = part.work("writing to the data folder");
            write(shared, disk, &job)
        };
        let outcome = outcome.map_err(|error| disk.explain(&error));
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
}

/// Waits for the next file to bring in line; none when there will be none.
fn next(shared: &Shared) -> Option<Job> {
    let mut table = shared.lock();
    loop {
        let left = match table.next(Instant::now()) {
            Next::Write(job) => return Some(job),
            Next::End => return None,
            Next::Wait(left) => left,
        };
        table = match left {
            Some(left) => {
                let woken = shared.woken.wait_timeout(table, left);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
            None => {
                let woken = shared.woken.wait(table);
                woken.unwrap_or_else(PoisonError::into_inner)
            }
        };
    }
}

/// Brings one file in line. A folder that was deleted is made again, and everything that was in it.
fn write(shared: &Shared, disk: &Disk, job: &Job) -> io::Result<()> {
    let first = disk.bring_in_line(&job.file, job.wanted.as_ref());
    if first.is_ok() || !disk.is_missing() {
        return first;
    }
    disk.make_again()?;
    tracing::warn!("the folder of stops was deleted; it is made again, and the stops in it");
    let gone = latch("its file was deleted while the studio ran");
    shared.lock().write_again(&gone, Instant::now());
    disk.bring_in_line(&job.file, job.wanted.as_ref())
}
