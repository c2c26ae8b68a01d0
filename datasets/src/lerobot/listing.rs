//! Episodes of a data set, with their instructions and their files.
//!
//! Each layout has its own list of episodes. If that is empty or broken, the other layout's list is read (an unfinished
//! conversion leaves both), and then the rows. Metadata that a command does not use may be missing or malformed; the
//! episode is then listed without them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use field_files::read_json_lines;
use serde::Deserialize;

use super::{DataSet, DataSetError, columns::Table, loose, names::EPISODES_V3, recorded::foreign};

/// Metadata of an episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// `episode_index`.
    pub index: u64,
    /// Number of frames.
    pub frames: usize,
    /// Instruction: the first of the episode's tasks, verbatim. Empty if there is none.
    pub task: String,
    /// Index of its first frame in the whole data set, from the metadata or the lengths of the episodes before it. The
    /// rows are more reliable ([`DataSet::row_finder`]).
    pub first_index: i64,
    /// File of its rows, where several episodes share one.
    pub(super) data: Option<FileNumber>,
    /// File of each camera's video and the episode's start in it (s), where several episodes share one; or the fault of
    /// that entry.
    pub(super) videos: BTreeMap<String, Result<(FileNumber, f64), String>>,
}

/// `chunk-000/file-012`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileNumber {
    pub(super) chunk: u64,
    pub(super) file: u64,
}

/// All episodes, in the order of their indices.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// The episodes.
    pub episodes: Vec<Entry>,
    /// Messages about metadata that were not read or not found.
    pub notes: Vec<String>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(deserialize_with = "loose::count")]
    episode_index: u64,
    #[serde(default, deserialize_with = "loose::first_text")]
    tasks: String,
    #[serde(deserialize_with = "loose::count")]
    length: u64,
}

/// Reader of one list of episodes. It appends messages about unread parts to the second argument.
type Source = fn(&DataSet, &mut Vec<String>) -> Result<Vec<Entry>, DataSetError>;

/// Episodes that a data set may always have, whatever the size of its files.
const EPISODES: u64 = 1 << 16;
/// Further episodes: one per this many bytes of the files that list them. No JSON line is shorter.
const EPISODE_BYTES: u64 = 64;

/// Maximum number of episodes in files of `bytes` bytes.
pub(super) fn most_episodes(bytes: u64) -> u64 {
    EPISODES.max(bytes / EPISODE_BYTES)
}

/// Error of a file that lists more.
fn too_many(path: &Path, bytes: u64) -> DataSetError {
    DataSetError::TooLarge {
        path: path.to_owned(),
        problem: format!(
            "lists more than the {} episodes that {bytes} bytes account for",
            most_episodes(bytes)
        ),
    }
}

