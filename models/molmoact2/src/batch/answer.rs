//! The two ways from prepared questions to chunks.

use std::sync::{Arc, PoisonError};

use burn::tensor::{Tensor, TensorData};
use openfast::Shape;

use crate::action::ActOptions;
use crate::batch::prefill::Prefix;
use crate::batch::run::{BatchTokenCallback, Row};
use crate::checkpoint::config::ActionMode;
use crate::clock::StageClock;
use crate::error::ActError;
use crate::heads::continuation::{Steering, SteeringTarget};
use crate::heads::depth::decode_state::DepthMap;
use crate::heads::flow::{integrate, visible_tokens};
use crate::heads::noise::standard_normal;
use crate::heads::token_head::Decoding;
use crate::input::images::ImageBatch;
use crate::mode::Mode;
use crate::network::connector::PoolPlan;
use crate::network::expert::{Expert, StepModulation};
use crate::network::readback::read;
use crate::policy::{Modulations, Policy, Ready};

/// Most Euler steps per chunk; ten are usual, and the error falls with their number.
const MAX_FLOW_STEPS: usize = 1000;

/// What a head gave for one request.
#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) chunk: Vec<f32>,
    pub(crate) tokens: Vec<u32>,
    pub(crate) velocities: Option<Vec<Vec<f32>>>,
    pub(crate) logits: Option<Vec<Vec<f32>>>,
    /// Tokens of the answer in the model's ids, without the depth map's.
    pub(crate) generated: Vec<u32>,
    pub(crate) prompt_logits: Option<Vec<f32>>,
    pub(crate) depth: Option<DepthMap>,
    pub(crate) gates: Option<Vec<f32>>,
}

/// The answers of a group, in its order.
type Answers = Vec<Result<Answer, ActError>>;

/// What a flow starts from and is pulled to.
struct Start {
    noise: Vec<f32>,
    target: Option<SteeringTarget>,
}

impl Policy {
    /// Image features, `[image tokens, hidden]`.
    pub(crate) fn see(&self, batch: ImageBatch) -> Tensor<2> {
        let shape = [batch.crops, batch.patches, batch.patch_len];
        let values = TensorData::new(batch.values, shape);
        let patches = Tensor::from_data(values, self.network.device());
        let plan = PoolPlan::new(batch.pool_indices, batch.window);
        self.network.encode_images(patches, &plan)
    }

