//! Frames of a scored video: their source, the ones that the scorer is shown, and their times.

use protocol::episodes::RecordedEpisode;
use topreward::{Clip, Prefixes, Profile};

use crate::format;

/// Largest number of frames of one video that a scorer is shown, as in the reference.
pub const MAX_FRAMES: usize = 768;
/// Relative distance within which a measured rate is rounded to a whole number: 29.97 becomes 30.
const NEAR_WHOLE: f64 = 0.005;
/// Smallest number of steps between frames from which a rate is estimated.
const MIN_STEPS: usize = 5;

/// Title of a recorded episode.
#[must_use]
pub fn episode_title(episode: &RecordedEpisode) -> String {
    let instruction = if episode.instruction.is_empty() {
        "no instruction recorded"
    } else {
        &episode.instruction
    };
    format!(
        "{}, episode {}, {}: {instruction}",
        episode.dataset,
        episode.episode,
        format::plain_name(&episode.camera).to_lowercase()
    )
}

/// Length of a video, and its start in its file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VideoExtent {
    /// Number of frames.
    pub frames: u32,
    /// Frame rate [1/s].
    pub fps: f64,
    /// Start in the file (s).
    pub from_secs: f64,
}

impl VideoExtent {
    /// The extent of a whole file, from its duration and frame rate.
    ///
    /// # Errors
    /// A message for an invalid rate or duration.
    pub fn of_file(duration_secs: f64, fps: f64) -> Result<Self, String> {
        if !(fps.is_finite() && (0.1..=1000.0).contains(&fps)) {
            return Err(
                "The frame rate must be a number between 0.1 and 1000 frames per second."
                    .to_owned(),
            );
        }
        if !(duration_secs.is_finite() && duration_secs > 0.0) {
            return Err("The video does not state its duration.".to_owned());
        }
        let frames = (duration_secs * fps).round().max(1.0);
        if frames > f64::from(u32::MAX) {
            return Err("The video is too long to be scored.".to_owned());
        }
        Ok(Self {
            frames: frames as u32,
            fps,
            from_secs: 0.0,
        })
    }

    /// The extent of a recorded episode.
    #[must_use]
    pub fn of_episode(episode: &RecordedEpisode) -> Self {
        Self {
            frames: episode.frames,
            fps: episode.fps,
            from_secs: episode.from_secs,
        }
    }

    /// Length (s).
    #[must_use]
    pub fn secs(&self) -> f64 {
        f64::from(self.frames) / self.fps
    }

    /// The middle of the display time of a frame [s in the file]: players round up or down, and the middle is right either
    /// way.
    #[must_use]
    pub fn seek_secs(&self, index: u32) -> f64 {
        self.from_secs + (f64::from(index) + 0.5) / self.fps
    }

    /// Indices of the frames that a scorer is shown, and of the last frame, ascending.
    ///
    /// # Errors
    /// A message for no frames, an unknown profile or choice of prefixes, or more frames than [`MAX_FRAMES`].
    pub fn frames_to_show(&self, profile: &str, prefixes: &str) -> Result<Vec<u32>, String> {
        let message = |error: topreward::Error| format::capitalized(&error.to_string());
        let clip = Clip::new(self.frames as usize, self.fps).map_err(message)?;
        let profile: Profile = profile.parse().map_err(message)?;
        let prefixes: Prefixes = prefixes.parse().map_err(message)?;
        // Checked before anything is allocated by the length of the clip.
        let whole = profile
            .frames(&clip, clip.frames())
            .map_err(message)?
            .indices
            .len();
        if whole > MAX_FRAMES {
            return Err(format!(
                "With this profile the scorer would be shown {whole} frames; the limit is {MAX_FRAMES}. Use a shorter \
                 video, or the profile “aligned”, which takes two frames per second."
            ));
        }
        let lengths = prefixes.lengths(&clip, profile).map_err(message)?;
        let last = clip.frames() - 1;
        let mut indices = vec![0, last];
        // With a prefix-stable profile, shorter prefixes show the first of the frames that longer ones do.
        let needed = if profile.prefix_stable() {
            lengths.len().saturating_sub(1)
        } else {
            0
        };
        for &length in lengths.get(needed..).unwrap_or_default() {
            indices.extend(profile.frames(&clip, length).map_err(message)?.indices);
        }
        indices.sort_unstable();
        indices.dedup();
        Ok(indices
            .into_iter()
            .filter_map(|index| u32::try_from(index).ok())
            .collect())
    }
}

