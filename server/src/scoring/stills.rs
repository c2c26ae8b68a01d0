//! A folder of images as a video: PNG and JPEG files in the order of their names.

use super::{Keeper, Kept, ScoringError};
use std::{
    fs,
    path::{Path, PathBuf},
};
use topreward::Profile;
use vision::RgbImage;

/// Reads a folder. `tell` is told how many of how many images have been read.
///
/// # Errors
/// [`ScoringError`] for a folder without images, or an image that cannot be decoded or differs in size.
pub fn read(
    folder: &Path,
    profile: Profile,
    fps: f64,
    side: Option<usize>,
    tell: &mut dyn FnMut(usize, usize),
) -> Result<Kept, ScoringError> {
    let files = images(folder)?;
    let mut keeper = Keeper::new(profile, fps, side);
    let mut size = None;
    let last = files.len().saturating_sub(1);
    for (index, path) in files.iter().enumerate() {
        // An image that cannot be shown is not decoded; an empty one keeps its place.
        let needed = index == 0 || index == last || profile.may_show(index, fps);
        let frame = if needed { decode(path)? } else { blank(path)? };
        if needed {
            let own = (frame.width(), frame.height());
            let first = *size.get_or_insert(own);
            if own != first {
                return Err(bad(
                    path,
                    format!(
                        "it has {}x{} pixels, the first image {}x{}; all frames of a video have one size",
                        own.0, own.1, first.0, first.1
                    ),
                ));
            }
        }
        keeper
            .take(frame)
            .map_err(|error| bad(path, error.to_string()))?;
        tell(index + 1, files.len());
    }
    keeper
        .finish()
        .map_err(|error| bad(folder, error.to_string()))
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

fn decode(path: &Path) -> Result<RgbImage, ScoringError> {
    let image = image::open(path).map_err(|error| bad(path, error.to_string()))?;
    let image = image.into_rgb8();
    let (width, height) = (image.width() as usize, image.height() as usize);
    RgbImage::new(width, height, image.into_raw()).map_err(|error| bad(path, error.to_string()))
}

fn blank(path: &Path) -> Result<RgbImage, ScoringError> {
    RgbImage::new(1, 1, vec![0; 3]).map_err(|error| bad(path, error.to_string()))
}

fn bad(path: &Path, reason: String) -> ScoringError {
    ScoringError::Image {
        path: path.to_owned(),
        reason,
    }
}
