//! Which episodes a data set has, what the robot was told in each, and in which files they are.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{DataSet, DataSetError, columns::Table};

/// An episode, as the metadata know it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// `episode_index`.
    pub index: u64,
    /// How many frames it has.
    pub frames: usize,
    /// What the robot was told: the first of its tasks, as it is written. Empty where there is none.
    pub task: String,
    /// The number of its first frame in the whole data set.
    pub first_index: i64,
    /// The file of its rows, where several episodes share one.
    pub(super) data: Option<FileNumber>,
    /// The file of each camera's video and when the episode begins there [s], where several episodes share one.
    pub(super) videos: BTreeMap<String, (FileNumber, f64)>,
}

/// `chunk-000/file-012`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileNumber {
    pub(super) chunk: u64,
    pub(super) file: u64,
}

/// All of them, in the order of their indices.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// The episodes.
    pub episodes: Vec<Entry>,
}

#[derive(Deserialize)]
struct Line {
    episode_index: u64,
    #[serde(default)]
    tasks: Vec<String>,
    length: usize,
}

impl Listing {
    /// A task that is another than that of the episode at `place`, from the episodes after it and then those before it.
    #[must_use]
    pub fn other_task(&self, place: usize) -> Option<&str> {
        let own = self.episodes.get(place)?.task.trim();
        let (before, after) = self.episodes.split_at(place);
        after
            .iter()
            .chain(before)
            .map(|episode| episode.task.as_str())
            .find(|task| !task.trim().is_empty() && task.trim() != own)
    }
}

impl DataSet {
    /// Names of the features that are videos or images, with whether they are videos.
    #[must_use]
    pub fn cameras(&self) -> Vec<(&str, bool)> {
        self.info()
            .features
            .iter()
            .filter_map(|(name, feature)| match feature.dtype.as_str() {
                "video" => Some((name.as_str(), true)),
                "image" => Some((name.as_str(), false)),
                _ => None,
            })
            .collect()
    }

    /// The camera of this name, or the only one.
    ///
    /// # Errors
    /// [`DataSetError::NoCameras`], and [`DataSetError::Camera`] for a name that is not there or is needed.
    pub fn camera(&self, name: Option<&str>) -> Result<String, DataSetError> {
        let cameras = self.cameras();
        let there = || cameras.iter().map(|(name, _)| (*name).to_owned()).collect();
        match (name, cameras.as_slice()) {
            (_, []) => Err(DataSetError::NoCameras(self.root().to_owned())),
            (None, [(only, _)]) => Ok((*only).to_owned()),
            (None, _) => Err(DataSetError::Camera {
                problem: "there are several cameras, and one must be named".to_owned(),
                there: there(),
            }),
            (Some(name), _) => {
                let short = format!("observation.images.{name}");
                cameras
                    .iter()
                    .find(|(known, _)| *known == name || *known == short)
                    .map(|(known, _)| (*known).to_owned())
                    .ok_or_else(|| DataSetError::Camera {
                        problem: format!("there is no camera {name:?}"),
                        there: there(),
                    })
            }
        }
    }

    /// Reads the metadata of every episode.
    ///
    /// # Errors
    /// When they are missing or cannot be read.
    pub fn listing(&self) -> Result<Listing, DataSetError> {
        let mut episodes = if self.info().codebase_version == "v3.0" {
            self.shared_files()?
        } else {
            self.own_files()?
        };
        episodes.sort_by_key(|episode| episode.index);
        Ok(Listing { episodes })
    }

    /// Layouts v2.0 and v2.1: `meta/episodes.jsonl`, a file per episode.
    fn own_files(&self) -> Result<Vec<Entry>, DataSetError> {
        let path = self.root().join("meta/episodes.jsonl");
        let text = std::fs::read_to_string(&path).map_err(|source| DataSetError::Read {
            path: path.clone(),
            source,
        })?;
        let mut first_index = 0;
        text.lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| {
                let line: Line =
                    serde_json::from_str(line).map_err(|source| DataSetError::Json {
                        path: path.clone(),
                        source,
                    })?;
                let entry = Entry {
                    index: line.episode_index,
                    frames: line.length,
                    task: line.tasks.into_iter().next().unwrap_or_default(),
                    first_index,
                    data: None,
                    videos: BTreeMap::new(),
                };
                first_index += i64::try_from(line.length).unwrap_or(0);
                Ok(entry)
            })
            .collect()
    }

    /// Layout v3.0: `meta/episodes/`, several episodes per file.
    fn shared_files(&self) -> Result<Vec<Entry>, DataSetError> {
        let mut episodes = Vec::new();
        for path in self.parquet_files("meta/episodes")? {
            let table = Table::open(&path)?;
            let whole = |column: &str| -> Result<Vec<u64>, DataSetError> {
                table
                    .integers(column)?
                    .into_iter()
                    .map(|value| {
                        u64::try_from(value).map_err(|_| {
                            table.bad(column, format!("holds {value}, which is below 0"))
                        })
                    })
                    .collect()
            };
            let indices = whole("episode_index")?;
            let frames = whole("length")?;
            let first_indices = table.integers("dataset_from_index")?;
            let tasks = table.texts("tasks")?;
            let data = files(whole("data/chunk_index")?, whole("data/file_index")?);
            let mut videos = Vec::new();
            for (camera, is_video) in self.cameras() {
                if is_video {
                    let of = |what: &str| format!("videos/{camera}/{what}");
                    let numbers = files(whole(&of("chunk_index"))?, whole(&of("file_index"))?);
                    let from = table.numbers(&of("from_timestamp"))?;
                    let places: Vec<_> = numbers.into_iter().zip(from).collect();
                    videos.push((camera, places));
                }
            }
            let rows = indices
                .into_iter()
                .zip(frames)
                .zip(first_indices)
                .zip(tasks)
                .zip(data);
            for (row, ((((index, frames), first_index), tasks), data)) in rows.enumerate() {
                episodes.push(Entry {
                    index,
                    frames: usize::try_from(frames).unwrap_or(0),
                    task: tasks.into_iter().next().unwrap_or_default(),
                    first_index,
                    data: Some(data),
                    videos: videos
                        .iter()
                        .filter_map(|(camera, places)| {
                            Some(((*camera).to_owned(), *places.get(row)?))
                        })
                        .collect(),
                });
            }
        }
        Ok(episodes)
    }

    /// Whether each episode succeeded, where the rows say so (`next.success` in any of its frames).
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn successes(&self) -> Result<Option<BTreeMap<u64, bool>>, DataSetError> {
        const COLUMN: &str = "next.success";
        if !self.info().features.contains_key(COLUMN) {
            return Ok(None);
        }
        let mut successes = BTreeMap::new();
        for path in self.files()? {
            let table = Table::open(&path)?;
            let rows = table.integers("episode_index")?.into_iter();
            for (episode, success) in rows.zip(table.numbers(COLUMN)?) {
                let Ok(episode) = u64::try_from(episode) else {
                    continue;
                };
                *successes.entry(episode).or_insert(false) |= success != 0.0;
            }
        }
        Ok(Some(successes))
    }
}

fn files(chunks: Vec<u64>, files: Vec<u64>) -> Vec<FileNumber> {
    chunks
        .into_iter()
        .zip(files)
        .map(|(chunk, file)| FileNumber { chunk, file })
        .collect()
}
