//! Benchmark of the progress scorer: one pass over a video against one per prefix, and the precisions.
//!
//! Every round measures all reading strategies, so that other load on the machine affects all of them.

use super::{
    processor::processor_time,
    stats::{Millis, millis},
};
use layers::{Device, Precision};
use qwen3vl::{LoadOptions, Qwen3Vl, TextLayout};
use serde::Serialize;
use server::scorer_service::ScorerFiles;
use std::{borrow::Cow, collections::BTreeMap, ops::ControlFlow, time::Instant};
use topreward::{
    Clip, Prefixes, Profile, Prompt,
    scorer::{FrameSource, Question, ReadPlan, ReadStrategy, Scorer, ScorerError, ScorerOptions},
    spearman,
};
use vision::RgbImage;

/// Settings of a measurement.
#[derive(Debug, Clone)]
pub(crate) struct ScorePlan {
    /// Length of the clip, in seconds.
    pub(crate) clip_secs: f64,
    /// Its frames per second.
    pub(crate) fps: f64,
    /// Numbers of prefixes.
    pub(crate) prefixes: Vec<usize>,
    /// Rounds per number of prefixes.
    pub(crate) repeats: usize,
    /// Precision of the weights for the comparison of the strategies.
    pub(crate) precision: Precision,
    /// Precisions to compare with f32.
    pub(crate) precisions: Vec<Precision>,
}

/// Times for one number of prefixes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct FormTimes {
    /// Number of prefixes.
    pub(crate) prefixes: usize,
    /// One pass per prefix, each from the beginning.
    pub(crate) naive: Millis,
    /// One pass, each point as soon as possible.
    pub(crate) streaming: Millis,
    /// One pass, all questions at the end.
    pub(crate) packed: Millis,
    /// Median over the rounds of the time of `naive` divided by that of `streaming`.
    pub(crate) streaming_ratio: f64,
    /// Median over the rounds of the time of `naive` divided by that of `packed`.
    pub(crate) packed_ratio: f64,
    /// CPU time of all threads for the three strategies, where the system reports it.
    pub(crate) processor: Option<ProcessorTimes>,
    /// Largest difference of a log-probability between the strategies.
    pub(crate) largest_difference: f64,
    /// Lengths of the prefixes, in frames.
    pub(crate) lengths: Vec<usize>,
    /// `ln p( True)` at each prefix, from the naive strategy.
    pub(crate) log_probs: Vec<f64>,
}

/// CPU times: medians over the rounds, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the fields are those of the wall-clock times")]
pub(crate) struct ProcessorTimes {
    pub(crate) naive: f64,
    pub(crate) streaming: f64,
    pub(crate) packed: f64,
    pub(crate) streaming_ratio: f64,
    pub(crate) packed_ratio: f64,
}

impl ProcessorTimes {
    fn of(times: &[Vec<f64>; 3]) -> Option<Self> {
        let [naive, streaming, packed] = times;
        let median = |times: &[f64]| (!times.is_empty()).then(|| Millis::of(times.to_vec()).median);
        Some(Self {
            naive: median(naive)?,
            streaming: median(streaming)?,
            packed: median(packed)?,
            streaming_ratio: ratio(naive, streaming),
            packed_ratio: ratio(naive, packed),
        })
    }
}

/// Median over the rounds of the ratio `naive / other`.
fn ratio(naive: &[f64], other: &[f64]) -> f64 {
    let ratios = naive.iter().zip(other).map(|(naive, other)| naive / other);
    Millis::of(ratios.collect()).median
}

/// Times of one precision.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PrecisionTimes {
    /// Name of the precision.
    pub(crate) precision: String,
    /// Memory of the weights, in bytes.
    pub(crate) weight_bytes: u64,
    /// Time of a curve, streaming.
    pub(crate) streaming: Millis,
    /// Rank correlation of the curve with that in f32; none if one of them is constant.
    pub(crate) rank_correlation: Option<f64>,
    /// Largest difference of a log-probability from f32.
    pub(crate) largest_difference: f64,
}

/// Results of the benchmark.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ScoreTimes {
    /// Name of the checkpoint.
    pub(crate) scorer: String,
    /// Number of its parameters.
    pub(crate) parameters: u64,
    /// Precision for the comparison of the strategies.
    pub(crate) precision: String,
    /// Frames of the clip.
    pub(crate) frames: usize,
    /// Its frames per second.
    pub(crate) fps: f64,
    /// Number of frames that the model takes.
    pub(crate) shown_frames: usize,
    /// Side of a frame, in pixels.
    pub(crate) side: usize,
    /// Scored instruction.
    pub(crate) instruction: &'static str,
    /// Times per number of prefixes.
    pub(crate) forms: Vec<FormTimes>,
    /// Times per precision, at the middle one of the numbers of prefixes.
    pub(crate) precisions: Vec<PrecisionTimes>,
}

