//! The rate of a stream of pictures, by what its file says of it and by the times of its frames.

use super::{Packets, Pictures};
use crate::scores::{
    MOST_FRAMES,
    pace::{self, Pace},
};

/// A grid of time stamps finer than this is that of a clock, not of frames [1/s].
const MOST_RATE: f64 = 120.0;
/// Most that the rate that a file states may be off at its last frame, by the times of its frames (frames).
const MOST_OFF: f64 = 0.25;

/// The way in which frames of a file are to be counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    /// Frames per second.
    pub fps: f64,
    /// True if frame numbers over `fps` are their times; if not, they are to be taken by their time stamps.
    pub even: bool,
    /// The end of a file that is not even, if it is open.
    pub open_end: Option<OpenEnd>,
    /// A sentence about an oddity.
    pub note: Option<String>,
}

/// A last frame of which the file does not say how long it is shown. Versions of ffmpeg differ in whether that is no time at
/// all, one step of the clock, or two.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OpenEnd {
    /// Steps of the clock from the first frame to the last one, both counted.
    pub frames: usize,
    /// A time between the frame before the last one and that (s after the beginning of the file).
    pub sought_secs: f64,
}

impl Pictures {
    /// How frames are to be counted, if the file or the times of its frames say it.
    #[must_use]
    pub fn rate(&self, packets: &Packets) -> Option<Rate> {
        let even = |fps, note| Rate {
            fps,
            even: true,
            open_end: None,
            note,
        };
        let times = packets.times().unwrap_or_default();
        match pace::of(times.to_vec()) {
            Pace::Unknown => {
                let fps = self.stated(packets)?;
                Some(even(fps, self.doubt(packets, fps)))
            }
            Pace::Even { fps } => {
                let steps = times.len().saturating_sub(1) as f64;
                let fps = self
                    .fps
                    // What the file says is exact where it is not wrong: 30000/1001.
                    .filter(|said| (said / fps - 1.0).abs() * steps < MOST_OFF)
                    .unwrap_or(fps);
                Some(even(fps, self.doubt(packets, fps)))
            }
            Pace::Uneven { typical, .. } if packets.restarts() => {
                let fps = typical.min(MOST_RATE);
                Some(even(
                    fps,
                    Some(format!(
                        "its clock begins again, as in files that were joined: each frame counts once, {fps:.4} a second; if \
                         it was another rate, say it with --fps"
                    )),
                ))
            }
            Pace::Uneven {
                typical,
                shortest,
                longest,
                secs,
            } => {
                let fps = self
                    .grid
                    .filter(|grid| *grid <= MOST_RATE && *grid * secs <= MOST_FRAMES as f64)
                    .unwrap_or(typical.min(MOST_RATE));
                Some(Rate {
                    fps,
                    even: false,
                    open_end: self.open_end(packets, fps),
                    note: Some(format!(
                        "its frames do not follow each other evenly ({shortest:.3} to {longest:.3} s apart): they are taken \
                         by their time stamps, {fps:.4} a second; with --fps each counts once"
                    )),
                })
            }
        }
    }

    /// The rate of a file whose frames do not say their times [1/s]. Of raw streams some versions of ffprobe state a rate
    /// that they suppose, and only the durations come from the stream.
    fn stated(&self, packets: &Packets) -> Option<f64> {
        let by_duration = packets.usual_duration().map(|secs| pace::usual(1.0 / secs));
        if self.raw {
            by_duration.or(self.fps)
        } else {
            self.fps.or(by_duration)
        }
    }

    /// A sentence about a rate that may be wrong.
    fn doubt(&self, packets: &Packets, fps: f64) -> Option<String> {
        let (timed, visible) = (packets.timed(), packets.visible());
        if self.raw {
            Some(format!(
                "it is a raw stream, whose frames bear no times: {fps:.4} a second are taken, which its headers say or, where \
                 they say nothing, ffmpeg supposes (25); if it was another rate, say it with --fps"
            ))
        } else if timed > 0 && packets.times().is_none() {
            Some(format!(
                "only {timed} of its {visible} frames bear a time: the rate that the file states is taken, {fps:.4} a second; \
                 if it was another, say it with --fps"
            ))
        } else {
            None
        }
    }

