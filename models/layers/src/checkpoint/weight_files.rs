//! The files of a folder that are its weights.
//!
//! A folder holds more than its weights: an index of another build beside one whole file, shards whose download was
//! interrupted, weights in another format. What is there decides, not what an index says of it. As in the reference, one
//! whole file counts more than an index.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use field_files::{Limit, ReadError};

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
    /// True if there is a file of this name.
    fn has(&self, name: &str) -> Result<bool, CheckpointError>;
    /// A file of weights.
    fn shard(&self, name: String) -> Shard;
    /// Name of a file in messages.
    fn file(&self, name: &str) -> String;
    /// Names of all files that are no hidden ones, sorted; none where a source has no list.
    fn files(&self) -> Result<Vec<String>, CheckpointError>;
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
        Ok(field_files::is_there(&self.0.join(name))?)
    }

    fn shard(&self, name: String) -> Shard {
        Shard::File(self.0.join(name))
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn files(&self) -> Result<Vec<String>, CheckpointError> {
        let entries = match std::fs::read_dir(self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(ReadError::opening(self.0, error).into()),
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        Ok(names)
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

    fn files(&self) -> Result<Vec<String>, CheckpointError> {
        Ok(Vec::new())
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
    /// A sentence about a file that was passed over.
    pub(super) note: Option<String>,
}

impl WeightFiles {
    pub(super) fn find(source: &dyn WeightSource) -> Result<Self, CheckpointError> {
        let has_single = source.has(SINGLE_FILE)?;
        let index = Self::indexed(source);
        if !has_single {
            return match index? {
                Some(indexed) => Ok(indexed),
                None => Self::by_their_numbers(source),
            };
        }
        let single = |note| Self {
            names: vec![SINGLE_FILE.to_owned()],
            index: None,
            note,
        };
        let passed_over = |reason: &str| {
            format!(
                "{} is not used, because {SINGLE_FILE} beside it holds weights: {reason}",
                source.file(INDEX_FILE)
            )
        };
        match index {
            Ok(None) => Ok(single(None)),
            Err(error) => Ok(single(Some(passed_over(&error.to_string())))),
            // The index of this one file has nothing to add.
            Ok(Some(indexed)) if indexed.names == [SINGLE_FILE] => Ok(single(None)),
            Ok(Some(indexed)) => match source.shard(SINGLE_FILE.to_owned()).tensors(0) {
                Ok(_) => Ok(single(Some(passed_over("it lists other files")))),
                // A leftover beside shards that are all there.
                Err(error) => Ok(Self {
                    note: Some(format!(
                        "{} is not used, because the files that the index lists are there: {error}",
                        source.file(SINGLE_FILE)
                    )),
                    ..indexed
                }),
            },
        }
    }

    /// The shards that an index lists, if there is an index.
    fn indexed(source: &dyn WeightSource) -> Result<Option<Self>, CheckpointError> {
        let Some(text) = source.small(INDEX_FILE)? else {
            return Ok(None);
        };
        let index = Index::parse(&text, source.file(INDEX_FILE))?;
        let mut there = Vec::new();
        for name in index.names() {
            if source.has(&name)? {
                there.push(name);
            }
        }
        index
            .all_there(|name| there.iter().any(|known| known == name))
            .map_err(|error| with_unfinished(error, source))?;
        Ok(Some(Self {
            names: there,
            index: Some(index),
            note: None,
        }))
    }

    /// Shards without an index, `model-00001-of-00003.safetensors` and so on: they name each other.
    fn by_their_numbers(source: &dyn WeightSource) -> Result<Self, CheckpointError> {
        let files = source.files()?;
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
            return Ok(Self {
                names,
                index: None,
                note: None,
            });
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
