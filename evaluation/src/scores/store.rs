//! Everything that is kept of a data set's scores, in one folder.
//!
//! | file | what |
//! |---|---|
//! | `setting.json` | how the scores were made; another setting is another folder |
//! | `predictions.jsonl` | a record per episode, in the reference's columns; an episode that has one is not scored again |
//! | `episodes/episode_000000.json`, `.svg` | its whole score with the controls, and a picture of it |
//! | `topreward_progress.parquet`, `sarm_progress.parquet` | progress at every frame, as LeRobot's trainer and the public visualizer read it |
//! | `summary.json` | what the scores come to |

use super::{
    Finished, FolderLock, Journal, ScoringError, Summary, picture,
    progress::{self, EpisodeProgress},
};
use datasets::lerobot::Indices;
use field_files::{Limit, ReadError, read_json, write_whole};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
};
use topreward::{Profile, Record, Score, Template, interpolate_progress};

/// What scores must agree in to lie in one folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunSetting {
    /// Name of the data set's folder.
    pub dataset: String,
    /// Whose pictures.
    pub camera: String,
    /// Name of the checkpoint's folder.
    pub scorer: String,
    /// What its weights are kept in.
    pub dtype: String,
    /// Which frames are shown.
    pub profile: Profile,
    /// Which prefixes.
    pub prefixes: String,
    /// True if the question is a turn of a conversation.
    pub template: Template,
    /// How the video stands in the text.
    pub text_layout: String,
    /// Side of the square that frames are squeezed to (pixels).
    pub pre_resize: Option<usize>,
    /// True if a description stands before the claim.
    pub described: bool,
    /// One instruction for all episodes, instead of their own.
    pub instruction: Option<String>,
}

/// The file of an episode.
#[derive(Debug, Clone, Serialize, serde::Deserialize)]
struct EpisodeFile {
    episode_index: usize,
    first_index: i64,
    /// Where its frames do not have one number after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    indices: Option<Vec<i64>>,
    #[serde(flatten)]
    score: Score,
}

/// A folder of scores.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    journal: Journal,
    finished: BTreeMap<usize, Finished>,
    notes: Vec<String>,
    _lock: FolderLock,
}

