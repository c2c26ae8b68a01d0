//! The index file: the shard of every tensor.

use std::collections::BTreeMap;

use crate::error::CheckpointError;

/// An index file.
pub(super) struct Index {
    file: String,
    /// Shard file names by tensor.
    shards: BTreeMap<String, String>,
}

impl Index {
    pub(super) fn parse(text: &[u8], file: String) -> Result<Self, CheckpointError> {
        #[derive(serde::Deserialize)]
        struct Raw {
            weight_map: BTreeMap<String, String>,
        }
        let bad = |reason: String| CheckpointError::BadFile {
            file: file.clone(),
            kind: "weight index",
            reason,
        };
        let Raw { weight_map } =
            field_files::json::parse(text).map_err(|error| bad(error.to_string()))?;
        // A shard lies beside its index. Anything else would let a file name reach out of the folder.
        if let Some(name) = weight_map
            .values()
            .find(|name| name.contains(['/', '\\']) || name.as_str() == "..")
        {
            return Err(bad(format!("shard name {name:?} is not a plain file name")));
        }
        if weight_map.is_empty() {
            return Err(bad("it lists no tensors".to_owned()));
        }
        Ok(Self {
            file,
            shards: weight_map,
        })
    }

    /// Shard file names, each once, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.shards.values().cloned().collect();
        names.sort();
        names.dedup();
        names
    }

    /// Checks that every shard is there.
    pub(super) fn all_there(&self, is_there: impl Fn(&str) -> bool) -> Result<(), CheckpointError> {
        let names = self.names();
        let of = names.len();
        let missing: Vec<String> = names.into_iter().filter(|name| !is_there(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(CheckpointError::MissingShards {
            listed: format!("{} lists", self.file),
            missing,
            of,
            unfinished: String::new(),
        })
    }

    /// Checks that every tensor of this index was found.
    pub(super) fn all_held(&self, is_found: impl Fn(&str) -> bool) -> Result<(), CheckpointError> {
        match self.shards.iter().find(|(name, _)| !is_found(name)) {
            Some((name, shard)) => Err(CheckpointError::Index {
                index: self.file.clone(),
                name: name.clone(),
                problem: format!("is listed in {shard}, which does not hold it"),
            }),
            None => Ok(()),
        }
    }

    /// Checks that this index puts `name` into the shard of that file name.
    pub(super) fn holds(&self, name: &str, shard: &str) -> Result<(), CheckpointError> {
        let problem = match self.shards.get(name) {
            Some(listed) if shard.ends_with(listed) => return Ok(()),
            Some(listed) => format!("is listed in {listed} but lies in {shard}"),
            None => format!("lies in {shard} but is not listed"),
        };
        Err(CheckpointError::Index {
            index: self.file.clone(),
            name: name.to_owned(),
            problem,
        })
    }
}
