//! Summary of a set of curves: numbers for each, and warnings where a curve does not show progress.

use protocol::score::CurveKind;

use crate::score_job::{Curve, ScoreJob};

/// Rank correlation with time above which the frozen frame's curve counts as rising.
const RISES: f64 = 0.5;
/// Share of the video's rise from which on the frozen frame rises like the video.
const LIKE_THE_VIDEO: f64 = 0.5;

/// One curve in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct CurveSummary {
    /// Kind of the curve.
    pub kind: CurveKind,
    /// The instruction.
    pub instruction: String,
    /// Rank correlation with time.
    pub voc: Option<f64>,
    /// Mean of the last three values.
    pub success_score: Option<f64>,
    /// Success score of the instruction minus this curve's; absent for the instruction itself.
    pub gap: Option<f64>,
}

/// Summaries of all curves with points, the instruction's first.
#[must_use]
pub fn summarize(curves: &[Curve]) -> Vec<CurveSummary> {
    let own = curves
        .iter()
        .find(|curve| curve.heading.kind == CurveKind::Instruction);
    let own_score = own.and_then(Curve::success_score);
    curves
        .iter()
        .filter(|curve| !curve.points.is_empty())
        .map(|curve| {
            let success_score = curve.success_score();
            let is_own = curve.heading.kind == CurveKind::Instruction;
            CurveSummary {
                kind: curve.heading.kind,
                instruction: curve.heading.instruction.clone(),
                voc: curve.voc(),
                success_score,
                gap: own_score
                    .zip(success_score)
                    .filter(|_| !is_own)
                    .map(|(own, other)| own - other),
            }
        })
        .collect()
}

/// Name of a curve in the legend.
#[must_use]
pub fn curve_name(kind: CurveKind) -> &'static str {
    match kind {
        CurveKind::Instruction => "The video",
        CurveKind::Frozen => "Frozen first frame",
        CurveKind::Negation => "The instruction negated",
        CurveKind::OtherTask => "Another task’s instruction",
        CurveKind::ShuffledWords => "Words shuffled",
    }
}

/// Short name at the end of a curve.
#[must_use]
pub fn short_curve_name(kind: CurveKind) -> &'static str {
    match kind {
        CurveKind::Instruction => "video",
        CurveKind::Frozen => "frozen",
        CurveKind::Negation => "negated",
        CurveKind::OtherTask => "other task",
        CurveKind::ShuffledWords => "shuffled",
    }
}

/// Stable name of a kind of curve for styles and tests.
#[must_use]
pub fn curve_id(kind: CurveKind) -> &'static str {
    match kind {
        CurveKind::Instruction => "instruction",
        CurveKind::Frozen => "frozen",
        CurveKind::Negation => "negation",
        CurveKind::OtherTask => "other_task",
        CurveKind::ShuffledWords => "shuffled_words",
    }
}

/// Severity of a remark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The curve does not show progress.
    Severe,
    /// The curve must be read with care.
    Minor,
    /// The control is as expected.
    Good,
}

impl Severity {
    /// Stable name for styles and tests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Severe => "grave",
            Self::Minor => "light",
            Self::Good => "good",
        }
    }
}

/// A remark on the finished curves.
#[derive(Debug, Clone, PartialEq)]
pub struct Remark {
    /// Its severity.
    pub severity: Severity,
    /// Its text.
    pub text: String,
}

/// Remarks on a finished job, the most severe first.
#[must_use]
pub fn remarks(score_job: &ScoreJob) -> Vec<Remark> {
    let mut remarks: Vec<Remark> = [frozen(score_job), instruction_controls(score_job)]
        .into_iter()
        .flatten()
        .collect();
    remarks.sort_by_key(|remark| remark.severity as u8);
    remarks
}

/// Remark on whether the number of images alone makes the curve rise.
fn frozen(score_job: &ScoreJob) -> Option<Remark> {
    let own = score_job.curve(CurveKind::Instruction)?;
    let frozen = score_job.curve(CurveKind::Frozen)?;
    if own.points.len() < 2 || frozen.points.len() < 2 {
        return None;
    }
    let frozen_rises = frozen.voc().is_some_and(|voc| voc >= RISES);
    let share = if own.range() > 0.0 {
        frozen.range() / own.range()
    } else {
        f64::INFINITY
    };
    Some(if frozen_rises && share >= LIKE_THE_VIDEO {
        Remark {
            severity: Severity::Severe,
            text: format!(
                "This curve shows the number of images, not progress: one frozen frame, shown again and again, rises {}. \
                 Subtract it to see what the video adds.",
                if share >= 1.0 {
                    "as far as the video does, or farther".to_owned()
                } else {
                    format!("{:.0} % as far as the video does", share * 100.0)
                }
            ),
        }
    } else if frozen_rises {
        Remark {
            severity: Severity::Minor,
            text: format!(
                "The frozen frame rises too, but only {:.0} % as far as the video.",
                share * 100.0
            ),
        }
    } else {
        Remark {
            severity: Severity::Good,
            text: "The frozen frame does not rise with the number of images.".to_owned(),
        }
    })
}

