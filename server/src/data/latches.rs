//! Latched stops by robot id: in memory for every question, on disk for the next run of the studio.
//!
//! A latch is never evicted: neither other robots nor a restart make the studio forget that a robot was stopped.
//! One thread writes. It brings the files of the ids that changed in line with the memory, so that the order of a
//! stop and a release that follow each other fast does not matter, and what could not be written is tried again.

use super::DataError;
use field_files::{sync_folder, write_whole};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::watch;

/// A disk that takes longer than this for a latch is reported.
const DISK_WITHIN: Duration = Duration::from_millis(800);
/// Pause before a failed write is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Robots that can be latched at once; beyond it, robots of further names are refused.
pub(crate) const MAX_LATCHES: usize = 65_536;
/// Longest reason that is kept, in bytes.
const MAX_REASON_BYTES: usize = 2_000;

/// One latched stop, as its file has it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Latch {
    /// Who or what stopped the robot.
    #[serde(default)]
    reason: String,
    /// Seconds since 1970, UTC.
    #[serde(default)]
    stopped_at_unix_secs: u64,
}

#[derive(Debug, Default)]
struct State {
    latched: BTreeMap<String, Latch>,
    /// Ids whose file may differ from the memory.
    changed: BTreeSet<String>,
    /// Counts changes.
    change: u64,
    closed: bool,
}

/// How far the disk is behind the memory.
#[derive(Debug, Clone, Default)]
struct Written {
    /// The last change that is on disk.
    change: u64,
    /// The last change that was tried.
    tried: u64,
    /// Why later ones are not.
    error: Option<String>,
}

/// The table of latched stops.
#[derive(Debug)]
pub(crate) struct Latches {
    shared: Arc<Shared>,
    written: watch::Receiver<Written>,
}

#[derive(Debug)]
struct Shared {
    folder: Option<PathBuf>,
    state: Mutex<State>,
    woken: Condvar,
}

/// A change of the table, to wait for until it is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[must_use]
pub(crate) struct Change(u64);

impl Latches {
    /// Reads what the studio before left in `stops/` of the data folder. Without a folder latches end with the process.
    ///
    /// # Errors
    /// [`DataError`] when the folder cannot be made or listed: a studio that does not know which robots are stopped
    /// must not serve any.
    pub(crate) fn open(data: Option<&Path>) -> Result<Self, DataError> {
        let folder = data.map(|data| data.join("stops"));
        let latched = match &folder {
            Some(folder) => read(folder).map_err(|error| DataError::Io {
                folder: data.unwrap_or(folder).to_owned(),
                action: "read",
                path: folder.clone(),
                error,
            })?,
            None => BTreeMap::new(),
        };
        let shared = Arc::new(Shared {
            folder,
            state: Mutex::new(State {
                latched,
                ..State::default()
            }),
            woken: Condvar::new(),
        });
        let (tell, written) = watch::channel(Written::default());
        if shared.folder.is_some() {
            std::thread::Builder::new()
                .name("latches".to_owned())
                .spawn({
                    let shared = shared.clone();
                    move || write_changes(&shared, &tell)
                })
                .map_err(DataError::Thread)?;
        }
        Ok(Self { shared, written })
    }

    /// Whether a stop of this robot is latched: here, or by another studio of the same data folder.
    ///
    /// An id has letters, digits, `-` and `_` alone; anything else is no robot and no file name.
    pub(crate) fn is_latched(&self, robot_id: &str) -> bool {
        let is_id = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if robot_id.is_empty() || !robot_id.chars().all(is_id) {
            return false;
        }
        if self.shared.lock().latched.contains_key(robot_id) {
            return true;
        }
        let on_disk = |folder: &PathBuf| folder.join(robot_id).is_file();
        // A release that is not on disk yet is newer than the file.
        let is_changing = self.shared.lock().changed.contains(robot_id);
        !is_changing && self.shared.folder.as_ref().is_some_and(on_disk)
    }

    /// Whether robots of further names can still be latched.
    pub(crate) fn is_full(&self) -> bool {
        self.shared.lock().latched.len() >= MAX_LATCHES
    }

    /// Latches a robot. Never waits for the disk.
    pub(crate) fn latch(&self, robot_id: &str, reason: &str) -> Change {
        let stopped_at = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut kept = reason.to_owned();
        kept.truncate(kept.floor_char_boundary(MAX_REASON_BYTES));
        self.change(robot_id, |latched| {
            latched.insert(
                robot_id.to_owned(),
                Latch {
                    reason: kept,
                    stopped_at_unix_secs: stopped_at.map_or(0, |at| at.as_secs()),
                },
            );
        })
    }

    /// Ends a latch. Never waits for the disk.
    pub(crate) fn release(&self, robot_id: &str) -> Change {
        self.change(robot_id, |latched| {
            latched.remove(robot_id);
        })
    }

