//! Locations of the images of an episode.

use std::path::PathBuf;

use super::{
    DataSet, DataSetError, Entry,
    columns::Table,
    template::{Value, fill},
};

/// Images of one camera in one episode.
#[derive(Debug, Clone, PartialEq)]
pub enum Footage {
    /// A section of a video file.
    Video {
        /// The file.
        path: PathBuf,
        /// Time of the episode's first frame in the file (s); 0 where each episode has its own file.
        from_secs: f64,
        /// Number of frames of the episode.
        frames: usize,
    },
    /// One image per frame, in a column or in files named by it.
    Stills(Vec<Still>),
}

/// Image of one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Still {
    /// Content of an encoded image file.
    Bytes(Vec<u8>),
    /// Path of an image file.
    File(PathBuf),
}

/// Default templates of the layouts, used where `info.json` has none.
const VIDEO_V2: &str =
    "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4";
const VIDEO_V3: &str = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4";
/// Default episodes per folder.
const CHUNK: usize = 1000;

impl DataSet {
    /// Locates the images of `camera` in an episode. Single images are read; a video is only located.
    ///
    /// # Errors
    /// [`DataSetError`] for a template that cannot be filled in, an episode without this camera, and missing images.
    pub fn footage(&self, entry: &Entry, camera: &str) -> Result<Footage, DataSetError> {
        let is_video = self
            .cameras()
            .iter()
            .any(|(name, is_video)| *name == camera && *is_video);
        if is_video {
            self.video(entry, camera)
        } else {
            self.stills(entry, camera)
        }
    }

    fn video(&self, entry: &Entry, camera: &str) -> Result<Footage, DataSetError> {
        let shared = self.info().shares_files();
        let default = if shared { VIDEO_V3 } else { VIDEO_V2 };
        let template = self.info().video_path.as_deref().unwrap_or(default);
        let location = match entry.videos.get(camera) {
            Some(location) => Some(location.clone().map_err(|problem| bad(entry, problem))?),
            None if shared => {
                let problem = format!("the metadata have no video of {camera}");
                return Err(bad(entry, problem));
            }
            None => None,
        };
        let mut values = self.numbers_of(entry);
        values.push(("video_key", Value::Text(camera)));
        if let Some((file, _)) = location {
            values.push(("chunk_index", Value::Number(file.chunk)));
            values.push(("file_index", Value::Number(file.file)));
        }
        Ok(Footage::Video {
            path: self.beneath(fill("video_path", template, &values)?)?,
            from_secs: location.map_or(0.0, |(_, from)| from),
            frames: entry.frames,
        })
    }

    fn stills(&self, entry: &Entry, camera: &str) -> Result<Footage, DataSetError> {
        let rows = self.row_finder().find(entry);
        let rows = rows.map_err(|problem| bad(entry, problem))?;
        if let Some(problem) = rows.disagreement(entry) {
            return Err(bad(entry, problem));
        }
        let range = rows.place.ok_or_else(|| {
            let problem = format!("its rows are not together in {}", rows.path.display());
            bad(entry, problem)
        })?;
        let table = Table::open(&rows.path)?;
        let bytes = table.parts(camera, "bytes", range.clone())?;
        // The paths are needed only where an image is not in its row.
        let paths = if bytes.iter().all(Option::is_some) {
            vec![None; bytes.len()]
        } else {
            table.parts(camera, "path", range)?
        };
        (0..)
            .zip(bytes.into_iter().zip(paths))
            .map(|(frame, (bytes, path))| match (bytes, path) {
                (Some(bytes), _) => Ok(Still::Bytes(bytes)),
                (None, Some(path)) => {
                    let path = String::from_utf8_lossy(&path).into_owned();
                    Ok(Still::File(self.beneath(path)?))
                }
                (None, None) => Err(bad(
                    entry,
                    format!("frame {frame} has no image of {camera}"),
                )),
            })
            .collect::<Result<_, DataSetError>>()
            .map(Footage::Stills)
    }

    /// Template values common to all files of an episode.
    pub(super) fn numbers_of(&self, entry: &Entry) -> Vec<(&'static str, Value<'static>)> {
        let chunk = self.info().chunks_size.unwrap_or(CHUNK).max(1) as u64;
        vec![
            ("episode_chunk", Value::Number(entry.index / chunk)),
            ("episode_index", Value::Number(entry.index)),
        ]
    }
}

fn bad(entry: &Entry, problem: String) -> DataSetError {
    DataSetError::BadEpisode {
        episode: i64::try_from(entry.index).unwrap_or(i64::MAX),
        problem,
    }
}
