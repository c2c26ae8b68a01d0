//! Recorded episodes for pages: what there is, and the videos that they are in.
//!
//! Everything is looked up once, when the studio starts. A page asks by number, so no address leads to a file that is not
//! a video of a listed episode.

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

/// A data set that cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum RecordingsError {
    /// It cannot be read.
    #[error(transparent)]
    DataSet(#[from] DataSetError),
    /// There is nothing to be seen in it.
    #[error(
        "{} has no camera whose pictures are videos; data sets of images can be scored with `policy-studio score --dataset`",
        .0.display()
    )]
    NoVideos(PathBuf),
    /// The rate of its frames is not known.
    #[error("{}: meta/info.json does not say a rate above 0 (fps)", .0.display())]
    NoRate(PathBuf),
}

/// What became of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// Name of its folder.
    pub dataset: String,
    /// The camera that is shown.
    pub camera: String,
    /// How many episodes are listed.
    pub episodes: usize,
    /// Those that are not, and why.
    pub left_out: Vec<String>,
    /// What else of the data set is not as it should be.
    pub notes: Vec<String>,
}

/// The episodes of some data sets.
#[derive(Debug, Default)]
pub struct Recordings {
    list: EpisodeList,
    /// Per data set, each file once.
    videos: Vec<Vec<Representation>>,
    /// The list as pages get it.
    json: OnceLock<Bytes>,
}

impl Recordings {
    /// Lists the episodes of a LeRobot data set as `camera` saw them, or the first camera with videos that are no depth.
    ///
    /// # Errors
    /// [`RecordingsError`]; an episode without its video is left out instead.
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
        let inside = Inside::of(folder).map_err(|cause| DataSetError::Folder {
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
                    .place(&inside, &path)
                    .map(|place| (place, from_secs, frames)),
                Ok(Footage::Stills(_)) => Err("its pictures are no video".to_owned()),
                Err(DataSetError::BadEpisode { problem, .. }) => Err(problem),
                Err(error) => Err(error.to_string()),
            };
            let (place, from_secs, frames) = match found {
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
                video_url: format!("/api/episodes/video/{set}/{place}"),
                from_secs,
                to_secs: from_secs + frames as f64 / fps,
            });
        }
        self.videos.push(files.videos);
        self.json = OnceLock::new();
        Ok(added)
    }

    /// The same as JSON, written once: whoever reads it slowly holds no copy.
    pub(crate) fn json(&self) -> Bytes {
        self.json
            .get_or_init(|| match serde_json::to_vec(&self.list) {
                Ok(json) => json.into(),
                Err(error) => {
                    tracing::error!("the list of episodes cannot be written: {error}");
                    Bytes::from_static(b"{\"episodes\":[]}")
                }
            })
            .clone()
    }

    /// All of them.
    #[must_use]
    pub fn list(&self) -> &EpisodeList {
        &self.list
    }

    /// A video by the numbers in its address.
    pub(crate) fn video(&self, set: usize, place: usize) -> Option<&Representation> {
        self.videos.get(set)?.get(place)
    }
}

/// The files of a data set, each once: those of the newest layout hold many episodes.
#[derive(Default)]
struct Files {
    places: BTreeMap<PathBuf, Result<usize, String>>,
    videos: Vec<Representation>,
}

impl Files {
    fn place(&mut self, inside: &Inside, path: &Path) -> Result<usize, String> {
        if let Some(known) = self.places.get(path) {
            return known.clone();
        }
        let place = open(inside, path).map(|video| {
            self.videos.push(video);
            self.videos.len() - 1
        });
        self.places.insert(path.to_owned(), place.clone());
        place
    }
}

/// Where the files of a data set may really be. A data set may come from anybody, with links among its files, and what
/// a page is shown must not be another file of this machine.
struct Inside {
    folders: Vec<PathBuf>,
}

impl Inside {
    /// Beneath the folder itself, which may be a link: somebody named it. In the cache of Hugging Face all files are links
    /// to the blobs of the same repository (`datasets--NAME/snapshots/REVISION/...` to `datasets--NAME/blobs/...`).
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
            // A link in the place of the blobs would make them anything.
            folders.extend(blobs.canonicalize().ok().filter(|real| *real == blobs));
        }
        Ok(Self { folders })
    }

    /// Where a file really is.
    fn resolve(&self, path: &Path) -> Result<PathBuf, String> {
        let real = path
            .canonicalize()
            .map_err(|error| format!("{}: {error}", path.display()))?;
        if self.folders.iter().any(|folder| real.starts_with(folder)) {
            return Ok(real);
        }
        Err(format!(
            "{} is a link to {}, which is outside of the data set; put the file itself there",
            path.display(),
            real.display()
        ))
    }
}

fn open(inside: &Inside, named: &Path) -> Result<Representation, String> {
    // The name says what it is, also where it is a link to a blob without one.
    let path = &inside.resolve(named)?;
    let about = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    if !about.is_file() {
        return Err(format!("{} is no file", path.display()));
    }
    let modified = about.modified().ok();
    let micros = modified
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_micros());
    Ok(Representation {
        etag: format!("\"{:x}-{micros:x}\"", about.len()),
        content: Content::of_file(path.to_owned(), &about),
        kind: mime_guess::from_path(named)
            .first_raw()
            .filter(|kind| kind.starts_with("video/"))
            .unwrap_or("application/octet-stream"),
    })
}

/// The name of a folder, also of `.` and `..`.
fn name_of(folder: &Path) -> String {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    whole.file_name().map_or_else(
        || folder.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}
