//! Binds a wasm module to JavaScript and compresses files, for `cargo xtask`.
//!
//! It is a separate program so that `cargo xtask` starts within seconds: its dependencies take longer to compile than all
//! others of xtask. The library is the one behind the wasm-bindgen command. Its version must equal that of the crate
//! wasm-bindgen in Cargo.lock.
//!
//! ```text
//! bundler bind MODULE.wasm FOLDER NAME     writes FOLDER/NAME.js and FOLDER/NAME_bg.wasm
//! bundler compress FILE...                 writes FILE.br beside each file and prints both sizes
//! ```

use anyhow::{Context as _, Result, bail};
use std::{ffi::OsString, fs, io::Write as _, path::Path};
use wasm_bindgen_cli_support::Bindgen;

/// Compression level. Beyond it the time grows much faster than the gain.
const BROTLI_QUALITY: u32 = 9;
/// Window of 4 MiB, as a power of two.
const BROTLI_WINDOW: u32 = 22;

fn main() -> Result<()> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.split_first() {
        Some((verb, [module, folder, name])) if verb == "bind" => {
            let name = name.to_str().context("the name is not Unicode")?;
            bind(Path::new(module), Path::new(folder), name)
        }
        Some((verb, files)) if verb == "compress" => {
            files.iter().try_for_each(|file| compress(Path::new(file)))
        }
        _ => bail!("usage: bundler bind MODULE.wasm FOLDER NAME | bundler compress FILE..."),
    }
}

/// Writes the module, and JavaScript that loads it as an ES module, as `wasm-bindgen --target web` does.
fn bind(module: &Path, folder: &Path, name: &str) -> Result<()> {
    Bindgen::new()
        .input_path(module)
        .web(true)?
        // A fifth of what visitors would download.
        .remove_name_section(true)
        .typescript(false)
        .omit_default_module_path(false)
        .out_name(name)
        .generate(folder)
        .with_context(|| format!("cannot bind {module:?}"))
}

/// Writes a brotli copy of the file beside it.
fn compress(file: &Path) -> Result<()> {
    let content = fs::read(file).with_context(|| format!("cannot read {file:?}"))?;
    let mut packed = Vec::new();
    brotli::CompressorWriter::new(&mut packed, 1 << 16, BROTLI_QUALITY, BROTLI_WINDOW)
        .write_all(&content)
        .with_context(|| format!("cannot compress {file:?}"))?;
    let copy = format!("{}.br", file.display());
    fs::write(&copy, &packed).with_context(|| format!("cannot write {copy}"))?;
    let name = file.file_name().unwrap_or(file.as_os_str());
    eprintln!(
        "   {}: {} bytes, {} compressed",
        Path::new(name).display(),
        content.len(),
        packed.len()
    );
    Ok(())
}
