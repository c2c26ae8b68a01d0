//! Chunks of a group from the flow-matching head.

use burn_tensor::{Tensor, TensorData};
use openfast::Shape;

use crate::batch::model::Model;
use crate::batch::prefill::{Prefilled, prefill};
use crate::batch::prepared::{HeadOutput, HeadOutputs, PreparedRequest};
use crate::checkpoint::config::{ActionMode, Config};
use crate::clock::StageClock;
use crate::error::ActError;
use crate::heads::continuation::{Steering, SteeringTarget};
use crate::heads::depth::head::DepthContinuation;
use crate::heads::flow::{check_steps, integrate, visible_tokens};
use crate::heads::noise::standard_normal;
use crate::mode::Mode;
use crate::network::expert::{Expert, ExpertContext};
use crate::network::readback::read;

/// Start of a flow: its noise, and the target that it is steered towards.
struct Start {
    noise: Vec<f32>,
    target: Option<SteeringTarget>,
}

/// Refuses noise, continuation and steps that cannot be used, before anything is computed.
pub(crate) fn check(model: &Model, request: &PreparedRequest<'_>) -> Result<(), ActError> {
    let Some(expert) = model.network.expert() else {
        return Ok(());
    };
    check_steps(request.options.flow_steps)?;
    let moved = moved_dims(&model.config, request, expert);
    start(request, expert, [moved, moved]).map(|_| ())
}

