//! Frames of an episode of a data set.

use super::{Keeper, Kept, ScoringError, stills, video};
use datasets::lerobot::Footage;
use std::path::Path;

/// Reads what `keeper` wants of `footage`, of a data set at `fps` frames per second. `tell` is told how many frames have
/// come.
///
/// # Errors
/// [`ScoringError`].
pub fn read(
    data_set: &Path,
    footage: &Footage,
    fps: f64,
    keeper: Keeper,
    tell: &mut dyn FnMut(usize),
) -> Result<Kept, ScoringError> {
    match footage {
        Footage::Video {
            path,
            from_secs,
            frames,
        } => {
            let section = video::Section {
                from_secs: *from_secs,
                frames: *frames,
                fps,
            };
            video::read(path, video::Frames::Section(section), keeper, tell)
        }
        Footage::Stills(stills) => {
            stills::read_all(data_set, stills, keeper, &mut |done, _| tell(done))
        }
    }
}