    fn open_end(&self, packets: &Packets, fps: f64) -> Option<OpenEnd> {
        if packets.has_an_end() {
            return None;
        }
        let mut times = packets.shown()?.to_vec();
        times.sort_by(f64::total_cmp);
        let [first, .., before, last] = times.as_slice() else {
            return None;
        };
        let step = |time: f64| ((time - self.file_starts_secs) * fps).round();
        Some(OpenEnd {
            frames: (step(*last) - step(*first)) as usize + 1,
            sought_secs: (before + last) / 2.0 - self.file_starts_secs,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        reason = "a test fails by panicking"
    )]
    use super::super::{Stream, packets::tests};
    use super::*;

    fn pictures(fps: f64, raw: bool) -> Pictures {
        Pictures {
            stream: Stream {
                index: 0,
                narrowed: None,
            },
            fps: Some(fps),
            frames: None,
            late_secs: 0.0,
            notes: Vec::new(),
            raw,
            file_starts_secs: 0.0,
            grid: Some(30.0),
        }
    }

    fn packets(lines: &[String]) -> Packets {
        tests::of(&lines.iter().map(String::as_str).collect::<Vec<_>>())
    }

    #[test]
    fn frames_of_joined_files_count_once_each() {
        let time = |index: u32| f64::from(index % 24) / 10.0;
        let lines: Vec<String> = (0..48)
            .map(|index| format!("{0:.6},{0:.6},0.1,__", time(index)))
            .collect();
        let rate = pictures(10.0, false).rate(&packets(&lines)).unwrap();
        assert_eq!((rate.fps, rate.even), (10.0, true));
        let note = rate.note.expect("it is said");
        assert!(note.contains("begins again"), "{note}");
    }

    /// MPEG-4 with frames of both directions in AVI says of two frames in three when they are shown.
    #[test]
    fn a_rate_is_not_measured_by_some_of_the_frames() {
        let time = |index: u32| f64::from(index) / 30.0;
        let lines: Vec<String> = (0..60)
            .map(|index| match index % 3 {
                0 => format!("N/A,{:.6},0.033333,__", time(index)),
                _ => format!("{0:.6},{0:.6},0.033333,__", time(index)),
            })
            .collect();
        let rate = pictures(30.0, false).rate(&packets(&lines)).unwrap();
        assert_eq!((rate.fps, rate.even, rate.note), (30.0, true, None));
        // H.264 in AVI, whose stated rate is that of its fields.
        let lines: Vec<String> = (0..60)
            .map(|index| format!("N/A,{:.6},0.016667,__", time(index)))
            .collect();
        let rate = pictures(60.0, false).rate(&packets(&lines)).unwrap();
        assert_eq!((rate.fps, rate.even), (30.0, true));
        // Neither kind of time is complete: the stated rate, and a word about it.
        let lines: Vec<String> = (0..60)
            .map(|index| match index % 3 {
                0 => "N/A,N/A,0.033333,__".to_owned(),
                _ => format!("{:.6},N/A,0.033333,__", time(index)),
            })
            .collect();
        let rate = pictures(30.0, false).rate(&packets(&lines)).unwrap();
        assert_eq!((rate.fps, rate.even), (30.0, true));
        let note = rate.note.expect("it is said");
        assert!(note.contains("40 of its 60 frames"), "{note}");
    }

    /// An average over all frames and one frame less of time is no rate.
    #[test]
    fn a_stated_rate_that_the_times_contradict_is_not_taken() {
        let lines: Vec<String> = (0..60)
            .map(|index| format!("{0:.6},{0:.6},0.033333,__", f64::from(index) / 30.0))
            .collect();
        let packets = packets(&lines);
        let fps = |said| pictures(said, false).rate(&packets).unwrap().fps;
        assert_eq!(fps(60.0 / 59.0 * 30.0), 30.0);
        assert_eq!(fps(30_000.0 / 1001.0), 30_000.0 / 1001.0);
    }

    #[test]
    fn a_raw_stream_has_the_rate_of_its_headers() {
        // As 5.1 and as 8 describe the same stream of 30 frames a second.
        for said in [30.0, 25.0] {
            let lines = vec!["N/A,N/A,0.033333,__".to_owned(); 30];
            let rate = pictures(said, true).rate(&packets(&lines)).unwrap();
            assert_eq!((rate.fps, rate.even), (30.0, true));
            assert!(rate.note.expect("it is said").contains("raw stream"));
        }
    }

    #[test]
    fn an_open_end_is_counted_by_the_times_of_its_frames() {
        let line =
            |index: u32, end: &str| format!("{0:.3},{0:.3},{end},__", f64::from(index) / 30.0);
        let shown = || (0..8_u32).chain(17..28);
        let open: Vec<String> = shown().map(|index| line(index, "N/A")).collect();
        let rate = pictures(0.0, false).rate(&packets(&open)).unwrap();
        let end = rate.open_end.unwrap();
        assert_eq!((rate.fps, rate.even, end.frames), (30.0, false, 28));
        assert!((end.sought_secs - 26.5 / 30.0).abs() < 1e-3);
        let closed: Vec<String> = shown().map(|index| line(index, "0.033")).collect();
        let rate = pictures(0.0, false).rate(&packets(&closed)).unwrap();
        assert_eq!((rate.even, rate.open_end), (false, None));
    }
}
