//! The nano policy inside the binary, so that the binary works without other files.

use molmoact2::Files;
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../models/nano/molmoact2"]
struct Nano;

/// Files of the nano policy; `None` if this binary was built without them.
pub(super) fn files() -> Option<Files> {
    Nano::get("config.json")?;
    let files = Nano::iter().filter_map(|name| {
        let file = Nano::get(&name)?;
        Some((name.into_owned(), file.data))
    });
    Some(Files::from_memory(files))
}
