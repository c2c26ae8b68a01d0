//! One reading of a video for all its prefixes: equal to reading every prefix from the beginning.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::{BEFORE, CASES, Golden, device};
use qwen3vl::layout::block_seconds;
use qwen3vl::{
    Context, LoadOptions, PackedSuffix, Qwen3Vl, Segment, Suffix, TokenQuery, VisionTokens,
    layout::after_block,
};

struct Prefixes {
    before: Vec<Vec<u32>>,
    after: Vec<u32>,
    questions: Vec<Vec<u32>>,
    seen: VisionTokens,
}

/// Ten frames of the case's size, so that there are five blocks.
fn prefixes(golden: &Golden, model: &Qwen3Vl) -> Prefixes {
    let frames: Vec<_> = (0..10)
        .map(|index| common::frame(golden.number("width"), golden.number("height"), 700 + index))
        .collect();
    let size = model
        .video()
        .frame_size(10, golden.size(), qwen3vl::OddFrames::HalfToEven)
        .unwrap();
    let blocks: Vec<_> = frames
        .chunks(2)
        .map(|pair| model.video().block([&pair[0], &pair[1]], size).unwrap())
        .collect();
    let before = (0..5)
        .map(|index| {
            let opening = if index == 0 { "<|im_start|>user\n" } else { "" };
            let seconds = block_seconds([2 * index, 2 * index + 1], 2.0).unwrap();
            model.before_block(opening, seconds).unwrap()
        })
        .collect();
    let words = |text: &str| model.tokenizer().encode(text).unwrap();
    Prefixes {
        before,
        after: words(after_block()),
        questions: vec![
            words(&format!(
                "{BEFORE}open the drawer Is it True? The answer is:"
            )),
            words("Is the drawer closed? The answer is:"),
        ],
        seen: model.network().encode_video(&blocks).unwrap(),
    }
}

impl Prefixes {
    fn segments(&self, blocks: usize) -> Vec<Segment<'_>> {
        (0..blocks)
            .flat_map(|block| {
                [
                    Segment::Text(&self.before[block]),
                    Segment::VisionBlock {
                        tokens: &self.seen,
                        block,
                    },
                    Segment::Text(&self.after),
                ]
            })
            .collect()
    }
}

fn queries(question: &[u32]) -> Vec<TokenQuery> {
    let row = question.len() - 1;
    [30, 200, 301]
        .into_iter()
        .map(|id| TokenQuery { row, id })
        .collect()
}

/// Every prefix with every question, each read from the beginning without any cache.
fn naive(model: &Qwen3Vl, made: &Prefixes) -> Vec<Vec<f32>> {
    let mut found = Vec::new();
    for blocks in 1..=5 {
        for question in &made.questions {
            let asked = queries(question);
            let segments = made.segments(blocks);
            let suffixes = [PackedSuffix {
                after_segments: 3 * blocks,
                ids: question,
                queries: &asked,
            }];
            let scores = model.network().packed_log_probs(&segments, &suffixes);
            found.extend(layers::block_on(scores).unwrap());
        }
    }
    found
}

fn largest_gap(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .flatten()
        .zip(b.iter().flatten())
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |most, gap| {
            if gap.is_nan() {
                f32::INFINITY
            } else {
                most.max(gap)
            }
        })
}

#[test]
fn streaming_marked_and_packed_prefixes_are_the_naive_ones() {
    for case in CASES {
        let golden = Golden::open(case);
        // As loaded by default, and with so little room that blocks, rows and tails are cut apart everywhere.
        for scores in [1 << 25, 900] {
            let options = LoadOptions {
                scores,
                shard_bytes: Some(1000),
                ..LoadOptions::default()
            };
            let model = Qwen3Vl::load(&golden.files(), &device(), &options).unwrap();
            let made = prefixes(&golden, &model);
            let network = model.network();
            let expected = naive(&model, &made);

            let all_queries: Vec<_> = made.questions.iter().map(|ids| queries(ids)).collect();
            let mut context = Context::default();
            let mut positions = Vec::new();
            let mut streamed = Vec::new();
            for blocks in 1..=5 {
                let all = made.segments(blocks);
                network
                    .append(&mut context, &all[3 * (blocks - 1)..])
                    .unwrap();
                positions.push(context.position());
                for (ids, queries) in made.questions.iter().zip(&all_queries) {
                    let suffixes = [Suffix {
                        position: context.position(),
                        ids,
                        queries,
                    }];
                    let scores = network.log_probs(&context, &suffixes);
                    streamed.extend(layers::block_on(scores).unwrap());
                }
            }
            let suffixes: Vec<Suffix<'_>> = positions
                .iter()
                .flat_map(|position| {
                    made.questions
                        .iter()
                        .zip(&all_queries)
                        .map(|(ids, queries)| Suffix {
                            position: *position,
                            ids,
                            queries,
                        })
                })
                .collect();
            let marked = layers::block_on(network.log_probs(&context, &suffixes)).unwrap();
            let packed: Vec<PackedSuffix<'_>> = (1..=5)
                .flat_map(|blocks| {
                    made.questions
                        .iter()
                        .zip(&all_queries)
                        .map(move |(ids, queries)| PackedSuffix {
                            after_segments: 3 * blocks,
                            ids,
                            queries,
                        })
                })
                .collect();
            let packed =
                layers::block_on(network.packed_log_probs(&made.segments(5), &packed)).unwrap();
            for (form, found) in [
                ("streamed", &streamed),
                ("marked", &marked),
                ("packed", &packed),
            ] {
                let gap = largest_gap(found, &expected);
                println!("{case:14} {form:9} scores {scores:9} off by {gap:.1e}");
                assert!(gap <= 1e-5 * 4.0, "{case} {form}: {gap}");
            }
            // The prefixes differ, so that equality means something.
            assert!(
                largest_gap(&expected[..1], &expected[2..3]) > 1e-3,
                "{case}"
            );
        }
    }
}

/// A context that goes on from a clone leaves the clone as it was.
#[test]
fn a_clone_of_a_context_is_not_disturbed() {
    let golden = Golden::open("tied");
    let model = golden.load(qwen3vl::Precision::F32);
    let made = prefixes(&golden, &model);
    let network = model.network();
    let mut context = Context::default();
    network.append(&mut context, &made.segments(1)).unwrap();
    let question = &made.questions[0];
    let asked = queries(question);
    let ask = |context: &Context| {
        let suffix = Suffix {
            position: context.position(),
            ids: question,
            queries: &asked,
        };
        layers::block_on(network.log_probs(context, &[suffix])).unwrap()
    };
    let before = ask(&context);
    let mut other = context.clone();
    network.append(&mut other, &made.segments(2)[3..]).unwrap();
    assert_eq!(ask(&context), before);
    assert_ne!(ask(&other), before);
    assert!(other.tokens() > context.tokens());
    assert!(other.bytes() > context.bytes());
}
