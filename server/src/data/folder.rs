//! The data folder, which one studio owns at a time.
//!
//! Two studios in one folder would not see each other's stops. The owner holds a lock of the operating system on a file in
//! the folder. The lock ends with the process in any case; the file stays and has no meaning without the lock.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Name of the locked file. It contains the owner's process id, for error messages.
const LOCK: &str = ".studio.lock";
/// Longest wait for a studio that is just ending to release the folder.
const RELEASE_WITHIN: Duration = Duration::from_millis(500);
/// Pause between two attempts to take the lock.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// A data folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The platform defines no folder for the data of programs.
    #[error("this account has no folder for the data of programs; name one with --data DIR")]
    NoDefault,
    /// Another studio owns the folder.
    #[error(
        "the data folder {} is in use by another studio{}, and two studios in one folder would not see each other's stops; \
         end that studio, or give this one another folder with --data DIR",
        .folder.display(),
        process(*.pid)
    )]
    InUse {
        /// The data folder.
        folder: PathBuf,
        /// Process id of the owner, if the locked file contains it.
        pid: Option<u32>,
    },
    /// The folder cannot be made, read or written.
    #[error("the data folder {}: cannot {action} {}: {error}; give another with --data DIR", folder.display(), path.display())]
    Io {
        /// The data folder.
        folder: PathBuf,
        /// The operation that failed, as a verb.
        action: &'static str,
        /// The path of the operation.
        path: PathBuf,
        /// Error of the operating system.
        error: io::Error,
    },
    /// A thread cannot be started.
    #[error("cannot start a thread for the data folder: {0}")]
    Thread(io::Error),
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

/// Returns the data folder of this account by the rules of the platform: for example `~/.local/share/policy-studio`.
///
/// # Errors
/// [`DataError::NoDefault`] if the platform defines none.
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
    /// Makes the folder, locks it and checks that it can be written. Waits half a second for a studio that is ending.
    ///
    /// # Errors
    /// [`DataError::InUse`] while another studio owns it; [`DataError::Io`] with the operation that failed.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        fs::create_dir_all(path).map_err(failed(path, "make", path))?;
        let lock = lock(path, RELEASE_WITHIN)?;
        let trial = path.join(format!(".trial-{}", std::process::id()));
        fs::write(&trial, b"").map_err(failed(path, "write", &trial))?;
        fs::remove_file(&trial).map_err(failed(path, "remove", &trial))?;
        Ok(Self(Arc::new(Owned {
            path: path.to_owned(),
            lock: Mutex::new(lock),
        })))
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Makes a folder again that was deleted while the studio ran: `below`, which is the data folder or a folder in it. The
    /// lock was lost with the locked file, so it is taken again; another studio may have taken the folder meanwhile.
    ///
    /// # Errors
    /// Errors of the operating system, or of another studio that owns the folder now.
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

/// True if the open file is still the file at this path.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let (Ok(held), Ok(named)) = (file.metadata(), path.metadata()) else {
        return false;
    };
    (held.dev(), held.ino()) == (named.dev(), named.ino())
}

/// True if the open file is still the file at this path: on these platforms an open file cannot be replaced.
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
                std::thread::sleep(RETRY_PAUSE);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(DataError::InUse {
                    folder: folder.to_owned(),
                    pid: owner(&path),
                });
            }
            // Some network drives have no locks; the studio must run there too.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                tracing::warn!(
                    "the drive of the data folder {} has no file locks, so do not start a second studio on it",
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

/// Process id in the locked file. Some platforms do not allow reading it.
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
        let message = refused.to_string();
        assert!(message.contains(&path.display().to_string()), "{message}");
        assert!(message.contains("--data DIR"), "{message}");
        if cfg!(unix) {
            let process = format!("process {}", std::process::id());
            assert!(message.contains(&process), "{message}");
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
