//! Where the pictures of an episode are.

use std::path::PathBuf;

use super::{
    DataSet, DataSetError, Entry,
    columns::Table,
    template::{Value, fill},
};

/// The pictures of one camera in one episode.
#[derive(Debug, Clone, PartialEq)]
pub enum Footage {
    /// A part of a video file.
    Video {
        /// The file.
        path: PathBuf,
        /// When the episode's first frame is shown (s); 0 in a file of its own.
        from_secs: f64,
        /// How many frames belong to the episode.
        frames: usize,
    },
    /// Images in a column, or in files that it names.
    Stills(Vec<Still>),
}

/// An image of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Still {
    /// An encoded file.
    Bytes(Vec<u8>),
    /// Where the file is.
    File(PathBuf),
}

/// The layouts' own templates, where `info.json` has none.
const VIDEO_V2: &str =
    "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4";
const VIDEO_V3: &str = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4";
const CHUNK: usize = 1000;

impl DataSet {
    /// Where the pictures of `camera` in an episode are. Images are read, videos only found.
    ///
    /// # Errors
    /// [`DataSetError`] for a template that cannot be filled, an episode without this camera, and images that are not
    /// there.
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
        let usual = if shared { VIDEO_V3 } else { VIDEO_V2 };
        let template = self.info().video_path.as_deref().unwrap_or(usual);
        let place = match entry.videos.get(camera) {
            Some(place) => Some(place.clone().map_err(|problem| bad(entry, problem))?),
            None if shared => {
                let problem = format!("the metadata have no video of {camera}");
                return Err(bad(entry, problem));
            }
            None => None,
        };
        let mut values = self.numbers_of(entry);
        values.push(("video_key", Value::Text(camera)));
        if let Some((file, _)) = place {
            values.push(("chunk_index", Value::Number(file.chunk)));
            values.push(("file_index", Value::Number(file.file)));
        }
        Ok(Footage::Video {
            path: self.beneath(fill("video_path", template, &values)?)?,
            from_secs: place.map_or(0.0, |(_, from)| from),
            frames: entry.frames,
        })
    }

    fn stills(&self, entry: &Entry, camera: &str) -> Result<Footage, DataSetError> {
        let rows = self.row_finder().find(entry);
        let rows = rows.map_err(|problem| bad(entry, problem))?;
        if let Some(problem) = rows.disagreement(entry) {
            return Err(bad(entry, problem));
        }
        let place = rows.place.ok_or_else(|| {
            let problem = format!("its rows are not together in {}", rows.path.display());
            bad(entry, problem)
        })?;
        let table = Table::open(&rows.path)?;
        let bytes = table.parts(camera, "bytes", place.clone())?;
        // Where all pictures are in the rows, nobody needs their names.
        let paths = if bytes.iter().all(Option::is_some) {
            vec![None; bytes.len()]
        } else {
            table.parts(camera, "path", place)?
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

    /// What a template says of an episode.
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
