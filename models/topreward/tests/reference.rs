//! Held against the reference code and LeRobot: `tests/goldens/topreward/generate.py`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fs;

use serde::Deserialize;
use serde_json::Value;
use topreward::{
    Center, Clip, Impute, NumpyRng, Prefixes, Profile, Rabc, RabcWeights, Record, TopAwr,
    average_ranks, discounted, gvl, impute, interpolate_progress, min_max, roc_auc, spearman,
    success_score, top_awr, voc,
};

fn cases<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let path = format!(
        "{}/../../tests/goldens/topreward/cases.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let mut all: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    serde_json::from_value(all[name].take()).unwrap()
}

/// The JSON reader may be off by a last bit, so equality is to a few of those: `tolerance` is absolute. A missing
/// value in a golden is NaN in Python.
fn assert_near(got: Option<f64>, want: Option<f64>, tolerance: f64, what: &str) {
    match (got, want) {
        (None, None) => {}
        (Some(got), Some(want)) if (got - want).abs() <= tolerance => {}
        _ => panic!("{what}: {got:?}, the reference has {want:?}"),
    }
}

fn assert_all_near(got: &[f64], want: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (got, want) in got.iter().zip(want) {
        assert_near(Some(*got), Some(*want), tolerance, what);
    }
}

/// Half a unit in the last place of a number just below 1.
fn assert_near32(got: &[f32], want: &[f32], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (got, want) in got.iter().zip(want) {
        assert!((got - want).abs() <= 6e-8, "{what}: {got} and {want}");
    }
}

#[derive(Deserialize)]
struct Aligned {
    frames: usize,
    fps: f64,
    indices: Vec<usize>,
}

#[test]
fn aligned_frames_of_the_whole_clip() {
    for case in cases::<Vec<Aligned>>("aligned") {
        let clip = Clip::new(case.frames, case.fps).unwrap();
        let shown = Profile::Aligned.frames(&clip, case.frames).unwrap();
        assert_eq!(
            shown.indices, case.indices,
            "{} at {}",
            case.frames, case.fps
        );
        for (index, seconds) in shown.indices.iter().zip(&shown.seconds) {
            assert_near(
                Some(*seconds),
                Some(*index as f64 / case.fps),
                1e-12,
                "time",
            );
        }
        // A prefix shows what it has of the whole clip's frames.
        for length in [1, case.frames / 2, case.frames - 1] {
            let length = length.max(1);
            let want: Vec<usize> = shown
                .indices
                .iter()
                .copied()
                .filter(|index| *index < length)
                .collect();
            let got = Profile::Aligned.frames(&clip, length).unwrap().indices;
            assert_eq!(got, want);
        }
    }
}

#[test]
fn the_specification_s_thirty_three_second_clip() {
    let clip = Clip::new(984, 30.0).unwrap();
    let shown = Profile::Aligned.frames(&clip, 984).unwrap();
    assert_eq!((shown.indices.len(), shown.blocks().len()), (66, 33));
    assert_eq!(
        Prefixes::default()
            .lengths(&clip, Profile::Aligned)
            .unwrap(),
        [
            1, 71, 141, 211, 281, 352, 422, 492, 562, 632, 703, 773, 843, 913, 984
        ]
    );
}

#[derive(Deserialize)]
struct Legacy {
    frames: usize,
    indices: Vec<usize>,
    seconds: Vec<f64>,
}

#[test]
fn legacy_frames() {
    for case in cases::<Vec<Legacy>>("legacy") {
        // The rate is ignored, whatever it is.
        let clip = Clip::new(case.frames, 7.0).unwrap();
        let shown = Profile::Legacy.frames(&clip, case.frames).unwrap();
        assert_eq!(shown.indices, case.indices, "{}", case.frames);
        assert_all_near(&shown.seconds, &case.seconds, 1e-12, "times");
    }
}

#[derive(Deserialize)]
struct Seconds {
    fps: f64,
    indices: Vec<usize>,
    seconds: Vec<f64>,
}

