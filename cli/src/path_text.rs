//! Paths in JSON. Parts of a path that are not UTF-8 are replaced, as in printed paths.

use serde::{Serialize as _, Serializer};
use std::path::Path;

/// Serializes a path, for `#[serde(serialize_with)]`.
pub(crate) fn of<P: AsRef<Path>, S: Serializer>(
    path: &P,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.as_ref().display())
}

/// Serializes an optional path.
pub(crate) fn of_any<P: AsRef<Path>, S: Serializer>(
    path: &Option<P>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let text = path.as_ref().map(|path| text(path.as_ref()));
    text.serialize(serializer)
}

/// The text of a path.
pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}
