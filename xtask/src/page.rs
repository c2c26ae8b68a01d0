//! Builds the page and the worker into `dist/` with trunk, and compresses what is large.

use crate::{
    steps::{root, step, target_dir},
    tools,
};
use anyhow::{Context as _, Result};
use std::{
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

/// What the page is made of. A change in any of these files means a new build.
const SOURCES: [&str; 16] = [
    "Cargo.lock",
    "Cargo.toml",
    "Trunk.toml",
    ".cargo/config.toml",
    "static",
    "web",
    "wasm",
    "protocol",
    "models/field_files",
    "models/openfast",
    "models/depth_decoder",
    "models/layers",
    "models/qwen3vl",
    "models/topreward",
    "models/vision",
    "scoring",
];
/// Small files are not worth a second copy.
const COMPRESS_FROM_BYTES: u64 = 2048;
/// Beyond this the time grows much faster than the gain.
const BROTLI_QUALITY: u32 = 9;

pub(crate) fn build(force: bool) -> Result<()> {
    let dist = root().join("dist");
    let stamp = dist.join(".built-from");
    let fingerprint = fingerprint()?;
    if !force && fs::read_to_string(&stamp).is_ok_and(|built| built == fingerprint) {
        return Ok(());
    }
    tools::ensure_for_page()?;
    step(
        "building the page and its worker (the first time takes several minutes)",
        Command::new("trunk")
            .args(["build", "--release", "--config", "Trunk.toml"])
            .current_dir(root())
            .env("CARGO_TARGET_DIR", target_dir())
            // trunk reads this variable as a boolean of its own and refuses the customary "1".
            .env_remove("NO_COLOR"),
    )?;
    compress(&dist)?;
    fs::write(&stamp, fingerprint).with_context(|| format!("cannot write {stamp:?}"))
}

/// A hash over the names and contents of the sources.
fn fingerprint() -> Result<String> {
    let mut files = Vec::new();
    for source in SOURCES {
        collect(&root().join(source), &mut files)?;
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        file.strip_prefix(root()).unwrap_or(&file).hash(&mut hasher);
        fs::read(&file)
            .with_context(|| format!("cannot read {file:?}"))?
            .hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        files.push(path.to_path_buf());
    } else if path.is_dir() {
        for entry in fs::read_dir(path).with_context(|| format!("cannot list {path:?}"))? {
            collect(&entry?.path(), files)?;
        }
    }
    Ok(())
}

/// Writes `<file>.br` beside every large file and prints both sizes.
fn compress(dist: &Path) -> Result<()> {
    let mut files = Vec::new();
    collect(dist, &mut files)?;
    let mut sizes = BTreeMap::new();
    for file in files {
        let name = file
            .strip_prefix(dist)
            .unwrap_or(&file)
            .display()
            .to_string();
        let compressible = [".wasm", ".js", ".css", ".html", ".svg", ".json"]
            .iter()
            .any(|ending| name.ends_with(ending));
        let raw = fs::metadata(&file)?.len();
        if !compressible || raw < COMPRESS_FROM_BYTES {
            continue;
        }
        let content = fs::read(&file)?;
        let mut packed = Vec::new();
        brotli::CompressorWriter::new(&mut packed, 1 << 16, BROTLI_QUALITY, 22)
            .write_all(&content)?;
        fs::write(format!("{}.br", file.display()), &packed)?;
        sizes.insert(name, (raw, packed.len()));
    }
    for (name, (raw, packed)) in sizes {
        eprintln!("   {name}: {raw} bytes, {packed} compressed");
    }
    Ok(())
}
