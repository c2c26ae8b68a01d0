//! The coded frames of a stream, as a reader of the file without a decoder lists them.

use crate::scores::{
    MOST_FRAMES, ScoringError,
    child::{Patience, Running},
    tools::{self, FFPROBE},
};
use std::{
    io::{BufRead as _, Read as _},
    path::Path,
};

/// More than a line about a packet.
const MOST_LINE: u64 = 4096;

/// The coded frames of a stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Packets {
    /// How many there are.
    pub count: usize,
    /// Those that only lead up to a cut and are not shown.
    pub hidden: usize,
    /// When the others are shown, where the file says it (s), in its order.
    shown: Vec<f64>,
    /// When the others are decoded, where the file says it (s), in its order.
    decoded: Vec<f64>,
    /// How long they are shown, where that is known (s).
    durations: Vec<f64>,
    /// The latest of `shown` (s), and whether its duration is known.
    last: Option<(f64, bool)>,
}

impl Packets {
    fn add(&mut self, line: &str) {
        let mut values = line.trim().split(',');
        let Some(shown) = values.next().filter(|time| !time.is_empty()) else {
            return;
        };
        let decoded = values.next().and_then(secs);
        let duration = values.next().and_then(secs).filter(|secs| *secs > 0.0);
        self.count += 1;
        if values.next().is_some_and(|flags| flags.contains('D')) {
            self.hidden += 1;
            return;
        }
        let shown = secs(shown);
        self.shown.extend(shown);
        self.decoded.extend(decoded);
        self.durations.extend(duration);
        if let Some(time) = shown
            && self.last.is_none_or(|(last, _)| time >= last)
        {
            self.last = Some((time, duration.is_some()));
        }
    }

    /// How many are shown.
    #[must_use]
    pub fn visible(&self) -> usize {
        self.count - self.hidden
    }

    /// When frames are shown (s), if the file says it of all.
    pub(super) fn shown(&self) -> Option<&[f64]> {
        (self.shown.len() == self.visible()).then_some(&self.shown)
    }

    /// Times that follow each other as the frames do (s), if the file says one of all: AVI and MPEG leave out when some are
    /// shown, and say of all when they are decoded. Of some frames alone nothing follows for the others.
    pub(super) fn times(&self) -> Option<&[f64]> {
        self.shown()
            .or_else(|| (self.decoded.len() == self.visible()).then_some(&self.decoded))
    }

    /// True if the clock begins again, as in files that were joined byte by byte: decoding times never fall.
    pub(super) fn restarts(&self) -> bool {
        let later = self.decoded.iter().skip(1);
        self.decoded
            .iter()
            .zip(later)
            .any(|(before, after)| after < before)
    }

    /// How many have a time of any kind.
    pub(super) fn timed(&self) -> usize {
        self.shown.len().max(self.decoded.len())
    }

    /// How long a frame is shown usually (s).
    pub(super) fn usual_duration(&self) -> Option<f64> {
        let mut durations = self.durations.clone();
        durations.sort_by(f64::total_cmp);
        durations.get(durations.len() / 2).copied()
    }

    /// True if it is known how long the last frame is shown.
    pub(super) fn has_an_end(&self) -> bool {
        self.last.is_some_and(|(_, has_duration)| has_duration)
    }
}

fn secs(word: &str) -> Option<f64> {
    word.trim()
        .parse::<f64>()
        .ok()
        .filter(|secs| secs.is_finite())
}

/// Lists the coded frames of a stream.
///
/// # Errors
/// [`ScoringError`].
pub fn packets(path: &Path, stream: usize, patience: Patience) -> Result<Packets, ScoringError> {
    let program = tools::find(FFPROBE)?;
    let mut running = Running::start(
        &program,
        |command| {
            command
                .args(["-v", "error", "-protocol_whitelist", "file"])
                .args(["-select_streams", &stream.to_string()])
                // In this order, whatever is asked for.
                .args([
                    "-show_entries",
                    "packet=pts_time,dts_time,duration_time,flags",
                ])
                .args(["-of", "csv=p=0", "-i"])
                .arg(tools::named(path));
        },
        patience,
    )?;
    let mut packets = Packets::default();
    loop {
        let mut line = Vec::new();
        let read = (&mut running).take(MOST_LINE).read_until(b'\n', &mut line);
        if let Some(overdue) = running.overdue() {
            return Err(overdue);
        }
        match read {
            Ok(0) => break,
            Ok(_) => packets.add(&String::from_utf8_lossy(&line)),
            Err(error) => {
                return Err(ScoringError::Program {
                    program,
                    reason: error.to_string(),
                });
            }
        }
        if packets.count > MOST_FRAMES {
            return Err(ScoringError::TooManyFrames {
                path: path.to_owned(),
            });
        }
    }
    // How it ended does not matter: what it has not said is not known.
    running.finish()?;
    Ok(packets)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Packets as lines of ffprobe list them.
    pub(in crate::scores::probe) fn of(lines: &[&str]) -> Packets {
        let mut packets = Packets::default();
        for line in lines {
            packets.add(line);
        }
        packets
    }

    #[test]
    fn lines_about_packets_are_read_whatever_follows() {
        let packets = of(&[
            "0.033333,0.0,0.033333,K__\n",
            "1.5,0.033333,N/A,_,\n",
            "0.5",
            "-0.066,-0.1,0.033333,_D_",
            "N/A,0.1,0.033333,K__",
            "",
            "\n",
        ]);
        assert_eq!((packets.count, packets.hidden), (5, 1));
        assert_eq!(packets.shown, [0.033_333, 1.5, 0.5]);
        assert_eq!(packets.decoded, [0.0, 0.033_333, 0.1]);
        // Each kind of time is missing of one.
        assert_eq!((packets.times(), packets.timed()), (None, 3));
        assert_eq!(packets.usual_duration(), Some(0.033_333));
        assert!(!packets.has_an_end());
    }

    #[test]
    fn decoding_times_stand_in_where_some_frames_do_not_say_when_they_are_shown() {
        let packets = of(&[
            "N/A,0.000000,0.033333,K_",
            "N/A,0.033333,0.033333,__",
            "0.066667,0.066667,0.033333,__",
        ]);
        assert_eq!(packets.times(), Some(&[0.0, 0.033_333, 0.066_667][..]));
        assert_eq!(packets.shown(), None);
        assert!(packets.has_an_end());
    }
}
