//! Reasoning about depth: the calls of one robot after each other, the other ways of making a map, the gate.

use anyhow::{Context as _, Result};
use burn_tensor::{Tensor, TensorData};
use layers::KvCache;
use molmoact2::{ActOptions, Action, Config, Decoding, Depth, Mode, Policy};

use crate::findings::{CHUNK, Findings, RELATIVE};
use crate::golden::{Golden, Scene, values};
use crate::network::visible;

/// A gate is one number out of a mean.
const GATE: f64 = 1e-5;

/// A policy and what it is asked.
struct Robot<'a> {
    golden: &'a Golden<'a>,
    policy: &'a Policy,
    scene: Scene,
}

impl Robot<'_> {
    async fn act(&self, depth: Depth) -> Result<Action> {
        let options = ActOptions {
            noise: Some(self.golden.floats("noise")?),
            depth,
            dumps: true,
            ..ActOptions::default()
        };
        let observation = self.scene.observation();
        Ok(self.policy.act_async(&observation, &options).await?)
    }

    async fn write(&self, decoding: Decoding) -> Result<Action> {
        let options = ActOptions {
            mode: Mode::Discrete,
            decoding,
            depth: Depth::Full,
            dumps: true,
            ..ActOptions::default()
        };
        let observation = self.scene.observation();
        Ok(self.policy.act_async(&observation, &options).await?)
    }
}

/// Every call that the golden holds.
///
/// # Errors
/// If the golden is not whole or the policy refuses.
pub async fn compare(
    findings: &mut Findings,
    golden: &Golden<'_>,
    config: &Config,
    policy: &Policy,
) -> Result<()> {
    let mut robot = Robot {
        golden,
        policy,
        scene: golden.scene()?,
    };
    for depth in [Depth::Full, Depth::Free, Depth::Off] {
        let name = match depth {
            Depth::Full => "full",
            Depth::Free => "free",
            _ => "off",
        };
        let action = robot.act(depth.clone()).await?;
        call(findings, golden, name, &action)?;
        if depth == Depth::Free {
            // The model wrote fewer codes than there are cells, so the cache is of no use.
            let cache = action.depth.map(|trace| trace.cache);
            let again = robot.act(Depth::Adaptive { cache }).await?;
            call(findings, golden, "wrong_cache", &again)?;
        }
    }
    if golden.has("discrete.actions") {
        // Where the free stream is a good one, the grammar changes nothing.
        for decoding in [Decoding::Strict, Decoding::Masked] {
            let action = robot.write(decoding).await?;
            call(findings, golden, "discrete", &action)?;
        }
    }

    // One robot: the first call without a cache, then a frame that changed, then the same again.
    let mut last = robot.act(Depth::Adaptive { cache: None }).await?;
    call(findings, golden, "full", &last)?;
    let first = robot.scene.images.first_mut().context("no image")?;
    *first = golden.image("second.image.0")?;
    for name in ["moved", "still"] {
        let cache = last.depth.take().map(|trace| trace.cache);
        last = robot.act(Depth::Adaptive { cache }).await?;
        call(findings, golden, name, &last)?;
        let trace = last.depth.as_ref().context("no depth")?;
        let expected = golden.flags(&format!("{name}.regenerated"))?;
        findings.exact(
            &format!("{name}: cells anew"),
            &trace.regenerated,
            &expected,
        );
        let similarity = trace.similarity.clone().unwrap_or_default();
        let expected = golden.floats(&format!("{name}.similarity"))?;
        findings.exact(&format!("{name}: similarity"), &similarity, &expected);
    }
    if golden.has("full.gated_keys.0") {
        gate(findings, golden, config, policy).await?;
    }
    Ok(())
}

