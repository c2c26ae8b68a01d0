//! The files of the golden cases.

use std::borrow::Cow;
use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use layers::ModelFiles;
use molmoact2::Files;

/// Every case, as its folder under `tests/goldens`.
pub const CASES: [&str; 18] = [
    "molmoact2/one_camera",
    "molmoact2/two_cameras",
    "molmoact2/three_cameras_odd_grid",
    "molmoact2/masked_gripper",
    "molmoact2/think_per_layer",
    "molmoact2/think_shared",
    "molmoact2/think_three_cameras",
    "molmoact2/think_ungated",
    "molmo2/tiled",
    "molmo2/uneven",
    "molmo2/policy",
    "molmo2/no_expert",
    "qwen3vl/tied",
    "qwen3vl/tied_again",
    "qwen3vl/untied_odd",
    "qwen3vl/one_kv_head",
    "qwen3vl/wide_heads",
    "qwen3vl/shrunk",
];

/// Goldens of real-time chunking, which use the checkpoints of other cases.
pub const CONTINUED: &str = "molmoact2/rtc.safetensors";

/// What a case is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// A policy that acts.
    Act,
    /// A policy that reasons about depth first.
    Think,
    /// A vision-language model.
    Ask,
    /// A model that scores videos.
    Score,
}

impl Family {
    /// The family of a case, by its folder's name.
    ///
    /// # Errors
    /// If there is no such case.
    pub fn of(case: &str) -> Result<Self> {
        if !CASES.contains(&case) {
            bail!("there is no golden case {case:?}; there are {CASES:?}");
        }
        Ok(if case.starts_with("molmo2/") {
            Self::Ask
        } else if case.starts_with("qwen3vl/") {
            Self::Score
        } else if case.starts_with("molmoact2/think") {
            Self::Think
        } else {
            Self::Act
        })
    }
}

/// Files by their paths under `tests/goldens`.
#[derive(Debug, Default)]
pub struct GoldenFiles(BTreeMap<String, Cow<'static, [u8]>>);

impl GoldenFiles {
    /// From paths and contents.
    pub fn from_memory(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        Self(
            files
                .into_iter()
                .map(|(path, bytes)| (path, Cow::Owned(bytes)))
                .collect(),
        )
    }

    /// Reads all that `case` needs from the folder of the goldens.
    ///
    /// # Errors
    /// Names the file or folder that cannot be read.
    #[cfg(not(target_family = "wasm"))]
    pub fn read(goldens: &std::path::Path, case: &str) -> Result<Self> {
        let mut files = BTreeMap::new();
        let mut folders = vec![goldens.join(case)];
        let mut paths = vec![goldens.join(CONTINUED)];
        while let Some(folder) = folders.pop() {
            let entries = std::fs::read_dir(&folder)
                .with_context(|| format!("cannot list {}", folder.display()))?;
            for entry in entries {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    paths.push(path);
                }
            }
        }
        for path in paths {
            let bytes =
                std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let name = path.strip_prefix(goldens).unwrap_or(&path);
            let name = name.to_string_lossy().replace('\\', "/");
            files.insert(name, Cow::Owned(bytes));
        }
        Ok(Self(files))
    }

    /// The bytes of one file.
    ///
    /// # Errors
    /// If it is not among them.
    pub fn get(&self, path: &str) -> Result<&[u8]> {
        self.0
            .get(path)
            .map(|bytes| &**bytes)
            .with_context(|| format!("{path} is missing"))
    }

    /// True if there is such a file.
    pub fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// A mutable view of one file, for tests that damage it.
    pub fn get_mut(&mut self, path: &str) -> Option<&mut Vec<u8>> {
        self.0.get_mut(path).map(Cow::to_mut)
    }

    /// The checkpoint of a case.
    pub fn checkpoint(&self, case: &str) -> Files {
        Files::from_memory(self.inside(case))
    }

    /// The checkpoint of a case of [`Family::Score`].
    pub fn scorer(&self, case: &str) -> ModelFiles {
        ModelFiles::from_memory(self.inside(case))
    }

    fn inside(&self, case: &str) -> impl Iterator<Item = (String, Cow<'static, [u8]>)> {
        let folder = format!("{case}/checkpoint/");
        self.0.iter().filter_map(move |(path, bytes)| {
            let name = path.strip_prefix(&folder)?;
            Some((name.to_owned(), bytes.clone()))
        })
    }
}
