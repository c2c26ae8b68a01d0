//! One reading of a video answers every prefix as reading each prefix by itself does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::ops::ControlFlow;

use common::{Random, noise, random_model};
use qwen3vl::{OddFrames, PackedSuffix, Qwen3Vl, Segment, TextLayout, layout};
use topreward::{
    Clip, Prefixes, Profile, Prompt, Template,
    scorer::{
        Question, ReadPlan, ReadStrategy, Request, ScoredPoint, Scorer, ScorerError, ScorerOptions,
        StreamingScorer,
    },
};
use vision::RgbImage;

const PLENTY: usize = 25_165_824;
/// Differences of log-probabilities in f32.
const TOLERANCE: f32 = 1e-5;

type Answers = Vec<Vec<[f32; 2]>>;

fn ask(scorer: &Scorer, video: &[RgbImage], plan: &ReadPlan, questions: &[Question]) -> Answers {
    layers::block_on(scorer.answer(video, plan, questions, &mut async |_, _| {
        ControlFlow::Continue(())
    }))
    .unwrap()
}

fn questions(model: &Qwen3Vl, layout: TextLayout, template: Template) -> Vec<Question> {
    [
        "open the drawer.",
        "Do not open the drawer.",
        "stack the red cube",
    ]
    .iter()
    .map(|instruction| {
        let prompt = Prompt::new(instruction).unwrap().with_template(template);
        Question::new(model.tokenizer(), layout, &prompt).unwrap()
    })
    .collect()
}

fn worst(left: &Answers, right: &Answers) -> f32 {
    assert_eq!(left.len(), right.len());
    let mut worst = 0.0_f32;
    for (left, right) in left.iter().zip(right) {
        assert_eq!(left.len(), right.len());
        for (left, right) in left.iter().flatten().zip(right.iter().flatten()) {
            assert!(left.is_finite() && *left < 0.0);
            worst = worst.max((left - right).abs());
        }
    }
    worst
}

/// A prefix as one sequence with its question at its end: nothing shared, nothing cached.
fn one_sequence(
    model: &Qwen3Vl,
    layout: TextLayout,
    video: &[RgbImage],
    blocks: &[topreward::Block],
    question: &Question,
) -> [f32; 2] {
    let own = qwen3vl::FrameSize {
        width: video[0].width(),
        height: video[0].height(),
    };
    let shown: usize = blocks
        .iter()
        .map(|block| {
            if block.indices[0] == block.indices[1] {
                1
            } else {
                2
            }
        })
        .sum();
    let size = model
        .video()
        .frame_size(shown, own, OddFrames::HalfToEven)
        .unwrap();
    let patches: Vec<_> = blocks
        .iter()
        .map(|block| {
            model
                .video()
                .block(block.indices.map(|index| &video[index]), size)
                .unwrap()
        })
        .collect();
    let seen = model.network().encode_video(&patches).unwrap();
    let after = model.tokenizer().encode(layout::after_block()).unwrap();
    let header = layout.header();
    let before: Vec<Vec<u32>> = (0..)
        .zip(blocks)
        .map(|(index, block)| {
            let opening = if index == 0 { header.as_str() } else { "" };
            model.before_block(opening, block.seconds).unwrap()
        })
        .collect();
    let mut segments = Vec::new();
    for (block, before) in before.iter().enumerate() {
        segments.push(Segment::Text(before));
        segments.push(Segment::VisionBlock {
            tokens: &seen,
            block,
        });
        segments.push(Segment::Text(&after));
    }
    let queries = question.queries();
    let suffix = PackedSuffix {
        after_segments: segments.len(),
        ids: &question.ids,
        queries: &queries,
    };
    let found = layers::block_on(model.network().packed_log_probs(&segments, &[suffix])).unwrap();
    [found[0][0], found[0][1]]
}

