//! Runs commands as titled, timed steps. An error names the command that failed.

use anyhow::{Context as _, Result, bail};
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

/// The repository's root, independent of the current folder.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The cargo that runs this program, so that toolchain overrides hold in children too.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Cargo's target folder: `CARGO_TARGET_DIR` if set, else `target/` in the repository.
pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || root().join("target"),
        |dir| {
            let dir = PathBuf::from(dir);
            if dir.is_absolute() {
                dir
            } else {
                root().join(dir)
            }
        },
    )
}

/// Prints a title, runs the command with its output visible, and prints the time it took.
pub(crate) fn step(title: &str, command: &mut Command) -> Result<()> {
    eprintln!("\n== {title}");
    let started = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("cannot start {:?}; is it installed?", command.get_program()))?;
    if !status.success() {
        bail!("{title}: {command:?} ended with {status}");
    }
    eprintln!(
        "== {title}: done in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

/// The command's standard output, trimmed, or `None` when it cannot run or fails.
pub(crate) fn output_of(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
