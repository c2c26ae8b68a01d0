//! The limits of pictures, all of them, by what a picture is for.
//!
//! | picture | pixels | why |
//! |---|---|---|
//! | a file of `act` or `ask` ([`PictureLimits::ASKED`]) | 24 million | a camera of 24 megapixels; networks are shown a fortieth of that |
//! | all of them together ([`ASKED_TOGETHER_PIXELS`]) | 40 million | they are held while the model is loaded |
//! | a frame of a video or of a folder to be scored ([`PictureLimits::FRAME`]) | 67 million | one is held at a time, and scanners and stitched videos are that large |
//! | the views that a policy looks at ([`VIEWS_PIXELS`]) | 8 million | three cameras of 1920x1080, decoded many times a second |
//! | the views of a question ([`QUESTION_PIXELS`]) | 17 million | eight of 1920x1080, decoded once |

use field_files::Limit;

/// The longest side of any picture (pixels).
pub const MOST_SIDE: u32 = 1 << 15;
/// Pixels of the pictures of one question or observation on the command line together.
pub const ASKED_TOGETHER_PIXELS: u64 = 40_000_000;
/// Pixels of all views that a policy looks at.
pub const VIEWS_PIXELS: u64 = 8_000_000;
/// Pixels of all pictures of a question about a robot.
pub const QUESTION_PIXELS: u64 = 4096 * 4096;
/// Passes over a progressive JPEG of a robot. Encoders make about ten.
pub const SCANS: usize = 64;

/// Limits of one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureLimits {
    /// Bytes of its file.
    pub file: Limit,
    /// Pixels.
    pub pixels: u64,
    /// Bytes that decoding may take in all: the file, its pixels as the file has them, and what they become or are held
    /// in on the way (turned, in eight bits of three colours, as coefficients of a progressive JPEG).
    pub memory: u64,
}

impl PictureLimits {
    /// A file that somebody asks about.
    pub const ASKED: Self = Self {
        file: Limit::PICTURE,
        pixels: 24_000_000,
        memory: 192 << 20,
    };
    /// A frame to be scored: 8192 by 8192 pixels in eight bits of three colours, with a file of 32 MiB; fewer pixels of
    /// more channels or bits.
    pub const FRAME: Self = Self {
        file: Limit(128 << 20),
        pixels: 1 << 26,
        memory: 224 << 20,
    };
}
