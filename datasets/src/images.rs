//! Picture files, decoded within limits: a PNG of a few kilobytes may hold a gigabyte of pixels.
//!
//! The bytes of a file decide its format, not its name. Its size is read from its header and held against the
//! [`PictureLimits`] before a pixel is decoded, and it comes out turned as its orientation tag says, as viewers show it.

mod jpeg;
pub mod limits;

use std::{io::Cursor, path::Path};

use field_files::{Foreign, ReadError};
use image::{DynamicImage, ImageDecoder as _, ImageError, ImageReader, Limits};
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
    if jpeg::is_cut(bytes) {
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
    let reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(ImageError::IoError)?;
    // The header is read, and no pixel.
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > limits.pixels || width.max(height) > MOST_SIDE {
        return Err(Failed::Limit(PictureError::TooLarge {
            file: file.to_string(),
            width,
            height,
            most: limits.pixels,
        }));
    }
    if decoder.total_bytes() > limits.memory {
        return Err(Failed::Limit(PictureError::Decode {
            file: file.to_string(),
            reason: format!(
                "its pixels take {} bytes, at most {} are decoded: save it with 8 bits per channel, or smaller",
                decoder.total_bytes(),
                limits.memory
            ),
        }));
    }
    let mut allowed = Limits::default();
    allowed.max_alloc = Some(limits.memory);
    decoder.set_limits(allowed)?;
    let orientation = decoder.orientation()?;
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use image::{ExtendedColorType, ImageEncoder as _, codecs::png::PngEncoder};

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let pixels = vec![7; (width * height) as usize];
        PngEncoder::new(&mut bytes)
            .write_image(&pixels, width, height, ExtendedColorType::L8)
            .unwrap();
        bytes
    }

    /// 64 by 48 pixels.
    fn jpeg() -> Vec<u8> {
        let mut jpeg = Cursor::new(Vec::new());
        DynamicImage::new_rgb8(64, 48)
            .write_to(&mut jpeg, image::ImageFormat::Jpeg)
            .unwrap();
        jpeg.into_inner()
    }

    fn within(pixels: u64, memory: u64) -> PictureLimits {
        PictureLimits {
            pixels,
            memory,
            ..PictureLimits::ASKED
        }
    }

    #[test]
    fn the_size_is_looked_at_before_a_pixel_is_decoded() {
        let picture = decode(&png(20, 10), &"a.png", within(200, 9999)).unwrap();
        let picture = rgb(picture, &"a.png").unwrap();
        assert_eq!((picture.width(), picture.height()), (20, 10));
        for (limits, words) in [
            (within(199, 9999), "20x10"),
            (within(200, 199), "200 bytes, at most 199"),
        ] {
            let error = decode(&png(20, 10), &"a.png", limits).unwrap_err();
            let error = error.to_string();
            assert!(error.contains("a.png") && error.contains(words), "{error}");
        }
        // A header that promises 65535 by 65535 pixels, and nothing behind it.
        let mut lying = png(1, 1);
        lying[16..24].copy_from_slice(&[0, 0, 255, 255, 0, 0, 255, 255]);
        for limits in [PictureLimits::ASKED, PictureLimits::FRAME] {
            assert!(decode(&lying, &"b.png", limits).is_err());
        }
        let long = decode(&png(MOST_SIDE + 1, 1), &"long.png", PictureLimits::FRAME);
        assert!(long.unwrap_err().to_string().contains("32769x1"));
    }

    #[test]
    fn what_is_no_picture_is_told_by_its_cause() {
        let (whole, jpeg) = (png(20, 10), jpeg());
        let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 5\n";
        for (bytes, words) in [
            (&lfs[..], "Git LFS"),
            (b"GIF89a", "neither a PNG nor a JPEG"),
            (b"", "0 bytes"),
            (&whole[..whole.len() / 2], "never finished"),
            (&jpeg[..jpeg.len() - 40], "never finished"),
        ] {
            let error = decode(bytes, &"c.png", PictureLimits::ASKED).unwrap_err();
            let error = error.to_string();
            assert!(error.contains("c.png") && error.contains(words), "{error}");
        }
        assert!(decode(&jpeg, &"c.jpg", PictureLimits::ASKED).is_ok());
        // A motion photo: a film after the picture, larger than that.
        let moving = [&jpeg[..], b"\0\0\0\x18ftypmp42", &[7; 9000]].concat();
        assert!(decode(&moving, &"m.jpg", PictureLimits::ASKED).is_ok());
        let cut = [&jpeg[..jpeg.len() - 40], &[7; 9000]].concat();
        assert!(decode(&cut, &"m.jpg", PictureLimits::ASKED).is_err());
    }

    #[test]
    fn a_picture_stands_as_its_orientation_says() {
        // A quarter turn, as of a phone held upright.
        let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06".to_vec();
        exif.extend([0; 6]);
        let mut tagged = jpeg()[..2].to_vec();
        tagged.extend([0xff, 0xe1]);
        tagged.extend((exif.len() as u16 + 2).to_be_bytes());
        tagged.extend(exif);
        tagged.extend(&jpeg()[2..]);
        let size = |bytes: &[u8]| {
            let picture = decode(bytes, &"e.jpg", PictureLimits::ASKED).unwrap();
            (picture.width(), picture.height())
        };
        assert_eq!(size(&jpeg()), (64, 48));
        assert_eq!(size(&tagged), (48, 64));
    }
}
