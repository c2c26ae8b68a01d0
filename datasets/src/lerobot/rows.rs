//! Locations and frame indices of an episode's rows, read from the rows and not from the metadata.

use super::{
    DataSet, DataSetError, Entry,
    columns::Table,
    listing::most_episodes,
    names::Files,
    recorded::missing,
    template::{Value, fill},
};
use std::{
    cell::OnceCell,
    collections::{BTreeMap, btree_map::Entry as MapEntry},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Indices of an episode's frames in the whole data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Indices {
    /// Consecutive, from this one.
    From(i64),
    /// One index per frame.
    Each(Vec<i64>),
}

impl Indices {
    fn of(indices: Vec<i64>) -> Self {
        match indices.first() {
            Some(&first) if (first..).zip(&indices).all(|(next, index)| next == *index) => {
                Self::From(first)
            }
            _ => Self::Each(indices),
        }
    }

    /// Index of a frame of the episode.
    #[must_use]
    pub fn at(&self, frame: usize) -> Option<i64> {
        match self {
            Self::From(first) => first.checked_add(i64::try_from(frame).ok()?),
            Self::Each(indices) => indices.get(frame).copied(),
        }
    }
}

/// Frame rate of an episode, by the recorded times (`timestamp`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Mean rate from the first frame to the last (frames per second).
    pub fps: f64,
    /// Largest deviation of a frame's time from that of an even rate (s).
    pub unevenness_secs: f64,
    /// Frame with the largest deviation.
    pub worst: usize,
}

impl Pace {
    /// Pace of times in the order of the frames (s); `None` if they do not increase or are fewer than two.
    fn of(times: &[f64]) -> Option<Self> {
        let (first, last) = (times.first()?, times.last()?);
        let fps = (times.len() - 1) as f64 / (last - first);
        let rises = |pair: &[f64]| matches!(pair, [one, next] if next > one);
        if !fps.is_finite() || !times.windows(2).all(rises) {
            return None;
        }
        let deviation =
            |(frame, time): (usize, &f64)| (frame, (time - first - frame as f64 / fps).abs());
        let all = times.iter().enumerate().map(deviation);
        let (worst, unevenness_secs) = all.max_by(|one, other| one.1.total_cmp(&other.1))?;
        Some(Self {
            fps,
            unevenness_secs,
            worst,
        })
    }

    /// True if the frames are evenly spaced, to half a frame.
    #[must_use]
    pub fn is_even(&self) -> bool {
        self.unevenness_secs <= 0.5 / self.fps
    }

    /// True if the times match `fps` frames per second over `frames` frames, to half a frame.
    #[must_use]
    pub fn is_at(&self, fps: f64, frames: usize) -> bool {
        let steps = frames.saturating_sub(1) as f64;
        let at_the_end = (steps / self.fps - steps / fps).abs();
        at_the_end.max(self.unevenness_secs) <= 0.5 / fps
    }
}

/// The rows of an episode.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnRows {
    /// File of the rows.
    pub path: PathBuf,
    /// Number of rows.
    pub count: usize,
    /// Rows of the file, if they are contiguous and in the order of their frames.
    pub place: Option<Range<usize>>,
    /// Indices of the frames in the whole data set (`index`), in the order of the frames; `None` if a row has none.
    pub indices: Option<Indices>,
    /// Frame rate; `None` if the rows have no usable times.
    pub pace: Option<Pace>,
    /// Index of the instruction of the first row (`task_index`).
    pub task_index: Option<i64>,
    /// Fault that makes the episode incomplete.
    pub problem: Option<String>,
}

impl OwnRows {
    /// Message about how the metadata of the episode contradict its rows, if they do.
    #[must_use]
    pub fn disagreement(&self, entry: &Entry) -> Option<String> {
        let path = self.path.display();
        if self.count != entry.frames {
            let because = self.problem.as_ref();
            let because = because.map_or_else(String::new, |problem| format!(" ({problem})"));
            return Some(format!(
                "{path} has {} rows of it{because}, the metadata say {}",
                self.count, entry.frames
            ));
        }
        let problem = self.problem.as_ref()?;
        Some(format!(
            "its rows in {path} are not a complete episode: {problem}"
        ))
    }
}

