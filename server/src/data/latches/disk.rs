//! The folder `stops/`: one file for each latched robot, with its id as the name.

use super::table::Latch;
use crate::data::{DataError, DataFolder};
use field_files::{sync_folder, write_whole};
use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write as _},
    path::PathBuf,
};

/// The folder.
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

    /// Names of the files, however many there are. A file is a latch by its name alone, whatever its content: nothing is
    /// opened, so that none can be too damaged or take too long.
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
            // A write that was interrupted leaves a hidden file, which was never a latch.
            if let Some(name) = entry?.file_name().to_str()
                && !name.starts_with('.')
            {
                names.insert(name.into());
            }
        }
        Ok(names)
    }

    /// Writes or removes one file, such that after a crash either the old or the new state is there.
    ///
    /// # Errors
    /// Those of the operating system; `NotFound` when the folder is missing.
    pub(super) fn bring_in_line(&self, file: &str, latch: Option<&Latch>) -> io::Result<()> {
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
        // The name of a file is on disk only when its folder is; of a stop that has to be known.
        sync_folder(&self.stops)
    }

    /// Whether the folder was deleted.
    pub(super) fn is_missing(&self) -> bool {
        fs::symlink_metadata(&self.stops)
            .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Makes the folder again after it was deleted.
    pub(super) fn make_again(&self) -> io::Result<()> {
        self.data.make_again(&self.stops)?;
        sync_folder(self.data.path())
    }

    /// An error with the folder that it is about, the same for all files.
    pub(super) fn explain(&self, error: &io::Error) -> String {
        format!(
            "the data folder cannot be written ({}): {error}",
            self.stops.display()
        )
    }
}
