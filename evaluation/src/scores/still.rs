//! One picture of a folder or of a column, decoded as it is to be looked at.

use super::{ScoringError, file};
use datasets::{
    images::{self, PictureLimits},
    lerobot::Still,
};
use image::DynamicImage;
use std::path::Path;
use vision::RgbImage;

/// Decodes a picture, turned as its orientation tag says.
///
/// # Errors
/// [`ScoringError::Image`] for one that cannot be decoded, and for one that is too large, before it takes memory.
pub(super) fn decode(path: &Path, still: &Still) -> Result<RgbImage, ScoringError> {
    let name = path.display();
    let image = match still {
        Still::File(file) => images::open(file, PictureLimits::FRAME)?,
        Still::Bytes(bytes) => images::decode(bytes, &name, PictureLimits::FRAME)?,
    };
    if let DynamicImage::ImageLuma16(_) = image {
        file::warn(
            "there are pictures of one channel of 16 bits, as depth cameras write: the scorer takes distance for brightness",
        );
    }
    Ok(images::rgb(image, &name)?)
}