type OfFile = Result<BTreeMap<i64, OwnRows>, String>;

/// Search for rows: first in the file that the metadata name, then in all files. Files are read once.
#[derive(Debug)]
pub struct RowFinder<'a> {
    data_set: &'a DataSet,
    files: OnceCell<Files>,
    read: BTreeMap<PathBuf, Arc<OfFile>>,
    /// Bytes of the files that were read.
    bytes: u64,
    /// Episodes found in these files.
    episodes: u64,
}

impl DataSet {
    /// A [`RowFinder`] over this data set.
    #[must_use]
    pub fn row_finder(&self) -> RowFinder<'_> {
        RowFinder {
            data_set: self,
            files: OnceCell::new(),
            read: BTreeMap::new(),
            bytes: 0,
            episodes: 0,
        }
    }

    /// File that should hold the rows of an episode, by the metadata.
    fn data_file(&self, entry: &Entry) -> Option<PathBuf> {
        let mut values = self.numbers_of(entry);
        if let Some(file) = entry.data {
            values.push(("chunk_index", Value::Number(file.chunk)));
            values.push(("file_index", Value::Number(file.file)));
        }
        let path = fill("data_path", self.data_template(), &values).ok()?;
        self.beneath(path).ok()
    }
}

impl RowFinder<'_> {
    /// The rows of an episode.
    ///
    /// # Errors
    /// A message when no file has any, with the fault of the file that should.
    pub fn find(&mut self, entry: &Entry) -> Result<OwnRows, String> {
        let index = i64::try_from(entry.index).unwrap_or(i64::MAX);
        let mut reason = None;
        // One that may not be looked at is there: opening it says why not.
        let is_there = |path: &PathBuf| field_files::is_there(path).unwrap_or(true);
        if let Some(path) = self.data_set.data_file(entry).filter(is_there) {
            match self.of_file(&path).as_ref() {
                Ok(episodes) => {
                    if let Some(rows) = episodes.get(&index) {
                        return Ok(rows.clone());
                    }
                }
                Err(problem) => reason = Some(problem.clone()),
            }
        }
        // The rows of a broken file are lost. Other files are searched only if the named file is intact or missing.
        if let Some(reason) = reason {
            return Err(reason);
        }
        let files: Vec<PathBuf> = self.files()?.data.clone();
        for path in &files {
            if let Ok(episodes) = self.of_file(path).as_ref()
                && let Some(rows) = episodes.get(&index)
            {
                return Ok(rows.clone());
            }
        }
        Err(format!(
            "no file under {} has rows of it",
            self.data_set.root().join("data").display()
        ))
    }

    /// True if the data set has files with rows. It can be on disk without them.
    #[must_use]
    pub fn has_files(&self) -> bool {
        self.no_files().is_none()
    }

    /// Reason why there are no files with rows; `None` if there are.
    #[must_use]
    pub fn no_files(&self) -> Option<String> {
        self.files().err()
    }

    fn files(&self) -> Result<&Files, String> {
        if self.files.get().is_none() {
            let files = self.data_set.files().map_err(|error| error.to_string())?;
            self.files.set(files).ok();
        }
        self.files.get().ok_or_else(String::new)
    }

    fn of_file(&mut self, path: &Path) -> Arc<OfFile> {
        match self.read.entry(path.to_owned()) {
            MapEntry::Occupied(known) => Arc::clone(known.get()),
            MapEntry::Vacant(vacant) => {
                self.bytes += path.metadata().map_or(0, |about| about.len());
                let left = most_episodes(self.bytes).saturating_sub(self.episodes);
                let read = read(path, left).map_err(|error| error.to_string());
                self.episodes += read.as_ref().map_or(0, |found| found.len() as u64);
                Arc::clone(vacant.insert(Arc::new(read)))
            }
        }
    }
}

