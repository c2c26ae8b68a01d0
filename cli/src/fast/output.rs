//! A file that appears whole or not at all.

use anyhow::{Context as _, bail};
use std::path::{Path, PathBuf};

/// A file to be written. Until [`Output::write`] has succeeded there is none of that name, not even an older one.
#[derive(Debug)]
pub(super) struct Output(PathBuf);

impl Output {
    /// Removes an older file of that name. Call it before anything can fail.
    pub(super) fn begin(path: &Path, inputs: &[&Path]) -> anyhow::Result<Self> {
        path.file_name()
            .with_context(|| format!("--out {} names no file", path.display()))?;
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
            Ok(_) => bail!("--out {} exists and is no plain file", path.display()),
            Err(_) => {}
        }
        Ok(Self(path.to_owned()))
    }

    /// Writes the file by a function that does so whole or not at all.
    pub(super) fn write(
        &self,
        write: impl FnOnce(&Path) -> std::io::Result<()>,
    ) -> anyhow::Result<()> {
        let Self(path) = self;
        write(path).with_context(|| format!("cannot write {}", path.display()))
    }
}
