//! Finds the tools of the build and installs the missing ones: rustup for the wasm target, cargo for
//! trunk and wasm-bindgen, and for the tests the system's package manager and npm.

use crate::steps::{cargo, output_of, root, step};
use anyhow::{Context as _, Result, bail};
use std::{path::PathBuf, process::Command};

const WASM_TARGET: &str = "wasm32-unknown-unknown";
/// Newest that builds with the pinned toolchain.
const TRUNK: &str = "0.21.14";

/// Everything that building the page takes.
pub(crate) fn ensure_for_page() -> Result<()> {
    ensure_wasm_target()?;
    ensure_installed("trunk", TRUNK, true)?;
    // The command line tool and the crate must be of one version to the last digit.
    ensure_installed("wasm-bindgen", &locked_version("wasm-bindgen")?, false)
}

fn ensure_wasm_target() -> Result<()> {
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

fn ensure_installed(program: &str, version: &str, locked: bool) -> Result<()> {
    let found = output_of(Command::new(program).arg("--version")).unwrap_or_default();
    if found.split_whitespace().any(|word| word == version) {
        return Ok(());
    }
    let package = if program == "wasm-bindgen" {
        "wasm-bindgen-cli"
    } else {
        program
    };
    let mut install = cargo();
    install.args(["install", package, "--version", version, "--force"]);
    if locked {
        install.arg("--locked");
    }
    // Link-time optimisation would double the wait for a tool that runs for seconds.
    install
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env_remove("CARGO_TARGET_DIR");
    step(
        &format!("installing {package} {version} (a few minutes, once)"),
        &mut install,
    )
}

/// The version of a crate in Cargo.lock.
fn locked_version(name: &str) -> Result<String> {
    let lock =
        std::fs::read_to_string(root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let mut lines = lock.lines();
    while let Some(line) = lines.next() {
        if line == format!("name = \"{name}\"")
            && let Some(version) = lines.next().and_then(|l| l.strip_prefix("version = \""))
        {
            return Ok(version.trim_end_matches('"').to_owned());
        }
    }
    bail!("Cargo.lock has no {name}; run `cargo metadata` to bring it up to date")
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

/// ffmpeg with ffprobe: the scorer reads videos with them, and its tests make some.
pub(crate) fn ensure_ffmpeg() -> Result<()> {
    let there = |program: &str| output_of(Command::new(program).arg("-version")).is_some();
    if there("ffmpeg") && there("ffprobe") {
        return Ok(());
    }
    apt_install("ffmpeg", &["ffmpeg"])
        .context("the tests of videos need ffmpeg and ffprobe on the PATH")
}

/// Installs Debian packages.
fn apt_install(what: &str, packages: &[&str]) -> Result<()> {
    if output_of(Command::new("apt-get").arg("--version")).is_none() {
        bail!("{what} cannot be installed from here: there is no apt-get");
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