#[test]
fn blocks_are_half_way_between_their_frames() {
    for case in cases::<Vec<Seconds>>("seconds") {
        let frames = topreward::Frames {
            seconds: case
                .indices
                .iter()
                .map(|index| *index as f64 / case.fps)
                .collect(),
            indices: case.indices,
        };
        let blocks = frames.blocks();
        let seconds: Vec<f64> = blocks.iter().map(|block| block.seconds).collect();
        assert_all_near(&seconds, &case.seconds, 1e-15, "times");
    }
    let clip = Clip::new(3, 2.0).unwrap();
    let odd = Profile::Lerobot.frames(&clip, 3).unwrap().blocks();
    assert_eq!((odd[1].indices, odd[1].seconds), ([2, 2], 1.0));
}

#[derive(Deserialize)]
struct Lengths {
    frames: usize,
    count: usize,
    topreward: Vec<usize>,
    lerobot: Vec<usize>,
}

#[test]
fn prefix_lengths() {
    for case in cases::<Vec<Lengths>>("prefixes") {
        let clip = Clip::new(case.frames, 30.0).unwrap();
        let lengths = |profile| {
            Prefixes::Spread(case.count)
                .lengths(&clip, profile)
                .unwrap()
        };
        let what = format!("{} of {}", case.count, case.frames);
        assert_eq!(lengths(Profile::Aligned), case.topreward, "{what}");
        assert_eq!(lengths(Profile::Legacy), case.topreward, "{what}");
        assert_eq!(lengths(Profile::Lerobot), case.lerobot, "{what}");
    }
}

#[derive(Deserialize)]
struct CurveCase {
    log_probs: Vec<f64>,
    progress: Vec<f64>,
    progress_f32: Vec<f32>,
    ranks: Vec<f64>,
    voc: Option<f64>,
    voc_raw: Option<f64>,
    voc_against_labels: Option<f64>,
    other: Vec<f64>,
    spearman: Option<f64>,
    scipy: Option<f64>,
    success_score: f64,
    frames: usize,
    prefix_lengths: Vec<usize>,
    every_frame: Vec<f32>,
    increments: Vec<f64>,
    gamma: f64,
    values: Vec<f64>,
}

#[test]
fn curves_ranks_and_what_is_made_of_them() {
    let cases = cases::<Vec<CurveCase>>("curves");
    assert!(cases.iter().any(|case| case.voc.is_none()));
    for case in cases {
        let raw = &case.log_probs;
        let what = format!("{raw:?}");
        let progress = min_max(raw).unwrap();
        assert_all_near(&progress, &case.progress, 1e-15, &what);
        assert_near32(
            &progress
                .iter()
                .map(|value| *value as f32)
                .collect::<Vec<_>>(),
            &case.progress_f32,
            &what,
        );
        assert_eq!(average_ranks(raw), case.ranks, "{what}");
        let time: Vec<f64> = (0..raw.len()).map(|index| index as f64).collect();
        assert_near(voc(&progress).unwrap(), case.voc, 1e-12, &what);
        assert_near(spearman(raw, &time).unwrap(), case.voc_raw, 1e-12, &what);
        // With more than a hundred values labels tie, and the number is another one.
        let last = (raw.len() - 1).max(1);
        let labels: Vec<f64> = (0..raw.len())
            .map(|index| (100.0 * index as f64 / last as f64).round_ties_even())
            .collect();
        let against_labels = spearman(&progress, &labels).unwrap();
        assert_near(against_labels, case.voc_against_labels, 1e-12, &what);
        let other = spearman(raw, &case.other).unwrap();
        assert_near(other, case.spearman, 1e-12, &what);
        if other.is_some() {
            assert_near(other, case.scipy, 1e-12, &what);
        }
        assert_near(success_score(raw), Some(case.success_score), 1e-12, &what);
        if case.prefix_lengths.len() == raw.len() {
            let every = interpolate_progress(&case.prefix_lengths, &progress, case.frames).unwrap();
            assert_near32(&every, &case.every_frame, &what);
        }
        let weights = top_awr(std::slice::from_ref(&progress), TopAwr::default()).unwrap();
        assert_all_near(&weights[0], &case.increments, 1e-14, &what);
        assert_all_near(&discounted(raw, case.gamma), &case.values, 1e-11, &what);
    }
}