/// Everything that the golden's call `name` holds.
fn call(findings: &mut Findings, golden: &Golden<'_>, name: &str, action: &Action) -> Result<()> {
    let part = |part: &str| format!("{name}.{part}");
    let stage = |what: &str| format!("{name}: {what}");
    let has = |what: &str| golden.has(&part(what));
    let floats = |what: &str| golden.floats(&part(what));
    let ids = golden.ids(&part("input_ids"))?;
    findings.exact(&stage("token ids"), &action.prompt_ids, &ids);
    if let Some(trace) = &action.depth {
        let ids = golden.ids(&part("depth_ids"))?;
        findings.exact(&stage("depth tokens"), &trace.tokens, &ids);
        let codes = golden.ids(&part("depth_codes"))?;
        findings.exact(&stage("depth codes"), &trace.codes, &codes);
        if has("cell_logits") {
            let scores = trace.logits.clone().unwrap_or_default().concat();
            let expected = floats("cell_logits")?;
            findings.relative(&stage("depth scores"), &scores, &expected, RELATIVE);
        }
        if has("gates") {
            let gates = trace.gates.clone().unwrap_or_default();
            findings.relative(&stage("gates"), &gates, &floats("gates")?, GATE);
        }
    } else {
        findings.holds(&stage("no depth"), !has("depth_ids"));
    }
    if has("generated_ids") {
        let ids = golden.ids(&part("generated_ids"))?;
        findings.exact(&stage("tokens"), &action.generated_ids, &ids);
    } else {
        findings.holds(&stage("no tokens"), action.generated_ids.is_empty());
    }
    let scores = action.prompt_logits.clone().unwrap_or_default();
    let expected = floats("prompt_logits")?;
    findings.relative(&stage("prompt scores"), &scores, &expected, RELATIVE);
    if let Some(velocities) = &action.velocities {
        let expected = floats("velocity")?;
        findings.relative(
            &stage("velocity"),
            &velocities.concat(),
            &expected,
            RELATIVE,
        );
        let expected = floats("chunk_normalised")?;
        findings.absolute(&stage("chunk"), &action.chunk_normalized, &expected, CHUNK);
    }
    let expected = floats("actions")?;
    findings.relative(&stage("actions"), &action.actions, &expected, RELATIVE);
    Ok(())
}

/// What the gate does to the cache, which a policy keeps to itself: divided out of the reference's cache, put back by
/// ours.
async fn gate(
    findings: &mut Findings,
    golden: &Golden<'_>,
    config: &Config,
    policy: &Policy,
) -> Result<()> {
    let prompt = golden.ids("full.input_ids")?;
    let ids = [prompt, golden.ids("full.depth_ids")?].concat();
    let seen = visible(config, &ids);
    let expected = golden.flags("full.cross_mask")?;
    findings.exact("what the expert sees", &seen, &expected);
    let Some(depth_gate) = policy.network().depth_gate() else {
        return Ok(());
    };
    let gated = golden.flags("full.gated_mask")?;
    let gates = golden.floats("full.gates")?;
    let (kv_heads, head_dim) = (config.text.num_key_value_heads, config.text.head_dim);
    let device = policy.network().device();
    let ungated = |name: &str, gate: f32| -> Result<Tensor<3>> {
        let mut rows = golden.floats(name)?;
        for (row, gated) in rows.chunks_mut(kv_heads * head_dim).zip(&gated) {
            if *gated {
                row.iter_mut().for_each(|x| *x /= gate);
            }
        }
        let data = TensorData::new(rows, [ids.len(), kv_heads, head_dim]);
        Ok(Tensor::<3>::from_data(data, device).swap_dims(0, 1))
    };
    let mut cache = KvCache::new();
    for layer in 0..config.text.num_hidden_layers {
        let shared = gates.last();
        let gate = *gates.get(layer).or(shared).context("no gates")?;
        let key = ungated(&format!("full.gated_keys.{layer}"), gate)?;
        let value = ungated(&format!("full.gated_values.{layer}"), gate)?;
        cache.extend(layer, key, value);
    }
    let found = depth_gate.apply(&cache, &ids, &seen);
    let found_gates = values(Tensor::cat(found.gates, 0)).await?;
    findings.relative("gate: gates", &found_gates, &gates, GATE);
    for (layer, (key, value)) in found.cache.layers().iter().enumerate() {
        for (what, tensor) in [("keys", key), ("values", value)] {
            let expected = golden.floats(&format!("full.gated_{what}.{layer}"))?;
            let found = values(tensor.clone().swap_dims(0, 1)).await?;
            findings.relative(&format!("gate: {what} {layer}"), &found, &expected, GATE);
        }
    }
    Ok(())
}
