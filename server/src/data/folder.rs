//! The folder itself, which one studio owns at a time.
//!
//! Two studios in one folder would not see each other's stops. The owner holds a lock of the operating system on a file
//! in the folder, which goes with the process however that ends; the file stays and means nothing by itself.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Name of the locked file. It has the number of the owner's process, for the message to others.
const LOCK: &str = ".studio.lock";
/// A studio that is just ending lets the folder go within this time.
const LET_GO_WITHIN: Duration = Duration::from_millis(500);
/// Pause between two tries to take the lock.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// A data folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The platform names no folder for a program's data.
    #[error("this account has no folder for the data of programs; name one with --data DIR")]
    NoDefault,
    /// Another studio owns it.
    #[error(
        "the data folder {} is in use by another studio{}, and two studios in one folder would not see each other's stops; \
         end that studio, or give this one a folder of its own with --data DIR",
        .folder.display(),
        process(*.pid)
    )]
    InUse {
        /// The data folder.
        folder: PathBuf,
        /// Process id of the owner, if the locked file tells it.
        pid: Option<u32>,
    },
    /// It cannot be made, read or written.
    #[error("the data folder {}: cannot {action} {}: {error}; give another with --data DIR", folder.display(), path.display())]
    Io {
        /// The data folder.
        folder: PathBuf,
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// No thread.
    #[error("cannot start a thread for the data folder: {0}")]
    Thread(io::Error),
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

/// The data folder of this account, as the platform has it: for example `~/.local/share/policy-studio`.
///
/// # Errors
/// [`DataError::NoDefault`] where the platform names none.
pub fn default_folder() -> Result<PathBuf, DataError> {
    dirs::data_dir()
        .map(|folder| folder.join("policy-studio"))
        .ok_or(DataError::NoDefault)
}

/// A data folder that this process owns until the last clone is dropped.
#[derive(Debug, Clone)]
pub struct DataFolder(Arc<Owned>);

#[derive(Debug)]
struct Owned {
    path: PathBuf,
    lock: Mutex<File>,
}

impl DataFolder {
    /// Makes the folder, takes it and tries whether it can be written. Waits half a second for a studio that is ending.
    ///
    /// # Errors
    /// [`DataError::InUse`] while another studio has it; [`DataError::Io`] naming what cannot be done in it.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        fs::create_dir_all(path).map_err(failed(path, "make", path))?;
        let lock = lock(path, LET_GO_WITHIN)?;
        let trial = path.join(format!(".trial-{}", std::process::id()));
        fs::write(&trial, b"").map_err(failed(path, "write", &trial))?;
        fs::remove_file(&trial).map_err(failed(path, "remove", &trial))?;
        Ok(Self(Arc::new(Owned {
            path: path.to_owned(),
            lock: Mutex::new(lock),
        })))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Makes a folder again that was deleted while the studio ran, `below` being this one or one in it. The lock went with
    /// the locked file, so it is taken again: another studio may have come meanwhile.
    ///
    /// # Errors
    /// Those of the operating system, and that another studio owns the folder now.
    pub(super) fn make_again(&self, below: &Path) -> io::Result<()> {
        fs::create_dir_all(below)?;
        let path = self.path();
        let mut held = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_at(&held, &path.join(LOCK)) {
            *held = lock(path, Duration::ZERO).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

/// Whether the open file is still the one of that name.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let (Ok(held), Ok(named)) = (file.metadata(), path.metadata()) else {
        return false;
    };
    (held.dev(), held.ino()) == (named.dev(), named.ino())
}

/// Whether the open file is still the one of that name: elsewhere an open file keeps its name.
#[cfg(not(unix))]
fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

fn failed(folder: &Path, action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DataError {
    let (folder, path) = (folder.to_owned(), path.to_owned());
    move |error| DataError::Io {
        folder,
        action,
        path,
        error,
    }
}

fn lock(folder: &Path, within: Duration) -> Result<File, DataError> {
    let path = folder.join(LOCK);
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(failed(folder, "open", &path))?;
    let until = Instant::now() + within;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                std::thread::sleep(TRY_AGAIN);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(DataError::InUse {
                    folder: folder.to_owned(),
                    pid: owner(&path),
                });
            }
            // Some network drives have no locks; nobody is kept from working there.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                tracing::warn!(
                    "the drive of the data folder {} has no locks: start no second studio on it",
                    folder.display()
                );
                break;
            }
            Err(TryLockError::Error(error)) => return Err(failed(folder, "lock", &path)(error)),
        }
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(failed(folder, "write", &path))?;
    Ok(file)
}

/// The process that the locked file names. Some platforms let nobody read it.
fn owner(path: &Path) -> Option<u32> {
    let mut text = String::new();
    File::open(path)
        .ok()?
        .take(16)
        .read_to_string(&mut text)
        .ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn fresh(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("data-{name}-{}", std::process::id()));
        fs::remove_dir_all(&folder).ok();
        folder
    }

    #[test]
    fn a_folder_has_one_owner_until_its_last_clone_is_gone() {
        let path = fresh("owner");
        let first = DataFolder::open(&path).unwrap();
        let used_by_a_thread = first.clone();
        drop(first);
        let refused = DataFolder::open(&path).unwrap_err();
        assert!(matches!(refused, DataError::InUse { .. }), "{refused}");
        let words = refused.to_string();
        assert!(words.contains(&path.display().to_string()), "{words}");
        assert!(words.contains("--data DIR"), "{words}");
        if cfg!(unix) {
            let process = format!("process {}", std::process::id());
            assert!(words.contains(&process), "{words}");
        }
        drop(used_by_a_thread);
        drop(DataFolder::open(&path).unwrap());
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_studio_that_is_ending_is_waited_for() {
        let path = fresh("ending");
        let first = DataFolder::open(&path).unwrap();
        let ending = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            drop(first);
        });
        drop(DataFolder::open(&path).unwrap());
        ending.join().unwrap();
        fs::remove_dir_all(path).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_deleted_folder_is_made_and_owned_again_unless_another_came() {
        let path = fresh("deleted");
        let first = DataFolder::open(&path).unwrap();
        fs::remove_dir_all(&path).unwrap();
        first.make_again(&path.join("stops")).unwrap();
        assert!(path.join("stops").is_dir());
        assert!(DataFolder::open(&path).is_err(), "it is owned");
        fs::remove_dir_all(&path).unwrap();
        let second = DataFolder::open(&path).unwrap();
        let refused = first.make_again(&path.join("stops")).unwrap_err();
        assert!(refused.to_string().contains("another studio"), "{refused}");
        drop((first, second));
        fs::remove_dir_all(path).unwrap();
    }
}
