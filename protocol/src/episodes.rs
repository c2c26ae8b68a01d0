//! Recorded episodes that the studio serves: `GET /api/episodes`.

use crate::bounded;
use crate::limits::{MAX_LISTED, MAX_LONG_TEXT_BYTES};
use serde::{Deserialize, Serialize};

/// All recorded episodes of the studio.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EpisodeList {
    /// Episodes in the order of the data sets on the command line, and of the episodes in each.
    #[serde(deserialize_with = "bounded::list::<_, MAX_LISTED, _>")]
    pub episodes: Vec<RecordedEpisode>,
}

/// A recorded episode from one camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedEpisode {
    /// Id, unique within the studio.
    #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
    pub id: String,
    /// Name of the data set's folder.
    #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
    pub dataset: String,
    /// Index of the episode in the data set.
    pub episode: u64,
    /// The instruction; empty if none was recorded.
    #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
    pub instruction: String,
    /// Name of the camera.
    #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
    pub camera: String,
    /// Rate of the frames [1/s].
    pub fps: f64,
    /// Number of frames.
    pub frames: u32,
    /// Path of the video on the studio. It supports range requests, and the video may hold other episodes too.
    #[serde(deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>")]
    pub video_url: String,
    /// Time of the episode's first frame in the video (s).
    pub from_secs: f64,
    /// End of the episode's last frame in the video (s).
    pub to_secs: f64,
}
