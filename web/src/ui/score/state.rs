//! State of the scoring panel, as signals.

use std::collections::BTreeMap;
use std::rc::Rc;

use leptos::prelude::*;
use protocol::episodes::RecordedEpisode;
use web_sys::AbortController;

use super::live_robot::LiveRobot;
use super::video::Video;
use super::video_element::VideoElement;
use crate::auto_score::InstructionFollower;
use crate::score_job::ScoreJob;
use crate::scorer::{ScoreLocation, ServedScorer, TabScorer};
use crate::ui::settings;

/// Source of the video.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum VideoSource {
    /// A camera of the robot in view.
    #[default]
    Robot,
    /// A recorded episode.
    Episode,
    /// A file of the viewer.
    File,
}

impl VideoSource {
    /// Stable name for tests.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Robot => "robot",
            Self::Episode => "episode",
            Self::File => "file",
        }
    }
}

/// The viewer's file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum OpenedFile {
    /// There is none.
    #[default]
    Nothing,
    /// Being opened, by its name.
    Opening(String),
    /// Ready to be scored.
    Video(VideoFacts),
    /// Not usable; the reason.
    Failed(String),
}

/// Description of a video.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct VideoFacts {
    pub(super) name: String,
    pub(super) secs: f64,
    pub(super) width: u32,
    pub(super) height: u32,
    /// Frame rate [1/s], if it could be measured.
    pub(super) rate: Option<f64>,
}

/// A job that starts once the scorer is loaded.
pub(super) enum AfterLoad {
    /// Following the robot.
    Follow,
    /// Scoring this video.
    Video(Video),
}

/// The panel's state. Copies are handles to the same signals.
#[derive(Clone, Copy)]
pub(crate) struct ScoreState {
    /// The scorer that the studio serves.
    pub(super) served: RwSignal<ServedScorer>,
    /// The scorer in this tab.
    pub(super) tab_scorer: RwSignal<TabScorer>,
    /// True if files of a scorer are in this browser's storage.
    pub(super) has_cached_files: RwSignal<bool>,
    /// Device that the viewer chose for computing.
    pub(super) location: RwSignal<ScoreLocation>,
    /// Precision of the weights; empty for the default.
    pub(super) precision: RwSignal<String>,
    pub(super) source: RwSignal<VideoSource>,
    /// The chosen camera of the robot.
    pub(super) camera: RwSignal<Option<String>>,
    pub(super) episodes: RwSignal<Vec<RecordedEpisode>>,
    /// Id of the chosen episode.
    pub(super) episode: RwSignal<Option<String>>,
    pub(super) opened: RwSignal<OpenedFile>,
    /// Frame rate of the viewer's file, as typed.
    pub(super) fps: RwSignal<String>,
    /// The instruction as typed; `None` while the source's own is used.
    pub(super) typed: RwSignal<Option<String>>,
    /// Another task's instruction; may be empty.
    pub(super) other: RwSignal<String>,
    pub(super) prefixes: RwSignal<&'static str>,
    pub(super) profile: RwSignal<&'static str>,
    pub(super) score_job: RwSignal<ScoreJob>,
    /// Thumbnails of the frames sent, by frame index.
    pub(super) thumbnails: RwSignal<BTreeMap<u32, String>>,
    /// Length of the selected prefix; `None` for the newest.
    pub(super) looked_at: RwSignal<Option<u32>>,
    pub(super) subtracts: RwSignal<bool>,
    /// True if the robot's instructions are scored as they come.
    pub(super) follows: RwSignal<bool>,
    pub(super) follower: StoredValue<InstructionFollower>,
    pub(super) live: StoredValue<Option<LiveRobot>, LocalStorage>,
    pub(super) video_element: StoredValue<Option<Rc<VideoElement>>, LocalStorage>,
    /// Number of files opened, to recognize the newest.
    pub(super) files_given: StoredValue<u64>,
    /// The job that waits for the scorer.
    pub(super) after_load: StoredValue<Option<AfterLoad>, LocalStorage>,
    /// Device that computes the current job.
    pub(super) running_on: StoredValue<ScoreLocation>,
    pub(super) abort: StoredValue<Option<AbortController>, LocalStorage>,
}

impl Default for ScoreState {
    fn default() -> Self {
        Self {
            served: RwSignal::default(),
            tab_scorer: RwSignal::default(),
            has_cached_files: RwSignal::new(settings::keeps_scorer()),
            location: RwSignal::default(),
            precision: RwSignal::default(),
            source: RwSignal::default(),
            camera: RwSignal::new(None),
            episodes: RwSignal::default(),
            episode: RwSignal::new(None),
            opened: RwSignal::default(),
            fps: RwSignal::new("30".to_owned()),
            typed: RwSignal::new(None),
            other: RwSignal::default(),
            prefixes: RwSignal::new("15"),
            profile: RwSignal::new("aligned"),
            score_job: RwSignal::default(),
            thumbnails: RwSignal::default(),
            looked_at: RwSignal::new(None),
            subtracts: RwSignal::new(false),
            follows: RwSignal::new(false),
            follower: StoredValue::default(),
            live: StoredValue::new_local(None),
            video_element: StoredValue::new_local(None),
            files_given: StoredValue::new(0),
            after_load: StoredValue::new_local(None),
            running_on: StoredValue::default(),
            abort: StoredValue::new_local(None),
        }
    }
}

impl ScoreState {
    /// The chosen episode, or the first.
    pub(super) fn chosen_episode(self) -> Option<RecordedEpisode> {
        let chosen = self.episode.get();
        self.episodes.with(|episodes| {
            let named = episodes
                .iter()
                .find(|episode| chosen.as_ref() == Some(&episode.id));
            named.or_else(|| episodes.first()).cloned()
        })
    }

    /// True if the scorer is the small one.
    pub(super) fn is_nano(self) -> bool {
        self.served
            .with_untracked(|served| served.manifest().is_some_and(|manifest| manifest.is_nano))
    }

    /// Index and thumbnail of the last frame of a prefix.
    pub(super) fn thumbnail_at(self, length: u32) -> Option<(u32, String)> {
        self.thumbnails.with(|thumbnails| {
            let shown = thumbnails.range(..length).next_back();
            shown.map(|(index, copy)| (*index, copy.clone()))
        })
    }

    /// Number of the job that scores a robot live.
    pub(super) fn live_job(self) -> Option<u64> {
        self.live
            .with_value(|live| live.as_ref().map(|live| live.job))
    }

    /// True if this job scores a robot live.
    pub(super) fn is_watching(self, job: u64) -> bool {
        self.live_job() == Some(job)
    }

    /// Stops watching the robot and drops the frames that were not sent.
    pub(super) fn drop_live(self) {
        self.live.set_value(None);
    }

    /// Stops watching the robot if this job is the one that watches it.
    pub(super) fn drop_live_job(self, job: u64) {
        if self.is_watching(job) {
            self.drop_live();
        }
    }

    /// Clears what is shown of the previous job.
    pub(super) fn clear_view(self) {
        self.thumbnails.update(BTreeMap::clear);
        self.looked_at.set(None);
    }

    /// Follows a restart of the worker, which has lost its scorer and its job.
    pub(in crate::ui) fn worker_restarted(self, reason: &str) {
        self.tab_scorer.update(TabScorer::restarted);
        if self.running_on.get_value() == ScoreLocation::Tab {
            self.drop_live();
            self.score_job.update(|score_job| score_job.lost(reason));
        }
    }
}
