//! Results of the scorer as protocol messages.

use protocol::score::{
    CurveHeading, CurveKind, CurvePoint, ScoreCurve, ScoreEvent, ScoreReport, ScoreRequest,
};
use topreward::{ControlInstruction, ControlKind, Curve, Score, scorer::ScoredPoint};
use web_time::Instant;

/// Headings of a job's curves: the instruction, its controls, the frozen frame.
pub(crate) fn headings(instruction: &str, controls: &[ControlInstruction]) -> Vec<CurveHeading> {
    let heading = |kind, instruction: &str| CurveHeading {
        kind,
        instruction: instruction.to_owned(),
    };
    let mut all = vec![heading(CurveKind::Instruction, instruction)];
    all.extend(
        controls
            .iter()
            .map(|control| heading(kind(control.kind), &control.instruction)),
    );
    all.push(heading(CurveKind::Frozen, instruction));
    all
}

fn kind(kind: ControlKind) -> CurveKind {
    match kind {
        ControlKind::Negation => CurveKind::Negation,
        ControlKind::OtherTask => CurveKind::OtherTask,
        ControlKind::ShuffledWords => CurveKind::ShuffledWords,
    }
}

/// Conversion of scored prefixes to events, with the time that each took.
pub(crate) struct PointReporter {
    job: u64,
    /// Index of the frozen frame's curve, the last one.
    frozen: u32,
    since: Instant,
}

impl PointReporter {
    pub(crate) fn new(job: u64, curves: usize) -> Self {
        Self {
            job,
            frozen: count(curves.saturating_sub(1)),
            since: Instant::now(),
        }
    }

    /// Restarts the clock.
    pub(crate) fn start(&mut self) {
        self.since = Instant::now();
    }

    pub(crate) fn points(&mut self, scored: &ScoredPoint<'_>) -> ScoreEvent {
        let first = if scored.frozen { self.frozen } else { 0 };
        let points = (first..)
            .zip(scored.answers)
            .map(|(curve, [yes, no])| CurvePoint {
                curve,
                length: count(scored.length),
                log_prob: f64::from(*yes),
                false_log_prob: f64::from(*no),
            })
            .collect();
        let now = Instant::now();
        let millis = now.duration_since(self.since).as_secs_f64() * 1e3;
        self.since = now;
        ScoreEvent::Points {
            job: self.job,
            points,
            done: count(scored.done),
            of: count(scored.total),
            millis,
        }
    }
}

/// Report of a finished job. `millis` is the duration of scoring (ms).
pub(crate) fn report(
    scorer: &str,
    request: &ScoreRequest,
    score: Score,
    millis: f64,
) -> Result<ScoreReport, topreward::Error> {
    let frozen = score.frozen()?;
    let mut curves = vec![curve(
        CurveKind::Instruction,
        score.config.instruction.clone(),
        score.curve,
    )];
    curves.extend(score.controls.into_iter().map(|control| {
        curve(
            kind(control.asked.kind),
            control.asked.instruction,
            control.curve,
        )
    }));
    curves.push(curve(CurveKind::Frozen, score.config.instruction, frozen));
    Ok(ScoreReport {
        scorer: scorer.to_owned(),
        profile: score.config.profile.name().to_owned(),
        fps: request.fps,
        frames: count(score.config.frames),
        prefix_lengths: score
            .config
            .prefix_lengths
            .iter()
            .map(|length| count(*length))
            .collect(),
        curves,
        millis,
    })
}

fn curve(kind: CurveKind, instruction: String, curve: Curve) -> ScoreCurve {
    ScoreCurve {
        heading: CurveHeading { kind, instruction },
        log_probs: curve.log_probs,
        false_log_probs: curve.false_log_probs,
        progress: curve.progress,
        voc: curve.voc,
        success_score: curve.success_score,
    }
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
