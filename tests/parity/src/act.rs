//! From frames, a state and a sentence to robot units.

use anyhow::{Context as _, Result};
use molmoact2::{ActOptions, Action, Config, Continuation, Mode, Policy, Schedule};
use openfast::{Grammar, Shape};
use safetensors::SafeTensors;
use serde::Deserialize;

use crate::findings::{CHUNK, Findings, RELATIVE};
use crate::golden::Golden;

/// The case's question, answered by the flow-matching expert.
///
/// # Errors
/// If the golden is not whole or the policy refuses.
pub async fn continuous(
    findings: &mut Findings,
    golden: &Golden<'_>,
    policy: &Policy,
) -> Result<()> {
    let options = ActOptions {
        noise: Some(golden.floats("noise")?),
        dumps: true,
        ..ActOptions::default()
    };
    let scene = golden.scene()?;
    let action = policy.act_async(&scene.observation(), &options).await?;
    findings.exact(
        "act: token ids",
        &action.prompt_ids,
        &golden.ids("input_ids")?,
    );
    velocities(findings, "act", golden, &action)?;
    let expected = golden.floats("chunk_normalised")?;
    findings.absolute("act: chunk", &action.chunk_normalized, &expected, CHUNK);
    let shape: [usize; 2] = golden.shape("actions")?;
    findings.exact("act: shape", &[action.rows, action.dims], &shape);
    let expected = golden.floats("actions")?;
    findings.relative("act: actions", &action.actions, &expected, RELATIVE);
    Ok(())
}

/// The velocity of every step in the dimensions that the robot has; the reference's golden also holds the padding.
fn velocities(
    findings: &mut Findings,
    name: &str,
    golden: &Golden<'_>,
    action: &Action,
) -> Result<()> {
    let [_, _, padded] = golden.shape("velocity")?;
    let expected: Vec<f32> = golden
        .floats("velocity")?
        .chunks(padded)
        .flat_map(|row| row.iter().take(action.dims).copied())
        .collect();
    let found = action.velocities.clone().unwrap_or_default().concat();
    findings.relative(&format!("{name}: velocity"), &found, &expected, RELATIVE);
    Ok(())
}

/// The case's question, answered in tokens: the reference's own scores for the first, and then the likeliest of those
/// that the grammar allows, up to a whole chunk. (The reference decodes freely, which random weights never end.)
///
/// # Errors
/// If the golden is not whole or the policy refuses.
pub async fn discrete(
    findings: &mut Findings,
    golden: &Golden<'_>,
    config: &Config,
    policy: &Policy,
) -> Result<()> {
    let Some(tokenizer) = policy.action_tokenizer() else {
        return Ok(());
    };
    if !golden.has("decode_logits") {
        return Ok(());
    }
    let options = ActOptions {
        mode: Mode::Discrete,
        dumps: true,
        ..ActOptions::default()
    };
    let scene = golden.scene()?;
    let action = policy.act_async(&scene.observation(), &options).await?;
    let logits = action.logits.context("no scores were kept")?;
    let shape = Shape {
        horizon: action.horizon,
        dims: action.dims,
    };
    let mut grammar = Grammar::new(tokenizer, shape)?;
    let mut likeliest = Vec::new();
    for (scores, &id) in logits.iter().zip(&action.action_tokens) {
        let allowed = (0_u32..).zip(scores).filter(|(id, _)| grammar.allowed(*id));
        let best = allowed.max_by(|a, b| a.1.total_cmp(b.1));
        likeliest.push(best.context("no token is allowed")?.0);
        grammar.push(id)?;
    }
    findings.exact("tokens: likeliest", &action.action_tokens, &likeliest);
    findings.holds("tokens: a whole chunk", grammar.is_complete());
    let chunk = tokenizer.decode(&action.action_tokens, shape)?;
    findings.exact("tokens: decoded", &action.chunk_normalized, &chunk);

    // The reference's scores after <action_start>, cut to the action tokens.
    let first = config.action_token_start_id.context("no action tokens")? as usize;
    let [_, vocabulary] = golden.shape("decode_logits")?;
    let rows = golden.floats("decode_logits")?;
    let found = logits.first().context("no scores")?;
    let expected = rows
        .get(vocabulary + first..)
        .and_then(|rest| rest.get(..found.len()))
        .context("decode_logits is too short")?;
    findings.relative("tokens: first scores", found, expected, RELATIVE);
    Ok(())
}

/// One chunk of the reference's real-time chunking.
#[derive(Debug, Deserialize)]
pub struct Run {
    case: String,
    schedule: Schedule,
    delay: usize,
    horizon: usize,
    largest: f32,
}

/// What the header of its goldens lists.
///
/// # Errors
/// If there is no such list.
pub fn runs(bytes: &[u8]) -> Result<Vec<Run>> {
    let (_, metadata) = SafeTensors::read_metadata(bytes)?;
    let runs = metadata.metadata().as_ref().and_then(|all| all.get("runs"));
    Ok(serde_json::from_str(
        runs.context("the header has no runs")?,
    )?)
}

/// Chunks that continue a running one, those of `runs` that are about `case`.
///
/// # Errors
/// If the golden is not whole or the policy refuses.
pub async fn continued(
    findings: &mut Findings,
    case: &str,
    golden: &Golden<'_>,
    runs: &[Run],
    continued: &Golden<'_>,
    policy: &Policy,
) -> Result<()> {
    let scene = golden.scene()?;
    for (index, run) in runs.iter().enumerate() {
        if case.rsplit('/').next() != Some(&run.case) {
            continue;
        }
        let left_over = continued.floats(&format!("{index}.left_over"))?;
        let options = ActOptions {
            noise: Some(golden.floats("noise")?),
            continuation: Some(Continuation {
                delay: run.delay,
                overlap: run.horizon,
                schedule: run.schedule,
                max_guidance: run.largest,
                ..Continuation::new(left_over, 0)
            }),
            ..ActOptions::default()
        };
        let action = policy.act_async(&scene.observation(), &options).await?;
        let stage = format!("continued {index}, {:?}: chunk", run.schedule);
        let expected = continued.floats(&format!("{index}.chunk_normalised"))?;
        findings.absolute(&stage, &action.chunk_normalized, &expected, CHUNK);
    }
    Ok(())
}
