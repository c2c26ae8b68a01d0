//! What a set of curves says, for people: numbers beside each, and the warning where a curve is not what it seems.

use protocol::score::CurveKind;

use crate::score_job::{Line, Scoring};

/// A frozen frame whose rank correlation with time is above this rises.
const RISES: f64 = 0.5;
/// It rises like the video if it climbs at least this share of the video's own climb.
const LIKE_THE_VIDEO: f64 = 0.5;

/// One curve in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Why it was asked.
    pub kind: CurveKind,
    /// The sentence.
    pub sentence: String,
    /// Rank correlation with time.
    pub voc: Option<f64>,
    /// Mean of the last three values.
    pub success_score: Option<f64>,
    /// How far the instruction's success score is above this one's; none for the instruction itself.
    pub gap: Option<f64>,
}

/// The numbers of every curve that has points, the instruction's own first.
#[must_use]
pub fn findings(lines: &[Line]) -> Vec<Finding> {
    let own = lines
        .iter()
        .find(|line| line.heading.kind == CurveKind::Instruction);
    let own_score = own.and_then(Line::success_score);
    lines
        .iter()
        .filter(|line| !line.points.is_empty())
        .map(|line| {
            let success_score = line.success_score();
            let is_own = line.heading.kind == CurveKind::Instruction;
            Finding {
                kind: line.heading.kind,
                sentence: line.heading.instruction.clone(),
                voc: line.voc(),
                success_score,
                gap: own_score
                    .zip(success_score)
                    .filter(|_| !is_own)
                    .map(|(own, other)| own - other),
            }
        })
        .collect()
}

/// A curve's name in a legend.
#[must_use]
pub fn name_of(kind: CurveKind) -> &'static str {
    match kind {
        CurveKind::Instruction => "The video",
        CurveKind::Frozen => "Frozen first frame",
        CurveKind::Negation => "The sentence denied",
        CurveKind::OtherTask => "Another task’s sentence",
        CurveKind::ShuffledWords => "Words shuffled",
    }
}

/// The same at the end of a line, where there is little room.
#[must_use]
pub fn short_name_of(kind: CurveKind) -> &'static str {
    match kind {
        CurveKind::Instruction => "video",
        CurveKind::Frozen => "frozen",
        CurveKind::Negation => "denied",
        CurveKind::OtherTask => "other task",
        CurveKind::ShuffledWords => "shuffled",
    }
}

/// What a curve is for, as a stable word for style and tests.
#[must_use]
pub fn word_of(kind: CurveKind) -> &'static str {
    match kind {
        CurveKind::Instruction => "instruction",
        CurveKind::Frozen => "frozen",
        CurveKind::Negation => "negation",
        CurveKind::OtherTask => "other_task",
        CurveKind::ShuffledWords => "shuffled_words",
    }
}

/// How much a remark takes from the curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The curve does not show progress.
    Grave,
    /// It is to be read with care.
    Light,
    /// The control is as it should be.
    Good,
}

impl Weight {
    /// For style and tests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Grave => "grave",
            Self::Light => "light",
            Self::Good => "good",
        }
    }
}

/// A remark on the finished curves.
#[derive(Debug, Clone, PartialEq)]
pub struct Remark {
    /// How grave it is.
    pub weight: Weight,
    /// In plain words.
    pub words: String,
}

/// What has to be said of a finished job, the gravest first.
#[must_use]
pub fn remarks(scoring: &Scoring) -> Vec<Remark> {
    let mut remarks: Vec<Remark> = [frozen(scoring), sentences(scoring)]
        .into_iter()
        .flatten()
        .collect();
    remarks.sort_by_key(|remark| remark.weight as u8);
    remarks
}

/// Whether the number of images alone makes the curve rise.
fn frozen(scoring: &Scoring) -> Option<Remark> {
    let own = scoring.line(CurveKind::Instruction)?;
    let frozen = scoring.line(CurveKind::Frozen)?;
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
            weight: Weight::Grave,
            words: format!(
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
            weight: Weight::Light,
            words: format!(
                "The frozen frame rises too, but only {:.0} % as far as the video.",
                share * 100.0
            ),
        }
    } else {
        Remark {
            weight: Weight::Good,
            words: "The frozen frame does not rise with the number of images.".to_owned(),
        }
    })
}

