//! A data set's folder.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{DataSetError, Stats, columns::Table};

/// `meta/info.json`, as far as it is needed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Info {
    /// The layout: `v2.1`, `v3.0`.
    pub codebase_version: String,
    /// Frames per second.
    #[serde(default)]
    pub fps: Option<f64>,
    /// Episodes there should be.
    #[serde(default)]
    pub total_episodes: Option<usize>,
    /// Frames there should be.
    #[serde(default)]
    pub total_frames: Option<usize>,
    /// Episodes per folder, in the layouts that have a file per episode.
    #[serde(default)]
    pub chunks_size: Option<usize>,
    /// Where the rows of an episode are, as a template.
    #[serde(default)]
    pub data_path: Option<String>,
    /// Where the videos of an episode are, as a template.
    #[serde(default)]
    pub video_path: Option<String>,
    /// The columns.
    #[serde(default)]
    pub features: BTreeMap<String, Feature>,
}

/// What `info.json` says of a column.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Feature {
    /// Kind of its values.
    pub dtype: String,
    /// Names of its dimensions, in whatever form.
    #[serde(default)]
    pub names: serde_json::Value,
}

impl Feature {
    /// Names of the dimensions, where they are a list (some data sets wrap the list once).
    #[must_use]
    pub fn dim_names(&self) -> Option<Vec<String>> {
        let list = match &self.names {
            serde_json::Value::Array(list) => list,
            serde_json::Value::Object(map) => match map.values().next() {
                Some(serde_json::Value::Array(list)) if map.len() == 1 => list,
                _ => return None,
            },
            _ => return None,
        };
        list.iter()
            .map(|name| name.as_str().map(str::to_owned))
            .collect()
    }
}

/// A LeRobot data set on disk.
#[derive(Debug, Clone)]
pub struct DataSet {
    root: PathBuf,
    info: Info,
}

/// What to read.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Column of the actions.
    pub action_key: &'a str,
    /// Column of the states, where they are needed.
    pub state_key: Option<&'a str>,
    /// The first so many episodes.
    pub max_episodes: Option<usize>,
}

/// One episode's vectors, in the order of its frames.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// `episode_index`.
    pub index: i64,
    /// Dimensions of an action.
    pub action_dims: usize,
    /// `[frames, action_dims]`.
    pub actions: Vec<f32>,
    /// Dimensions of a state; 0 when no states were asked for.
    pub state_dims: usize,
    /// `[frames, state_dims]`.
    pub states: Vec<f32>,
}

impl Episode {
    /// How many frames.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.actions.len() / self.action_dims.max(1)
    }
}

/// A row on its way into an episode.
struct Row {
    frame: i64,
    action: Vec<f32>,
    state: Vec<f32>,
}

impl DataSet {
    /// Opens a folder.
    ///
    /// # Errors
    /// When it has no readable `meta/info.json`, or a layout that is not known.
    pub fn open(root: &Path) -> Result<Self, DataSetError> {
        let path = root.join("meta/info.json");
        if !path.is_file() {
            return Err(DataSetError::NotADataSet(root.to_owned()));
        }
        let info: Info = read_json(&path)?;
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

    /// Its folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What `info.json` says.
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The recorded statistics of a column, if there are any.
    ///
    /// # Errors
    /// When there is a file and it cannot be used.
    pub fn stats(&self, key: &str) -> Result<Option<Stats>, DataSetError> {
        let whole = self.root.join("meta/stats.json");
        if whole.is_file() {
            let all: BTreeMap<String, serde_json::Value> = read_json(&whole)?;
            return all
                .get(key)
                .map(|stats| Stats::parse(stats, key))
                .transpose();
        }
        let each = self.root.join("meta/episodes_stats.jsonl");
        if each.is_file() {
            return Stats::of_episodes(&each, key);
        }
        Ok(None)
    }

    /// Reads actions, and states where asked for. `progress` is told how many of how many files are done.
    ///
    /// # Errors
    /// When a file cannot be read, a column is missing or has gaps, a value is not finite, or an episode lacks
    /// frames.
    pub fn episodes(
        &self,
        wanted: &Wanted<'_>,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Vec<Episode>, DataSetError> {
        let files = self.files()?;
        let limit = wanted
            .max_episodes
            .map_or(i64::MAX, |most| i64::try_from(most).unwrap_or(i64::MAX));
        let mut rows: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
        for (done, path) in files.iter().enumerate() {
            progress(done, files.len());
            let table = Table::open(path)?;
            let episodes = table.integers("episode_index")?;
            // Files are in the order of their episodes.
            if episodes.iter().all(|&episode| episode >= limit) {
                break;
            }
            let frames = table.integers("frame_index")?;
            let actions = table.vectors(wanted.action_key)?;
            let states = wanted.state_key.map(|key| table.vectors(key)).transpose()?;
            let mut actions = actions.values.chunks(actions.dims.max(1));
            let mut states = states
                .iter()
                .flat_map(|states| states.values.chunks(states.dims.max(1)));
            for (episode, frame) in episodes.into_iter().zip(frames) {
                let (action, state) = (actions.next(), states.next());
                if episode < limit {
                    rows.entry(episode).or_default().push(Row {
                        frame,
                        action: action.unwrap_or_default().to_vec(),
                        state: state.unwrap_or_default().to_vec(),
                    });
                }
            }
        }
        progress(files.len(), files.len());
        rows.into_iter()
            .map(|(index, rows)| episode(index, rows, wanted))
            .collect()
    }

    /// Every parquet file under `data`, in the order of the numbers in their names.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>, DataSetError> {
        self.parquet_files("data")
    }

