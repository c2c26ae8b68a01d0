//! Answers token by token against transformers (`generate_text.py` in `tests/goldens/qwen3vl`), about videos and images.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::ops::ControlFlow;

use common::{Golden, fnv1a, folder, frame};
use qwen3vl::{
    Context, FrameSize, Generated, Part, PixelBudget, Precision, Qwen3Vl, ScoreError, StopReason,
    layout, smart_resize_image,
};
use serde::Deserialize;
use vision::RgbImage;

const CASES: [&str; 5] = ["tied", "tied_again", "untied_odd", "wide_heads", "shrunk"];
/// Scores of the reference that are nearer to each other may change places by rounding.
const MARGIN: f64 = 1e-3;

#[derive(Deserialize)]
struct Answers {
    describe: Answer,
    images: Answer,
}

#[derive(Deserialize)]
struct Answer {
    prompt: Vec<u32>,
    ids: Vec<u32>,
    margins: Vec<f64>,
    text: String,
    #[serde(default)]
    parts: Vec<String>,
    #[serde(default)]
    images: Vec<[usize; 2]>,
    #[serde(default)]
    grids: Vec<[usize; 3]>,
    #[serde(default)]
    pixels: String,
}

fn answers(case: &str) -> Answers {
    serde_json::from_slice(&std::fs::read(folder(case).join("answers.json")).unwrap()).unwrap()
}

fn generate(model: &Qwen3Vl, context: Context, prompt: &[u32], most: usize) -> Generated {
    layers::block_on(model.generate(context, prompt, most, &mut |_| ControlFlow::Continue(())))
        .unwrap()
}

fn compare(case: &str, answer: &Answer, written: &Generated, length: usize) {
    assert_eq!(length, answer.prompt.len(), "{case}: tokens of the prompt");
    assert!(
        answer.margins.iter().all(|margin| *margin > MARGIN),
        "{case}"
    );
    assert_eq!(written.ids, answer.ids, "{case}");
    assert_eq!(written.text, answer.text, "{case}");
    assert_eq!(written.stop_reason, StopReason::MaxTokens, "{case}");
}

/// The video in a context, and the prompt for a description.
fn described(golden: &Golden, model: &Qwen3Vl) -> (Context, Vec<u32>) {
    let script = golden.script(model);
    let seen = model.network().encode_video(&golden.blocks(model)).unwrap();
    let mut context = Context::default();
    model
        .network()
        .append(&mut context, &script.video(&seen))
        .unwrap();
    let prompt = format!(
        "Describe the robot manipulation trajectory in this video:{}",
        layout::answer_turn()
    );
    (context, model.tokenizer().encode(&prompt).unwrap())
}

#[test]
fn descriptions_of_videos_are_those_of_the_reference() {
    for case in CASES {
        let golden = Golden::open(case);
        let model = golden.load(Precision::F32);
        let answer = answers(case).describe;
        let (context, prompt) = described(&golden, &model);
        let length = context.tokens() + prompt.len();
        let written = generate(&model, context, &prompt, answer.ids.len());
        compare(case, &answer, &written, length);
    }
}

fn images(golden: &Golden, answer: &Answer) -> Vec<RgbImage> {
    let seed = golden.number("seed") as u64 * 1000;
    (seed..)
        .zip(&answer.images)
        .map(|(seed, [width, height])| frame(*width, *height, seed))
        .collect()
}

#[test]
fn answers_about_images_are_those_of_the_reference() {
    for case in CASES {
        let golden = Golden::open(case);
        let model = golden.load(Precision::F32);
        let answer = answers(case).images;
        let images = images(&golden, &answer);
        let input = model.images().unwrap();
        let blocks: Vec<_> = images
            .iter()
            .map(|image| input.image(image).unwrap())
            .collect();
        let grids: Vec<_> = blocks
            .iter()
            .map(|block| [1, block.grid.rows, block.grid.columns])
            .collect();
        assert_eq!(grids, answer.grids, "{case}");
        let pixels = blocks.iter().flat_map(|block| &block.patches);
        let found = fnv1a(pixels.flat_map(|value| value.to_le_bytes()));
        assert_eq!(found, answer.pixels, "{case}");
        let parts: Vec<Part<'_>> = answer
            .parts
            .iter()
            .zip(&images)
            .flat_map(|(text, image)| [Part::Text(text), Part::Image(image)])
            .collect();
        let (context, prompt) = model.prefill_turn(&parts).unwrap();
        let length = context.tokens() + prompt.len();
        let written = generate(&model, context, &prompt, answer.ids.len());
        compare(case, &answer, &written, length);
    }
}

