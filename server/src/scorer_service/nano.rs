//! The nano scorer embedded in the binary, so that scoring works without further files.

use layers::ModelFiles;
use rust_embed::RustEmbed;
use std::borrow::Cow;

#[derive(RustEmbed)]
#[folder = "../models/nano/qwen3vl"]
struct Nano;

/// Files of the nano scorer; `None` if this binary was built without them.
pub(super) fn model_files() -> Option<ModelFiles> {
    Nano::get("config.json")?;
    Some(ModelFiles::from_memory(Nano::iter().filter_map(|name| {
        let content = content(&name)?;
        Some((name.into_owned(), content))
    })))
}

/// Content of one file.
pub(super) fn content(name: &str) -> Option<Cow<'static, [u8]>> {
    Nano::get(name).map(|file| file.data)
}
