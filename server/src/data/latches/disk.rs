//! The folder `stops/`: one file for each latched robot, named by its id.

use super::table::Latch;
use crate::data::{DataError, DataFolder};
use field_files::{sync_folder, write_whole};
use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write as _},
    path::PathBuf,
};

/// The folder `stops/`.
#[derive(Debug)]
pub(super) struct Disk {
    data: DataFolder,
    stops: PathBuf,
}

impl Disk {
    pub(super) fn new(data: &DataFolder) -> Self {
        Self {
            data: data.clone(),
            stops: data.path().join("stops"),
        }
    }

    /// Names of all files. A file is a latch by its name alone. None is opened, so that a damaged file is still a latch and
    /// the start does not depend on their contents.
    pub(super) fn read(&self) -> Result<BTreeSet<Box<str>>, DataError> {
        self.names().map_err(|error| DataError::Io {
            folder: self.data.path().to_owned(),
            action: "read",
            path: self.stops.clone(),
            error,
        })
    }

    fn names(&self) -> io::Result<BTreeSet<Box<str>>> {
        fs::create_dir_all(&self.stops)?;
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(&self.stops)? {
            // An interrupted write leaves a hidden file, which was never a latch.
            if let Some(name) = entry?.file_name().to_str()
                && !name.starts_with('.')
            {
                names.insert(name.into());
            }
        }
        Ok(names)
    }

    /// Writes or removes one file. After a crash either the old or the new state is on disk.
    ///
    /// # Errors
    /// Errors of the operating system; `NotFound` if the folder is missing.
    pub(super) fn update(&self, file: &str, latch: Option<&Latch>) -> io::Result<()> {
        let path = self.stops.join(file);
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
        // The name of a file is durable only after its folder is synced, and the name is the latch.
        sync_folder(&self.stops)
    }

    /// True if the folder was deleted.
    pub(super) fn is_missing(&self) -> bool {
        fs::symlink_metadata(&self.stops)
            .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Makes the folder again after it was deleted.
    pub(super) fn make_again(&self) -> io::Result<()> {
        self.data.make_again(&self.stops)?;
        sync_folder(self.data.path())
    }

    /// Error text with the folder; the same for all files, so that messages can be grouped.
    pub(super) fn explain(&self, error: &io::Error) -> String {
        format!(
            "the data folder cannot be written ({}): {error}",
            self.stops.display()
        )
    }
}
