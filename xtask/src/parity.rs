//! Builds the goldens' comparison (`tests/parity`) for the browser.

use crate::{
    steps::{cargo, step, target_dir},
    tools,
};
use anyhow::Result;
use std::{path::PathBuf, process::Command};

/// Builds the module, its dependencies as the page's worker has them, so that they are compiled once for both; gives
/// the folder that a browser can load it from.
pub(crate) fn build() -> Result<PathBuf> {
    tools::ensure_for_page()?;
    step(
        "building the goldens' comparison for the browser",
        cargo()
            // Natively it is an ordinary library.
            .args(["rustc", "--release", "--package", "parity", "--lib"])
            .args(["--crate-type", "cdylib"])
            .args(["--target", "wasm32-unknown-unknown"])
            // As in wasm/build.rs.
            .args(["--", "-C", "link-arg=--export=__wasm_call_ctors"])
            .env("CARGO_TARGET_DIR", target_dir()),
    )?;
    let folder = target_dir().join("parity");
    step(
        "binding it",
        Command::new("wasm-bindgen")
            .args(["--target", "web", "--no-typescript", "--out-name", "parity"])
            .arg("--out-dir")
            .arg(&folder)
            .arg(target_dir().join("wasm32-unknown-unknown/release/parity.wasm")),
    )?;
    Ok(folder)
}
