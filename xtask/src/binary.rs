//! Builds the server with the page inside, and starts it.

use crate::steps::{cargo, step, target_dir};
use anyhow::{Context as _, Result, bail};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

/// Builds the server with the same package selection as the tests, so that nothing is compiled twice.
pub(crate) fn build() -> Result<PathBuf> {
    step(
        "building policy-studio (the first time takes a while; cargo shows its progress)",
        cargo().args(["build", "--bin", "policy-studio"]),
    )?;
    let binary = target_dir()
        .join("debug")
        .join(format!("policy-studio{}", std::env::consts::EXE_SUFFIX));
    if !binary.is_file() {
        bail!("cargo finished, but {binary:?} does not exist");
    }
    Ok(binary)
}

/// Runs `policy-studio serve`, which prints its address, until it ends.
pub(crate) fn serve(binary: &Path, open: bool, further: &[OsString]) -> Result<()> {
    let mut command = Command::new(binary);
    command.arg("serve");
    if open {
        command.arg("--open");
    }
    let status = command
        .args(further)
        .status()
        .with_context(|| format!("cannot start {binary:?}"))?;
    if !status.success() {
        bail!("policy-studio ended with {status}");
    }
    Ok(())
}
