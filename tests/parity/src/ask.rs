//! Questions in words: prompts, patches, features, scores and greedy answers.

use std::ops::ControlFlow;

use anyhow::{Context as _, Result};
use burn_tensor::{Tensor, TensorData};
use layers::Device;
use molmoact2::{AskOptions, Files, PoolPlan, Vlm};
use serde::Deserialize;
use vision::RgbImage;

use crate::findings::{Findings, RELATIVE};
use crate::golden::{Golden, values};

/// A question and the reference's answer.
#[derive(Debug, Deserialize)]
struct Row {
    question: String,
    images: usize,
    prompt: String,
    new_ids: Vec<u32>,
    text: String,
    ended: String,
}

/// Every question of a case.
///
/// # Errors
/// If the golden is not whole or the model refuses.
pub async fn compare(
    findings: &mut Findings,
    golden: &Golden<'_>,
    answers: &[u8],
    checkpoint: &Files,
    device: &Device,
) -> Result<()> {
    let rows: Vec<Row> = serde_json::from_slice(answers).context("answers.json")?;
    findings.holds("there are questions", !rows.is_empty());
    let vlm = Vlm::load(checkpoint, device)?;
    for (index, row) in rows.iter().enumerate() {
        let images = golden.images(&format!("{index}.image."))?;
        findings.exact(&format!("{index}: images"), &[images.len()], &[row.images]);
        if !images.is_empty() {
            features(findings, golden, index, &vlm, &images).await?;
        }
        answer(findings, golden, index, row, &vlm, &images).await?;
    }
    Ok(())
}

async fn features(
    findings: &mut Findings,
    golden: &Golden<'_>,
    index: usize,
    vlm: &Vlm,
    images: &[RgbImage],
) -> Result<()> {
    let batch = vlm.images().prepare(images)?;
    let pixels: Vec<f32> = golden
        .ints(&format!("{index}.pixel_values"))?
        .iter()
        .map(|&byte| byte as f32 / 255.0 * 2.0 - 1.0)
        .collect();
    findings.exact(&format!("{index}: patches"), &batch.values, &pixels);
    let windows = golden.ints(&format!("{index}.pool_indices"))?;
    findings.exact(&format!("{index}: windows"), &batch.pool_indices, &windows);
    let shape = [batch.crops, batch.patches, batch.patch_len];
    let data = TensorData::new(batch.values, shape);
    let patches = Tensor::<3>::from_data(data, vlm.network().device());
    let plan = PoolPlan::new(batch.pool_indices, batch.window);
    let found = values(vlm.network().encode_images(patches, &plan)).await?;
    let expected = golden.floats(&format!("{index}.projected"))?;
    findings.relative(&format!("{index}: features"), &found, &expected, RELATIVE);
    Ok(())
}

async fn answer(
    findings: &mut Findings,
    golden: &Golden<'_>,
    index: usize,
    row: &Row,
    vlm: &Vlm,
    images: &[RgbImage],
) -> Result<()> {
    let options = AskOptions {
        // As the goldens were made.
        max_tokens: 24,
        dumps: true,
        ..AskOptions::default()
    };
    let told = &mut |_: &str| ControlFlow::Continue(());
    let reply = vlm.ask_async(&row.question, images, &options, told).await?;
    let same = |a: &str, b: &str| a == b;
    findings.holds(
        &format!("{index}: prompt"),
        same(&reply.prompt, &row.prompt),
    );
    let ids = golden.ids(&format!("{index}.input_ids"))?;
    findings.exact(&format!("{index}: token ids"), &reply.prompt_ids, &ids);
    findings.exact(&format!("{index}: answer"), &reply.ids, &row.new_ids);
    findings.holds(&format!("{index}: words"), same(&reply.text, &row.text));
    let ended = serde_json::to_value(reply.finish_reason)?;
    findings.holds(&format!("{index}: ended"), ended == row.ended.as_str());
    let logits = reply.logits.unwrap_or_default().concat();
    let expected = golden.floats(&format!("{index}.logits"))?;
    findings.relative(&format!("{index}: scores"), &logits, &expected, RELATIVE);
    Ok(())
}