/// Whether the model minds the sentence at all.
fn sentences(scoring: &Scoring) -> Option<Remark> {
    let own = scoring.line(CurveKind::Instruction)?.success_score()?;
    let beaten: Vec<&str> = scoring
        .lines()
        .iter()
        .filter(|line| {
            matches!(
                line.heading.kind,
                CurveKind::Negation | CurveKind::OtherTask | CurveKind::ShuffledWords
            )
        })
        .filter(|line| line.success_score().is_some_and(|score| score >= own))
        .map(|line| match line.heading.kind {
            CurveKind::Negation => "its denial",
            CurveKind::OtherTask => "another task’s sentence",
            CurveKind::Instruction | CurveKind::Frozen | CurveKind::ShuffledWords => {
                "its words in another order"
            }
        })
        .collect();
    (!beaten.is_empty()).then(|| Remark {
        weight: Weight::Light,
        words: format!(
            "At the end the scorer finds {} at least as probable as the sentence.",
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
    fn scored(curves: &[(CurveKind, &[f64])]) -> Scoring {
        let mut scoring = Scoring::default();
        let job = scoring
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
            instruction: word_of(*kind).to_owned(),
        });
        let started = ScoreEvent::Started {
            job,
            device: String::new(),
            curves: headings.collect(),
        };
        scoring.heard(started, 0.0);
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
            scoring.heard(points, 0.0);
        }
        scoring
    }

    const RISING: &[f64] = &[-4.0, -3.0, -2.0, -1.0];

    #[test]
    fn a_frozen_frame_that_rises_like_the_video_is_called_by_its_name() {
        let said = remarks(&scored(&[
            (CurveKind::Instruction, RISING),
            (CurveKind::Frozen, &[-4.0, -3.2, -2.5, -1.6]),
        ]));
        assert_eq!(said[0].weight, Weight::Grave);
        assert!(said[0].words.contains("the number of images, not progress"));
        assert!(said[0].words.contains("80 % as far"), "{}", said[0].words);
        let said = remarks(&scored(&[
            (CurveKind::Instruction, RISING),
            (CurveKind::Frozen, &[-4.0, -3.0, -1.0, 0.0]),
        ]));
        assert!(said[0].words.contains("or farther"), "{}", said[0].words);
    }

    #[test]
    fn one_that_creeps_or_stays_is_told_apart() {
        let said = |frozen: &[f64]| {
            remarks(&scored(&[
                (CurveKind::Instruction, RISING),
                (CurveKind::Frozen, frozen),
            ]))
        };
        let creeping = said(&[-4.0, -3.9, -3.8, -3.7]);
        assert_eq!(creeping[0].weight, Weight::Light);
        assert!(creeping[0].words.contains("10 %"), "{}", creeping[0].words);
        assert_eq!(said(&[-4.0; 4])[0].weight, Weight::Good);
        assert_eq!(said(&[-2.0, -3.0, -4.0, -5.0])[0].weight, Weight::Good);
        // One point is no curve.
        assert!(said(&[-4.0]).is_empty());
        // A video that does not move at all, and a frozen frame that does.
        let level = remarks(&scored(&[
            (CurveKind::Instruction, &[-1.0; 4]),
            (CurveKind::Frozen, RISING),
        ]));
        assert_eq!(level[0].weight, Weight::Grave);
    }

    #[test]
    fn gaps_say_how_far_the_controls_are_below() {
        let scoring = scored(&[
            (CurveKind::Instruction, RISING),
            (CurveKind::Negation, &[-4.0, -2.0, -1.0, -1.0]),
            (CurveKind::OtherTask, &[-9.0, -9.0, -9.0, -9.0]),
            (CurveKind::Frozen, &[]),
        ]);
        let found = findings(scoring.lines());
        assert_eq!(found.len(), 3, "an empty curve has no numbers");
        assert_eq!((found[0].gap, found[0].voc), (None, Some(1.0)));
        assert_eq!(found[0].success_score, Some(-2.0));
        assert_eq!(found[2].gap, Some(7.0));
        assert_eq!(found[2].voc, None, "level");
        let said = remarks(&scoring);
        assert_eq!(said.len(), 1);
        assert!(
            said[0].words.contains("its denial at least"),
            "{}",
            said[0].words
        );
    }
}
