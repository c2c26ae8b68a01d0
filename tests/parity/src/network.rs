//! Each stage of the network, fed the reference's own input.

use anyhow::{Context as _, Result};
use burn_tensor::Tensor;
use layers::KvCache;
use molmoact2::{
    ActionMode, Config, ExpertContext, Network, PoolPlan, Until, integrate, prefill_bias,
    visible_tokens,
};

use crate::findings::{CHUNK, Findings, RELATIVE};
use crate::golden::{Golden, values};

/// Embeddings are a sum of two numbers.
const EMBEDDING: f64 = 1e-5;
/// Two ways of computing the same thing.
const SAME: f64 = 1e-6;

/// Every stage of a policy's network.
///
/// # Errors
/// If the golden is not whole or the device fails.
pub async fn compare(
    findings: &mut Findings,
    golden: &Golden<'_>,
    config: &Config,
    network: &Network,
) -> Result<()> {
    vision(findings, golden, network).await?;
    prompt(findings, golden, config, network).await?;
    flow(findings, golden, config, network).await?;
    if golden.has("forced_ids") {
        tokens(findings, golden, network).await?;
    }
    Ok(())
}

async fn vision(findings: &mut Findings, golden: &Golden<'_>, network: &Network) -> Result<()> {
    let device = network.device();
    let patches = golden.tensor("patches_requantised", device)?;
    let found = values(network.vit().forward(patches)).await?;
    let expected = golden.floats("vit_features")?;
    findings.relative("vision tower", &found, &expected, RELATIVE);

    let features: Tensor<3> = golden.tensor("vit_features", device)?;
    let [images, patches, width] = features.dims();
    let features = features.reshape([images * patches, width]);
    let [_, window] = golden.shape("pool_indices")?;
    let plan = PoolPlan::new(golden.ints("pool_indices")?, window);
    let found = values(network.connector().pool(features.clone(), &plan)).await?;
    let expected = golden.floats("pooled_features")?;
    findings.relative("pooled features", &found, &expected, RELATIVE);
    let found = values(network.connector().forward(features, &plan)).await?;
    let expected = golden.floats("projected_features")?;
    findings.relative("projected features", &found, &expected, RELATIVE);
    Ok(())
}

async fn prompt(
    findings: &mut Findings,
    golden: &Golden<'_>,
    config: &Config,
    network: &Network,
) -> Result<()> {
    let device = network.device();
    let ids = golden.ids("input_ids")?;
    let features = golden.tensor("projected_features", device)?;
    let embedded = network.embed_prompt(&ids, config.image_patch_id, Some(features));
    let expected = golden.floats("inputs_embeds")?;
    findings.relative("embeddings", &values(embedded).await?, &expected, EMBEDDING);

    let bias = prefill_bias(&golden.flags("token_type_ids")?, device);
    let mut cache = network.new_cache();
    let embedded: Tensor<2> = golden.tensor("inputs_embeds", device)?;
    let hidden = network
        .text()
        .forward(embedded.clone(), Some(&bias), &mut cache, Until::EveryToken)
        .context("no hidden states")?;
    let layers = config.text.num_hidden_layers;
    findings.exact("layers of the cache", &[cache.layers().len()], &[layers]);
    for (layer, (key, value)) in cache.layers().iter().enumerate() {
        for (what, tensor) in [("keys", key), ("values", value)] {
            let found = values(tensor.clone()).await?;
            let expected = golden.floats(&format!("{what}.{layer}"))?;
            findings.relative(&format!("{what} {layer}"), &found, &expected, RELATIVE);
        }
    }
    let found = values(hidden.clone()).await?;
    let expected = golden.floats("last_hidden")?;
    findings.relative("last hidden states", &found, &expected, RELATIVE);
    let found = values(network.text().logits(hidden)).await?;
    findings.relative("logits", &found, &golden.floats("logits")?, RELATIVE);

    // What continuous mode leaves out must not change what it keeps.
    let mut short = network.new_cache();
    let none = network
        .text()
        .forward(embedded, Some(&bias), &mut short, Until::KeysAndValues);
    findings.holds("the short pass has no hidden state", none.is_none());
    for ((key, value), (full_key, full_value)) in short.layers().iter().zip(cache.layers().iter()) {
        for (what, short, full) in [("keys", key, full_key), ("values", value, full_value)] {
            let (found, expected) = (values(short.clone()).await?, values(full.clone()).await?);
            findings.relative(&format!("{what}, short pass"), &found, &expected, SAME);
        }
    }
    Ok(())
}

/// The tokens that the expert looks at.
pub(crate) fn visible(config: &Config, ids: &[u32]) -> Vec<bool> {
    visible_tokens(
        ids,
        config.action_mode == ActionMode::Both,
        config.eos_token_id,
        config.action_start_token_id,
        config.action_end_token_id,
    )
}

