//! Which frames of a video file are read.

use crate::scores::probe::{OpenEnd, Stream};

/// Of the time between two coded frames, the part at the end of a step of the clock in which none begins.
///
/// A section is sought earlier than its first frame by the rest of a step, so that the rounding of times cannot skip that
/// frame, and what is shown at the beginning of a step is the last that begins in it. Not half of it: in files whose clock
/// has a step a frame, half a frame is rounded to the frame before.
const MARGIN: f64 = 0.6;

/// Frames of a file that are read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Frames {
    /// Every coded frame once, whatever its time stamp, so that frame numbers are those of the recording.
    Each {
        /// The stream; the first with pictures when absent.
        stream: Option<Stream>,
    },
    /// The frame that is shown at every step of a clock, for files whose frames do not follow each other evenly.
    Timed {
        /// The stream.
        stream: Stream,
        /// Steps per second.
        fps: f64,
        /// The end of the file, if it does not say how long its last frame is shown.
        open_end: Option<OpenEnd>,
    },
    /// The frame that is shown at every step of a clock in a part of a file.
    Section(Section),
}

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Section {
    /// When its first frame is shown (s after the first frame of the file, whatever sound there is before that).
    pub from_secs: f64,
    /// How many frames it has.
    pub frames: usize,
    /// Frames per second of the recording.
    pub fps: f64,
}

/// Properties of the stream that is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Known {
    /// Its number; the first with pictures when absent.
    pub(super) stream: Option<Stream>,
    /// Its rate [1/s].
    pub(super) fps: f64,
    /// How much later than the file it begins (s).
    pub(super) late_secs: f64,
}

impl Section {
    /// Where ffmpeg is sent for frame `index` (s after the beginning of the file); before that where it is negative.
    pub(super) fn sought_secs(&self, index: usize, known: Known) -> f64 {
        let early = 1.0 - MARGIN / (known.fps / self.fps).max(1.0);
        self.from_secs + known.late_secs + (index as f64 - early) / self.fps
    }
}

impl Frames {
    /// Where the last frame is sought (s after the beginning of the file) when all but that, `got`, have come.
    ///
    /// The filter that takes frames by their times leaves the last one out where the file does not say how long it is shown.
    /// Whether it does depends on the version, on the container and on the codec; the filter's own remedy
    /// (`eof_action=pass`) shows it twice in other versions. So it is asked for alone, and only when it did not come.
    pub(super) fn last_left_out(&self, got: usize, known: Known) -> Option<f64> {
        match self {
            Self::Each { .. } => None,
            Self::Timed { open_end, .. } => open_end
                .filter(|end| got + 1 == end.frames)
                .map(|end| end.sought_secs),
            Self::Section(section) => {
                (got + 1 == section.frames).then(|| section.sought_secs(got, known))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_frame_is_sought_between_the_one_before_and_itself() {
        let known = Known {
            stream: None,
            fps: 30.0,
            late_secs: 0.5,
        };
        let section = Section {
            from_secs: 2.0,
            frames: 7,
            fps: 30.0,
        };
        let sought = Frames::Section(section).last_left_out(6, known);
        assert!(sought.is_some_and(|secs| (2.5 + 5.0 / 30.0 < secs) && (secs < 2.5 + 6.0 / 30.0)));
        for got in [0, 5, 7] {
            assert_eq!(Frames::Section(section).last_left_out(got, known), None);
        }
        assert_eq!(Frames::Each { stream: None }.last_left_out(6, known), None);
    }
}
