//! Recorded episodes for pages: their list and their videos.
//!
//! The list is made once, when the studio starts. A page requests videos by number, so no address leads to a file that is
//! not a video of a listed episode.

use crate::byte_ranges::{Content, Representation};
use bytes::Bytes;
use datasets::lerobot::{DataSet, DataSetError, Footage};
use protocol::episodes::{EpisodeList, RecordedEpisode};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::UNIX_EPOCH,
};

/// Reasons why a data set cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum RecordingsError {
    /// It cannot be read.
    #[error(transparent)]
    DataSet(#[from] DataSetError),
    /// No camera of the data set has videos. The field is its folder.
    #[error(
        "{} has no camera with videos; data sets of images can be scored with `policy-studio score --dataset`",
        .0.display()
    )]
    NoVideos(PathBuf),
    /// The frame rate is not known. The field is the data set's folder.
    #[error("{}: meta/info.json has no frame rate above 0 (fps)", .0.display())]
    NoRate(PathBuf),
}

/// Outcome of adding a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// Name of its folder.
    pub dataset: String,
    /// The listed camera.
    pub camera: String,
    /// Number of listed episodes.
    pub episodes: usize,
    /// Episodes that are not listed, each with the reason.
    pub left_out: Vec<String>,
    /// Other problems of the data set.
    pub notes: Vec<String>,
}

/// Episodes of any number of data sets.
#[derive(Debug, Default)]
pub struct Recordings {
    list: EpisodeList,
    /// Video files per data set, each once.
    videos: Vec<Vec<Representation>>,
    /// The serialized list.
    json: OnceLock<Bytes>,
}

impl Recordings {
    /// Lists the episodes of a LeRobot data set with the videos of `camera`, by default its first colour camera with videos.
    ///
    /// # Errors
    /// [`RecordingsError`]; an episode without its video is reported in [`Added::left_out`] instead.
    pub fn add(&mut self, folder: &Path, camera: Option<&str>) -> Result<Added, RecordingsError> {
        let data_set = DataSet::open(folder)?;
        let no_videos = || RecordingsError::NoVideos(folder.to_owned());
        let is_video = |(_, is_video): &&(&str, bool)| *is_video;
        let camera = match camera {
            None => {
                let cameras = data_set.colour_cameras();
                let first = cameras.iter().find(is_video);
                first.ok_or_else(no_videos)?.0.to_owned()
            }
            Some(name) => {
                let camera = data_set.camera(Some(name))?;
                let cameras = data_set.cameras();
                if !cameras
                    .iter()
                    .filter(is_video)
                    .any(|(name, _)| *name == camera)
                {
                    return Err(no_videos());
                }
                camera
            }
        };
        let fps = data_set
            .fps(&camera)
            .ok_or_else(|| RecordingsError::NoRate(folder.to_owned()))?;
        let listing = data_set.listing()?;
        let allowed = AllowedFolders::of(folder).map_err(|cause| DataSetError::Folder {
            path: folder.to_owned(),
            cause,
        })?;
        let set = self.videos.len();
        let mut files = Files::default();
        let mut added = Added {
            dataset: name_of(folder),
            camera,
            episodes: 0,
            left_out: Vec::new(),
            notes: listing.notes,
        };
        for entry in listing.episodes {
            let found = match data_set.footage(&entry, &added.camera) {
                Ok(Footage::Video {
                    path,
                    from_secs,
                    frames,
                }) => files
                    .index_of(&allowed, &path)
                    .map(|index| (index, from_secs, frames)),
                Ok(Footage::Stills(_)) => Err("its frames are images, not a video".to_owned()),
                Err(DataSetError::BadEpisode { problem, .. }) => Err(problem),
                Err(error) => Err(error.to_string()),
            };
            let (index, from_secs, frames) = match found {
                Ok(found) => found,
                Err(reason) => {
                    added
                        .left_out
                        .push(format!("episode {}: {reason}", entry.index));
                    continue;
                }
            };
            added.episodes += 1;
            self.list.episodes.push(RecordedEpisode {
                id: format!("{set}/{}", entry.index),
                dataset: added.dataset.clone(),
                episode: entry.index,
                instruction: entry.task,
                camera: added.camera.clone(),
                fps,
                frames: u32::try_from(frames).unwrap_or(u32::MAX),
                video_url: format!("/api/episodes/video/{set}/{index}"),
                from_secs,
                to_secs: from_secs + frames as f64 / fps,
            });
        }
        self.videos.push(files.videos);
        self.json = OnceLock::new();
        Ok(added)
    }