    /// Every parquet file under a folder of the data set, in the order of the numbers in their names.
    pub(super) fn parquet_files(&self, folder: &str) -> Result<Vec<PathBuf>, DataSetError> {
        let data = self.root.join(folder);
        let mut files = Vec::new();
        let mut folders = vec![data.clone()];
        while let Some(folder) = folders.pop() {
            let failed = |source| DataSetError::Read {
                path: folder.clone(),
                source,
            };
            for entry in std::fs::read_dir(&folder).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|name| name == "parquet") {
                    files.push(path);
                }
            }
        }
        if files.is_empty() {
            return Err(DataSetError::NoFiles(data));
        }
        files.sort_by_cached_key(|path| numbers(path.strip_prefix(&data).unwrap_or(path)));
        Ok(files)
    }
}

/// `chunk-000/file-012.parquet` is 0, 12.
fn numbers(path: &Path) -> Vec<u64> {
    path.to_string_lossy()
        .split(|character: char| !character.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

fn episode(index: i64, mut rows: Vec<Row>, wanted: &Wanted<'_>) -> Result<Episode, DataSetError> {
    let bad = |problem: String| DataSetError::BadEpisode {
        episode: index,
        problem,
    };
    rows.sort_by_key(|row| row.frame);
    for (expected, row) in (0..).zip(&rows) {
        if row.frame != expected {
            return Err(bad(format!(
                "frame {expected} is missing or doubled (found {})",
                row.frame
            )));
        }
    }
    let first = rows.first();
    let action_dims = first.map_or(0, |row| row.action.len());
    let state_dims = first.map_or(0, |row| row.state.len());
    for Row {
        frame,
        action,
        state,
    } in &rows
    {
        if action.len() != action_dims || state.len() != state_dims {
            return Err(bad(format!(
                "frame {frame} has another number of dimensions than frame 0"
            )));
        }
        let columns = [
            (wanted.action_key, action),
            (wanted.state_key.unwrap_or_default(), state),
        ];
        for (key, vector) in columns {
            if let Some(dim) = vector.iter().position(|value| !value.is_finite()) {
                return Err(bad(format!(
                    "frame {frame}: dimension {dim} of {key:?} is not a finite number"
                )));
            }
        }
    }
    Ok(Episode {
        index,
        action_dims,
        state_dims,
        actions: rows
            .iter()
            .flat_map(|row| row.action.iter().copied())
            .collect(),
        states: rows
            .iter()
            .flat_map(|row| row.state.iter().copied())
            .collect(),
    })
}

pub(super) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, DataSetError> {
    let bytes = std::fs::read(path).map_err(|source| DataSetError::Read {
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_slice(&bytes).map_err(|source| DataSetError::Json {
        path: path.to_owned(),
        source,
    })
}