/// The frame rate of a video [1/s], estimated from frames that were observed while it played: the time of each in the
/// file (s), and the number of frames presented until then. `None` if they do not agree on a rate.
#[must_use]
pub fn estimate_rate(seen: &[(f64, f64)]) -> Option<f64> {
    let mut steps: Vec<f64> = seen
        .windows(2)
        .filter_map(|pair| {
            let [(before, shown_before), (after, shown_after)] = *pair else {
                return None;
            };
            let frames = shown_after - shown_before;
            let step = (after - before) / frames;
            (frames >= 1.0 && step.is_finite() && step > 0.0).then_some(step)
        })
        .collect();
    if steps.len() < MIN_STEPS {
        return None;
    }
    steps.sort_by(f64::total_cmp);
    let median = *steps.get(steps.len() / 2)?;
    // Some files store times in whole milliseconds.
    let tolerance = 0.1 * median + 0.0011;
    let agreeing: Vec<f64> = steps
        .iter()
        .copied()
        .filter(|step| (step - median).abs() <= tolerance)
        .collect();
    if agreeing.len() * 5 < steps.len() * 4 {
        return None;
    }
    let rate = agreeing.len() as f64 / agreeing.iter().sum::<f64>();
    let whole = rate.round();
    Some(if (rate / whole - 1.0).abs() < NEAR_WHOLE {
        whole
    } else {
        (rate * 100.0).round() / 100.0
    })
}

/// Samples the images of a live robot at a steady rate, by the robot's clock.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sampler {
    started_at_micros: Option<u64>,
    next: u32,
}

impl Sampler {
    /// Period of the samples (µs).
    pub const STEP_MICROS: u64 = 500_000;
    /// Rate of the samples [1/s].
    pub const FPS: f64 = 2.0;

