//! Builds the server with the page inside, and starts it.

use crate::steps::{cargo, step, target_dir};
use anyhow::{Context as _, Result, bail};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

/// Builds with the same package selection as the tests, so that nothing is compiled twice.
pub(crate) fn build() -> Result<PathBuf> {
    step(
        "building policy-studio (the first time takes a while; cargo shows how far it is)",
        cargo().args(["build", "--bin", "policy-studio"]),
    )?;
    let binary = target_dir()
        .join("debug")
        .join(format!("policy-studio{}", std::env::consts::EXE_SUFFIX));
    if !binary.is_file() {
        bail!("cargo finished, but {binary:?} is not there");
    }
    Ok(binary)
}

/// Runs `policy-studio serve` until it ends; it prints its own address.
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