#[test]
fn ten_random_models_answer_alike_in_all_forms() {
    let mut worst_of_all = 0.0_f32;
    for seed in 0..10 {
        let mut random = Random::new(100 + seed);
        let model = random_model(seed, PLENTY);
        let frames = 1 + random.below(14);
        let fps = random.of(&[1.0, 2.0, 3.0, 5.0]);
        let (width, height) = (random.of(&[64, 70, 96]), random.of(&[64, 90]));
        let video = noise(&mut random, frames, width, height);
        let clip = Clip::new(frames, fps).unwrap();
        let profile = random.of(&[Profile::Aligned, Profile::Aligned, Profile::Lerobot]);
        let lengths = Prefixes::Every.lengths(&clip, profile).unwrap();
        let plan = ReadPlan::new(profile, &clip, &lengths).unwrap();
        let layout = random.of(&[TextLayout::Plain, TextLayout::Outer]);
        let template = random.of(&[Template::Without, Template::With]);
        let questions = questions(&model, layout, template);
        let mut options = ScorerOptions::new(profile);
        options.layout = layout;
        options.template = template;
        options.pre_resize = None;
        options.strategy = ReadStrategy::Naive;
        let mut scorer = Scorer::new(model, options);
        let naive = ask(&scorer, &video, &plan, &questions);
        assert_eq!((naive.len(), naive[0].len()), (3, plan.points.len()));
        for form in [ReadStrategy::Streaming, ReadStrategy::Packed] {
            options.strategy = form;
            scorer = scorer.with_options(options);
            let shared = ask(&scorer, &video, &plan, &questions);
            let difference = worst(&naive, &shared);
            worst_of_all = worst_of_all.max(difference);
            assert!(
                difference <= TOLERANCE,
                "model {seed}, {form:?}: {difference}"
            );
        }
        // And as the definition has it, on the shortest and the longest prefix.
        for index in [0, plan.points.len() - 1] {
            let blocks = &plan.points[index].blocks;
            for (question, naive) in questions.iter().zip(&naive) {
                let alone = one_sequence(scorer.model(), layout, &video, blocks, question);
                for (one, other) in alone.iter().zip(naive[index]) {
                    worst_of_all = worst_of_all.max((one - other).abs());
                    assert!(
                        (one - other).abs() <= TOLERANCE,
                        "model {seed}: {one} and {other}"
                    );
                }
            }
        }
        // The questions and the prefixes must matter, or agreement would mean nothing.
        if naive[0].len() > 1 {
            assert!((naive[0][0][0] - naive[0][1][0]).abs() > 1e-4);
        }
        assert!((naive[0][0][0] - naive[2][0][0]).abs() > 1e-4);
    }
    println!("largest difference {worst_of_all:e}");
}

#[test]
fn a_video_at_the_bound_of_its_pixels_is_still_scored_as_defined() {
    // Six frames of 96x96 are too many for this bound, two are not: sizes differ between prefixes.
    let model = random_model(3, 4 * 96 * 96);
    let mut random = Random::new(7);
    let video = noise(&mut random, 6, 96, 96);
    let clip = Clip::new(6, 2.0).unwrap();
    let lengths = Prefixes::Every.lengths(&clip, Profile::Aligned).unwrap();
    let plan = ReadPlan::new(Profile::Aligned, &clip, &lengths).unwrap();
    let questions = questions(&model, TextLayout::Plain, Template::Without);
    let mut options = ScorerOptions::new(Profile::Aligned);
    options.pre_resize = None;
    options.strategy = ReadStrategy::Naive;
    let scorer = Scorer::new(model, options);
    let naive = ask(&scorer, &video, &plan, &questions);
    options.strategy = ReadStrategy::Packed;
    let scorer = scorer.with_options(options);
    let shared = ask(&scorer, &video, &plan, &questions);
    assert!(worst(&naive, &shared) <= TOLERANCE);
}

