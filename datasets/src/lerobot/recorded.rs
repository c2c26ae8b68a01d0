//! The vectors of a data set, episode by episode.
//!
//! Each row holds its episode and frame, so the location of a row in the files does not matter. An unreadable file, or
//! rows that do not form an episode, are reported and left out; the rest of the data set is read.

mod drafts;

use super::{DataSet, DataSetError};
use drafts::Rows;
use std::{collections::BTreeMap, path::PathBuf};

/// Columns and episodes to read.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Column of the actions.
    pub action_key: &'a str,
    /// Column of the states; `None` if they are not needed.
    pub state_key: Option<&'a str>,
    /// Number of episodes to read, from the first; all if `None`.
    pub max_episodes: Option<usize>,
}

/// Dimensions that are used (all if `None`). In the others, values need not be finite.
#[derive(Debug, Clone, Copy, Default)]
pub struct Used<'a> {
    /// Dimensions of the actions.
    pub actions: Option<&'a [usize]>,
    /// Dimensions of the states.
    pub states: Option<&'a [usize]>,
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
    /// Dimensions of a state; 0 if no states were read.
    pub state_dims: usize,
    /// `[frames, state_dims]`.
    pub states: Vec<f32>,
}

impl Episode {
    /// Number of frames.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.actions.len() / self.action_dims.max(1)
    }
}

/// Episodes that were read, and the reasons for those that were not.
#[derive(Debug, Default)]
pub struct Recorded {
    /// Complete episodes, in the order of their indices.
    pub episodes: Vec<Episode>,
    /// Episodes that cannot be used.
    pub left_out: Vec<LeftOut>,
    /// Messages about files that were not used.
    pub notes: Vec<String>,
}

/// An episode that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// `episode_index`.
    pub episode: i64,
    /// Cause, for the reader of the message.
    pub reason: String,
}

impl From<LeftOut> for DataSetError {
    fn from(left_out: LeftOut) -> Self {
        Self::BadEpisode {
            episode: left_out.episode,
            problem: left_out.reason,
        }
    }
}

/// Numbers that are always read.
const NUMBERS: usize = 8 << 20;
/// Numbers read per number that `info.json` announces, where that is more.
const TIMES_ANNOUNCED: usize = 2;
/// Maximum numbers read per byte on disk beyond [`NUMBERS`].
const TIMES_ON_DISK: usize = 2;

impl DataSet {
    /// Reads the actions, and the states if `wanted` names them. `progress` receives the number of files done and of
    /// all files.
    ///
    /// # Errors
    /// As [`Self::recorded`].
    pub fn episodes(
        &self,
        wanted: &Wanted<'_>,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Vec<Episode>, DataSetError> {
        Ok(self.recorded(wanted, Used::default(), progress)?.episodes)
    }

    /// Reads the actions, and the states if `wanted` names them, of every complete episode. `progress` receives the
    /// number of files done and of all files.
    ///
    /// # Errors
    /// When there is no complete episode: the fault of the first. When the folder was cloned without its Git LFS files.
    pub fn recorded(
        &self,
        wanted: &Wanted<'_>,
        used: Used<'_>,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Recorded, DataSetError> {
        let files = self.files()?;
        let limit = wanted
            .max_episodes
            .map_or(i64::MAX, |most| i64::try_from(most).unwrap_or(i64::MAX));
        let mut rows = Rows::new(self.most_numbers(wanted, &files.data));
        let mut recorded = Recorded::default();
        recorded.notes.extend(foreign(&files.foreign));
        recorded.notes.extend(files.unreadable);
        let mut first_error = None;
        for (done, path) in files.data.iter().enumerate() {
            progress(done, files.data.len());
            // Files are normally in the order of their episodes. `rows.passed` confirms it from the rows.
            if wanted
                .max_episodes
                .is_some_and(|most| rows.drafts.len() >= most)
                && rows.passed
            {
                break;
            }
            match rows.read(path, wanted, limit) {
                Ok(()) => {}
                Err(error @ DataSetError::TooLarge { .. }) => return Err(error),
                Err(error) if error.is_of_the_whole_folder() => return Err(error),
                Err(error) => {
                    recorded.notes.push(format!("{error} (not read)"));
                    first_error.get_or_insert(error);
                }
            }
        }
        progress(files.data.len(), files.data.len());
        for (index, draft) in rows.drafts {
            match draft.episode(index, wanted, used) {
                Ok((episode, note)) => {
                    recorded.episodes.push(episode);
                    recorded.notes.extend(note);
                }
                Err(reason) => recorded.left_out.push(LeftOut {
                    episode: index,
                    reason,
                }),
            }
        }
        self.leave_out_other_dims(&mut recorded, wanted);
        if recorded.episodes.is_empty() {
            return Err(first_error.unwrap_or_else(|| {
                let first = recorded.left_out.into_iter().next();
                first.map_or_else(
                    || DataSetError::NoFiles(self.root().join("data")),
                    DataSetError::from,
                )
            }));
        }
        Ok(recorded)
    }

