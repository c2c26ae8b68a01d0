//! Finds the tools of the build and installs the missing ones: rustup for the wasm target, and for the tests the
//! system's package manager and npm.

use crate::steps::{output_of, root, step};
use anyhow::{Context as _, Result, bail};
use std::{path::PathBuf, process::Command};

/// Compilation target of the page.
pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// Adds the standard library for the browser if it is missing.
pub(crate) fn ensure_wasm_target() -> Result<()> {
    let sysroot = output_of(
        Command::new("rustc")
            .args(["--print", "sysroot"])
            .current_dir(root()),
    )
    .context("rustc does not run; install Rust with rustup first")?;
    let library = PathBuf::from(sysroot)
        .join("lib/rustlib")
        .join(WASM_TARGET)
        .join("lib");
    if library.is_dir() {
        return Ok(());
    }
    step(
        "installing the wasm target",
        Command::new("rustup")
            .args(["target", "add", WASM_TARGET])
            .current_dir(root()),
    )
    .context("the wasm32-unknown-unknown target is missing and rustup could not add it")
}

/// A Chromium to test with: `CHROMIUM` if set, else the usual names, else Debian's package.
pub(crate) fn ensure_chromium() -> Result<PathBuf> {
    if let Some(found) = find_chromium() {
        return Ok(found);
    }
    apt_install(
        "Chromium and its driver",
        &["chromium", "chromium-driver", "libvulkan1"],
    )
    .context("no Chromium found: install Chromium or Chrome, or set CHROMIUM to its path")?;
    find_chromium()
        .context("Chromium was installed but is not on the PATH; set CHROMIUM to its path")
}

/// ffmpeg with ffprobe. The scorer reads videos with them, and its tests create some.
pub(crate) fn ensure_ffmpeg() -> Result<()> {
    let runs = |program: &str| output_of(Command::new(program).arg("-version")).is_some();
    if runs("ffmpeg") && runs("ffprobe") {
        return Ok(());
    }
    apt_install("ffmpeg", &["ffmpeg"])
        .context("the tests of videos need ffmpeg and ffprobe on the PATH")
}

/// Installs Debian packages.
fn apt_install(what: &str, packages: &[&str]) -> Result<()> {
    if output_of(Command::new("apt-get").arg("--version")).is_none() {
        bail!("{what} cannot be installed automatically: there is no apt-get");
    }
    let sudo = output_of(Command::new("id").arg("-u")).is_some_and(|uid| uid != "0");
    let apt = |arguments: &[&str]| {
        let mut command = Command::new(if sudo { "sudo" } else { "apt-get" });
        if sudo {
            command.arg("apt-get");
        }
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    step("refreshing the package list", &mut apt(&["update", "-q"]))?;
    let install = [&["install", "-y", "-q"], packages].concat();
    step(&format!("installing {what}"), &mut apt(&install))
}

fn find_chromium() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("CHROMIUM") {
        return Some(PathBuf::from(path));
    }
    [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ]
    .iter()
    .find_map(|name| output_of(Command::new("which").arg(name)))
    .map(PathBuf::from)
}

/// The node packages of the browser journeys.
pub(crate) fn ensure_node_packages() -> Result<()> {
    let folder = root().join("tests/browser");
    let wanted = folder.join("package-lock.json");
    let stamp = folder.join("node_modules/.package-lock.json");
    let modified = |path: &PathBuf| std::fs::metadata(path).and_then(|m| m.modified()).ok();
    if modified(&stamp).is_some() && modified(&stamp) >= modified(&wanted) {
        return Ok(());
    }
    step(
        "installing the browser tests' node packages",
        Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund"])
            .current_dir(&folder),
    )
    .context("the browser tests need Node.js 20 or later with npm")
}
