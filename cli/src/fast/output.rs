//! Output files that are written atomically.

use anyhow::{Context as _, bail};
use std::path::{Path, PathBuf};

/// An output file. Until [`Output::write`] has succeeded, no file of that name exists, not even an older one.
#[derive(Debug)]
pub(super) struct Output(PathBuf);

impl Output {
    /// Removes an existing file of that name. Must be called before anything can fail, so that no older result remains
    /// after a failure.
    pub(super) fn begin(path: &Path, inputs: &[&Path]) -> anyhow::Result<Self> {
        path.file_name()
            .with_context(|| format!("--out {} is not a file name", path.display()))?;
        for input in inputs {
            if let (Ok(input), Ok(output)) = (input.canonicalize(), path.canonicalize())
                && input == output
            {
                bail!("--out {} is also an input", path.display());
            }
        }
        match path.symlink_metadata() {
            Ok(found) if found.is_file() || found.is_symlink() => std::fs::remove_file(path)
                .with_context(|| format!("cannot replace {}", path.display()))?,
            Ok(_) => bail!("--out {} exists and is not a regular file", path.display()),
            Err(_) => {}
        }
        Ok(Self(path.to_owned()))
    }

    /// Writes the file with `write`, which must do so atomically.
    pub(super) fn write(
        &self,
        write: impl FnOnce(&Path) -> std::io::Result<()>,
    ) -> anyhow::Result<()> {
        let Self(path) = self;
        write(path).with_context(|| format!("cannot write {}", path.display()))
    }
}
