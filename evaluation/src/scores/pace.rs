//! How the frames of a video follow each other in time.

/// Rates of broadcasting that are no whole numbers, as whole numbers over 1.001.
const BROADCAST: [f64; 5] = [24.0, 30.0, 48.0, 60.0, 120.0];

/// What the times of frames come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Pace {
    /// Too few times are known.
    Unknown,
    /// Every frame is where its number says, to half a frame.
    Even {
        /// Frames per second.
        fps: f64,
    },
    /// Some are not.
    Uneven {
        /// What most steps come to [1/s].
        typical: f64,
        /// Shortest step (s).
        shortest: f64,
        /// Longest step (s).
        longest: f64,
        /// From the first frame to the last (s).
        secs: f64,
    },
}

/// Of the times at which frames are shown (s), in any order.
pub(super) fn of(mut times: Vec<f64>) -> Pace {
    times.sort_by(f64::total_cmp);
    let (Some(first), Some(last)) = (times.first().copied(), times.last().copied()) else {
        return Pace::Unknown;
    };
    let steps = times.len() - 1;
    let secs = last - first;
    if steps < 2 || secs <= 0.0 {
        return Pace::Unknown;
    }
    let step = secs / steps as f64;
    let is_even = times
        .iter()
        .enumerate()
        .all(|(index, time)| (time - first - index as f64 * step).abs() <= 0.5 * step);
    if is_even {
        return Pace::Even {
            fps: usual(1.0 / step),
        };
    }
    let all = times.iter().zip(times.iter().skip(1));
    let shortest = all
        .map(|(before, after)| after - before)
        .fold(f64::INFINITY, f64::min);
    let mut steps: Vec<f64> = times
        .iter()
        .zip(times.iter().skip(1))
        .map(|(before, after)| after - before)
        .filter(|step| *step > 0.0)
        .collect();
    steps.sort_by(f64::total_cmp);
    let at = |place: usize| steps.get(place).copied().unwrap_or(step);
    Pace::Uneven {
        typical: usual(1.0 / at(steps.len() / 2)),
        shortest,
        longest: at(steps.len().saturating_sub(1)),
        secs,
    }
}

/// The rate that is meant by a measured one.
pub(super) fn usual(fps: f64) -> f64 {
    let near = |rate: f64, share: f64| (fps / rate - 1.0).abs() < share;
    BROADCAST
        .iter()
        .map(|rate| rate / 1.001)
        .find(|rate| near(*rate, 2e-4))
        .or_else(|| Some(fps.round()).filter(|rate| near(*rate, 5e-3)))
        .unwrap_or(fps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn even(count: usize, fps: f64) -> Vec<f64> {
        (0..count).map(|index| index as f64 / fps).collect()
    }

    #[test]
    fn rounded_times_are_even_and_missing_ones_are_not() {
        assert_eq!(of(even(30, 30.0)), Pace::Even { fps: 30.0 });
        let ntsc = of(even(300, 30.0 / 1.001));
        assert_eq!(ntsc, Pace::Even { fps: 30.0 / 1.001 });
        // Whole milliseconds, as Matroska has them, in the order of decoding.
        let mut rounded: Vec<f64> = even(90, 30.0)
            .iter()
            .map(|time| (time * 1000.0).round() / 1000.0)
            .collect();
        rounded.swap(4, 7);
        assert_eq!(of(rounded), Pace::Even { fps: 30.0 });
        let mut dropped = even(60, 30.0);
        dropped.drain(20..35);
        let Pace::Uneven {
            typical, longest, ..
        } = of(dropped)
        else {
            unreachable!("half a second is missing");
        };
        assert!((typical - 30.0).abs() < 1e-9 && (longest - 16.0 / 30.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_is_made_of_too_little() {
        for times in [vec![], vec![1.0], vec![0.0, 0.1], vec![2.0, 2.0, 2.0]] {
            assert_eq!(of(times), Pace::Unknown);
        }
    }
}
