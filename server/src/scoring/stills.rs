//! Images as a video: a folder's PNG and JPEG files in the order of their names, or those of a data set's column.

use super::{Keeper, Kept, ScoringError};
use crate::episodes::Still;
use std::{
    fs,
    path::{Path, PathBuf},
};
use vision::RgbImage;

/// Reads a folder. `tell` is told how many of how many images have been read.
///
/// # Errors
/// [`ScoringError`] for a folder without images, or an image that cannot be decoded or differs in size.
pub fn read(
    folder: &Path,
    keeper: Keeper,
    tell: &mut dyn FnMut(usize, usize),
) -> Result<Kept, ScoringError> {
    let files = images(folder)?;
    let stills: Vec<Still> = files.into_iter().map(Still::File).collect();
    read_all(folder, &stills, keeper, tell)
}

/// How many images a folder has.
///
/// # Errors
/// [`ScoringError`] when it has none or cannot be read.
pub fn count(folder: &Path) -> Result<usize, ScoringError> {
    Ok(images(folder)?.len())
}

/// Reads images that belong together; `whole` is what an error is about that is not of one of them.
///
/// # Errors
/// As [`read`].
pub fn read_all(
    whole: &Path,
    stills: &[Still],
    mut keeper: Keeper,
    tell: &mut dyn FnMut(usize, usize),
) -> Result<Kept, ScoringError> {
    if stills.is_empty() {
        return Err(ScoringError::NoFrames {
            path: whole.to_owned(),
        });
    }
    let mut size = None;
    let last = stills.len().saturating_sub(1);
    for (index, still) in stills.iter().enumerate() {
        // An image that cannot be shown is not decoded.
        if !keeper.wants(index, index == last) {
            keeper.pass();
            tell(index + 1, stills.len());
            continue;
        }
        let path = match still {
            Still::File(path) => path.clone(),
            Still::Bytes(_) => whole.join(format!("frame {index}")),
        };
        let frame = decode(&path, still)?;
        let own = (frame.width(), frame.height());
        let first = *size.get_or_insert(own);
        if own != first {
            return Err(bad(
                &path,
                format!(
                    "it has {}x{} pixels, the first image {}x{}; all frames of a video have one size",
                    own.0, own.1, first.0, first.1
                ),
            ));
        }
        keeper
            .take(frame)
            .map_err(|error| bad(&path, error.to_string()))?;
        tell(index + 1, stills.len());
    }
    keeper
        .finish()
        .map_err(|error| bad(whole, error.to_string()))
}

fn images(folder: &Path) -> Result<Vec<PathBuf>, ScoringError> {
    let io = |source| ScoringError::Io {
        path: folder.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let is_image = path
            .extension()
            .and_then(|extension| extension.to_str())
            .is_some_and(|extension| {
                ["png", "jpg", "jpeg"].contains(&extension.to_ascii_lowercase().as_str())
            });
        if is_image && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(ScoringError::NoImages {
            path: folder.to_owned(),
        });
    }
    files.sort_by(|left, right| left.file_name().cmp(&right.file_name()));
    Ok(files)
}

fn decode(path: &Path, still: &Still) -> Result<RgbImage, ScoringError> {
    let image = match still {
        Still::File(path) => image::open(path),
        Still::Bytes(bytes) => image::load_from_memory(bytes),
    }
    .map_err(|error| bad(path, error.to_string()))?
    .into_rgb8();
    let (width, height) = (image.width() as usize, image.height() as usize);
    RgbImage::new(width, height, image.into_raw()).map_err(|error| bad(path, error.to_string()))
}

fn bad(path: &Path, reason: String) -> ScoringError {
    ScoringError::Image {
        path: path.to_owned(),
        reason,
    }
}
