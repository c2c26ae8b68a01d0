//! A camera frame.

use crate::ImageError;

/// A frame of 8-bit red, green and blue, row by row from the top left: `data` is `[height, width, 3]`.
#[derive(Clone, PartialEq, Eq)]
pub struct RgbImage {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

impl RgbImage {
    /// Takes `data` as `[height, width, 3]`.
    ///
    /// # Errors
    /// [`ImageError::BadSize`] for a side of zero, [`ImageError::WrongLength`] when `data` is not
    /// `width * height * 3` bytes long.
    pub fn new(width: usize, height: usize, data: Vec<u8>) -> Result<Self, ImageError> {
        let want = byte_len(width, height)?;
        if data.len() != want {
            return Err(ImageError::WrongLength {
                width,
                height,
                want,
                got: data.len(),
            });
        }
        Ok(Self {
            width,
            height,
            data,
        })
    }

    /// Pixels per row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// The bytes, `[height, width, 3]`.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Gives the bytes back, `[height, width, 3]`.
    #[must_use]
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }
}

/// Bytes of an RGB image of this size.
pub(crate) fn byte_len(width: usize, height: usize) -> Result<usize, ImageError> {
    let len = width
        .checked_mul(height)
        .and_then(|pixels| pixels.checked_mul(3));
    match len {
        Some(len) if len > 0 => Ok(len),
        _ => Err(ImageError::BadSize { width, height }),
    }
}

impl std::fmt::Debug for RgbImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The pixels would fill the terminal.
        write!(f, "RgbImage({}x{})", self.width, self.height)
    }
}
