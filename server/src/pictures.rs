//! Picture files, decoded within bounds: a PNG of a few kilobytes may hold a gigabyte of pixels.

use std::{
    io::{BufRead, Cursor, Seek},
    path::Path,
};

use field_files::{Foreign, Limit, ReadError};
use image::{DynamicImage, ImageDecoder as _, ImageReader, Limits};
use vision::RgbImage;

/// Most pixels of a picture: those of a camera of 24 megapixels. Networks are shown a fortieth of that.
pub const MOST_PIXELS: u64 = 24_000_000;
/// Most pixels of the pictures of one question together.
pub const MOST_PIXELS_TOGETHER: u64 = 40_000_000;
/// Most memory that decoding one takes beside its pixels.
const MOST_BYTES: u64 = 128 << 20;

/// A picture could not be used. Its words begin with the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The file cannot be read, is a stand-in for it, or is too large.
    #[error("the image {0}")]
    Read(#[from] ReadError),
    /// It is no PNG or JPEG, or a broken one.
    #[error("cannot read the image {file}: {reason}")]
    Decode {
        /// The file.
        file: String,
        /// What the decoder said.
        reason: String,
    },
    /// It has more pixels than are decoded.
    #[error(
        "the image {file} has {width}x{height} pixels; at most {most} in all are decoded: make it smaller first"
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

/// Reads a PNG or JPEG file; what it holds decides, whatever it is called.
///
/// # Errors
/// [`PictureError`], which names the file.
pub fn read(path: &Path) -> Result<RgbImage, PictureError> {
    read_within(path, MOST_PIXELS)
}

/// Reads pictures that are held together.
///
/// # Errors
/// [`PictureError`] for the first that cannot be used or is too much.
pub fn read_all<'a>(
    paths: impl IntoIterator<Item = &'a Path>,
) -> Result<Vec<RgbImage>, PictureError> {
    let mut left = MOST_PIXELS_TOGETHER;
    let mut pictures = Vec::new();
    for path in paths {
        let picture = read_within(path, left.min(MOST_PIXELS))?;
        left = left.saturating_sub((picture.width() * picture.height()) as u64);
        pictures.push(picture);
    }
    Ok(pictures)
}

fn read_within(path: &Path, most: u64) -> Result<RgbImage, PictureError> {
    let bytes = field_files::read(path, Limit::PICTURE)?;
    decode(&bytes, &path.display().to_string(), most)
}

/// Decodes the bytes of a PNG or JPEG; `file` names it in errors, `most` are its pixels.
///
/// # Errors
/// [`PictureError`].
pub fn decode(bytes: &[u8], file: &str, most: u64) -> Result<RgbImage, PictureError> {
    let bad = |reason: String| PictureError::Decode {
        file: file.to_owned(),
        reason,
    };
    if let Some(foreign) = Foreign::of(bytes, bytes.len() as u64) {
        return Err(ReadError::Foreign {
            file: file.to_owned(),
            foreign,
        }
        .into());
    }
    let image = bounded(Cursor::new(bytes), file, most)?.into_rgb8();
    let (width, height) = image.dimensions();
    RgbImage::new(width as usize, height as usize, image.into_raw())
        .map_err(|error| bad(error.to_string()))
}

fn bounded<R: BufRead + Seek>(
    from: R,
    file: &str,
    most: u64,
) -> Result<DynamicImage, PictureError> {
    let bad = |reason: String| PictureError::Decode {
        file: file.to_owned(),
        reason,
    };
    let reader = ImageReader::new(from)
        .with_guessed_format()
        .map_err(|error| bad(error.to_string()))?;
    // The header is read, and no pixel.
    let mut decoder = reader
        .into_decoder()
        .map_err(|error| bad(error.to_string()))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > most {
        return Err(PictureError::TooLarge {
            file: file.to_owned(),
            width,
            height,
            most,
        });
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_BYTES);
    decoder
        .set_limits(limits)
        .and_then(|()| DynamicImage::from_decoder(decoder))
        .map_err(|error| bad(error.to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
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

    #[test]
    fn the_size_is_looked_at_before_a_pixel_is_decoded() {
        let picture = decode(&png(20, 10), "a.png", 200).unwrap();
        assert_eq!((picture.width(), picture.height()), (20, 10));
        let error = decode(&png(20, 10), "a.png", 199).unwrap_err().to_string();
        assert!(
            error.contains("a.png") && error.contains("20x10"),
            "{error}"
        );
        // A header that promises 65535 by 65535 pixels, and nothing behind it.
        let mut lying = png(1, 1);
        lying[16..24].copy_from_slice(&[0, 0, 255, 255, 0, 0, 255, 255]);
        assert!(decode(&lying, "b.png", MOST_PIXELS).is_err());
    }

    #[test]
    fn what_is_no_picture_is_told_by_its_cause() {
        let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 5\n";
        let error = decode(lfs, "c.png", 9).unwrap_err().to_string();
        assert!(
            error.contains("c.png") && error.contains("Git LFS"),
            "{error}"
        );
        assert!(decode(b"GIF89a", "d.gif", 9).is_err());
    }
}