#[derive(Deserialize)]
struct Auc {
    scores: Vec<f64>,
    outcomes: Vec<bool>,
    auc: f64,
}

#[test]
fn area_under_the_curve_counts_ties_half() {
    for case in cases::<Vec<Auc>>("auc") {
        let auc = roc_auc(&case.scores, &case.outcomes).unwrap();
        assert_near(Some(auc), Some(case.auc), 1e-12, "AUC");
    }
}

#[derive(Deserialize)]
struct RabcCase {
    progress: Vec<Vec<Option<f32>>>,
    chunk: usize,
    mean: f64,
    deviation: f64,
    deltas: Vec<Option<f64>>,
    weights: Vec<f32>,
    batch: Vec<f32>,
}

#[test]
fn weights_of_reward_aligned_cloning() {
    for case in cases::<Vec<RabcCase>>("rabc") {
        let settings = Rabc {
            chunk: case.chunk,
            ..Rabc::default()
        };
        let made = RabcWeights::new(&case.progress, settings).unwrap();
        assert_near(Some(made.mean()), Some(case.mean), 1e-14, "mean");
        assert_near(
            Some(made.deviation()),
            Some(case.deviation),
            1e-14,
            "deviation",
        );
        let deltas: Vec<Option<f64>> = made.deltas().concat();
        assert_eq!(deltas.len(), case.deltas.len());
        for (got, want) in deltas.iter().zip(&case.deltas) {
            assert_near(*got, *want, 1e-15, "delta");
        }
        let weights = made.weights().concat();
        assert_eq!(weights.len(), case.weights.len());
        for (got, want) in weights.iter().zip(&case.weights) {
            assert!((got - want).abs() <= 1e-6, "{got} and {want}");
        }
        for (got, want) in made.rescale(&weights).iter().zip(&case.batch) {
            assert!((got - want).abs() <= 1e-5, "{got} and {want}");
        }
    }
}

#[derive(Deserialize)]
struct ImputeCase {
    frames: usize,
    indices: Vec<usize>,
    rewards: Vec<f64>,
    zero: Vec<f64>,
    interpolate: Vec<f64>,
    duplicate: Vec<f64>,
}

#[test]
fn rewards_between_scored_frames() {
    for case in cases::<Vec<ImputeCase>>("impute") {
        for (method, want) in [
            (Impute::Zero, &case.zero),
            (Impute::Interpolate, &case.interpolate),
            (Impute::Duplicate, &case.duplicate),
        ] {
            let got = impute(&case.indices, &case.rewards, case.frames, method).unwrap();
            assert_all_near(&got, want, 1e-14, &format!("{method:?}"));
        }
    }
}

#[derive(Deserialize)]
struct Random {
    seed: u64,
    permutations: Vec<Vec<usize>>,
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    population: usize,
    size: usize,
    drawn: Vec<usize>,
}

#[test]
fn random_numbers_are_numpy_s() {
    for case in cases::<Vec<Random>>("random") {
        for want in &case.permutations {
            let mut got: Vec<usize> = (0..want.len()).collect();
            NumpyRng::new(case.seed).shuffle(&mut got);
            assert_eq!(&got, want, "seed {}", case.seed);
        }
        let mut rng = NumpyRng::new(case.seed);
        for choice in &case.choices {
            let got = rng.choice(choice.population, choice.size);
            assert_eq!(got, choice.drawn, "seed {}", case.seed);
        }
    }
}

#[derive(Deserialize)]
struct GvlCase {
    episode: u64,
    total: usize,
    chronological: Vec<usize>,
    shuffled: Vec<usize>,
    completion: Vec<u32>,
    question: Vec<Value>,
}