#[test]
fn a_score_has_its_controls_and_can_be_stopped() {
    let mut random = Random::new(11);
    let video = noise(&mut random, 9, 64, 64);
    let scorer = Scorer::new(
        random_model(5, PLENTY),
        ScorerOptions {
            pre_resize: Some(64),
            ..ScorerOptions::new(Profile::Legacy)
        },
    );
    let prefixes = Prefixes::Spread(4);
    let request = Request {
        clip: Clip::new(9, 4.0).unwrap(),
        prefixes: &prefixes,
        instruction: "open the drawer",
        other_task: Some("close the box"),
        description: None,
    };
    let mut points = Vec::new();
    let score =
        layers::block_on(
            scorer.score(&video, &request, &mut async |point: ScoredPoint<'_>| {
                assert_eq!(point.answers.len(), if point.frozen { 1 } else { 3 });
                points.push((point.frozen, point.total, point.log_prob()));
                ControlFlow::Continue(())
            }),
        )
        .unwrap();
    assert_eq!(score.config.prefix_lengths, [1, 3, 6, 9]);
    assert_eq!(score.config.profile, Profile::Legacy);
    assert_eq!(score.controls.len(), 2);
    assert_eq!(score.controls[1].asked.instruction, "close the box");
    let told: Vec<f64> = points
        .iter()
        .filter(|(frozen, ..)| !frozen)
        .map(|(.., log_prob)| *log_prob)
        .collect();
    assert_eq!(told, score.curve.log_probs);
    assert_eq!(points.len(), 8);
    assert!(points.iter().all(|(_, of, _)| *of == 8));
    // The first prefix has one frame, so the frozen video starts with the same value.
    assert!((score.static_log_probs[0] - score.curve.log_probs[0]).abs() < 1e-5);
    assert!((score.static_log_probs[3] - score.curve.log_probs[3]).abs() > 1e-4);
    let stopped =
        layers::block_on(
            scorer.score(&video, &request, &mut async |point: ScoredPoint<'_>| {
                if point.done == 2 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            }),
        );
    assert!(matches!(stopped, Err(ScorerError::Stopped)));
    let special = Request {
        instruction: "go<|im_end|>",
        ..request
    };
    let refused = layers::block_on(scorer.score(&video, &special, &mut async |_: ScoredPoint<
        '_,
    >| {
        ControlFlow::Continue(())
    }));
    assert!(matches!(refused, Err(ScorerError::Ask(_))));
}

#[test]
fn each_prefix_has_a_description_of_its_own() {
    let mut random = Random::new(23);
    let video = noise(&mut random, 7, 64, 64);
    let scorer = Scorer::new(
        random_model(8, PLENTY),
        ScorerOptions {
            pre_resize: None,
            ..ScorerOptions::new(Profile::Aligned)
        },
    );
    let prefixes = Prefixes::Lengths(vec![2, 5, 7]);
    let request = Request {
        clip: Clip::new(7, 2.0).unwrap(),
        prefixes: &prefixes,
        instruction: "open the drawer",
        other_task: Some("close the box"),
        description: None,
    };
    let mut told = Vec::new();
    let described = layers::block_on(scorer.score_described(&video, &request, &mut |point| {
        told.push((point.frozen, point.length, point.description.to_owned()));
        assert_eq!(point.total, 6);
        ControlFlow::Continue(())
    }))
    .unwrap();
    assert_eq!(described.score.config.prefix_lengths, [2, 5, 7]);
    assert_eq!(described.descriptions.len(), 3);
    assert_eq!(
        described.score.config.description.as_ref(),
        described.descriptions.last()
    );
    assert_eq!(told.len(), 6);
    // A description given from outside has the same effect on its own prefix and its controls.
    for (index, length) in [2, 5, 7].into_iter().enumerate() {
        assert_eq!(
            told[index],
            (false, length, described.descriptions[index].clone())
        );
        let one = Prefixes::Lengths(vec![length]);
        let by_hand = Request {
            prefixes: &one,
            description: Some(&described.descriptions[index]),
            ..request.clone()
        };
        let by_hand =
            layers::block_on(scorer.score(&video, &by_hand, &mut async |_: ScoredPoint| {
                ControlFlow::Continue(())
            }))
            .unwrap();
        let same =
            |left: f64, right: f64| assert!((left - right).abs() < 1e-5, "{left} and {right}");
        same(
            described.score.curve.log_probs[index],
            by_hand.curve.log_probs[0],
        );
        for (left, right) in described.score.controls.iter().zip(&by_hand.controls) {
            same(left.curve.log_probs[index], right.curve.log_probs[0]);
        }
    }
    let stopped =
        layers::block_on(scorer.score_described(&video, &request, &mut |_| ControlFlow::Break(())));
    assert!(matches!(stopped, Err(ScorerError::Stopped)));
}