/// Errors of the benchmark.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScoreBenchError {
    /// The checkpoint cannot be opened.
    #[error(transparent)]
    Checkpoint(#[from] server::scorer_service::ScorerError),
    /// The clip or its prefixes are invalid.
    #[error(transparent)]
    Method(#[from] topreward::Error),
    /// The scorer failed.
    #[error(transparent)]
    Scorer(#[from] ScorerError),
}

const INSTRUCTION: &str = "open the drawer";
const STRATEGIES: [ReadStrategy; 3] = [
    ReadStrategy::Naive,
    ReadStrategy::Streaming,
    ReadStrategy::Packed,
];

/// A synthetic clip: smooth, with some noise, every frame different. Frames are made before the measurement.
#[derive(Debug)]
struct SyntheticClip(BTreeMap<usize, RgbImage>);

impl SyntheticClip {
    /// Makes the frames with these indices, squares of `side` pixels.
    fn new(indices: &[usize], side: usize) -> Result<Self, ScorerError> {
        indices
            .iter()
            .map(|&index| {
                let frame = RgbImage::new(side, side, synthetic(index, side)).map_err(|error| {
                    ScorerError::Frame {
                        index,
                        reason: error.to_string(),
                    }
                })?;
                Ok((index, frame))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl FrameSource for SyntheticClip {
    fn frame(&self, index: usize) -> Result<Cow<'_, RgbImage>, ScorerError> {
        self.0
            .get(&index)
            .map(Cow::Borrowed)
            .ok_or_else(|| ScorerError::Frame {
                index,
                reason: "the frame was not made".to_owned(),
            })
    }
}

/// Pixels of a frame, the same as in `models/topreward/benches/reference.py`.
fn synthetic(index: usize, side: usize) -> Vec<u8> {
    let (side, seed) = (side as u64, index as u64);
    let mut bytes = Vec::new();
    for y in 0..side {
        for x in 0..side {
            for c in 0..3_u64 {
                let at = (y * side + x) * 3 + c;
                let mut noise = at.wrapping_mul(2_654_435_761).wrapping_add(seed) & 0xFFFF_FFFF;
                noise ^= noise >> 15;
                noise = noise.wrapping_mul(2_246_822_519) & 0xFFFF_FFFF;
                let wave = (x * (c + 2) + y * (3 - c) + seed * 29) % 192;
                bytes.push((wave + (noise >> 26)) as u8);
            }
        }
    }
    bytes
}

fn load(
    files: &ScorerFiles,
    device: &Device,
    precision: Precision,
) -> Result<Qwen3Vl, ScoreBenchError> {
    let options = LoadOptions {
        precision,
        ..LoadOptions::default()
    };
    Ok(files.load(device, &options)?)
}

fn curve(
    scorer: &Scorer,
    source: &SyntheticClip,
    plan: &ReadPlan,
    question: &Question,
) -> Result<Vec<f64>, ScorerError> {
    let questions = std::slice::from_ref(question);
    let answers = layers::block_on(scorer.answer(
        source,
        plan,
        questions,
        &mut async |_: usize, _: &[[f32; 2]]| ControlFlow::Continue(()),
    ))?;
    let answers = answers.first().cloned().unwrap_or_default();
    Ok(plan
        .answers
        .iter()
        .filter_map(|point| answers.get(*point)?.first())
        .map(|value| f64::from(*value))
        .collect())
}

/// Measures a checkpoint. `report` gets the name of each step.
///
/// # Errors
/// [`ScoreBenchError`].
pub(crate) fn measure(
    files: &ScorerFiles,
    device: &Device,
    plan: &ScorePlan,
    report: &dyn Fn(String),
) -> Result<ScoreTimes, ScoreBenchError> {
    let frames = (plan.clip_secs * plan.fps).round() as usize;
    let clip = Clip::new(frames, plan.fps)?;
    let profile = Profile::Aligned;
    let options = ScorerOptions::new(profile);
    let side = options.pre_resize.unwrap_or(244);
    let shown = profile.frames(&clip, frames)?.indices;
    let source = SyntheticClip::new(&shown, side)?;
    let model = load(files, device, plan.precision)?;
    let prompt = Prompt::new(INSTRUCTION)?;
    let question = Question::new(model.tokenizer(), TextLayout::Plain, &prompt)?;
    let info = model.info().clone();
    let mut scorer = Scorer::new(model, options);
    // Warm-up with the shortest plan.
    let shortest = ReadPlan::new(profile, &clip, &[1])?;
    curve(&scorer, &source, &shortest, &question)?;
    let mut forms = Vec::new();
    for &count in &plan.prefixes {
        let lengths = Prefixes::Spread(count).lengths(&clip, profile)?;
        let points = ReadPlan::new(profile, &clip, &lengths)?;
        let mut times = [const { Vec::new() }; 3];
        let mut processor = [const { Vec::new() }; 3];
        let mut curves = [const { Vec::new() }; 3];
        for round in 1..=plan.repeats {
            let slots = times.iter_mut().zip(&mut processor).zip(&mut curves);
            for (strategy, ((times, processor), measured)) in STRATEGIES.into_iter().zip(slots) {
                report(format!(
                    "{count} prefixes, {strategy:?}, round {round} of {}",
                    plan.repeats
                ));
                scorer = scorer.with_options(ScorerOptions {
                    strategy,
                    ..options
                });
                let (started, before) = (Instant::now(), processor_time());
                *measured = curve(&scorer, &source, &points, &question)?;
                times.push(millis(started.elapsed()));
                if let (Some(before), Some(after)) = (before, processor_time()) {
                    processor.push(millis(after.saturating_sub(before)));
                }
            }
        }
        let [naive, streaming, packed] = &times;
        let [reference, others @ ..] = &curves;
        let largest_difference = others
            .iter()
            .map(|other| largest_difference(reference, other))
            .fold(0.0, f64::max);
        forms.push(FormTimes {
            prefixes: lengths.len(),
            streaming_ratio: ratio(naive, streaming),
            packed_ratio: ratio(naive, packed),
            processor: ProcessorTimes::of(&processor),
            naive: Millis::of(naive.clone()),
            streaming: Millis::of(streaming.clone()),
            packed: Millis::of(packed.clone()),
            largest_difference,
            lengths,
            log_probs: reference.clone(),
        });
    }
    drop(scorer);
    let precisions = precisions(files, device, plan, &clip, &source, report)?;
    Ok(ScoreTimes {
        scorer: files.manifest().name.clone(),
        parameters: info.parameters,
        precision: plan.precision.to_string(),
        frames,
        fps: plan.fps,
        shown_frames: shown.len(),
        side,
        instruction: INSTRUCTION,
        forms,
        precisions,
    })
}

fn precisions(
    files: &ScorerFiles,
    device: &Device,
    plan: &ScorePlan,
    clip: &Clip,
    source: &SyntheticClip,
    report: &dyn Fn(String),
) -> Result<Vec<PrecisionTimes>, ScoreBenchError> {
    let mut measured = Vec::new();
    if plan.precisions.is_empty() {
        return Ok(measured);
    }
    let profile = Profile::Aligned;
    let count = plan
        .prefixes
        .get(plan.prefixes.len() / 2)
        .copied()
        .unwrap_or(15);
    let lengths = Prefixes::Spread(count).lengths(clip, profile)?;
    let points = ReadPlan::new(profile, clip, &lengths)?;
    let prompt = Prompt::new(INSTRUCTION)?;
    let mut f32_curve: Option<Vec<f64>> = None;
    // f32 first and once: the others are compared with it.
    let all = [Precision::F32].into_iter().chain(
        plan.precisions
            .iter()
            .copied()
            .filter(|precision| *precision != Precision::F32),
    );
    for precision in all {
        report(precision.to_string());
        let model = load(files, device, precision)?;
        let weight_bytes = model.info().weight_bytes;
        let question = Question::new(model.tokenizer(), TextLayout::Plain, &prompt)?;
        let scorer = Scorer::new(model, ScorerOptions::new(profile));
        let mut times = Vec::new();
        let mut measured_curve = Vec::new();
        for round in 0..=plan.repeats {
            let started = Instant::now();
            measured_curve = curve(&scorer, source, &points, &question)?;
            if round > 0 {
                times.push(millis(started.elapsed()));
            }
        }
        let reference = f32_curve.get_or_insert_with(|| measured_curve.clone());
        measured.push(PrecisionTimes {
            precision: precision.to_string(),
            weight_bytes,
            streaming: Millis::of(times),
            rank_correlation: spearman(&measured_curve, reference)?,
            largest_difference: largest_difference(reference, &measured_curve),
        });
    }
    Ok(measured)
}

fn largest_difference(left: &[f64], right: &[f64]) -> f64 {
    left.iter()
        .zip(right)
        .map(|(left, right)| (left - right).abs())
        .fold(0.0, f64::max)
}