/// Remark on whether the model responds to the instruction at all.
fn instruction_controls(score_job: &ScoreJob) -> Option<Remark> {
    let own = score_job.curve(CurveKind::Instruction)?.success_score()?;
    let beaten: Vec<&str> = score_job
        .curves()
        .iter()
        .filter(|curve| {
            matches!(
                curve.heading.kind,
                CurveKind::Negation | CurveKind::OtherTask | CurveKind::ShuffledWords
            )
        })
        .filter(|curve| curve.success_score().is_some_and(|score| score >= own))
        .map(|curve| match curve.heading.kind {
            CurveKind::Negation => "its negation",
            CurveKind::OtherTask => "another task’s instruction",
            CurveKind::Instruction | CurveKind::Frozen | CurveKind::ShuffledWords => {
                "its shuffled words"
            }
        })
        .collect();
    (!beaten.is_empty()).then(|| Remark {
        severity: Severity::Minor,
        text: format!(
            "At the end the scorer finds {} at least as probable as the instruction.",
            beaten.join(" and ")
        ),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;
    use protocol::score::{CurveHeading, CurvePoint, ScoreEvent, ScoreRequest};

    /// A job with these curves.
    fn scored(curves: &[(CurveKind, &[f64])]) -> ScoreJob {
        let mut score_job = ScoreJob::default();
        let job = score_job
            .begin(
                ScoreRequest {
                    job: 0,
                    instruction: "open".to_owned(),
                    other_instruction: None,
                    fps: 2.0,
                    frames: Some(8),
                    profile: "aligned".to_owned(),
                    prefixes: "all".to_owned(),
                },
                None,
            )
            .job;
        let headings = curves.iter().map(|(kind, _)| CurveHeading {
            kind: *kind,
            instruction: curve_id(*kind).to_owned(),
        });
        let started = ScoreEvent::Started {
            job,
            device: String::new(),
            curves: headings.collect(),
        };
        score_job.on_event(started, 0.0);
        for (curve, (_, values)) in curves.iter().enumerate() {
            let points = values.iter().enumerate().map(|(at, value)| CurvePoint {
                curve: curve as u32,
                length: at as u32 + 1,
                log_prob: *value,
                false_log_prob: 0.0,
            });
            let points = ScoreEvent::Points {
                job,
                points: points.collect(),
                done: 1,
                of: 2,
                millis: 1.0,
            };
            score_job.on_event(points, 0.0);
        }
        score_job
    }

    const RISING: &[f64] = &[-4.0, -3.0, -2.0, -1.0];

    #[test]
    fn a_frozen_frame_that_rises_like_the_video_is_severe() {
        let found = remarks(&scored(&[
            (CurveKind::Instruction, RISING),
            (CurveKind::Frozen, &[-4.0, -3.2, -2.5, -1.6]),
        ]));
        assert_eq!(found[0].severity, Severity::Severe);
        assert!(found[0].text.contains("the number of images, not progress"));
        assert!(found[0].text.contains("80 % as far"), "{}", found[0].text);
        let found = remarks(&scored(&[
            (CurveKind::Instruction, RISING),
            (CurveKind::Frozen, &[-4.0, -3.0, -1.0, 0.0]),
        ]));
        assert!(found[0].text.contains("or farther"), "{}", found[0].text);
    }

    #[test]
    fn a_frozen_frame_that_creeps_or_stays_is_distinguished() {
        let found = |frozen: &[f64]| {
            remarks(&scored(&[
                (CurveKind::Instruction, RISING),
                (CurveKind::Frozen, frozen),
            ]))
        };
        let creeping = found(&[-4.0, -3.9, -3.8, -3.7]);
        assert_eq!(creeping[0].severity, Severity::Minor);
        assert!(creeping[0].text.contains("10 %"), "{}", creeping[0].text);
        assert_eq!(found(&[-4.0; 4])[0].severity, Severity::Good);
        assert_eq!(found(&[-2.0, -3.0, -4.0, -5.0])[0].severity, Severity::Good);
        // A single point is not a curve.
        assert!(found(&[-4.0]).is_empty());
        // A video that does not move at all, and a frozen frame that does.
        let level = remarks(&scored(&[
            (CurveKind::Instruction, &[-1.0; 4]),
            (CurveKind::Frozen, RISING),
        ]));
        assert_eq!(level[0].severity, Severity::Severe);
    }

    #[test]
    fn gaps_say_how_far_the_controls_are_below() {
        let score_job = scored(&[
            (CurveKind::Instruction, RISING),
            (CurveKind::Negation, &[-4.0, -2.0, -1.0, -1.0]),
            (CurveKind::OtherTask, &[-9.0, -9.0, -9.0, -9.0]),
            (CurveKind::Frozen, &[]),
        ]);
        let found = summarize(score_job.curves());
        assert_eq!(found.len(), 3, "an empty curve has no numbers");
        assert_eq!((found[0].gap, found[0].voc), (None, Some(1.0)));
        assert_eq!(found[0].success_score, Some(-2.0));
        assert_eq!(found[2].gap, Some(7.0));
        assert_eq!(found[2].voc, None, "level");
        let found = remarks(&score_job);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].text.contains("its negation at least"),
            "{}",
            found[0].text
        );
    }
}