#[test]
fn the_baseline_asks_what_the_reference_asks() {
    let mut baseline = gvl::Gvl::new(15, 42);
    for case in cases::<Vec<GvlCase>>("gvl") {
        let shown = baseline.show(case.total, case.episode).unwrap();
        assert_eq!(shown.chronological, case.chronological);
        assert_eq!(shown.shuffled, case.shuffled);
        assert_eq!(shown.completion, case.completion);
        let question: Vec<Value> = shown
            .question("open the drawer")
            .into_iter()
            .map(|piece| match piece {
                gvl::QuestionPart::Text(text) => Value::from(text),
                gvl::QuestionPart::Frame(frame) => Value::from(frame),
            })
            .collect();
        assert_eq!(question, case.question);
        // A model that knows the answer scores 1, one that says the same throughout nothing.
        let say = |value: &dyn Fn(usize) -> usize| -> String {
            let said = shown.shuffled.iter().map(|frame| value(*frame));
            said.map(|value| format!("{value}% ")).collect()
        };
        if case.total <= 100 {
            let knows = shown.parse(&say(&|frame| frame)).unwrap();
            assert!((knows.voc - 1.0).abs() < 1e-12 && !knows.undefined);
        }
        let dull = shown.parse(&say(&|_| 50)).unwrap();
        assert!(dull.voc == 0.0 && dull.undefined);
        assert!(shown.parse("10%").is_err());
    }
}

#[derive(Deserialize)]
struct Percentages {
    answer: String,
    percentages: Option<Vec<f64>>,
}

#[test]
fn percentages_are_read_as_the_reference_reads_them() {
    for case in cases::<Vec<Percentages>>("percentages") {
        let got = gvl::percentages(&case.answer).ok();
        assert_eq!(got, case.percentages, "{:?}", case.answer);
    }
}

#[test]
fn a_record_has_the_reference_s_keys_in_their_order() {
    let want: serde_json::Map<String, Value> = cases("record");
    let mut full = want.clone();
    for (ours, value) in [
        ("profile", Value::from("aligned")),
        ("static_voc", Value::from(0.5)),
        ("success_score", Value::from(-8.0)),
    ] {
        full.insert(ours.to_owned(), value);
    }
    let record: Record = serde_json::from_value(Value::Object(full)).unwrap();
    let line = record.to_line().unwrap();
    let written: serde_json::Map<String, Value> = serde_json::from_str(&line).unwrap();
    for (key, value) in &want {
        assert_eq!(written.get(key), Some(value), "{key}");
    }
    let places: Vec<usize> = [
        "\"index\"",
        "\"dataset\"",
        "\"episode_index\"",
        "\"instruction\"",
        "\"reward\"",
        "\"reduction\"",
        "\"normalized_log_probs\"",
        "\"token_count\"",
        "\"num_frames\"",
        "\"voc\"",
        "\"error\"",
        "\"original_frames_indices\"",
        "\"original_frames_task_completion_rates\"",
        "\"prefix_lengths\"",
        "\"prefix_rewards\"",
        "\"false_reward\"",
        "\"prefix_false_rewards\"",
    ]
    .iter()
    .map(|key| line.find(key).unwrap())
    .collect();
    assert!(places.is_sorted(), "{line}");
}

#[test]
fn centring_takes_the_mean_step_off() {
    let episodes = [vec![0.0, 0.5, 1.0], vec![0.0, 0.0, 1.0]];
    let settings = TopAwr {
        tau: 1.0,
        max: 10.0,
        center: Center::DataSetMean,
    };
    let weights = top_awr(&episodes, settings).unwrap();
    let want = [[0.0_f64, 0.0], [-0.5, 0.5]].map(|steps| steps.map(f64::exp));
    for (got, want) in weights.iter().zip(&want) {
        assert_all_near(got, want, 1e-15, "weights");
    }
}