impl Store {
    /// Opens a folder, making it if it is not there, and reads what is finished. An episode whose score is gone or damaged
    /// is not. The folder is this run's alone until the store is dropped.
    ///
    /// # Errors
    /// [`ScoringError::Busy`] while another run has it, [`ScoringError::OtherSetting`] for a folder with results of another
    /// setting, [`ScoringError::Earlier`] and [`ScoringError::BadResult`] for a setting or a journal that cannot be read,
    /// [`ScoringError::Io`].
    pub fn open(folder: &Path, setting: &RunSetting) -> Result<Self, ScoringError> {
        std::fs::create_dir_all(folder.join("episodes")).map_err(|source| ScoringError::Io {
            path: folder.to_owned(),
            source,
        })?;
        let lock = FolderLock::take(folder)?;
        check_setting(folder, setting)?;
        let (mut journal, records) = Journal::open::<Record>(&folder.join("predictions.jsonl"))?;
        let (mut finished, mut notes) = (BTreeMap::new(), Vec::new());
        for record in records {
            let path = episode_path(folder, record.episode_index, "json");
            let file: EpisodeFile = match read_json(&path, Limit::SCORE) {
                Ok(file) => file,
                Err(error @ ReadError::Io { .. }) if !error.is_missing() => {
                    return Err(ScoringError::Earlier(error));
                }
                Err(error) => {
                    notes.push(format!(
                        "{error}; episode {} counts as not scored",
                        record.episode_index
                    ));
                    continue;
                }
            };
            finished.insert(
                record.episode_index,
                Finished {
                    record,
                    score: file.score,
                    indices: file
                        .indices
                        .map_or(Indices::From(file.first_index), Indices::Each),
                },
            );
        }
        if !notes.is_empty() {
            // A line for a score that is not there would be a second one beside that to come.
            journal.rewrite(finished.values().map(|episode| &episode.record))?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            journal,
            finished,
            notes,
            _lock: lock,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Losses of an earlier run, in words.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Scored episodes by their index.
    #[must_use]
    pub fn finished(&self) -> &BTreeMap<usize, Finished> {
        &self.finished
    }

    /// Gives the frames of a finished episode the numbers that its rows bear now.
    pub fn number(&mut self, episode_index: usize, indices: Indices) {
        if let Some(finished) = self.finished.get_mut(&episode_index) {
            finished.indices = indices;
        }
    }

    /// Keeps a score: its file and its picture first, its line last.
    ///
    /// # Errors
    /// [`ScoringError`].
    pub fn add(&mut self, finished: Finished) -> Result<(), ScoringError> {
        let index = finished.record.episode_index;
        let file = EpisodeFile {
            episode_index: index,
            first_index: finished.indices.at(0).unwrap_or_default(),
            indices: match &finished.indices {
                Indices::From(_) => None,
                Indices::Each(indices) => Some(indices.clone()),
            },
            score: finished.score.clone(),
        };
        write(&episode_path(&self.folder, index, "json"), &file)?;
        let title = format!("{}, episode {index}", finished.record.dataset);
        let path = episode_path(&self.folder, index, "svg");
        write_bytes(&path, picture::draw(&finished.score, &title).as_bytes())?;
        self.journal.add(&finished.record)?;
        self.finished.insert(index, finished);
        Ok(())
    }

    /// Progress at every frame of the scored episodes.
    ///
    /// # Errors
    /// [`ScoringError::Method`] for a score that is none.
    pub fn progress(&self) -> Result<Vec<EpisodeProgress>, ScoringError> {
        self.finished
            .iter()
            .map(|(index, finished)| {
                let setting = &finished.score.config;
                let progress = &finished.score.curve.progress;
                Ok(EpisodeProgress {
                    episode_index: i64::try_from(*index).unwrap_or(i64::MAX),
                    indices: finished.indices.clone(),
                    progress: interpolate_progress(
                        &setting.prefix_lengths,
                        progress,
                        setting.frames,
                    )?,
                })
            })
            .collect()
    }

    /// Writes the progress files into `folder`.
    ///
    /// # Errors
    /// [`ScoringError`].
    pub fn write_progress(&self, folder: &Path, vlm_name: &str) -> Result<(), ScoringError> {
        let episodes = self.progress()?;
        for name in [progress::FILE, progress::VISUALIZER_FILE] {
            progress::write(&folder.join(name), vlm_name, None, &episodes)?;
        }
        Ok(())
    }

    /// Writes the summary.
    ///
    /// # Errors
    /// [`ScoringError`].
    pub fn write_summary(&self, summary: &Summary) -> Result<(), ScoringError> {
        write(&self.folder.join("summary.json"), summary)
    }
}

fn check_setting(folder: &Path, setting: &RunSetting) -> Result<(), ScoringError> {
    let path = folder.join("setting.json");
    let ours = serde_json::to_value(setting).map_err(|error| bad(&path, &error))?;
    if !field_files::is_there(&path).map_err(ScoringError::Earlier)? {
        return write(&path, &ours);
    }
    let theirs: serde_json::Value =
        read_json(&path, Limit::SETTINGS).map_err(ScoringError::Earlier)?;
    let keys = ours.as_object().into_iter().flatten();
    for (key, value) in keys {
        let other = theirs.get(key).unwrap_or(&serde_json::Value::Null);
        if other != value {
            return Err(ScoringError::OtherSetting {
                path: folder.to_owned(),
                key: key.clone(),
                theirs: other.to_string(),
                ours: value.to_string(),
            });
        }
    }
    Ok(())
}

fn episode_path(folder: &Path, index: usize, extension: &str) -> PathBuf {
    folder.join(format!("episodes/episode_{index:06}.{extension}"))
}

fn bad(path: &Path, error: &serde_json::Error) -> ScoringError {
    ScoringError::BadResult {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

pub(super) fn write(path: &Path, value: &impl Serialize) -> Result<(), ScoringError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| bad(path, &error))?;
    text.push(b'\n');
    write_bytes(path, &text)
}

/// To the disk before it has its name: a line of the journal, which is synced, must not outlive the file that it speaks of.
fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), ScoringError> {
    write_whole(path, |file| file.write_all(bytes)).map_err(|source| ScoringError::Io {
        path: path.to_owned(),
        source,
    })
}
