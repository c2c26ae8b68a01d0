//! Every check and test. Continuous integration runs nothing else.

use crate::{
    binary, page, parity,
    steps::{cargo, root, step},
    tools,
};
use anyhow::Result;
use std::{
    process::Command,
    time::{Duration, Instant},
};

/// A part of the suite that can be run alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Formatting, lints and documentation.
    Lint,
    /// Rust tests, including those in documentation and the examples.
    Rust,
    /// Journeys in a real browser against the real binary.
    Browser,
}

impl Part {
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        match name {
            "lint" => Ok(Self::Lint),
            "rust" => Ok(Self::Rust),
            "browser" => Ok(Self::Browser),
            _ => Err("a part is lint, rust or browser".to_owned()),
        }
    }
}

/// Runs one part or all of them. Tests of the code come first: on a machine with nothing built they take longest, and a
/// time limit (`begin_within`) must not leave them out.
pub(crate) fn run(part: Option<Part>, begin_within: Option<Duration>) -> Result<()> {
    let started = Instant::now();
    let wanted = |p| part.is_none() || part == Some(p);
    let begins = |title: &str| {
        let is_late = begin_within.is_some_and(|limit| started.elapsed() > limit);
        if is_late {
            eprintln!(
                "\n== {title}: LEFT OUT, because {:.0} minutes had passed; run again, now that everything is built",
                started.elapsed().as_secs_f64() / 60.0
            );
        }
        !is_late
    };
    if wanted(Part::Lint) {
        step("formatting", cargo().args(["fmt", "--all", "--check"]))?;
    }
    if wanted(Part::Rust) || wanted(Part::Browser) {
        // The binary embeds the page, so the page is built first. Otherwise everything would be linked twice.
        page::build(false)?;
    }
    if wanted(Part::Rust) {
        tools::ensure_ffmpeg()?;
        step(
            "rust tests",
            workspace(&mut cargo(), "test").arg("--no-fail-fast"),
        )?;
    }
    if wanted(Part::Lint) && begins("lints and documentation") {
        lints_and_documentation()?;
    }
    if wanted(Part::Browser) && begins("browser journeys") {
        browser()?;
    }
    Ok(())
}

/// Selects every package that is compiled with the workspace's features. The page and the worker are included: the crates
/// that they share with others are compiled anyway, and their logic has tests that need no browser.
fn workspace<'a>(command: &'a mut Command, verb: &str) -> &'a mut Command {
    command.args([verb, "--workspace", "--exclude", "bundler"])
}

/// Formatting, lints and documentation.
pub(crate) fn lint() -> Result<()> {
    run(Some(Part::Lint), None)
}

/// Each step uses a profile, a target and a selection of packages that another step or the build uses too, so that no
/// dependency is compiled for it alone. The exception is lints for the browser, which need the dependencies' types once.
fn lints_and_documentation() -> Result<()> {
    step(
        "lints, native",
        denying(workspace(&mut cargo(), "clippy").arg("--all-targets")),
    )?;
    tools::ensure_wasm_target()?;
    // This also lints the workspace crates that they use.
    for package in ["studio-page", "studio-worker"] {
        step(
            &format!("lints, {package} in the browser"),
            denying(
                cargo()
                    .args(["clippy", "--release", "--target", tools::WASM_TARGET])
                    .args(["--package", package])
                    .env("CLIPPY_CONF_DIR", root().join(".config/wasm")),
            ),
        )?;
    }
    step(
        "lints, the bundler of the page",
        denying(cargo().args(["clippy", "--profile", "tools", "--package", "bundler"])),
    )?;
    step(
        "documentation",
        workspace(&mut cargo(), "doc")
            .arg("--no-deps")
            .env("RUSTDOCFLAGS", "--deny warnings"),
    )
}

fn denying(command: &mut Command) -> &mut Command {
    command.args(["--", "--deny", "warnings"])
}

fn browser() -> Result<()> {
    let chromium = tools::ensure_chromium()?;
    tools::ensure_ffmpeg()?;
    tools::ensure_node_packages()?;
    let binary = binary::build()?;
    let parity = parity::build()?;
    step(
        "browser journeys",
        Command::new("node")
            .args(["--test", "--test-concurrency=1", "journeys/"])
            .current_dir(root().join("tests/browser"))
            .env("CHROMIUM", chromium)
            .env("POLICY_STUDIO", binary)
            .env("PARITY", parity),
    )
}
