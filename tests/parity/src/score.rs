//! Videos and questions about them: pixels, ids, every stage of Qwen3-VL, and log-probabilities behind a cache.

use std::cell::RefCell;

use anyhow::{Context as _, Result};
use burn_tensor::Tensor;
use layers::{Device, ModelFiles, TokenQuery};
use qwen3vl::layout::{after_block, block_seconds};
use qwen3vl::{
    Block, Context, LoadOptions, OddFrames, Qwen3Vl, Segment, Stage, Suffix, TextLayout,
};
use vision::RgbImage;

use crate::findings::{Findings, RELATIVE};
use crate::golden::{Golden, values};

const BEFORE: &str =
    "The above video shows a robot manipulation trajectory that completes the following task: ";
const AFTER: &str = " Decide whether the above statement is True or not. The answer is:";
/// Hidden states of this many last tokens are in the goldens.
const LAST: usize = 4;

/// The video and the question of a case, in tokens.
struct Script {
    before: Vec<Vec<u32>>,
    after: Vec<u32>,
    question: Vec<u32>,
}

/// Every stage of a case.
///
/// # Errors
/// If the golden is not whole or the model refuses.
pub async fn compare(
    findings: &mut Findings,
    golden: &Golden<'_>,
    checkpoint: &ModelFiles,
    device: &Device,
) -> Result<()> {
    let model = Qwen3Vl::load(checkpoint, device, &LoadOptions::default())?;
    let blocks = model
        .video()
        .video(&frames(golden)?, OddFrames::HalfToEven)?;
    let pixels = blocks.iter().flat_map(|block| &block.patches);
    let hash = fnv1a(pixels.flat_map(|value| value.to_le_bytes()));
    findings.holds("pixels", hash == golden.text("pixels")?);
    let script = script(golden, &model)?;
    let stages = RefCell::new(Vec::new());
    let watch = |stage: Stage, tensor: &Tensor<2>| {
        stages.borrow_mut().push((name(stage), tensor.clone()));
    };
    let network = model.network();
    let seen = network.encode_video_watched(&blocks, &watch)?;
    let mut segments: Vec<Segment<'_>> = Vec::new();
    for (block, before) in script.before.iter().enumerate() {
        segments.push(Segment::Text(before));
        segments.push(Segment::VisionBlock {
            tokens: &seen,
            block,
        });
        segments.push(Segment::Text(&script.after));
    }
    segments.push(Segment::Text(&script.question));
    let hidden = network
        .hidden_states_watched(&segments, &watch)?
        .context("there is something to read")?;
    let [rows, _] = hidden.dims();
    let last = hidden.narrow(0, rows.saturating_sub(LAST), LAST);
    let logits = network.text().head().logits(&last);
    let mut stages = stages.into_inner();
    stages.push(("logits".to_owned(), logits));
    for (stage, found) in stages {
        let expected = golden.floats(&stage)?;
        findings.relative(&stage, &values(found).await?, &expected, RELATIVE);
    }
    log_probs(findings, golden, &model, &script, blocks).await
}

/// Block after block into a context, and then the question.
async fn log_probs(
    findings: &mut Findings,
    golden: &Golden<'_>,
    model: &Qwen3Vl,
    script: &Script,
    blocks: Vec<Block>,
) -> Result<()> {
    let network = model.network();
    let mut context = Context::default();
    let mut ids = Vec::new();
    for (block, before) in blocks.into_iter().zip(&script.before) {
        let seen = network.encode_video(&[block])?;
        let held = context.tokens();
        let segments = [
            Segment::Text(before),
            Segment::VisionBlock {
                tokens: &seen,
                block: 0,
            },
            Segment::Text(&script.after),
        ];
        network.append(&mut context, &segments)?;
        let pictures = context.tokens() - held - before.len() - script.after.len();
        ids.extend(before);
        ids.extend(vec![model.config().video_token_id; pictures]);
        ids.extend(&script.after);
    }
    ids.extend(&script.question);
    findings.exact("token ids", &ids, &golden.ids("ids")?);
    let tokens = script.question.len();
    let vocab = u32::try_from(model.config().text.vocab_size)?;
    let queries: Vec<TokenQuery> = (tokens.saturating_sub(LAST)..tokens)
        .flat_map(|row| (0..vocab).map(move |id| TokenQuery { row, id }))
        .collect();
    let suffix = Suffix {
        position: context.position(),
        ids: &script.question,
        queries: &queries,
    };
    let found = network.log_probs(&context, &[suffix]).await?.concat();
    findings.relative(
        "log-probabilities",
        &found,
        &golden.floats("log_probs")?,
        RELATIVE,
    );
    Ok(())
}

fn script(golden: &Golden<'_>, model: &Qwen3Vl) -> Result<Script> {
    let numbers = golden.numbers("numbers")?;
    let rate = golden.number("rate")?;
    let mut before = Vec::new();
    for pair in numbers.chunks(2) {
        let opening = if before.is_empty() {
            TextLayout::Plain.header()
        } else {
            String::new()
        };
        let ends =
            [pair.first(), pair.last()].map(|frame| frame.map_or(0, |frame| *frame as usize));
        before.push(model.before_block(&opening, block_seconds(ends, rate)?)?);
    }
    let question = format!("{BEFORE}{}{AFTER}", golden.text("task")?);
    Ok(Script {
        before,
        after: model.tokenizer().encode(after_block())?,
        question: model.tokenizer().encode(&question)?,
    })
}

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

/// The frames that `generate.py` drew.
fn frames(golden: &Golden<'_>) -> Result<Vec<RgbImage>> {
    let whole = |key| golden.number(key).map(|number| number as u64);
    let (width, height, seed) = (whole("width")?, whole("height")?, whole("seed")? * 100);
    (0..whole("frames")?)
        .map(|index| {
            let seed = seed + index;
            let mut bytes = Vec::new();
            for y in 0..height {
                for x in 0..width {
                    for c in 0..3_u64 {
                        let at = (y * width + x) * 3 + c;
                        let mut noise = (at * 2_654_435_761 + seed) & 0xFFFF_FFFF;
                        noise ^= noise >> 15;
                        noise = (noise * 2_246_822_519) & 0xFFFF_FFFF;
                        let wave = (x * (c + 2) + y * (3 - c) + seed * 29) % 192;
                        bytes.push(u8::try_from(wave + (noise >> 26))?);
                    }
                }
            }
            Ok(RgbImage::new(width as usize, height as usize, bytes)?)
        })
        .collect()
}

fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> String {
    let step = |value: u64, byte: u8| (value ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!(
        "{:016x}",
        bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, step)
    )
}
