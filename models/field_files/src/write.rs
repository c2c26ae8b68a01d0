//! Files that appear whole or not at all.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Writes the file `path` whole: under another name beside it first, then to the disk, and only then under its own name. A
/// reader, or a run that was killed, never finds half of it, and a full disk leaves what was there before.
///
/// A file of that name is replaced. A link is replaced too, not written through: a data set that came from
/// somebody else may lead anywhere. What is no file, a pipe or a device such as `/dev/stdout`, is written into.
///
/// # Errors
/// Those of the operating system and of `write`.
pub fn write_whole(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    if is_no_file(path) {
        return write(&mut OpenOptions::new().write(true).open(path)?);
    }
    let mut unfinished = Unfinished::beside(path)?;
    write(&mut unfinished.file)?;
    unfinished.file.sync_all()?;
    std::fs::rename(&unfinished.path, path)?;
    unfinished.is_renamed = true;
    // Some drives cannot; the file is there either way unless the power fails in this moment.
    sync_folder(folder_of(path)).ok();
    Ok(())
}

/// Brings the names in a folder to the disk, where folders can be synced: a file is there after a power failure when its
/// content and its name are.
///
/// # Errors
/// Those of the operating system.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// True if the name is one of a pipe or a device, or of what a process has open.
fn is_no_file(path: &Path) -> bool {
    let is_special = path
        .metadata()
        .is_ok_and(|about| !about.is_file() && !about.is_dir());
    is_special
        || path
            .read_link()
            .is_ok_and(|target| target.starts_with("/proc/"))
}

/// A hidden file, removed unless it gets its name.
#[derive(Debug)]
struct Unfinished {
    file: File,
    path: PathBuf,
    is_renamed: bool,
}

impl Unfinished {
    fn beside(path: &Path) -> io::Result<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Of a length of its own: that of `path` may be the longest that a drive takes.
        let name = format!(".{}-{number}.unfinished", std::process::id());
        let path = folder_of(path).join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(Self {
            file: File::create_new(&path)?,
            path,
            is_renamed: false,
        })
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_renamed {
            std::fs::remove_file(&self.path).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::io::Write as _;

    use super::*;

    fn in_folder(name: &str, test: impl FnOnce(&Path)) {
        let folder = std::env::temp_dir().join(format!("write-{}-{name}", std::process::id()));
        std::fs::remove_dir_all(&folder).ok();
        std::fs::create_dir_all(&folder).unwrap();
        test(&folder);
        std::fs::remove_dir_all(folder).unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_there_stays_until_the_new_is_whole() {
        in_folder("whole", |folder| {
            let path = folder.join("a.json");
            write_whole(&path, |file| file.write_all(b"one")).unwrap();
            let failed = write_whole(&path, |file| {
                file.write_all(b"tw")?;
                assert_eq!(std::fs::read(&path).unwrap(), b"one");
                Err(io::Error::other("the disk is full"))
            });
            assert!(failed.unwrap_err().to_string().contains("full"));
            assert_eq!(std::fs::read(&path).unwrap(), b"one");
            assert_eq!(names(folder), ["a.json"]);
            write_whole(&path, |file| file.write_all(b"three")).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"three");
            assert_eq!(names(folder), ["a.json"]);
            assert!(write_whole(&folder.join("none/b"), |_| Ok(())).is_err());
        });
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_replaced_and_a_device_is_written_into() {
        in_folder("links", |folder| {
            let (own, link) = (folder.join("own"), folder.join("link"));
            std::fs::write(&own, "somebody's").unwrap();
            std::os::unix::fs::symlink(&own, &link).unwrap();
            write_whole(&link, |file| file.write_all(b"ours")).unwrap();
            assert_eq!(std::fs::read(&own).unwrap(), b"somebody's");
            assert_eq!(std::fs::read(&link).unwrap(), b"ours");
            assert!(!link.is_symlink());
        });
        write_whole(Path::new("/dev/null"), |file| file.write_all(b"lost")).unwrap();
        assert!(is_no_file(Path::new("/dev/null")));
    }
}