    /// Maximum number of values in all episodes together.
    fn most_numbers(&self, wanted: &Wanted<'_>, files: &[PathBuf]) -> usize {
        let dims = |key: &str| {
            let feature = self.info().features.get(key);
            feature.map_or(64, |feature| {
                feature.shape.iter().product::<usize>().clamp(1, 4096)
            })
        };
        let each = dims(wanted.action_key) + wanted.state_key.map_or(0, dims);
        let on_disk = || {
            let bytes = files
                .iter()
                .filter_map(|path| Some(path.metadata().ok()?.len()));
            usize::try_from(bytes.sum::<u64>()).unwrap_or(usize::MAX)
        };
        let announced = self.info().total_frames.map_or(usize::MAX, |frames| {
            frames.saturating_mul(each).saturating_mul(TIMES_ANNOUNCED)
        });
        NUMBERS.max(announced.min(on_disk().saturating_mul(TIMES_ON_DISK)))
    }

    /// Leaves out episodes whose dimensions differ from those of `info.json` or, failing that, of most frames.
    fn leave_out_other_dims(&self, recorded: &mut Recorded, wanted: &Wanted<'_>) {
        let mut frames_by_dims: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for episode in &recorded.episodes {
            let frames = frames_by_dims.entry((episode.action_dims, episode.state_dims));
            *frames.or_default() += episode.frames();
        }
        let announced = self.info().features.get(wanted.action_key);
        let announced = announced.map(|feature| feature.shape.iter().product::<usize>());
        let usual = frames_by_dims
            .iter()
            .max_by_key(|((actions, _), frames)| (Some(*actions) == announced, **frames))
            .map(|(dims, _)| *dims);
        let Some((actions, states)) = usual else {
            return;
        };
        let mut matching = Vec::new();
        for episode in std::mem::take(&mut recorded.episodes) {
            if (episode.action_dims, episode.state_dims) == (actions, states) {
                matching.push(episode);
            } else {
                recorded.left_out.push(LeftOut {
                    episode: episode.index,
                    reason: format!(
                        "it has {} action dimensions and {} of the state, the data set has {actions} and {states}",
                        episode.action_dims, episode.state_dims
                    ),
                });
            }
        }
        recorded.episodes = matching;
        recorded.left_out.sort_by_key(|left_out| left_out.episode);
    }
}

/// Message about files whose names do not match the layout.
pub(super) fn foreign(files: &[PathBuf]) -> Option<String> {
    let first = files.first()?;
    let more = match files.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    Some(format!(
        "{}{more} is not named as this layout names its files (not read)",
        first.display()
    ))
}

/// Message about missing frames: `frame 17 is missing`, `frames 10 to 13 are missing`.
pub(super) fn missing(first: i64, last: i64) -> String {
    if first == last {
        format!("frame {first} is missing")
    } else {
        format!("frames {first} to {last} are missing")
    }
}
