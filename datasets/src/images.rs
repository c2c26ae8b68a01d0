//! Image files, decoded within limits: a PNG of a few kilobytes can hold a gigabyte of pixels.
//!
//! The format is determined by the bytes of a file, not by its name. The dimensions are read from the header and
//! checked against the [`PictureLimits`] before a pixel is decoded. The image is rotated by its orientation tag, as
//! image viewers do.

mod jpeg;
mod jpeg_end;
pub mod limits;
#[cfg(test)]
mod tests;

use std::{io::Cursor, path::Path};

use field_files::{Foreign, ReadError};
use image::{
    ColorType, DynamicImage, ImageDecoder as _, ImageError, ImageReader, Limits,
    metadata::Orientation,
};
use vision::RgbImage;

pub use limits::{ASKED_TOGETHER_PIXELS, MOST_SIDE, PictureLimits};
pub use limits::{QUESTION_PIXELS, SCANS, VIEWS_PIXELS};

/// An image could not be used. The message names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The file cannot be read, is a placeholder for another, is incomplete, or is too large.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file is not a PNG or JPEG, or is broken.
    #[error("cannot read the image {file}: {reason}")]
    Decode {
        /// The file.
        file: String,
        /// Cause, for the reader of the message.
        reason: String,
    },
    /// The image has too many pixels.
    #[error(
        "the image {file} has {width}x{height} pixels; at most {most} in all and {side} along a side are decoded: make it \
         smaller first", side = MOST_SIDE
    )]
    TooLarge {
        /// The file.
        file: String,
        /// Width (pixels).
        width: u32,
        /// Height (pixels).
        height: u32,
        /// Maximum number of pixels.
        most: u64,
    },
}

/// Reads a PNG or JPEG file that is the input of a single request.
///
/// # Errors
/// [`PictureError`], which names the file.
pub fn read(path: &Path) -> Result<RgbImage, PictureError> {
    rgb(open(path, PictureLimits::ASKED)?, &path.display())
}

/// Reads the image files of one request, which are in memory together ([`ASKED_TOGETHER_PIXELS`]).
///
/// # Errors
/// [`PictureError`] for the first file that cannot be used or exceeds the limit.
pub fn read_all<'a>(
    paths: impl IntoIterator<Item = &'a Path>,
) -> Result<Vec<RgbImage>, PictureError> {
    let mut left = ASKED_TOGETHER_PIXELS;
    let mut images = Vec::new();
    for path in paths {
        let limits = PictureLimits {
            pixels: left.min(PictureLimits::ASKED.pixels),
            ..PictureLimits::ASKED
        };
        let image = rgb(open(path, limits)?, &path.display())?;
        left = left.saturating_sub((image.width() * image.height()) as u64);
        images.push(image);
    }
    Ok(images)
}

/// Decodes a PNG or JPEG file.
///
/// # Errors
/// [`PictureError`], which names the file.
pub fn open(path: &Path, limits: PictureLimits) -> Result<DynamicImage, PictureError> {
    let bytes = field_files::read(path, limits.file)?;
    decode(&bytes, &path.display(), limits)
}

/// Decodes the bytes of a PNG or JPEG; `file` names it in errors.
///
/// # Errors
/// [`PictureError`].
pub fn decode(
    bytes: &[u8],
    file: &dyn std::fmt::Display,
    limits: PictureLimits,
) -> Result<DynamicImage, PictureError> {
    let foreign = |foreign| {
        PictureError::Read(ReadError::Foreign {
            file: file.to_string(),
            foreign,
        })
    };
    if let Some(found) = Foreign::instead(bytes, bytes.len() as u64) {
        return Err(foreign(found));
    }
    if jpeg_end::is_cut(bytes) {
        return Err(foreign(ENDS_EARLY));
    }
    decode_oriented(bytes, file, limits).map_err(|failed| match failed {
        Failed::Limit(error) => error,
        Failed::Image(error) if is_end(&error) => foreign(ENDS_EARLY),
        Failed::Image(error) => PictureError::Decode {
            file: file.to_string(),
            reason: match error {
                ImageError::Unsupported(_) => {
                    format!("it is neither a PNG nor a supported JPEG: {error}")
                }
                ImageError::Limits(_) => format!(
                    "it has more than {} MiB of profiles or texts beside its pixels: save it without them",
                    BESIDE_PIXELS >> 20
                ),
                _ => error.to_string(),
            },
        },
    })
}

/// Converts an image to 8-bit RGB; `file` names it in errors.
///
/// # Errors
/// [`PictureError::Decode`] for an image without pixels.
pub fn rgb(image: DynamicImage, file: &dyn std::fmt::Display) -> Result<RgbImage, PictureError> {
    let image = image.into_rgb8();
    let (width, height) = image.dimensions();
    RgbImage::new(width as usize, height as usize, image.into_raw()).map_err(|error| {
        PictureError::Decode {
            file: file.to_string(),
            reason: error.to_string(),
        }
    })
}

/// Maximum size of the data beside the pixels (profiles, texts), decompressed (bytes).
const BESIDE_PIXELS: u64 = 8 << 20;

const ENDS_EARLY: Foreign = Foreign::Unfinished {
    sign: "it ends early",
};

/// Reason for which an image is not decoded.
enum Failed {
    Limit(PictureError),
    Image(ImageError),
}

impl From<ImageError> for Failed {
    fn from(error: ImageError) -> Self {
        Self::Image(error)
    }
}

fn decode_oriented(
    bytes: &[u8],
    file: &dyn std::fmt::Display,
    limits: PictureLimits,
) -> Result<DynamicImage, Failed> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(ImageError::IoError)?;
    // Set before the decoder is created: that of PNG decompresses profiles in its constructor and takes no limits
    // afterwards.
    let mut beside = Limits::default();
    beside.max_alloc = Some(BESIDE_PIXELS);
    reader.limits(beside);
    // This reads the header only.
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > limits.pixels || width.max(height) > MOST_SIDE {
        return Err(Failed::Limit(PictureError::TooLarge {
            file: file.to_string(),
            width,
            height,
            most: limits.pixels,
        }));
    }
    let orientation = decoder.orientation()?;
    let decoded = decoder.total_bytes();
    let rotated = match orientation {
        Orientation::NoTransforms
        | Orientation::Rotate180
        | Orientation::FlipHorizontal
        | Orientation::FlipVertical => 0,
        _ => decoded,
    };
    let converted = match decoder.color_type() {
        ColorType::Rgb8 => 0,
        _ => pixels.saturating_mul(3),
    };
    let memory = decoded
        .saturating_add(rotated.max(converted))
        .max(decoded.saturating_add(jpeg::coefficients(bytes, pixels)))
        .saturating_add(jpeg::copies(bytes).saturating_mul(bytes.len() as u64));
    if memory > limits.memory {
        return Err(Failed::Limit(PictureError::Decode {
            file: file.to_string(),
            reason: format!(
                "decoding it takes {memory} bytes, at most {} are allowed: save it with 8 bits per channel and without \
                 transparency, or smaller",
                limits.memory
            ),
        }));
    }
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// True if a decoder reports that the bytes end before the image does.
fn is_end(error: &ImageError) -> bool {
    match error {
        ImageError::IoError(error) => error.kind() == std::io::ErrorKind::UnexpectedEof,
        _ => error.to_string().to_lowercase().contains("unexpected end"),
    }
}
