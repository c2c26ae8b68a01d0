//! Picture files, decoded within limits: a PNG of a few kilobytes may hold a gigabyte of pixels.
//!
//! The bytes of a file decide its format, not its name. Its size is read from its header and held against the
//! [`PictureLimits`] before a pixel is decoded, and it comes out turned as its orientation tag says, as viewers show it.

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

/// A picture could not be used. Its words name the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The file cannot be read, is a stand-in for it, was never finished, or is too large.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is no PNG or JPEG, or a broken one.
    #[error("cannot read the image {file}: {reason}")]
    Decode {
        /// The file.
        file: String,
        /// Its fault.
        reason: String,
    },
    /// It has more pixels than are decoded.
    #[error(
        "the image {file} has {width}x{height} pixels; at most {most} in all and {side} along a side are decoded: make it \
         smaller first", side = MOST_SIDE
    )]
    TooLarge {
        /// The file.
        file: String,
        /// Pixels per row.
        width: u32,
        /// Rows.
        height: u32,
        /// Most pixels.
        most: u64,
    },
}

/// Reads the PNG or JPEG file that somebody asks about.
///
/// # Errors
/// [`PictureError`], which names the file.
pub fn read(path: &Path) -> Result<RgbImage, PictureError> {
    rgb(open(path, PictureLimits::ASKED)?, &path.display())
}

/// Reads pictures that somebody asks about and that are held together.
///
/// # Errors
/// [`PictureError`] for the first that cannot be used or is too much.
pub fn read_all<'a>(
    paths: impl IntoIterator<Item = &'a Path>,
) -> Result<Vec<RgbImage>, PictureError> {
    let mut left = ASKED_TOGETHER_PIXELS;
    let mut pictures = Vec::new();
    for path in paths {
        let limits = PictureLimits {
            pixels: left.min(PictureLimits::ASKED.pixels),
            ..PictureLimits::ASKED
        };
        let picture = rgb(open(path, limits)?, &path.display())?;
        left = left.saturating_sub((picture.width() * picture.height()) as u64);
        pictures.push(picture);
    }
    Ok(pictures)
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
    turned(bytes, file, limits).map_err(|failed| match failed {
        Failed::Limit(error) => error,
        Failed::Image(error) if is_end(&error) => foreign(ENDS_EARLY),
        Failed::Image(error) => PictureError::Decode {
            file: file.to_string(),
            reason: match error {
                ImageError::Unsupported(_) => {
                    format!("it is neither a PNG nor a JPEG that is read: {error}")
                }
                ImageError::Limits(_) => format!(
                    "it carries more than {} MiB of profiles or texts beside its pixels: save it without them",
                    BESIDE_PIXELS >> 20
                ),
                _ => error.to_string(),
            },
        },
    })
}

/// A picture in eight bits of three colours; `file` names it in errors.
///
/// # Errors
/// [`PictureError::Decode`] for one without pixels.
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

/// Most bytes of what a picture carries beside its pixels (profiles, texts), unfolded.
const BESIDE_PIXELS: u64 = 8 << 20;

const ENDS_EARLY: Foreign = Foreign::Unfinished {
    sign: "it ends early",
};

/// The reason why a picture is not decoded.
enum Failed {
    Limit(PictureError),
    Image(ImageError),
}

impl From<ImageError> for Failed {
    fn from(error: ImageError) -> Self {
        Self::Image(error)
    }
}

fn turned(
    bytes: &[u8],
    file: &dyn std::fmt::Display,
    limits: PictureLimits,
) -> Result<DynamicImage, Failed> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(ImageError::IoError)?;
    // Before there is a decoder: that of PNG unfolds profiles as it is made, and takes no limits afterwards.
    let mut beside = Limits::default();
    beside.max_alloc = Some(BESIDE_PIXELS);
    reader.limits(beside);
    // The header is read, and no pixel.
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
    let own = decoder.total_bytes();
    let turned = match orientation {
        Orientation::NoTransforms
        | Orientation::Rotate180
        | Orientation::FlipHorizontal
        | Orientation::FlipVertical => 0,
        _ => own,
    };
    let converted = match decoder.color_type() {
        ColorType::Rgb8 => 0,
        _ => pixels.saturating_mul(3),
    };
    let memory = own
        .saturating_add(turned.max(converted))
        .max(own.saturating_add(jpeg::coefficients(bytes, pixels)))
        .saturating_add(jpeg::copies(bytes).saturating_mul(bytes.len() as u64));
    if memory > limits.memory {
        return Err(Failed::Limit(PictureError::Decode {
            file: file.to_string(),
            reason: format!(
                "decoding it takes {memory} bytes, at most {} are taken: save it with 8 bits per channel and without \
                 transparency, or smaller",
                limits.memory
            ),
        }));
    }
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// Whether a decoder says that the bytes end before the picture does.
fn is_end(error: &ImageError) -> bool {
    match error {
        ImageError::IoError(error) => error.kind() == std::io::ErrorKind::UnexpectedEof,
        _ => error.to_string().to_lowercase().contains("unexpected end"),
    }
}