#[test]
fn an_answer_ends_at_its_end_token_at_its_length_or_when_stopped() {
    let golden = Golden::open("untied_odd");
    let answer = answers("untied_odd").describe;
    // The fifth token of the answer as the end of text, as `generation_config.json` can have it.
    let end = answer.ids[4];
    let first = answer.ids.iter().position(|id| *id == end).unwrap();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder("untied_odd").join("checkpoint")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        files.push((name, std::fs::read(path).unwrap().into()));
    }
    let with = |config: String| {
        let mut files = files.clone();
        files.push((
            "generation_config.json".to_owned(),
            config.into_bytes().into(),
        ));
        let files = qwen3vl::ModelFiles::from_memory(files);
        Qwen3Vl::load(&files, &common::device(), &qwen3vl::LoadOptions::default())
    };
    let model = with(format!("{{\"eos_token_id\": [1, {end}]}}")).unwrap();
    assert_eq!(model.stop_tokens().unwrap(), [1, end]);
    let (context, prompt) = described(&golden, &model);
    let written = generate(&model, context.clone(), &prompt, 24);
    assert_eq!(
        (&written.ids[..], written.stop_reason),
        (&answer.ids[..first], StopReason::EndOfText)
    );

    let model = golden.load(Precision::F32);
    let told = [
        model.tokenizer().id("<|im_end|>"),
        model.tokenizer().id("<|endoftext|>"),
    ];
    assert_eq!(model.stop_tokens().unwrap(), told.map(Option::unwrap));
    let written = generate(&model, context.clone(), &prompt, 3);
    assert_eq!(
        (&written.ids[..], written.stop_reason),
        (&answer.ids[..3], StopReason::MaxTokens)
    );
    let mut seen = Vec::new();
    let stopped = layers::block_on(model.generate(context.clone(), &prompt, 24, &mut |id| {
        seen.push(id);
        if seen.len() == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }))
    .unwrap();
    assert_eq!(
        (&stopped.ids[..], stopped.stop_reason),
        (&answer.ids[..2], StopReason::Stopped)
    );
    assert_eq!(seen, stopped.ids);

    let nothing = layers::block_on(
        model.generate(context.clone(), &[], 3, &mut |_| ControlFlow::Continue(())),
    );
    assert!(matches!(nothing, Err(ScoreError::EmptyPrompt)));
    // Who asks for no answer needs no end of it; who does is told.
    for (config, words) in [
        ("{\"eos_token_id\": 99999}", "eos_token_id has 99999"),
        ("{\"eos_token_id\": [1,", "never finished"),
        ("", "0 bytes"),
    ] {
        let model = with(config.to_owned()).unwrap();
        let asked = layers::block_on(model.generate(context.clone(), &prompt, 3, &mut |_| {
            ControlFlow::Continue(())
        }));
        let said = asked.unwrap_err().to_string();
        assert!(
            said.contains("generation_config.json") && said.contains(words),
            "{said}"
        );
    }
    let single = with(format!("{{\"eos_token_id\": {end}}}")).unwrap();
    assert_eq!(single.stop_tokens().unwrap(), [end]);
}

#[test]
fn a_checkpoint_without_image_settings_is_asked_about_videos_only() {
    let model = Golden::open("one_kv_head").load(Precision::F32);
    assert!(matches!(model.images(), Err(ScoreError::NoImages)));
    let image = frame(40, 40, 1);
    let refused = model
        .prefill_turn(&[Part::Image(&image)])
        .unwrap_err()
        .to_string();
    assert!(refused.contains("preprocessor_config.json"), "{refused}");
    let special = model.prefill_turn(&[Part::Text("a<|im_end|>")]);
    assert!(matches!(special, Err(ScoreError::SpecialInText { .. })));
}

/// `smart_resize` of transformers' `image_processing_qwen2_vl`, factor 32, 65536 to 16777216 pixels.
#[test]
fn sizes_of_images() {
    let budget = PixelBudget {
        least: 65_536,
        most: 16_777_216,
    };
    for ([width, height], [out_width, out_height]) in [
        ([252, 252], [256, 256]),
        ([244, 244], [256, 256]),
        ([10, 30], [160, 448]),
        ([640, 480], [640, 480]),
        ([1, 200], [32, 3648]),
        ([9000, 4000], [6144, 2720]),
    ] {
        let out = smart_resize_image(FrameSize { width, height }, 32, budget).unwrap();
        assert_eq!(
            [out.width, out.height],
            [out_width, out_height],
            "{width}x{height}"
        );
    }
    for [width, height] in [[0, 5], [1, 201]] {
        assert!(smart_resize_image(FrameSize { width, height }, 32, budget).is_err());
    }
}
