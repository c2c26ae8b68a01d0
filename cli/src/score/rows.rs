//! Facts from the rows of an episode: the numbers of its frames and when they were taken. They are believed before the
//! metadata.

use anyhow::bail;
use datasets::lerobot::{DataSet, Entry, Footage, Indices, Listing, Pace, RowFinder};
use evaluation::scores::{Keeper, Kept, ScoringError, Store, footage};

/// The numbers and times of an episode's frames.
pub(super) struct Rows {
    pub(super) indices: Indices,
    pub(super) pace: Option<Pace>,
}

/// The numbers and times of an episode's frames: those of its rows. Where the data set has no rows on this disk, or they
/// bear no numbers, those that the metadata give it.
pub(super) fn of(finder: &mut RowFinder<'_>, entry: &Entry) -> anyhow::Result<Rows> {
    let by_metadata = Indices::From(entry.first_index);
    let rows = match finder.find(entry) {
        Ok(rows) => rows,
        Err(_) if !finder.has_files() => {
            return Ok(Rows {
                indices: by_metadata,
                pace: None,
            });
        }
        Err(reason) => bail!("{reason}"),
    };
    if let Some(problem) = rows.disagreement(entry) {
        bail!("{problem}");
    }
    Ok(Rows {
        indices: rows.indices.unwrap_or(by_metadata),
        pace: rows.pace,
    })
}

/// Message where there are no rows to read.
pub(super) fn without(finder: &RowFinder<'_>) -> Vec<String> {
    let reason = finder.no_files().into_iter();
    reason
        .map(|reason| {
            format!("{reason}: the metadata are believed, and what is written has their numbers of frames")
        })
        .collect()
}

/// The frames of an episode and their rate: that of the rows' own times where they have another than the data set says.
pub(super) fn film(
    data_set: &DataSet,
    entry: &Entry,
    (camera, fps, pace): (&str, f64, Option<Pace>),
    keeper: &mut dyn FnMut(f64) -> Keeper,
) -> anyhow::Result<(Kept, f64)> {
    let pictures = data_set.footage(entry, camera)?;
    let mut read =
        |fps: f64| footage::read(data_set.root(), &pictures, fps, keeper(fps), &mut |_| ());
    let Some(pace) = pace.filter(|pace| !pace.is_at(fps, entry.frames)) else {
        return Ok((read(fps)?, fps));
    };
    let own = pace.fps;
    let is_video = matches!(pictures, Footage::Video { .. });
    if !pace.is_even() && is_video {
        bail!(
            "the times of its rows (timestamp) are uneven: frame {} is {:.3} s away from where {own:.3} frames a second would \
             have it, and the data set says {fps} a second; which frames of the video are meant cannot be told",
            pace.worst,
            pace.unevenness_secs
        );
    }
    let say = |words: String| {
        super::notes(&[format!("episode {}: {words}", entry.index)]);
    };
    match read(own) {
        // A video that was written frame by frame at the announced rate, whatever the times of its rows.
        Err(ScoringError::TooShort { .. }) if is_video => {
            say(format!(
                "its rows have {own:.3} frames a second by their times (timestamp), its video those of the data set, {fps}; \
                 the latter is taken"
            ));
            Ok((read(fps)?, fps))
        }
        film => {
            say(format!(
                "its rows have {own:.3} frames a second by their times (timestamp), the data set says {fps}; that of the \
                 rows is taken{}",
                if pace.is_even() {
                    ""
                } else {
                    ", and they are uneven: times of frames are those of the mean"
                }
            ));
            Ok((film?, own))
        }
    }
}

/// Numbers the frames of all finished episodes as their rows are numbered now, and says where the metadata say otherwise.
pub(super) fn number_again(store: &mut Store, listing: &Listing, finder: &mut RowFinder<'_>) {
    let mut notes = Vec::new();
    for entry in &listing.episodes {
        let known = usize::try_from(entry.index).ok().and_then(|index| {
            let frames = store.finished().get(&index)?.score.config.frames;
            Some((index, frames))
        });
        let Some((index, frames)) = known else {
            continue;
        };
        let Ok(rows) = finder.find(entry) else {
            continue;
        };
        let Some(indices) = rows.indices.filter(|_| rows.count == frames) else {
            continue;
        };
        if let Some(first) = indices.at(0).filter(|first| *first != entry.first_index) {
            notes.push(format!(
                "episode {}: its rows have the numbers (index) from {first} on, by the metadata they would begin at {}; \
                 what is written has those of the rows",
                entry.index, entry.first_index
            ));
        }
        store.number(index, indices);
    }
    super::notes(&notes);
}