/// Answers a group, whose requests share horizon and number of flow steps, with the action expert.
///
/// - `features`: `[image tokens of all prompts, hidden]`, in the order of the group.
pub(crate) async fn run(
    model: &Model,
    group: &[PreparedRequest<'_>],
    features: Tensor<2>,
    clock: &mut StageClock<'_>,
) -> Result<HeadOutputs, ActError> {
    let Some(expert) = model.network.expert() else {
        return Err(ActError::ModeUnavailable {
            mode: Mode::Continuous,
            reason: "the checkpoint has no action expert".to_owned(),
        });
    };
    let device = model.network.device();
    let steps = match group
        .first()
        .map_or(0, |request| request.options.flow_steps)
    {
        0 => model.config.flow_matching_num_steps,
        steps => steps,
    };
    let modulations = model.modulations.get(expert, steps)?;
    let mut prefilled = prefill(model, group, features, DepthContinuation::NONE, clock).await?;
    let mut outputs = prefilled.take_outputs(group.len());
    if prefilled.rows.is_empty() {
        return Ok(outputs);
    }
    let mut rows = 0;
    let (mut dims, mut moved) = (Vec::new(), Vec::new());
    for request in prefilled.rows.iter().filter_map(|row| group.get(row.place)) {
        rows = request.rows.horizon;
        dims.push(request.tag.action.dims());
        moved.push(moved_dims(&model.config, request, expert));
    }
    let most = moved.iter().copied().max().unwrap_or(0);
    let (mut noise, mut targets) = (Vec::new(), Vec::new());
    for (row, &moved) in prefilled.rows.iter().zip(&moved) {
        let Some(request) = group.get(row.place) else {
            continue;
        };
        let Start { noise: own, target } = start(request, expert, [moved, most])?;
        noise.extend(own);
        targets.push(target);
    }
    let (context, gates) = expert_context(model, expert, &prefilled);
    let count = prefilled.rows.len();
    let dumps = group.iter().any(|request| request.options.dumps);
    let flow = integrate(
        &expert.for_chunks(rows, &moved),
        &context,
        &modulations,
        Tensor::from_data(TensorData::new(noise, [count * rows, most]), device),
        Steering::of(&targets, rows, most, device).as_ref(),
        dumps,
    );
    let chunks = split(&read(flow.chunk).await?, rows, most, &dims);
    let mut velocities: Vec<Vec<Vec<f32>>> = vec![Vec::new(); count];
    for step in flow.velocities {
        let of_rows = split(&read(step).await?, rows, most, &dims);
        for (all, of_row) in velocities.iter_mut().zip(of_rows) {
            all.push(of_row);
        }
    }
    let mut gates_of: Vec<Vec<f32>> = vec![Vec::new(); count];
    for gate in gates.into_iter().filter(|_| dumps) {
        for (all, value) in gates_of.iter_mut().zip(read(gate).await?) {
            all.push(value);
        }
    }
    let numbers = chunks.into_iter().zip(velocities).zip(gates_of);
    for (row, ((chunk, velocities), gates)) in prefilled.rows.into_iter().zip(numbers) {
        let output = HeadOutput {
            chunk,
            velocities: dumps.then_some(velocities),
            prompt_logits: row.prompt_logits,
            gates: (!gates.is_empty() && row.depth.is_some()).then_some(gates),
            depth: row.depth,
            ..HeadOutput::default()
        };
        if let Some(slot) = outputs.get_mut(row.place) {
            *slot = Ok(output);
        }
    }
    clock.end("flow");
    Ok(outputs)
}

/// The expert's view of the prompts, and the gates of their depth tokens, `[sequences, 1]` each.
fn expert_context(
    model: &Model,
    expert: &Expert,
    prefilled: &Prefilled,
) -> (ExpertContext, Vec<Tensor<2>>) {
    let rows = prefilled.rows.iter();
    let visible: Vec<Vec<bool>> = rows.map(|row| visible(&model.config, &row.ids)).collect();
    let visible = prefilled.past.over_slots(&visible);
    let Some(gate) = model.network.depth_gate() else {
        return (
            expert.context_of(prefilled.past.cache(), &visible),
            Vec::new(),
        );
    };
    let about = |id: &u32| gate.about_depth(*id);
    let rows = prefilled.rows.iter();
    let depth: Vec<Vec<bool>> = rows
        .map(|row| row.ids.iter().map(about).collect())
        .collect();
    let depth = prefilled.past.over_slots(&depth);
    let gated = gate.apply_to(prefilled.past.cache(), &depth, &visible);
    (expert.context_of(&gated.cache, &visible), gated.gates)
}

/// Flags of the tokens of a sequence that the expert may look at.
fn visible(config: &Config, ids: &[u32]) -> Vec<bool> {
    visible_tokens(
        ids,
        config.action_mode == ActionMode::Both,
        config.eos_token_id,
        config.action_start_token_id,
        config.action_end_token_id,
    )
}

/// Action dimensions that the flow moves. Without the padding rule the network moves all of them, so all are
/// computed.
fn moved_dims(config: &Config, request: &PreparedRequest<'_>, expert: &Expert) -> usize {
    if config.mask_action_dim_padding {
        request.tag.action.dims()
    } else {
        expert.max_action_dim()
    }
}

/// The noise of a request, `[rows, most]` with zeros after its `moved` columns, and its steering target of the same
/// width.
fn start(
    request: &PreparedRequest<'_>,
    expert: &Expert,
    [moved, most]: [usize; 2],
) -> Result<Start, ActError> {
    let options = request.options;
    let Shape { horizon, dims } = request.shape();
    let width = expert.max_action_dim();
    let want = horizon * width;
    let drawn;
    let noise = match &options.noise {
        Some(given) if given.len() == want => given,
        Some(given) => {
            let got = given.len();
            return Err(ActError::BadNoise { got, want });
        }
        None => {
            drawn = standard_normal(options.seed, want);
            &drawn
        }
    };
    if noise.iter().any(|value| !value.is_finite()) {
        return Err(ActError::NotFinite {
            what: "a value of the noise",
        });
    }
    let target = match &options.continuation {
        Some(running) => running.steering_target(horizon, dims, most)?,
        None => None,
    };
    let zeros = std::iter::repeat_n(0.0, most.saturating_sub(moved));
    Ok(Start {
        noise: noise
            .chunks(width.max(1))
            .flat_map(|row| row.iter().take(moved).copied().chain(zeros.clone()))
            .collect(),
        target,
    })
}

/// Chunks of `rows` rows and `most` columns, cut to `dims` columns each.
fn split(values: &[f32], rows: usize, most: usize, dims: &[usize]) -> Vec<Vec<f32>> {
    let chunks = values.chunks((rows * most).max(1)).zip(dims);
    chunks
        .map(|(chunk, &dims)| {
            let rows = chunk.chunks(most.max(1));
            rows.flat_map(|row| row.iter().take(dims).copied())
                .collect()
        })
        .collect()
}