    fn change(&self, robot_id: &str, apply: impl FnOnce(&mut BTreeMap<String, Latch>)) -> Change {
        let mut state = self.shared.lock();
        apply(&mut state.latched);
        state.changed.insert(robot_id.to_owned());
        state.change += 1;
        let change = Change(state.change);
        drop(state);
        self.shared.woken.notify_one();
        change
    }

    /// Waits until a change, or without one every change so far, is on disk.
    ///
    /// # Errors
    /// Why it is not, in words; the change holds in memory, and writing it is tried again.
    pub(crate) async fn on_disk(&self, change: Option<Change>) -> Result<(), String> {
        let change = change.unwrap_or_else(|| Change(self.shared.lock().change));
        if self.shared.folder.is_none() {
            return Err("this studio runs without a data folder".to_owned());
        }
        let mut written = self.written.clone();
        let waited = tokio::time::timeout(DISK_WITHIN, async {
            loop {
                {
                    let now = written.borrow_and_update();
                    if now.change >= change.0 {
                        return Ok(());
                    }
                    // An error from before this change says nothing about it.
                    if let Some(error) = now.error.as_ref().filter(|_| now.tried >= change.0) {
                        return Err(error.clone());
                    }
                }
                if written.changed().await.is_err() {
                    return Err("the thread that writes the data folder has ended".to_owned());
                }
            }
        });
        waited.await.unwrap_or_else(|_| {
            Err(format!(
                "the disk of the data folder did not answer within {} ms",
                DISK_WITHIN.as_millis()
            ))
        })
    }
}

impl Drop for Latches {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.woken.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every latch in the folder. A file whose content is damaged is a latch all the same: its name says which robot.
fn read(folder: &Path) -> io::Result<BTreeMap<String, Latch>> {
    fs::create_dir_all(folder)?;
    let mut latched = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        // A write that was interrupted leaves a hidden file, which was never a latch.
        let Some(robot_id) = name.to_str().filter(|name| !name.starts_with('.')) else {
            continue;
        };
        if latched.len() >= MAX_LATCHES {
            return Err(io::Error::other(format!(
                "more than {MAX_LATCHES} latched robots"
            )));
        }
        let latch = File::open(entry.path())
            .map(io::BufReader::new)
            .ok()
            .and_then(|file| serde_json::from_reader(io::Read::take(file, 64 << 10)).ok())
            .unwrap_or_else(|| Latch {
                reason: "stopped before the studio was started".to_owned(),
                stopped_at_unix_secs: 0,
            });
        latched.insert(robot_id.to_owned(), latch);
    }
    Ok(latched)
}

/// Brings files in line with the memory until the table is dropped.
fn write_changes(shared: &Shared, tell: &watch::Sender<Written>) {
    let Some(folder) = &shared.folder else { return };
    let mut failed = BTreeSet::new();
    loop {
        let (mut ids, change) = {
            let mut state = shared.lock();
            while state.changed.is_empty() && !state.closed {
                if failed.is_empty() {
                    state = shared
                        .woken
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                } else {
                    let (again, waited) = shared
                        .woken
                        .wait_timeout(state, RETRY)
                        .unwrap_or_else(PoisonError::into_inner);
                    state = again;
                    if waited.timed_out() {
                        break;
                    }
                }
            }
            if state.closed && state.changed.is_empty() {
                return;
            }
            (state.changed.clone(), state.change)
        };
        ids.append(&mut failed);
        let mut error = None;
        for robot_id in ids {
            let latch = shared.lock().latched.get(&robot_id).cloned();
            match bring_in_line(folder, &robot_id, latch.as_ref()) {
                Ok(()) => {
                    let mut state = shared.lock();
                    // It may have changed again meanwhile; then its turn comes again.
                    if state.latched.get(&robot_id) == latch.as_ref() {
                        state.changed.remove(&robot_id);
                    }
                }
                Err(why) => {
                    error = Some(format!(
                        "the data folder cannot be written ({}): {why}",
                        folder.display()
                    ));
                    shared.lock().changed.remove(&robot_id);
                    failed.insert(robot_id);
                }
            }
        }
        if let Some(error) = &error {
            tracing::error!("a stop or its release is not on disk: {error}");
        }
        tell.send_modify(|written| {
            if error.is_none() {
                written.change = change;
            }
            written.tried = change;
            written.error = error;
        });
    }
}

/// Writes or removes one file, such that after a crash either the old or the new state is there.
fn bring_in_line(folder: &Path, robot_id: &str, latch: Option<&Latch>) -> io::Result<()> {
    let path = folder.join(robot_id);
    match latch {
        Some(latch) => {
            let text = serde_json::to_vec(latch)?;
            write_whole(&path, |file| file.write_all(&text))?;
        }
        None => match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        },
    }
    // The name of a file is on disk only when its folder is; of a stop that has to be known.
    sync_folder(folder)
}

#[cfg(test)]
mod tests;
