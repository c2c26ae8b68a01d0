//! One picture of a folder or of a column, decoded as it is to be looked at.

use super::{MOST_PIXELS, ScoringError, file};
use crate::episodes::Still;
use field_files::{Foreign, Limit};
use image::{DynamicImage, ImageDecoder as _, ImageError, ImageReader, Limits};
use std::{
    borrow::Cow,
    io::{Cursor, ErrorKind},
    path::Path,
};
use vision::RgbImage;

/// Larger than a file of any picture that is read.
const MOST_BYTES: Limit = Limit(4 * MOST_PIXELS as u64);
/// Bytes that a decoder may take for one picture: four channels of 16 bits, and as much again.
const MOST_MEMORY: u64 = 16 * MOST_PIXELS as u64;

/// Decodes a picture, turned as its orientation tag says. What it is follows from its bytes, not from its name.
///
/// # Errors
/// [`ScoringError::Image`] for one that cannot be decoded, and for one that is too large, before it takes memory.
pub(super) fn decode(path: &Path, still: &Still) -> Result<RgbImage, ScoringError> {
    let bad = |reason: String| ScoringError::Image {
        path: path.to_owned(),
        reason,
    };
    let bytes = match still {
        Still::File(file) => Cow::Owned(field_files::read(file, MOST_BYTES)?),
        Still::Bytes(bytes) => Cow::Borrowed(bytes.as_slice()),
    };
    if let Some(foreign) = Foreign::instead(&bytes, bytes.len() as u64) {
        return Err(ScoringError::Foreign {
            path: path.to_owned(),
            foreign,
        });
    }
    if is_cut_jpeg(&bytes) {
        return Err(bad(cut_short(bytes.len())));
    }
    let image = turned(&bytes).map_err(|error| bad(words(&error, &bytes)))?;
    if let DynamicImage::ImageLuma16(_) = image {
        file::warn(
            "there are pictures of one channel of 16 bits, as depth cameras write: the scorer takes distance for brightness",
        );
    }
    let image = image.into_rgb8();
    let (width, height) = (image.width() as usize, image.height() as usize);
    RgbImage::new(width, height, image.into_raw()).map_err(|error| bad(error.to_string()))
}

fn turned(bytes: &[u8]) -> Result<DynamicImage, ImageError> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MOST_PIXELS as u64 {
        return Err(ImageError::IoError(std::io::Error::other(format!(
            "its {width}x{height} pixels are more than the {MOST_PIXELS} that are read"
        ))));
    }
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// Whether a JPEG lacks its end. Decoders fill what is missing with grey, without a word.
fn is_cut_jpeg(bytes: &[u8]) -> bool {
    // A preview in the header has an end of its own, and what follows the picture's end is nobody's business.
    let second_half = bytes.get(bytes.len() / 2..).unwrap_or_default();
    bytes.starts_with(b"\xff\xd8\xff") && !second_half.windows(2).any(|two| two == b"\xff\xd9")
}

fn cut_short(bytes: usize) -> String {
    format!(
        "it ends early, after {bytes} bytes: it was never finished, as when a recording is interrupted; take it out of the \
         folder or write it again"
    )
}

/// Why bytes are no picture.
fn words(error: &ImageError, bytes: &[u8]) -> String {
    let is_cut = match error {
        ImageError::IoError(error) => error.kind() == ErrorKind::UnexpectedEof,
        _ => error.to_string().to_lowercase().contains("unexpected end"),
    };
    match error {
        _ if is_cut => cut_short(bytes.len()),
        ImageError::Unsupported(_) => {
            format!("it is neither a PNG nor a JPEG that is read: {error}")
        }
        _ => error.to_string(),
    }
}
