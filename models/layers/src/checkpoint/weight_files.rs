//! The files of a folder that are its weights.
//!
//! A folder holds more than its weights: an index of another build beside one whole file, shards whose download was
//! interrupted, weights in another format. What is there decides, not what an index says of it.

use std::path::Path;
use std::sync::Arc;

use field_files::{Foreign, Limit};

use super::index::Index;
use super::shard::Shard;
use super::{INDEX_FILE, SINGLE_FILE};
use crate::error::CheckpointError;
use crate::files::{FileStore, find_in, whole};

/// Most names that a message lists.
const SHOWN: usize = 4;

/// Place where the files of a checkpoint are looked up.
pub(super) trait WeightSource {
    /// Description for messages.
    fn name(&self) -> String;
    /// The bytes of a small file, or `None` if it is not there.
    fn small(&self, name: &str) -> Result<Option<Vec<u8>>, CheckpointError>;
    /// Whether there is a file of this name.
    fn has(&self, name: &str) -> Result<bool, CheckpointError>;
    /// A file of weights.
    fn shard(&self, name: String) -> Shard;
    /// Name of a file in messages.
    fn file(&self, name: &str) -> String;
    /// Names of all files that are no hidden ones, sorted, where they can be listed.
    fn files(&self) -> Vec<String>;
    /// Names of unfinished downloads.
    fn unfinished(&self) -> Vec<String>;
}

pub(super) struct FolderSource<'a>(pub(super) &'a Path);

impl WeightSource for FolderSource<'_> {
    fn name(&self) -> String {
        self.0.display().to_string()
    }

    fn small(&self, name: &str) -> Result<Option<Vec<u8>>, CheckpointError> {
        Ok(find_in(self.0, name)?)
    }

    fn has(&self, name: &str) -> Result<bool, CheckpointError> {
        let path = self.0.join(name);
        // Opening a link that leads nowhere says so.
        Ok(path.is_file() || Foreign::broken_link(&path).is_some())
    }

    fn shard(&self, name: String) -> Shard {
        Shard::File(self.0.join(name))
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0).into_iter().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        names
    }

    fn unfinished(&self) -> Vec<String> {
        field_files::folder::unfinished_in(self.0, SHOWN)
    }
}

pub(super) struct StoreSource<'a>(pub(super) &'a Arc<dyn FileStore>);

impl WeightSource for StoreSource<'_> {
    fn name(&self) -> String {
        self.0.name()
    }

    fn small(&self, name: &str) -> Result<Option<Vec<u8>>, CheckpointError> {
        Ok(whole(&**self.0, name, Limit::of(name))?)
    }

    fn has(&self, name: &str) -> Result<bool, CheckpointError> {
        let there = self.0.len(name).map_err(|source| CheckpointError::Io {
            file: name.to_owned(),
            source,
        })?;
        Ok(there.is_some())
    }

    fn shard(&self, name: String) -> Shard {
        Shard::Store {
            name,
            store: self.0.clone(),
        }
    }

    fn file(&self, name: &str) -> String {
        name.to_owned()
    }

    fn files(&self) -> Vec<String> {
        Vec::new()
    }

    fn unfinished(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The files that are the weights.
pub(super) struct WeightFiles {
    pub(super) names: Vec<String>,
    /// The index that they are checked against.
    pub(super) index: Option<Index>,
}

impl WeightFiles {
    pub(super) fn find(source: &dyn WeightSource) -> Result<Self, CheckpointError> {
        let single = || Self {
            names: vec![SINGLE_FILE.to_owned()],
            index: None,
        };
        let has_single = source.has(SINGLE_FILE)?;
        let Some(text) = source.small(INDEX_FILE)? else {
            if has_single {
                return Ok(single());
            }
            return Self::by_their_numbers(source);
        };
        let index = Index::parse(&text, source.file(INDEX_FILE))?;
        let mut there = Vec::new();
        for name in index.names() {
            if source.has(&name)? {
                there.push(name);
            }
        }
        match index.all_there(|name| there.iter().any(|known| known == name)) {
            Ok(()) => Ok(Self {
                names: there,
                index: Some(index),
            }),
            // One whole file beside the index of a build that is not here: the index is what does not belong.
            Err(_) if has_single => Ok(single()),
            Err(error) => Err(with_unfinished(error, source)),
        }
    }

    /// Shards without an index, `model-00001-of-00003.safetensors` and so on: they name each other.
    fn by_their_numbers(source: &dyn WeightSource) -> Result<Self, CheckpointError> {
        let files = source.files();
        let counts = files.iter().filter_map(|name| numbered(name));
        let Some(of) = counts.max() else {
            return Err(CheckpointError::NoWeights {
                place: source.name(),
                instead: instead(&files, &source.unfinished()),
            });
        };
        let names: Vec<String> = (1..=of)
            .map(|number| format!("model-{number:05}-of-{of:05}.safetensors"))
            .collect();
        let missing: Vec<String> = names
            .iter()
            .filter(|name| !files.contains(name))
            .cloned()
            .collect();
        if missing.is_empty() {
            return Ok(Self { names, index: None });
        }
        let error = CheckpointError::MissingShards {
            listed: format!("the others in {} count", source.name()),
            missing,
            of,
            unfinished: String::new(),
        };
        Err(with_unfinished(error, source))
    }
}

/// Number of shards, from the name of one.
fn numbered(name: &str) -> Option<usize> {
    let rest = name.strip_prefix("model-")?.strip_suffix(".safetensors")?;
    let (number, of) = rest.split_once("-of-")?;
    number.parse::<usize>().ok()?;
    of.parse().ok().filter(|of| (1..=10_000).contains(of))
}

fn with_unfinished(error: CheckpointError, source: &dyn WeightSource) -> CheckpointError {
    match error {
        CheckpointError::MissingShards {
            listed,
            missing,
            of,
            ..
        } => {
            let unfinished = source.unfinished();
            CheckpointError::MissingShards {
                listed,
                missing,
                of,
                unfinished: if unfinished.is_empty() {
                    String::new()
                } else {
                    format!("; unfinished there: {}", unfinished.join(", "))
                },
            }
        }
        other => other,
    }
}

/// Description of the files that lie in a folder in place of its weights.
fn instead(files: &[String], unfinished: &[String]) -> String {
    if !unfinished.is_empty() {
        return format!(
            ". There is an unfinished download, {}: get it again",
            unfinished.join(", ")
        );
    }
    let of_kind = |endings: &[&str]| -> Vec<&str> {
        let names = files.iter().map(String::as_str);
        names
            .filter(|name| endings.iter().any(|ending| name.ends_with(ending)))
            .take(SHOWN)
            .collect()
    };
    let pickles = of_kind(&[".bin", ".pt", ".pth", ".ckpt", ".pkl"]);
    if !pickles.is_empty() {
        return format!(
            ". There is {}: files of PyTorch are programs and are not read; convert them to safetensors \
             (`safe_serialization=True` when saving), or download the safetensors files",
            pickles.join(", ")
        );
    }
    let others = of_kind(&[".gguf", ".npz", ".onnx", ".h5", ".msgpack"]);
    if !others.is_empty() {
        return format!(
            ". There is {}, which is not read; download the safetensors files",
            others.join(", ")
        );
    }
    let named_otherwise = of_kind(&[".safetensors"]);
    if !named_otherwise.is_empty() {
        return format!(
            ". There is {}, which has neither name; rename it if it is the weights",
            named_otherwise.join(", ")
        );
    }
    String::new()
}