async fn flow(
    findings: &mut Findings,
    golden: &Golden<'_>,
    config: &Config,
    network: &Network,
) -> Result<()> {
    let device = network.device();
    let seen = visible(config, &golden.ids("input_ids")?);
    findings.exact("what the expert sees", &seen, &golden.flags("cross_mask")?);

    let expert = network.expert().context("the network has no expert")?;
    let mut cache = KvCache::new();
    for layer in 0..config.text.num_hidden_layers {
        let key = golden.tensor(&format!("keys.{layer}"), device)?;
        let value = golden.tensor(&format!("values.{layer}"), device)?;
        cache.extend(layer, key, value);
    }
    let context = expert.context(&cache, &seen);
    expert_context(findings, golden, &context, &seen).await?;

    let [steps, rows, padded] = golden.shape("velocity")?;
    let [_, dims] = golden.shape("chunk_normalised")?;
    let modulations = expert.modulations(steps);
    let trajectory: Tensor<3> = golden.tensor("trajectory", device)?;
    // All dimensions, the padding too, although sampling leaves it out.
    let chunk_expert = expert.for_chunk(rows, padded);
    let velocities: Vec<Tensor<2>> = modulations
        .iter()
        .enumerate()
        .map(|(step, modulation)| {
            let at = trajectory.clone().narrow(0, step, 1);
            chunk_expert.velocity(at.reshape([rows, padded]), modulation, &context)
        })
        .collect();
    let found = values(Tensor::cat(velocities, 0)).await?;
    let expected = golden.floats("velocity")?;
    findings.relative("velocity of every step", &found, &expected, RELATIVE);

    let noise: Tensor<2> = golden.tensor("noise", device)?;
    let chunk_expert = expert.for_chunk(rows, dims);
    let noise = noise.narrow(1, 0, dims);
    let flow = integrate(&chunk_expert, &context, &modulations, noise, None, true);
    findings.exact("steps", &[flow.velocities.len()], &[steps]);
    let expected = golden.floats("chunk_normalised")?;
    findings.absolute(
        "chunk from noise",
        &values(flow.chunk).await?,
        &expected,
        CHUNK,
    );
    Ok(())
}

/// Ours holds visible tokens only, heads first and keys scaled; the reference all tokens.
async fn expert_context(
    findings: &mut Findings,
    golden: &Golden<'_>,
    context: &ExpertContext,
    seen: &[bool],
) -> Result<()> {
    for (layer, (key, value)) in context.layers().iter().enumerate() {
        let [_, heads, head_dim] = golden.shape(&format!("context_keys.{layer}"))?;
        let scale = (head_dim as f32).sqrt().recip();
        for (what, tensor, scale) in [("keys", key, scale), ("values", value, 1.0)] {
            let expected: Vec<f32> = golden
                .floats(&format!("context_{what}.{layer}"))?
                .chunks(heads * head_dim)
                .zip(seen)
                .filter(|(_, seen)| **seen)
                .flat_map(|(row, _)| row.iter().map(move |x| x * scale))
                .collect();
            let found = values(tensor.clone().swap_dims(0, 1)).await?;
            let stage = format!("expert's {what} {layer}");
            findings.relative(&stage, &found, &expected, RELATIVE);
        }
    }
    Ok(())
}

async fn tokens(findings: &mut Findings, golden: &Golden<'_>, network: &Network) -> Result<()> {
    let device = network.device();
    let forced = golden.ids("forced_ids")?;
    let text = network.text();
    let prompt: Tensor<2> = golden.tensor("inputs_embeds", device)?;
    let flags = golden.flags("token_type_ids")?;
    let answer = std::iter::repeat_n(false, forced.len());
    let longer: Vec<bool> = flags.iter().copied().chain(answer).collect();

    // One pass over prompt and answer.
    let bias = prefill_bias(&longer, device);
    let all = Tensor::cat(vec![prompt.clone(), text.embed(&forced)], 0);
    let mut cache = network.new_cache();
    let hidden = text
        .forward(all, Some(&bias), &mut cache, Until::EveryToken)
        .context("no hidden states")?;
    let rows = hidden.narrow(0, flags.len().saturating_sub(1), forced.len() + 1);
    let at_once = values(text.logits(rows)).await?;
    let expected = golden.floats("teacher_logits")?;
    findings.relative("logits of an answer at once", &at_once, &expected, RELATIVE);

    // The same, token by token.
    let bias = prefill_bias(&flags, device);
    let mut cache = network.new_cache();
    let hidden = text.forward(prompt, Some(&bias), &mut cache, Until::LastToken);
    let mut rows = vec![text.logits(hidden.context("no hidden state")?)];
    for &id in &forced {
        let hidden = text.forward(text.embed(&[id]), None, &mut cache, Until::LastToken);
        rows.push(text.logits(hidden.context("no hidden state")?));
    }
    let one_by_one = values(Tensor::cat(rows, 0)).await?;
    let expected = golden.floats("decode_logits")?;
    let stage = "logits of an answer token by token";
    findings.relative(stage, &one_by_one, &expected, RELATIVE);
    let stage = "the two ways against each other";
    findings.relative(stage, &one_by_one, &at_once, RELATIVE);
    Ok(())
}
