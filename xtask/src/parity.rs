//! Builds the goldens' comparison (`tests/parity`) for the browser.

use crate::{
    bundler::Bundler,
    steps::{cargo, step, target_dir},
    tools,
};
use anyhow::Result;
use std::path::PathBuf;

/// Builds the module and returns the folder that a browser can load it from. Dependencies are built as for the page's
/// worker, so that they are compiled once for both.
pub(crate) fn build() -> Result<PathBuf> {
    tools::ensure_wasm_target()?;
    step(
        "building the goldens' comparison for the browser",
        cargo()
            // The native build is an ordinary library.
            .args(["rustc", "--release", "--package", "parity", "--lib"])
            .args(["--crate-type", "cdylib"])
            .args(["--target", tools::WASM_TARGET])
            // As in wasm/build.rs.
            .args(["--", "-C", "link-arg=--export=__wasm_call_ctors"]),
    )?;
    let folder = target_dir().join("parity");
    let module = target_dir()
        .join(tools::WASM_TARGET)
        .join("release/parity.wasm");
    Bundler::build()?.bind(&module, &folder, "parity")?;
    Ok(folder)
}
