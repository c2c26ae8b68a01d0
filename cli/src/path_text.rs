//! Paths in JSON. A path need not be text: what is no UTF-8 of it is replaced, as where it is printed.

use serde::{Serialize as _, Serializer};
use std::path::Path;

/// A path, for `#[serde(serialize_with)]`.
pub(crate) fn of<P: AsRef<Path>, S: Serializer>(
    path: &P,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.as_ref().display())
}

/// A path or none.
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
