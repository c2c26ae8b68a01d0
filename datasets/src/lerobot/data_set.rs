//! A data set's folder.

use std::path::{Path, PathBuf};

use field_files::{Limit, read_json_tree};

use super::{DataSetError, Info, Stats, names::is_there};

/// A LeRobot data set on disk.
#[derive(Debug, Clone)]
pub struct DataSet {
    root: PathBuf,
    info: Info,
}

impl DataSet {
    /// Opens a folder.
    ///
    /// # Errors
    /// When it has no readable `meta/info.json`, or an unknown layout.
    pub fn open(root: &Path) -> Result<Self, DataSetError> {
        let path = root.join("meta/info.json");
        if !field_files::is_there(&path)? {
            return Err(DataSetError::NotADataSet(root.to_owned()));
        }
        let value = read_json_tree(&path, Limit::SETTINGS)?;
        if !value.is_object() {
            return Err(DataSetError::NoObject(path));
        }
        let info = Info::parse(&value);
        let version = &info.codebase_version;
        if !["v2.0", "v2.1", "v3.0"].contains(&version.as_str()) {
            return Err(DataSetError::Version {
                path: root.to_owned(),
                version: version.clone(),
            });
        }
        Ok(Self {
            root: root.to_owned(),
            info,
        })
    }

    /// Folder of the data set.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Content of `meta/info.json`.
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Frame rate of a camera (frames per second): that of the data set or, where it has none, of the camera's videos.
    #[must_use]
    pub fn fps(&self, camera: &str) -> Option<f64> {
        let usable = |fps: &f64| fps.is_finite() && *fps > 0.0;
        let feature = self.info.features.get(camera);
        let own = feature.and_then(|feature| feature.about.get("video.fps")?.as_f64());
        self.info.fps.filter(usable).or(own.filter(usable))
    }

    /// Recorded statistics of a column, if there are any.
    ///
    /// # Errors
    /// When the file exists but cannot be used.
    pub fn stats(&self, key: &str) -> Result<Option<Stats>, DataSetError> {
        let whole = self.root.join("meta/stats.json");
        if is_there(&whole) {
            let all = read_json_tree(&whole, Limit::SETTINGS)?;
            return Ok(all.get(key).map(Stats::parse));
        }
        let each = self.root.join("meta/episodes_stats.jsonl");
        if is_there(&each) {
            return Stats::of_episodes(&each, key);
        }
        Ok(None)
    }
}
