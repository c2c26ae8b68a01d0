//! Every stage against transformers (`tests/goldens/qwen3vl`): pixels, ids and positions exactly, the network within
//! 1e-4 of the largest value of each stage, in f32.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::cell::RefCell;
use std::collections::HashMap;

use burn_tensor::Tensor;
use common::{CASES, Golden, error, fnv1a, values};
use qwen3vl::{
    Context, Precision, Segment, Stage, Suffix, TokenQuery, position_after_vision, text_positions,
    vision_positions,
};

fn name(stage: Stage) -> String {
    match stage {
        Stage::PatchEmbedding => "patch_embedding".to_owned(),
        Stage::VisionBlock(index) => format!("vision_block.{index}"),
        Stage::Deepstack(index) => format!("deepstack.{index}"),
        Stage::Merged => "merged".to_owned(),
        Stage::Embedded => "embedded".to_owned(),
        Stage::Layer(index) => format!("layer.{index}"),
        Stage::Final => "final".to_owned(),
    }
}

#[test]
fn pixels_are_those_of_the_reference_to_the_bit() {
    for case in CASES {
        let golden = Golden::open(case);
        let model = golden.load(Precision::F32);
        let blocks = golden.blocks(&model);
        let [times, rows, columns] = golden.grid();
        assert_eq!(blocks.len(), times, "{case}");
        for block in &blocks {
            assert_eq!(
                [block.grid.rows, block.grid.columns],
                [rows, columns],
                "{case}"
            );
        }
        let pixels = blocks.iter().flat_map(|block| &block.patches);
        let found = fnv1a(pixels.flat_map(|value| value.to_le_bytes()));
        assert_eq!(found, golden.text("pixels"), "{case}");
    }
}

#[test]
fn ids_and_positions_are_those_of_the_reference() {
    for case in CASES {
        let golden = Golden::open(case);
        let model = golden.load(Precision::F32);
        let script = golden.script(&model);
        let [_, rows, columns] = golden.grid();
        let merge = model.config().vision.spatial_merge_size;
        let (rows, columns) = (rows / merge, columns / merge);
        let mut ids: Vec<u32> = Vec::new();
        let mut places: Vec<[u32; 3]> = Vec::new();
        let mut next = 0;
        let text = |ids: &mut Vec<u32>, places: &mut Vec<[u32; 3]>, next: &mut u32, new: &[u32]| {
            ids.extend(new);
            places.extend(text_positions(*next, new.len()));
            *next += u32::try_from(new.len()).unwrap();
        };
        for before in &script.before {
            text(&mut ids, &mut places, &mut next, before);
            ids.extend(vec![model.config().video_token_id; rows * columns]);
            places.extend(vision_positions(next, rows, columns));
            next = position_after_vision(next, rows, columns);
            text(&mut ids, &mut places, &mut next, &script.after);
        }
        text(&mut ids, &mut places, &mut next, &script.question);
        assert_eq!(ids, golden.ints("ids"), "{case}");
        let axes: Vec<u32> = (0..3)
            .flat_map(|axis| places.iter().map(move |place| place[axis]))
            .collect();
        assert_eq!(axes, golden.ints("positions"), "{case}");
    }
}

#[test]
fn every_stage_is_that_of_the_reference() {
    let mut worst: HashMap<String, f64> = HashMap::new();
    let mut failed = Vec::new();
    for case in CASES {
        let golden = Golden::open(case);
        let model = golden.load(Precision::F32);
        let script = golden.script(&model);
        let stages: RefCell<Vec<(String, Vec<f32>)>> = RefCell::default();
        let watch = |stage: Stage, tensor: &Tensor<2>| {
            stages.borrow_mut().push((name(stage), values(tensor)));
        };
        let network = model.network();
        let seen = network
            .encode_video_watched(&golden.blocks(&model), &watch)
            .unwrap();
        let mut segments = script.video(&seen);
        segments.push(Segment::Text(&script.question));
        let hidden = network
            .hidden_states_watched(&segments, &watch)
            .unwrap()
            .unwrap();
        let [rows, _] = hidden.dims();
        let last = hidden.narrow(0, rows - 4, 4);
        watch_logits(
            &mut stages.borrow_mut(),
            &network.text().head().logits(&last),
        );
        let stages = stages.into_inner();
        let (vision, text) = (&model.config().vision, &model.config().text);
        // Patch embedding, merged, embedded, final, logits, and the layers.
        let taps = vision.deepstack_visual_indexes.len();
        let expected = 5 + vision.depth + taps + text.num_hidden_layers;
        assert_eq!(stages.len(), expected, "{case}: stages");
        for (stage, found) in stages {
            let (gap, largest) = error(&found, &golden.floats(&stage));
            assert!(largest > 0.0, "{case} {stage}: the golden is all zeros");
            let relative = gap / largest;
            println!("{case:14} {stage:18} rel {relative:.2e}");
            let kind = stage.split('.').next().unwrap().to_owned();
            let most = worst.entry(kind).or_default();
            *most = most.max(relative);
            // Written so that NaN fails too.
            if relative.is_nan() || relative > 1e-4 {
                failed.push(format!("{case} {stage}: {relative:.2e}"));
            }
        }
    }
    let mut worst: Vec<_> = worst.into_iter().collect();
    worst.sort_by(|a, b| a.0.cmp(&b.0));
    for (kind, most) in worst {
        println!("worst {kind:18} rel {most:.2e}");
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

fn watch_logits(stages: &mut Vec<(String, Vec<f32>)>, logits: &Tensor<2>) {
    stages.push(("logits".to_owned(), values(logits)));
}

/// The streaming form against the reference's single forward pass: every token's log-probability after the last four.
#[test]
fn log_probs_behind_a_cache_are_those_of_the_reference() {
    for case in CASES {
        let golden = Golden::open(case);
        let model = golden.load(Precision::F32);
        let script = golden.script(&model);
        let network = model.network();
        let mut context = Context::default();
        for (index, block) in golden.blocks(&model).into_iter().enumerate() {
            let seen = network.encode_video(&[block]).unwrap();
            let segments = [
                Segment::Text(&script.before[index]),
                Segment::VisionBlock {
                    tokens: &seen,
                    block: 0,
                },
                Segment::Text(&script.after),
            ];
            network.append(&mut context, &segments).unwrap();
        }
        let expected = golden.floats("log_probs");
        let vocab = model.config().text.vocab_size;
        let tokens = script.question.len();
        let queries: Vec<TokenQuery> = (tokens - 4..tokens)
            .flat_map(|row| {
                (0..u32::try_from(vocab).unwrap()).map(move |id| TokenQuery { row, id })
            })
            .collect();
        let suffix = Suffix {
            position: context.position(),
            ids: &script.question,
            queries: &queries,
        };
        let before = context.tokens();
        let found = layers::block_on(network.log_probs(&context, &[suffix])).unwrap();
        assert_eq!(context.tokens(), before);
        let (gap, largest) = error(&found[0], &expected);
        println!("{case:14} log-probs off by {gap:.2e} of {largest:.1}");
        assert!(gap <= 1e-4 * largest, "{case}: {gap}");
        let last = golden.ints("positions").into_iter().max().unwrap();
        let next = context.position().next_position + u32::try_from(tokens).unwrap();
        assert_eq!(next, last + 1, "{case}");
    }
}
