//! Data files of a data set's folder, recognized by their names.
//!
//! A folder holds more files than its layout defines: leftovers of macOS, Windows, editors and notebooks, copies, and
//! files of another layout after an unfinished conversion. Only files whose names match the layout are data.

use super::{DataSet, DataSetError};
use std::{
    collections::BTreeSet,
    io,
    path::{Component, Path, PathBuf},
};

/// Default templates of the layouts, used where `info.json` has none.
pub(super) const DATA_V2: &str =
    "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet";
pub(super) const DATA_V3: &str = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet";
pub(super) const EPISODES_V3: &str =
    "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet";

/// Maximum depth of subfolders that are searched.
const DEPTH: usize = 6;
/// Maximum number of files; no data set has as many.
const FILES: usize = 1 << 20;

/// Files with rows.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// In the order of the numbers in their names.
    pub(super) data: Vec<PathBuf>,
    /// Parquet files whose names do not match the layout. They are not read.
    pub(super) foreign: Vec<PathBuf>,
    /// Messages about folders that could not be listed.
    pub(super) unreadable: Vec<String>,
}

impl DataSet {
    /// Parquet files under a folder of the data set whose names match one of `templates`. If none does, every visible
    /// parquet file.
    pub(super) fn parquet_files(
        &self,
        folder: &str,
        templates: &[&str],
    ) -> Result<Files, DataSetError> {
        let top = self.root().join(folder);
        let mut found = Vec::new();
        let mut unreadable = Vec::new();
        let mut seen = BTreeSet::new();
        let mut folders = vec![(top.clone(), 0)];
        while let Some((folder, depth)) = folders.pop() {
            // A link to a parent folder would cause an endless loop.
            if !seen.insert(folder.canonicalize().unwrap_or_else(|_| folder.clone())) {
                continue;
            }
            let failed = |cause| DataSetError::Folder {
                path: folder.clone(),
                cause,
            };
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                // An unreadable subfolder is skipped alone, as an unreadable file is.
                Err(cause) if depth > 0 => {
                    unreadable.push(failed(cause));
                    continue;
                }
                Err(cause) => return Err(failed(cause)),
            };
            for entry in entries {
                let entry = entry.map_err(failed)?;
                if !is_visible(&entry.file_name().to_string_lossy()) {
                    continue;
                }
                let path = entry.path();
                // Without permission to enter the folder, only the directory entry has the type.
                if path.is_dir() || entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    if depth < DEPTH {
                        folders.push((path, depth + 1));
                    }
                } else if path.extension().is_some_and(|name| name == "parquet") {
                    found.push(path);
                }
            }
            if found.len() > FILES {
                return Err(DataSetError::TooLarge {
                    path: top,
                    problem: format!("has more than {FILES} files"),
                });
            }
        }
        let is_data = |path: &PathBuf| {
            let below = path.strip_prefix(self.root()).unwrap_or(path);
            templates
                .iter()
                .any(|template| is_named_like(template, below))
        };
        let (mut data, mut foreign): (Vec<PathBuf>, Vec<PathBuf>) =
            found.into_iter().partition(is_data);
        if data.is_empty() {
            std::mem::swap(&mut data, &mut foreign);
        }
        if data.is_empty() {
            let first_error = unreadable.into_iter().next();
            return Err(first_error.unwrap_or(DataSetError::NoFiles(top)));
        }
        foreign.sort();
        data.sort_by_cached_key(|path| numbers(path.strip_prefix(&top).unwrap_or(path)));
        Ok(Files {
            data,
            foreign,
            unreadable: unreadable
                .iter()
                .map(|error| format!("{error} (its files are not read)"))
                .collect(),
        })
    }

    /// Template of the files with the rows: that of `info.json`, or the default of the layout.
    pub(super) fn data_template(&self) -> &str {
        let default = if self.info().shares_files() {
            DATA_V3
        } else {
            DATA_V2
        };
        self.info().data_path.as_deref().unwrap_or(default)
    }

    /// All files with rows.
    pub(super) fn files(&self) -> Result<Files, DataSetError> {
        self.parquet_files("data", &[self.data_template()])
    }

    /// Absolute form of a path from the metadata, which must be inside the data set's folder.
    ///
    /// # Errors
    /// [`DataSetError::Outside`] for an absolute path or one with `..`.
    pub(crate) fn beneath(&self, path: impl AsRef<Path>) -> Result<PathBuf, DataSetError> {
        let path = path.as_ref();
        let is_below = path
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if is_below {
            Ok(self.root().join(path))
        } else {
            Err(DataSetError::Outside(self.root().join(path)))
        }
    }
}

/// True unless `path` is known not to exist. A path without access permission counts as existing.
pub(super) fn is_there(path: &Path) -> bool {
    let is_missing = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        )
    };
    path.metadata()
        .err()
        .is_none_or(|error| !is_missing(&error))
}

/// False for hidden files (`._file`, `.ipynb_checkpoints`) and leftovers of editors (`~`) and of macOS archives
/// (`__MACOSX`).
fn is_visible(name: &str) -> bool {
    !name.starts_with(['.', '~']) && !name.ends_with('~') && !name.starts_with("__")
}

/// True if a path results from a template with some numbers and names.
fn is_named_like(template: &str, path: &Path) -> bool {
    let Some(path) = path.to_str() else {
        return false;
    };
    let path = path.replace('\\', "/");
    let mut rest = path.as_str();
    let mut template = template.strip_prefix("./").unwrap_or(template);
    while let Some((literal, after)) = template.split_once('{') {
        let Some((place, after)) = after.split_once('}') else {
            return false;
        };
        let Some(left) = rest.strip_prefix(literal) else {
            return false;
        };
        let is_text = place.split(':').next() == Some("video_key");
        let end = left
            .find(|character: char| {
                if is_text {
                    character == '/'
                } else {
                    !character.is_ascii_digit()
                }
            })
            .unwrap_or(left.len());
        if end == 0 {
            return false;
        }
        rest = left.get(end..).unwrap_or_default();
        template = after;
    }
    rest == template
}

/// Numbers in a path: `chunk-000/file-012.parquet` gives 0 and 12.
fn numbers(path: &Path) -> Vec<u64> {
    path.to_string_lossy()
        .split(|character: char| !character.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_match_the_template_are_data() {
        for (path, is_data) in [
            ("data/chunk-000/file-000.parquet", true),
            ("data/chunk-012/file-1234.parquet", true),
            ("data/chunk-000/file-000 (1).parquet", false),
            ("data/chunk-000/file-000_copy.parquet", false),
            ("data/chunk-000/episode_000000.parquet", false),
            ("data/chunk-/file-000.parquet", false),
            ("data/old/chunk-000/file-000.parquet", false),
        ] {
            assert_eq!(is_named_like(DATA_V3, Path::new(path)), is_data, "{path}");
        }
        let own = "./rows/{episode_chunk}/{video_key}/{episode_index:04d}.parquet";
        assert!(is_named_like(own, Path::new("rows/3/top/0007.parquet")));
        assert!(!is_named_like("rows/{broken", Path::new("rows/3")));
    }

    #[test]
    fn leftovers_of_systems_and_editors_are_not_data() {
        for name in [
            "._file-000.parquet",
            ".ipynb_checkpoints",
            "__MACOSX",
            "~$a.parquet",
            "a.parquet~",
        ] {
            assert!(!is_visible(name), "{name}");
        }
        assert!(is_visible("file-000.parquet") && is_visible("chunk-000"));
    }
}
