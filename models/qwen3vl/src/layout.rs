//! Text around a video: blocks of two frames, each after its timestamp.

use crate::error::ScoreError;

/// Token that begins a turn.
const IM_START: &str = "<|im_start|>";
/// Token that ends a turn.
pub const IM_END: &str = "<|im_end|>";
/// Token that ends a text.
pub const END_OF_TEXT: &str = "<|endoftext|>";
/// Token before an image.
pub const VISION_START: &str = "<|vision_start|>";
/// Token after an image.
pub const VISION_END: &str = "<|vision_end|>";

/// Layout of the reference's processor. Scores differ between the two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TextLayout {
    /// transformers 4.57 to 5.9, which the published scores come from: the blocks stand by themselves.
    #[default]
    Plain,
    /// transformers from 5.10 on: one more pair of vision tokens around all blocks.
    Outer,
}

impl TextLayout {
    /// Begins the user's turn and the video.
    #[must_use]
    pub fn header(self) -> String {
        match self {
            Self::Plain => format!("{IM_START}user\n"),
            Self::Outer => format!("{IM_START}user\n{VISION_START}"),
        }
    }

    /// Ends the video. Where there is something here, it belongs to what follows a video of any length.
    #[must_use]
    pub fn close(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Outer => VISION_END,
        }
    }

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "transformers-4.57",
            Self::Outer => "transformers-5.10",
        }
    }
}

impl std::str::FromStr for TextLayout {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        [Self::Plain, Self::Outer]
            .into_iter()
            .find(|layout| layout.name() == word)
            .ok_or_else(|| {
                format!(
                    "no such layout; there are {} and {}",
                    Self::Plain.name(),
                    Self::Outer.name()
                )
            })
    }
}

/// Text before a block's tokens: its time, to a tenth of a second, half to even as Python writes it, and the token that
/// begins an image.
///
/// # Errors
/// [`ScoreError::BadTime`] for a time that is negative or no number.
pub fn before_block(seconds: f64) -> Result<String, ScoreError> {
    if !(seconds.is_finite() && seconds >= 0.0) {
        return Err(ScoreError::BadTime {
            what: "the time of a block",
            value: seconds,
            range: "from 0 on",
        });
    }
    Ok(format!("<{seconds:.1} seconds>{VISION_START}"))
}

/// Ends the user's turn and begins the answer.
#[must_use]
pub fn answer_turn() -> &'static str {
    "<|im_end|>\n<|im_start|>assistant\n"
}

/// Text after a block's tokens.
#[must_use]
pub fn after_block() -> &'static str {
    VISION_END
}

/// The time of a block, in seconds: the mean of its two frames', which have these numbers in a video of so many
/// frames per second. A block of one frame has its number twice.
///
/// # Errors
/// [`ScoreError::BadTime`] for a rate that is not above 0.
#[allow(
    clippy::cast_precision_loss,
    reason = "frame numbers are far below 2^53"
)]
pub fn block_seconds(frames: [usize; 2], frames_per_second: f64) -> Result<f64, ScoreError> {
    if !(frames_per_second.is_finite() && frames_per_second > 0.0) {
        return Err(ScoreError::BadTime {
            what: "the frame rate",
            value: frames_per_second,
            range: "above 0",
        });
    }
    let [first, second] = frames.map(|frame| frame as f64 / frames_per_second);
    Ok((first + second) / 2.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::{before_block, block_seconds};

    /// Python: `[f"{x:.1f}" for x in (0.0, 0.25, 0.75, 1.25, 0.35, 2.5, 9.95, 10.05, 123.45)]`.
    #[test]
    fn tenths_are_written_as_python_writes_them() {
        for (seconds, text) in [
            (0.0, "0.0"),
            (0.25, "0.2"),
            (0.75, "0.8"),
            (1.25, "1.2"),
            (0.35, "0.3"),
            (2.5, "2.5"),
            (9.95, "9.9"),
            (10.05, "10.1"),
            (123.45, "123.5"),
        ] {
            assert_eq!(
                before_block(seconds).unwrap(),
                format!("<{text} seconds><|vision_start|>")
            );
        }
        assert!(before_block(f64::NAN).is_err());
        assert!(before_block(-0.5).is_err());
    }

    #[test]
    fn a_block_lies_between_its_frames() {
        assert_eq!(
            block_seconds([0, 1], 2.0).unwrap().to_bits(),
            0.25_f64.to_bits()
        );
        assert_eq!(
            block_seconds([4, 4], 2.0).unwrap().to_bits(),
            2.0_f64.to_bits()
        );
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(block_seconds([0, 1], rate).is_err());
        }
    }
}