/// Rows of a file by episode, for at most `most` episodes.
fn read(path: &Path, most: u64) -> Result<BTreeMap<i64, OwnRows>, DataSetError> {
    let table = Table::open(path)?;
    let episodes = table.integers("episode_index")?;
    let frames = table.sparse_numbers("frame_index").ok();
    let indices = table.sparse_numbers("index").ok();
    let tasks = table.sparse_numbers("task_index").ok();
    let times = table.sparse_numbers("timestamp").ok();
    // Rows of each episode, as positions in the file.
    let mut positions: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (row, episode) in episodes.into_iter().enumerate() {
        positions.entry(episode).or_default().push(row);
        if positions.len() as u64 > most {
            return Err(DataSetError::TooLarge {
                path: path.to_owned(),
                problem: "has rows of more episodes than its size and those before it account for"
                    .to_owned(),
            });
        }
    }
    let at = |column: &Option<Vec<Option<f64>>>, row: usize| -> Option<i64> {
        let value = (*column.as_ref()?.get(row)?)?;
        (value.fract() == 0.0).then_some(value as i64)
    };
    let of = |(episode, mut rows): (i64, Vec<usize>)| {
        if frames.is_some() {
            rows.sort_by_key(|row| at(&frames, *row));
        }
        let numbers = rows.iter().map(|row| at(&frames, *row));
        let problem = frames.as_ref().and_then(|_| out_of_order(numbers));
        let own_indices: Option<Vec<i64>> = rows.iter().map(|row| at(&indices, *row)).collect();
        let own_times = rows
            .iter()
            .map(|row| times.as_ref()?.get(*row).copied().flatten());
        let own_times: Option<Vec<f64>> = own_times.collect();
        let first = rows.first().copied().unwrap_or_default();
        let contiguous = (first..).zip(&rows).all(|(next, row)| next == *row);
        let found = OwnRows {
            path: path.to_owned(),
            count: rows.len(),
            place: contiguous.then(|| first..first + rows.len()),
            indices: own_indices.map(Indices::of),
            pace: own_times.as_deref().and_then(Pace::of),
            task_index: at(&tasks, first),
            problem,
        };
        (episode, found)
    };
    Ok(positions.into_iter().map(of).collect())
}

/// Fault of an episode's frame numbers, in their order.
fn out_of_order(frames: impl Iterator<Item = Option<i64>>) -> Option<String> {
    for (expected, frame) in (0..).zip(frames) {
        match frame {
            None => return Some("a row of it has no frame_index".to_owned()),
            Some(frame) if frame > expected => return Some(missing(expected, frame - 1)),
            Some(frame) if frame < expected => {
                return Some(format!("frame {frame} occurs twice"));
            }
            Some(_) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_rate_is_computed_from_the_times_of_the_rows() {
        let even: Vec<f64> = (0..100)
            .map(|frame| 7.0 + f64::from(frame) / 30.0)
            .collect();
        let pace = Pace::of(&even).unwrap();
        assert!(pace.is_even() && pace.is_at(30.0, 100) && !pace.is_at(29.5, 100));
        // A pause of a second before frame 50.
        let mut paused = even.clone();
        paused.iter_mut().skip(50).for_each(|time| *time += 1.0);
        let pace = Pace::of(&paused).unwrap();
        assert!(!pace.is_even() && !pace.is_at(30.0, 100));
        assert!([49, 50].contains(&pace.worst), "{pace:?}");
        // Rounded to milliseconds.
        let rounded: Vec<f64> = even.iter().map(|time| (time * 1e3).round() / 1e3).collect();
        assert!(Pace::of(&rounded).unwrap().is_at(30.0, 100));
        for none in [
            &[][..],
            &[1.0],
            &[0.0, 0.0, 0.0],
            &[0.0, 2.0, 1.0, 3.0],
            &[0.0, f64::NAN],
        ] {
            assert_eq!(Pace::of(none), None, "{none:?}");
        }
    }
}