impl Listing {
    /// Instruction that differs from that of the episode at position `place`, from the episodes after it and then those
    /// before it.
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
    /// Reads the metadata of every episode.
    ///
    /// # Errors
    /// When they are missing or cannot be read, and the rows do not define the episodes either.
    pub fn listing(&self) -> Result<Listing, DataSetError> {
        let mut notes = Vec::new();
        let mut sources: [Source; 3] = [Self::own_files, Self::shared_files, Self::of_rows];
        if self.info().shares_files() {
            sources.swap(0, 1);
        }
        let mut first_error = None;
        let mut found = None;
        for source in sources {
            match source(self, &mut notes) {
                Ok(episodes) if !episodes.is_empty() => {
                    found = Some(episodes);
                    break;
                }
                Ok(_) => {}
                Err(error) if error.is_of_the_whole_folder() => return Err(error),
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        let Some(mut episodes) = found else {
            return Err(first_error
                .unwrap_or_else(|| DataSetError::NoFiles(self.root().join("meta/episodes"))));
        };
        if let Some(error) = first_error {
            notes.push(error.to_string());
        }
        // A conversion or a resumed recording can list an episode twice; the first is taken.
        episodes.sort_by_key(|episode| episode.index);
        let mut seen = BTreeSet::new();
        let listed = episodes.len();
        episodes.retain(|episode| seen.insert(episode.index));
        if episodes.len() < listed {
            notes.push(format!(
                "the metadata list {} episodes twice; the first of each is taken",
                listed - episodes.len()
            ));
        }
        self.check_video_overlaps(&mut episodes);
        self.find_tasks(&mut episodes, &mut notes);
        if let Some(announced) = self.info().total_episodes
            && announced != episodes.len()
        {
            notes.push(format!(
                "meta/info.json announces {announced} episodes, {} are listed",
                episodes.len()
            ));
        }
        Ok(Listing { episodes, notes })
    }

    /// Layouts v2.0 and v2.1: `meta/episodes.jsonl`, a file per episode.
    fn own_files(&self, notes: &mut Vec<String>) -> Result<Vec<Entry>, DataSetError> {
        let path = self.root().join("meta/episodes.jsonl");
        let mut episodes: Vec<Entry> = Vec::new();
        let bytes = path.metadata().map_or(0, |about| about.len());
        let most = most_episodes(bytes);
        let mut exceeded = false;
        read_json_lines(
            &path,
            &mut |line: Line| {
                if episodes.len() as u64 >= most {
                    exceeded = true;
                    return;
                }
                episodes.push(Entry {
                    index: line.episode_index,
                    frames: usize::try_from(line.length).unwrap_or(usize::MAX),
                    task: line.tasks,
                    first_index: 0,
                    data: None,
                    videos: BTreeMap::new(),
                });
            },
            &mut |problem| notes.push(problem),
        )?;
        if exceeded {
            return Err(too_many(&path, bytes));
        }
        episodes.sort_by_key(|episode| episode.index);
        number_frames(&mut episodes);
        Ok(episodes)
    }

    /// Layout v3.0: `meta/episodes/`, several episodes per file.
    fn shared_files(&self, notes: &mut Vec<String>) -> Result<Vec<Entry>, DataSetError> {
        let files = self.parquet_files("meta/episodes", &[EPISODES_V3])?;
        notes.extend(foreign(&files.foreign));
        notes.extend(files.unreadable);
        let mut episodes = Vec::new();
        let mut first_error = None;
        let mut bytes = 0;
        for path in files.data {
            let read = Table::open(&path).and_then(|table| {
                bytes += table.bytes;
                if table.rows() as u64 + episodes.len() as u64 > most_episodes(bytes) {
                    return Err(too_many(&path, bytes));
                }
                self.of_table(&table, &mut episodes, notes)
            });
            match read {
                Ok(()) => {}
                Err(error) if error.is_of_the_whole_folder() => return Err(error),
                Err(error) if first_error.is_none() => first_error = Some(error),
                Err(error) => notes.push(error.to_string()),
            }
        }
        match first_error {
            Some(error) if episodes.is_empty() => return Err(error),
            Some(error) => notes.push(error.to_string()),
            None => {}
        }
        Ok(episodes)
    }

    fn of_table(
        &self,
        table: &Table,
        episodes: &mut Vec<Entry>,
        notes: &mut Vec<String>,
    ) -> Result<(), DataSetError> {
        // Missing or malformed columns give no values.
        let counts = |column: &str| table.sparse_counts(column).unwrap_or_default();
        let at = |column: &[Option<u64>], row: usize| column.get(row).copied().flatten();
        let indices = table.sparse_counts("episode_index")?;
        let from = counts("dataset_from_index");
        let to = if table.has("length") {
            Vec::new()
        } else {
            table.sparse_counts("dataset_to_index")?
        };
        let lengths = counts("length");
        let tasks = table.texts("tasks").unwrap_or_default();
        let data = (counts("data/chunk_index"), counts("data/file_index"));
        let mut videos = Vec::new();
        for (camera, _) in self.cameras().iter().filter(|(_, is_video)| *is_video) {
            let of = |what: &str| format!("videos/{camera}/{what}");
            let from = table.sparse_numbers(&of("from_timestamp"));
            videos.push((
                *camera,
                counts(&of("chunk_index")),
                counts(&of("file_index")),
                from.unwrap_or_default(),
            ));
        }
        let file = |chunks: &[Option<u64>], files: &[Option<u64>], row: usize| {
            Some(FileNumber {
                chunk: at(chunks, row)?,
                file: at(files, row)?,
            })
        };
        // A bad row is skipped alone. If no row is complete, the caller reads the episodes' rows instead.
        let mut bad_rows = Vec::new();
        for (row, index) in indices.into_iter().enumerate() {
            let first = at(&from, row);
            let length = at(&lengths, row).or_else(|| at(&to, row)?.checked_sub(first?));
            let (Some(index), Some(length)) = (index, length) else {
                bad_rows.push(row);
                continue;
            };
            let location =
                |(camera, chunks, files, from): &(&str, Vec<_>, Vec<_>, Vec<Option<f64>>)| {
                    let from = from
                        .get(row)
                        .copied()
                        .flatten()
                        .filter(|from| *from >= 0.0)?;
                    Some(((*camera).to_owned(), Ok((file(chunks, files, row)?, from))))
                };
            episodes.push(Entry {
                index,
                frames: usize::try_from(length).unwrap_or(usize::MAX),
                task: tasks
                    .get(row)
                    .and_then(|tasks| tasks.first())
                    .cloned()
                    .unwrap_or_default(),
                first_index: first
                    .and_then(|first| i64::try_from(first).ok())
                    .unwrap_or(0),
                data: file(&data.0, &data.1, row),
                videos: videos.iter().filter_map(location).collect(),
            });
        }
        if let Some(row) = bad_rows.first() {
            let more = match bad_rows.len() {
                1 => String::new(),
                count => format!(" (and {} more rows)", count - 1),
            };
            let problem =
                format!("row {row} has no episode_index or no length{more}; it is skipped");
            notes.push(table.bad("length", problem).to_string());
        }
        Ok(())
    }

    /// Marks the videos of episodes that overlap in the same file: it is unknown whose frames those are.
    fn check_video_overlaps(&self, episodes: &mut [Entry]) {
        for (camera, _) in self.cameras() {
            let Some(fps) = self.fps(camera) else {
                continue;
            };
            let mut sections: Vec<(FileNumber, f64, usize)> = Vec::new();
            for (number, episode) in episodes.iter().enumerate() {
                if let Some(Ok((file, from))) = episode.videos.get(camera) {
                    sections.push((*file, *from, number));
                }
            }
            sections.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
            for pair in sections.windows(2) {
                let [(file, from, first), (other, next, second)] = pair else {
                    continue;
                };
                let frames = episodes.get(*first).map_or(0, |episode| episode.frames);
                // A frame of tolerance: times are rounded.
                let end = from + (frames as f64 - 1.0).max(0.5) / fps;
                if file != other || *next >= end {
                    continue;
                }
                for (one, another, at) in [(first, second, from), (second, first, next)] {
                    let of = episodes.get(*another).map_or(0, |episode| episode.index);
                    let problem = format!(
                        "the metadata place its start at {at:.3} s of a video of {camera} (chunk {}, file {}), where they \
                         also place episode {of}",
                        file.chunk, file.file
                    );
                    if let Some(video) = episodes
                        .get_mut(*one)
                        .and_then(|episode| episode.videos.get_mut(camera))
                    {
                        *video = Err(problem);
                    }
                }
            }
        }
    }

    /// Episodes counted from the rows, for data sets without readable metadata.
    fn of_rows(&self, notes: &mut Vec<String>) -> Result<Vec<Entry>, DataSetError> {
        let mut lengths: BTreeMap<u64, usize> = BTreeMap::new();
        let mut bytes = 0;
        let files = self.files()?;
        notes.extend(files.unreadable);
        for path in files.data {
            let read = Table::open(&path).and_then(|table| {
                bytes += table.bytes;
                table.sparse_counts("episode_index")
            });
            match read {
                Ok(rows) => {
                    for episode in rows.into_iter().flatten() {
                        *lengths.entry(episode).or_default() += 1;
                        if lengths.len() as u64 > most_episodes(bytes) {
                            return Err(too_many(&path, bytes));
                        }
                    }
                }
                Err(error) if error.is_of_the_whole_folder() => return Err(error),
                Err(error) => notes.push(error.to_string()),
            }
        }
        let mut episodes: Vec<Entry> = lengths
            .into_iter()
            .map(|(index, frames)| Entry {
                index,
                frames,
                task: String::new(),
                first_index: 0,
                data: None,
                videos: BTreeMap::new(),
            })
            .collect();
        number_frames(&mut episodes);
        Ok(episodes)
    }
}

/// Sets the first frame index of each episode from the lengths of those before it.
fn number_frames(episodes: &mut [Entry]) {
    let mut first = 0_i64;
    for episode in episodes {
        episode.first_index = first;
        first = first.saturating_add(i64::try_from(episode.frames).unwrap_or(i64::MAX));
    }
}
