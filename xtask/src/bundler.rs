//! Binds wasm modules to JavaScript and compresses files, with the program in `xtask/bundler`.

use crate::steps::{cargo, step, target_dir};
use anyhow::Result;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The bundler, built in the profile `tools`: it runs for seconds and is not worth an optimized build.
pub(crate) struct Bundler {
    program: PathBuf,
}

impl Bundler {
    pub(crate) fn build() -> Result<Self> {
        step(
            "building the bundler of the page",
            cargo().args(["build", "--profile", "tools", "--package", "bundler"]),
        )?;
        let program = target_dir()
            .join("tools")
            .join(format!("bundler{}", std::env::consts::EXE_SUFFIX));
        Ok(Self { program })
    }

    /// Writes `folder/name.js` and `folder/name_bg.wasm`.
    pub(crate) fn bind(&self, module: &Path, folder: &Path, name: &str) -> Result<()> {
        step(
            &format!("binding {name}"),
            Command::new(&self.program)
                .arg("bind")
                .args([module, folder])
                .arg(name),
        )
    }

    /// Writes `file.br` beside every file and prints the sizes.
    pub(crate) fn compress(&self, files: &[PathBuf]) -> Result<()> {
        step(
            "compressing the page",
            Command::new(&self.program).arg("compress").args(files),
        )
    }
}