    /// Answers a group with the flow-matching expert.
    pub(crate) async fn flow(
        &self,
        group: &[Row<'_>],
        features: Tensor<2>,
        clock: &mut StageClock<'_>,
    ) -> Result<Answers, ActError> {
        let Some(expert) = self.network.expert() else {
            return Err(ActError::ModeUnavailable {
                mode: Mode::Continuous,
                reason: "the checkpoint has no action expert".to_owned(),
            });
        };
        let device = self.network.device();
        let steps = group.first().map_or(0, |row| row.options.flow_steps);
        let modulations = self.modulations(expert, steps)?;
        let mut prefix = self
            .read_prompts(group, features, &[], false, clock)
            .await?;
        let mut answers = prefix.answers(group.len());
        if prefix.rows.is_empty() {
            return Ok(answers);
        }
        let mut rows = 0;
        let (mut dims, mut moved) = (Vec::new(), Vec::new());
        for row in prefix.rows.iter().filter_map(|row| group.get(row.place)) {
            rows = row.ready.rows.horizon;
            dims.push(row.ready.tag.action.dims());
            moved.push(self.moved(&row.ready, expert));
        }
        let most = moved.iter().copied().max().unwrap_or(0);
        let (mut noise, mut targets) = (Vec::new(), Vec::new());
        for (row, &moved) in prefix.rows.iter().zip(&moved) {
            let Some(asked) = group.get(row.place) else {
                continue;
            };
            let Start { noise: own, target } =
                start(&asked.ready, asked.options, expert, [moved, most])?;
            noise.extend(own);
            targets.push(target);
        }
        let visible: Vec<Vec<bool>> = prefix
            .rows
            .iter()
            .map(|row| self.visible(&row.ids))
            .collect();
        let visible = prefix.past.over_slots(&visible);
        let mut gates = Vec::new();
        let context = match self.network.depth_gate() {
            Some(gate) => {
                let about = |id: &u32| gate.about_depth(*id);
                let depth: Vec<Vec<bool>> = prefix
                    .rows
                    .iter()
                    .map(|row| row.ids.iter().map(about).collect())
                    .collect();
                let depth = prefix.past.over_slots(&depth);
                let gated = gate.apply_to(prefix.past.cache(), &depth, &visible);
                gates = gated.gates;
                expert.context_of(&gated.cache, &visible)
            }
            None => expert.context_of(prefix.past.cache(), &visible),
        };
        let count = prefix.rows.len();
        let dumps = group.iter().any(|row| row.options.dumps);
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
        for (row, ((chunk, velocities), gates)) in prefix.rows.into_iter().zip(numbers) {
            let answer = Answer {
                chunk,
                velocities: dumps.then_some(velocities),
                prompt_logits: row.prompt_logits,
                gates: (!gates.is_empty() && row.depth.is_some()).then_some(gates),
                depth: row.depth,
                ..Answer::default()
            };
            if let Some(slot) = answers.get_mut(row.place) {
                *slot = Ok(answer);
            }
        }
        clock.end("flow");
        Ok(answers)
    }

    /// What of a sequence the expert may look at.
    fn visible(&self, ids: &[u32]) -> Vec<bool> {
        visible_tokens(
            ids,
            self.config.action_mode == ActionMode::Both,
            self.config.eos_token_id,
            self.config.action_start_token_id,
            self.config.action_end_token_id,
        )
    }

    /// Action dimensions that the flow moves: without the padding rule the network moves all, so all are computed.
    fn moved(&self, ready: &Ready<'_>, expert: &Expert) -> usize {
        if self.config.mask_action_dim_padding {
            ready.tag.action.dims()
        } else {
            expert.max_action_dim()
        }
    }

    /// Refuses noise, continuation and steps that cannot be used, before anything is computed.
    pub(crate) fn check_flow(
        &self,
        ready: &Ready<'_>,
        options: &ActOptions,
    ) -> Result<(), ActError> {
        let Some(expert) = self.network.expert() else {
            return Ok(());
        };
        let steps = options.flow_steps;
        if steps > MAX_FLOW_STEPS {
            return Err(ActError::TooManySteps {
                steps,
                max: MAX_FLOW_STEPS,
            });
        }
        let moved = self.moved(ready, expert);
        start(ready, options, expert, [moved, moved]).map(|_| ())
    }

    /// The modulations of `steps` steps (0 for the checkpoint's own number).
    fn modulations(
        &self,
        expert: &Expert,
        steps: usize,
    ) -> Result<Arc<Vec<StepModulation>>, ActError> {
        let steps = match steps {
            0 => self.config.flow_matching_num_steps,
            steps => steps,
        };
        if steps > MAX_FLOW_STEPS {
            return Err(ActError::TooManySteps {
                steps,
                max: MAX_FLOW_STEPS,
            });
        }
        // The cache holds nothing that a panic elsewhere could leave half-written.
        let mut kept = self
            .modulations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_ref().filter(|kept| kept.steps == steps) {
            return Ok(kept.rows.clone());
        }
        let rows = Arc::new(expert.modulations(steps));
        *kept = Some(Modulations {
            steps,
            rows: rows.clone(),
        });
        Ok(rows)
    }

    /// Answers a group with action tokens; `written` is told of each.
    pub(crate) async fn decode(
        &self,
        group: &[Row<'_>],
        features: Tensor<2>,
        clock: &mut StageClock<'_>,
        written: &mut BatchTokenCallback<'_>,
    ) -> Result<Answers, ActError> {
        let Some(head) = &self.token_head else {
            return Err(ActError::ModeUnavailable {
                mode: Mode::Discrete,
                reason: self.no_token_head.clone(),
            });
        };
        let first = group.first();
        let decoding = first.map(|row| row.options.decoding).unwrap_or_default();
        let dumps = group.iter().any(|row| row.options.dumps);
        // Masked decoding knows the first token, so it is read together with what comes before.
        let given: &[u32] = match decoding {
            Decoding::Masked => &[head.ids.start],
            Decoding::Strict => &[],
        };
        let mut prefix = self
            .read_prompts(group, features, given, true, clock)
            .await?;
        let mut answers = prefix.answers(group.len());
        if prefix.rows.is_empty() {
            return Ok(answers);
        }
        let hidden = prefix.take_hidden()?;
        let (mut streams, mut shapes, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for row in &prefix.rows {
            let Some(asked) = group.get(row.place) else {
                continue;
            };
            let shape = asked.ready.shape();
            let before = row.depth.as_ref().map(|depth| depth.tokens.as_slice());
            streams.push(head.stream(decoding, shape, before.unwrap_or_default())?);
            shapes.push(shape);
            places.push(asked.place);
        }
        let mut told = |number: usize, ids: &[u32]| {
            if let Some(&place) = places.get(number) {
                written(place, ids);
            }
        };
        let text = self.network.text();
        let decoded = head
            .write(text, &mut prefix.past, hidden, streams, dumps, &mut told)
            .await?;
        for ((row, shape), decoded) in prefix.rows.into_iter().zip(shapes).zip(decoded) {
            let answer = decoded.and_then(|decoded| {
                Ok(Answer {
                    chunk: head.tokenizer.decode(&decoded.fast_ids, shape)?,
                    tokens: decoded.fast_ids,
                    logits: dumps.then_some(decoded.logits),
                    generated: decoded.generated,
                    prompt_logits: row.prompt_logits,
                    depth: row.depth,
                    ..Answer::default()
                })
            });
            if let Some(slot) = answers.get_mut(row.place) {
                *slot = answer;
            }
        }
        clock.end("decode");
        Ok(answers)
    }
}

impl Prefix {
    /// The answers of a group of `count` so far: the errors of those that failed.
    fn answers(&mut self, count: usize) -> Answers {
        let none = || Err(ActError::no_answer());
        let mut answers: Answers = std::iter::repeat_with(none).take(count).collect();
        for (place, error) in std::mem::take(&mut self.failed) {
            if let Some(slot) = answers.get_mut(place) {
                *slot = Err(error);
            }
        }
        answers
    }
}

impl Ready<'_> {
    fn shape(&self) -> Shape {
        Shape {
            horizon: self.rows.horizon,
            dims: self.tag.action.dims(),
        }
    }
}

/// The noise of a row, `[rows, most]` with zeros after its `moved` columns, and what pulls at it, as wide.
fn start(
    ready: &Ready<'_>,
    options: &ActOptions,
    expert: &Expert,
    [moved, most]: [usize; 2],
) -> Result<Start, ActError> {
    let Shape { horizon, dims } = ready.shape();
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

/// Chunks of `rows` rows and `most` columns, cut into one of `dims` columns each.
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
