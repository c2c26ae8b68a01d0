//! Limits of all images, by their use.
//!
//! | image | pixels | reason |
//! |---|---|---|
//! | a file of `act` or `ask` ([`PictureLimits::ASKED`]) | 24 million | a camera of 24 megapixels; networks receive a fortieth of that |
//! | all files of one request together ([`ASKED_TOGETHER_PIXELS`]) | 40 million | they are in memory while the model is loaded |
//! | a frame of a video or of a folder to be scored ([`PictureLimits::FRAME`]) | 67 million | one is in memory at a time, and scanners and stitched videos are that large |
//! | the views of an observation for a policy ([`VIEWS_PIXELS`]) | 8 million | three cameras of 1920x1080, decoded many times a second |
//! | the views of a question ([`QUESTION_PIXELS`]) | 17 million | eight of 1920x1080, decoded once |

use field_files::Limit;

/// Longest side of any image (pixels).
pub const MOST_SIDE: u32 = 1 << 15;
/// Pixels of all images of one question or observation on the command line.
pub const ASKED_TOGETHER_PIXELS: u64 = 40_000_000;
/// Pixels of all views of an observation for a policy.
pub const VIEWS_PIXELS: u64 = 8_000_000;
/// Pixels of all images of a question about a robot.
pub const QUESTION_PIXELS: u64 = 4096 * 4096;
/// Scans of a progressive JPEG from a robot. Encoders write about ten.
pub const SCANS: usize = 64;

/// Limits of one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureLimits {
    /// Size of its file.
    pub file: Limit,
    /// Number of pixels.
    pub pixels: u64,
    /// Total memory of decoding (bytes): the file, its decoded pixels, and the copies made of them (rotated, converted
    /// to 8-bit RGB, or as the coefficients of a progressive JPEG).
    pub memory: u64,
}

impl PictureLimits {
    /// Limits of an input file of `act` or `ask`.
    pub const ASKED: Self = Self {
        file: Limit::PICTURE,
        pixels: 24_000_000,
        memory: 192 << 20,
    };
    /// Limits of a frame to be scored: 8192 by 8192 pixels in 8-bit RGB, with a file of 32 MiB; fewer pixels with more
    /// channels or bits.
    pub const FRAME: Self = Self {
        file: Limit(128 << 20),
        pixels: 1 << 26,
        memory: 224 << 20,
    };
}
