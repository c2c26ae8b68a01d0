//! Progress of a job: its share, the remaining time, and text.

use super::{ScoreJob, State};
use crate::format;

impl ScoreJob {
    /// Completed share of the work; `None` while it is unknown.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        match self.state {
            State::Running | State::Stopping if self.done > 0 && self.of > 0 => {
                Some((f64::from(self.done) / f64::from(self.of)).min(1.0))
            }
            State::Running if self.to_send > 0 && self.done == 0 && !self.closed => {
                Some(f64::from(self.sent) / f64::from(self.to_send))
            }
            _ => None,
        }
    }

    /// Remaining time (s), estimated from the newest steps.
    #[must_use]
    pub fn left_secs(&self) -> Option<f64> {
        let (first, last) = (self.steps.front()?, self.steps.back()?);
        let steps = self.steps.len().checked_sub(1).filter(|steps| *steps > 1)?;
        let left = self.of.checked_sub(self.done).filter(|left| *left > 0)?;
        let each = (last - first) / steps as f64 / 1e3;
        (self.state == State::Running).then_some(each * f64::from(left))
    }

    /// Progress as text.
    #[must_use]
    pub fn text(&self) -> String {
        match self.state {
            State::Idle => String::new(),
            State::Loading => {
                "The scorer is being loaded; scoring starts automatically.".to_owned()
            }
            State::Running if self.is_live() && !self.closed => {
                let secs = |frames: u32| f64::from(frames) / self.fps();
                let behind = match self.behind() {
                    0 | 1 => String::new(),
                    behind => format!(", the scorer is {:.1} s behind", secs(behind)),
                };
                format!("Watching the robot: {:.1} s{behind}", secs(self.sent))
            }
            State::Running if self.done == 0 && self.sent < self.to_send => {
                format!(
                    "Reading the video: {} of {} frames",
                    self.sent, self.to_send
                )
            }
            State::Running if self.ahead > 0 => match self.ahead {
                1 => "One other video is scored first".to_owned(),
                ahead => format!("{ahead} other videos are scored first"),
            },
            State::Running if self.done == 0 => "Encoding the first frames…".to_owned(),
            State::Running => {
                let left = self.left_secs().map_or_else(String::new, |left| {
                    format!(", about {} left", format::span(left))
                });
                if self.of > 0 {
                    format!("{} of {} points{left}", self.done, self.of)
                } else {
                    format!("{} points{left}", self.done)
                }
            }
            State::Stopping => "Stopping…".to_owned(),
            State::Done => self.took(),
            State::Stopped if self.note.is_empty() => "Stopped.".to_owned(),
            State::Stopped => format!("Stopped. {}", self.note),
            State::Failed => self.note.clone(),
        }
    }

    /// Frames of a live robot that were sent and have no point yet.
    #[must_use]
    pub fn behind(&self) -> u32 {
        let newest = self.curves.first().map(|curve| curve.points.last());
        newest.map_or(0, |newest| {
            self.sent.saturating_sub(newest.map_or(0, |point| point.0))
        })
    }

    fn took(&self) -> String {
        let Some(report) = &self.report else {
            return String::new();
        };
        let points = report.prefix_lengths.len();
        let on = if self.device.is_empty() {
            String::new()
        } else {
            format!(" on {}", self.device)
        };
        format!(
            "{points} {} in {}{on}, profile “{}”. {}",
            if points == 1 { "point" } else { "points" },
            format::span(report.millis / 1e3),
            report.profile,
            self.note
        )
        .trim_end()
        .to_owned()
    }
}