    /// The list as JSON. All responses share one buffer, so a slow reader holds no copy.
    pub(crate) fn json(&self) -> Bytes {
        self.json
            .get_or_init(|| match serde_json::to_vec(&self.list) {
                Ok(json) => json.into(),
                Err(error) => {
                    tracing::error!("the list of episodes cannot be serialized: {error}");
                    Bytes::from_static(b"{\"episodes\":[]}")
                }
            })
            .clone()
    }

    /// All listed episodes.
    #[must_use]
    pub fn list(&self) -> &EpisodeList {
        &self.list
    }

    /// A video by the two numbers in its address.
    pub(crate) fn video(&self, set: usize, index: usize) -> Option<&Representation> {
        self.videos.get(set)?.get(index)
    }
}

/// Video files of a data set, each once: files of the newest layout contain many episodes.
#[derive(Default)]
struct Files {
    indices: BTreeMap<PathBuf, Result<usize, String>>,
    videos: Vec<Representation>,
}

impl Files {
    fn index_of(&mut self, allowed: &AllowedFolders, path: &Path) -> Result<usize, String> {
        if let Some(known) = self.indices.get(path) {
            return known.clone();
        }
        let index = open(allowed, path).map(|video| {
            self.videos.push(video);
            self.videos.len() - 1
        });
        self.indices.insert(path.to_owned(), index.clone());
        index
    }
}

/// Folders in which the resolved files of a data set must be. A data set may come from an untrusted source with symbolic
/// links among its files, and pages must not get other files of this machine.
struct AllowedFolders {
    folders: Vec<PathBuf>,
}

impl AllowedFolders {
    /// The folder itself, which may be a link because the user named it. In the Hugging Face cache all files are links to
    /// blobs of the same repository (`datasets--NAME/snapshots/REVISION/...` to `datasets--NAME/blobs/...`).
    fn of(folder: &Path) -> io::Result<Self> {
        let folder = folder.canonicalize()?;
        let mut folders = vec![folder.clone()];
        let named = |path: &Path, is: &dyn Fn(&str) -> bool| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(is)
        };
        if let Some(snapshots) = folder
            .parent()
            .filter(|up| named(up, &|name| name == "snapshots"))
            && let Some(repository) = snapshots
                .parent()
                .filter(|up| named(up, &|name| name.starts_with("datasets--")))
        {
            let blobs = repository.join("blobs");
            // If `blobs` itself were a link, it could lead anywhere.
            folders.extend(blobs.canonicalize().ok().filter(|real| *real == blobs));
        }
        Ok(Self { folders })
    }

    /// Resolves the links in a path.
    fn resolve(&self, path: &Path) -> Result<PathBuf, String> {
        let real = path
            .canonicalize()
            .map_err(|error| format!("{}: {error}", path.display()))?;
        if self.folders.iter().any(|folder| real.starts_with(folder)) {
            return Ok(real);
        }
        Err(format!(
            "{} is a link to {}, outside of the data set; replace the link with the file",
            path.display(),
            real.display()
        ))
    }
}

fn open(allowed: &AllowedFolders, named: &Path) -> Result<Representation, String> {
    // The media type follows from this name; the resolved path of a blob has no extension.
    let path = &allowed.resolve(named)?;
    let metadata =
        std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    if !metadata.is_file() {
        return Err(format!("{} is not a file", path.display()));
    }
    let modified = metadata.modified().ok();
    let micros = modified
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_micros());
    Ok(Representation {
        etag: format!("\"{:x}-{micros:x}\"", metadata.len()),
        content: Content::of_file(path.to_owned(), &metadata),
        kind: mime_guess::from_path(named)
            .first_raw()
            .filter(|kind| kind.starts_with("video/"))
            .unwrap_or("application/octet-stream"),
    })
}

/// The name of a folder, also of `.` and `..`.
fn name_of(folder: &Path) -> String {
    let path = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    path.file_name().map_or_else(
        || folder.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}