    /// The frame index of an image captured at this moment; `None` for an image that is not sampled. Skipped indices are
    /// moments without an image, at which the previous one was still the newest.
    pub fn frame_index(&mut self, captured_at_micros: u64) -> Option<u32> {
        let started = *self.started_at_micros.get_or_insert(captured_at_micros);
        let elapsed = captured_at_micros.checked_sub(started)?;
        let index = u32::try_from(elapsed / Self::STEP_MICROS).ok()?;
        if index < self.next {
            return None;
        }
        self.next = index + 1;
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn extent(frames: u32, fps: f64) -> VideoExtent {
        VideoExtent {
            frames,
            fps,
            from_secs: 0.0,
        }
    }

    #[test]
    fn two_frames_a_second_are_taken_and_the_last_one() {
        let indices = extent(100, 30.0).frames_to_show("aligned", "15").unwrap();
        assert_eq!(indices, [0, 15, 30, 45, 60, 75, 90, 99]);
        let legacy = extent(100, 30.0).frames_to_show("legacy", "15").unwrap();
        assert!(legacy.len() > indices.len(), "{legacy:?}");
        assert_eq!((legacy[0], *legacy.last().unwrap()), (0, 99));
        assert_eq!(
            extent(5, 30.0).frames_to_show("lerobot", "all").unwrap(),
            [0, 1, 2, 3, 4]
        );
        assert_eq!(
            extent(1, 30.0).frames_to_show("aligned", "blocks").unwrap(),
            [0]
        );
    }

    /// Every frame of every prefix is included.
    #[test]
    fn no_prefix_shows_another_frame() {
        for (frames, fps) in [(984, 30.0), (123, 29.97), (7, 2.0), (61, 50.0)] {
            for profile in Profile::ALL {
                for prefixes in ["15", "all", "blocks"] {
                    let Ok(indices) = extent(frames, fps).frames_to_show(profile.name(), prefixes)
                    else {
                        assert_eq!(profile, Profile::Lerobot, "{frames} at {fps}");
                        continue;
                    };
                    let clip = Clip::new(frames as usize, fps).unwrap();
                    let choice: Prefixes = prefixes.parse().unwrap();
                    for length in choice.lengths(&clip, profile).unwrap() {
                        for index in profile.frames(&clip, length).unwrap().indices {
                            assert!(
                                indices.contains(&(index as u32)),
                                "{profile} {prefixes} {index}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_video_that_cannot_be_scored_is_refused_with_a_reason() {
        let too_many = extent(100_000, 30.0)
            .frames_to_show("lerobot", "15")
            .unwrap_err();
        assert!(too_many.contains("100000 frames"), "{too_many}");
        assert!(
            extent(10, 30.0)
                .frames_to_show("fancy", "15")
                .unwrap_err()
                .contains("profile")
        );
        assert!(extent(10, 30.0).frames_to_show("aligned", "x").is_err());
        assert!(extent(0, 30.0).frames_to_show("aligned", "15").is_err());
        assert!(
            VideoExtent::of_file(4.0, 0.0)
                .unwrap_err()
                .contains("frame rate")
        );
        assert!(VideoExtent::of_file(4.0, f64::NAN).is_err());
        assert!(
            VideoExtent::of_file(f64::INFINITY, 30.0)
                .unwrap_err()
                .contains("duration")
        );
    }

    #[test]
    fn a_file_is_cut_into_frames_and_each_is_met_in_its_middle() {
        let extent = VideoExtent::of_file(4.1, 30.0).unwrap();
        assert_eq!(extent.frames, 123);
        assert!((extent.seek_secs(0) - 0.5 / 30.0).abs() < 1e-12);
        assert!(extent.seek_secs(122) < 4.1);
        assert_eq!(VideoExtent::of_file(0.01, 30.0).unwrap().frames, 1);
    }

    #[test]
    fn an_episode_inside_a_longer_file_begins_where_it_says() {
        let mut episode = RecordedEpisode {
            id: "a/0/front".to_owned(),
            dataset: "a".to_owned(),
            episode: 0,
            instruction: "open the drawer".to_owned(),
            camera: "front".to_owned(),
            fps: 30.0,
            frames: 123,
            video_url: "/api/episodes/a/0/front.mp4".to_owned(),
            from_secs: 7.5,
            to_secs: 11.6,
        };
        assert_eq!(
            episode_title(&episode),
            "a, episode 0, front: open the drawer"
        );
        let extent = VideoExtent::of_episode(&episode);
        assert!((extent.seek_secs(3) - (7.5 + 3.5 / 30.0)).abs() < 1e-12);
        assert!((extent.secs() - 4.1).abs() < 1e-12);
        episode.instruction.clear();
        assert!(episode_title(&episode).ends_with("no instruction recorded"));
    }

    #[test]
    fn the_rate_is_measured_though_times_are_rounded_and_frames_are_missed() {
        let at = |fps: f64, frames: &[u32]| -> Vec<(f64, f64)> {
            let millis = |frame: u32| (f64::from(frame) / fps * 1e3).round() / 1e3;
            frames
                .iter()
                .map(|&frame| (millis(frame), f64::from(frame)))
                .collect()
        };
        let all: Vec<u32> = (0..16).collect();
        assert_eq!(estimate_rate(&at(30.0, &all)), Some(30.0));
        assert_eq!(
            estimate_rate(&at(10.0, &[0, 1, 2, 4, 5, 8, 9, 10])),
            Some(10.0)
        );
        assert_eq!(estimate_rate(&at(17.0, &all)), Some(17.0));
        // Too few frames, or an irregular rate.
        assert_eq!(estimate_rate(&at(30.0, &[0, 1, 2])), None);
        let moody: Vec<(f64, f64)> = (0..12_u32)
            .map(|frame| (f64::from(frame * frame) * 0.01, f64::from(frame)))
            .collect();
        assert_eq!(estimate_rate(&moody), None);
        assert_eq!(estimate_rate(&[(0.1, 1.0); 20]), None);
    }

    #[test]
    fn a_robot_is_looked_at_twice_a_second_of_its_own_clock() {
        let mut sampler = Sampler::default();
        let mut taken = Vec::new();
        for frame in 0..40_u64 {
            if let Some(index) = sampler.frame_index(7_000_000 + frame * 33_333) {
                taken.push((frame, index));
            }
        }
        assert_eq!(taken, [(0, 0), (16, 1), (31, 2)]);
        // No image for two seconds.
        assert_eq!(sampler.frame_index(7_000_000 + 3_100_000), Some(6));
        // A clock that goes back, or a repeated image.
        assert_eq!(sampler.frame_index(6_000_000), None);
        assert_eq!(sampler.frame_index(7_000_000 + 3_100_000), None);
    }
}
