//! Files in a folder that are not its data.

use std::path::Path;

/// True for the name of a data file: not hidden, as macOS sidecars (`._x`), `.cache` and `.DS_Store` are, and not that of a
/// file which a download or an editor has not finished.
#[must_use]
pub fn is_data(name: &str) -> bool {
    !name.starts_with('.') && unfinished(name).is_none()
}

/// The name that an unfinished download will have, if `name` is one: `x.safetensors` of `x.safetensors.part`.
#[must_use]
pub fn unfinished(name: &str) -> Option<&str> {
    [
        ".incomplete",
        ".part",
        ".partial",
        ".crdownload",
        ".download",
        ".aria2",
        ".tmp",
        ".filepart",
        ".opdownload",
    ]
    .iter()
    .find_map(|ending| name.strip_suffix(ending))
    .filter(|name| !name.is_empty())
}

/// Names of the files in `folder` that are unfinished downloads, sorted; at most `most`. Where the downloader of Hugging
/// Face keeps its own (`.cache/huggingface/download`) is looked at too. Empty where the folder cannot be looked at.
#[must_use]
pub fn unfinished_in(folder: &Path, most: usize) -> Vec<String> {
    let mut found: Vec<String> = ["", ".cache/huggingface/download"]
        .iter()
        .filter_map(|inner| Some((inner, std::fs::read_dir(folder.join(inner)).ok()?)))
        .flat_map(|(inner, entries)| {
            entries.filter_map(move |entry| {
                let name = entry.ok()?.file_name().to_string_lossy().into_owned();
                unfinished(&name)?;
                Some(if inner.is_empty() {
                    name
                } else {
                    format!("{inner}/{name}")
                })
            })
        })
        .collect();
    found.sort();
    found.truncate(most);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_and_unfinished_names_are_no_data() {
        for name in ["model.safetensors", "a.part.json", "file-000.parquet"] {
            assert!(is_data(name), "{name}");
        }
        for name in [
            "._model.safetensors",
            ".cache",
            "a.safetensors.part",
            "b.incomplete",
        ] {
            assert!(!is_data(name), "{name}");
        }
        assert_eq!(unfinished("a.safetensors.part"), Some("a.safetensors"));
        assert_eq!(unfinished(".part"), None);
    }
}