#[test]
fn a_robot_that_is_watched_is_scored_as_its_finished_clip() {
    let mut worst = 0.0_f64;
    for (seed, frames, fps) in [(21, 1, 2.0), (22, 2, 2.0), (23, 7, 2.0), (24, 8, 1.0)] {
        let mut random = Random::new(seed);
        let video = noise(&mut random, frames, 80, 64);
        let mut options = ScorerOptions::new(Profile::Aligned);
        options.pre_resize = Some(64);
        let scorer = Scorer::new(random_model(seed, PLENTY), options);
        let mut live =
            StreamingScorer::new(&scorer, fps, "open the drawer", Some("close the box")).unwrap();
        let mut told = Vec::new();
        for frame in &video {
            let answers = layers::block_on(live.push(frame.clone())).unwrap().unwrap();
            assert_eq!(answers.len(), 3);
            told.push(f64::from(answers[0][0]));
        }
        let live = layers::block_on(
            live.finish(&mut async |_: ScoredPoint<'_>| ControlFlow::Continue(())),
        );
        let live = live.unwrap();
        assert_eq!(live.curve.log_probs, told);
        let prefixes = Prefixes::Lengths((1..=frames).collect());
        let request = Request {
            clip: Clip::new(frames, fps).unwrap(),
            prefixes: &prefixes,
            instruction: "open the drawer",
            other_task: Some("close the box"),
            description: None,
        };
        let whole =
            layers::block_on(scorer.score(&video, &request, &mut async |_: ScoredPoint| {
                ControlFlow::Continue(())
            }))
            .unwrap();
        assert_eq!(live.config, whole.config);
        let pairs = [
            (&live.curve.log_probs, &whole.curve.log_probs),
            (&live.static_log_probs, &whole.static_log_probs),
            (
                &live.controls[0].curve.log_probs,
                &whole.controls[0].curve.log_probs,
            ),
            (
                &live.controls[1].curve.false_log_probs,
                &whole.controls[1].curve.false_log_probs,
            ),
        ];
        for (left, right) in pairs {
            assert_eq!(left.len(), frames);
            for (left, right) in left.iter().zip(right) {
                worst = worst.max((left - right).abs());
            }
        }
    }
    assert!(worst <= f64::from(TOLERANCE), "{worst}");
}

#[test]
fn a_robot_is_watched_only_where_every_frame_is_shown_and_as_long_as_the_model_can() {
    let options = ScorerOptions::new(Profile::Aligned);
    let scorer = Scorer::new(random_model(3, 4 * 96 * 96), options);
    assert!(StreamingScorer::new(&scorer, 10.0, "open the drawer", None).is_err());
    assert!(StreamingScorer::new(&scorer, f64::NAN, "open the drawer", None).is_err());
    assert!(StreamingScorer::new(&scorer, 2.0, " ", None).is_err());
    let legacy = scorer
        .clone()
        .with_options(ScorerOptions::new(Profile::Legacy));
    assert!(StreamingScorer::new(&legacy, 2.0, "open the drawer", None).is_err());
    // From the fifth frame on they would have to be smaller.
    let mut own = options;
    own.pre_resize = None;
    let scorer = scorer.with_options(own);
    let mut live = StreamingScorer::new(&scorer, 2.0, "open the drawer", None).unwrap();
    let video = noise(&mut Random::new(1), 6, 96, 96);
    let told = video
        .iter()
        .take_while(|frame| {
            layers::block_on(live.push((*frame).clone()))
                .unwrap()
                .is_some()
        })
        .count();
    assert!((2..6).contains(&told), "{told}");
    assert_eq!(live.frames(), told);
    assert!(
        layers::block_on(live.finish(&mut async |_: ScoredPoint<'_>| ControlFlow::Continue(())))
            .is_ok()
    );
}
