//! Every check and test. The continuous integration calls nothing else.

use crate::{
    binary, page, parity,
    steps::{cargo, root, step},
    tools,
};
use anyhow::Result;
use clap::ValueEnum;
use std::process::Command;

/// A part of the suite that can be run alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Formatting and lints.
    Lint,
    /// Rust tests.
    Rust,
    /// Journeys in a real browser against the real binary.
    Browser,
}

pub(crate) fn run(part: Option<Part>) -> Result<()> {
    let wanted = |p| part.is_none() || part == Some(p);
    if wanted(Part::Lint) {
        lint()?;
    }
    if wanted(Part::Rust) || wanted(Part::Browser) {
        // The binary embeds the page, so the page comes first or everything is linked twice.
        page::build(false)?;
    }
    if wanted(Part::Rust) {
        tools::ensure_ffmpeg()?;
        step("rust tests", cargo().args(["test", "--no-fail-fast"]))?;
        step(
            "page logic tests",
            cargo().args(["test", "--package", "studio-page"]),
        )?;
    }
    if wanted(Part::Browser) {
        browser()?;
    }
    Ok(())
}

pub(crate) fn lint() -> Result<()> {
    step("formatting", cargo().args(["fmt", "--all", "--check"]))?;
    step(
        "lints, native",
        cargo().args(["clippy", "--all-targets", "--", "--deny", "warnings"]),
    )
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
