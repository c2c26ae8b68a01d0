//! The two ways from a prepared question to a chunk.

use std::sync::{Arc, PoisonError};

use burn::tensor::{Tensor, TensorData};
use openfast::Shape;

use crate::action::{ActOptions, Mode};
use crate::clock::StageClock;
use crate::config::ActionMode;
use crate::connector::PoolPlan;
use crate::depth::walk::Walked;
use crate::discrete::{Decoding, Written, read};
use crate::error::ActError;
use crate::expert::{Expert, StepModulation};
use crate::image_input::ImageBatch;
use crate::noise::standard_normal;
use crate::policy::{FAST_FOLDER, Modulations, Policy, Ready};
use crate::sampler::{integrate, visible_tokens};

/// Most Euler steps per chunk; ten are usual, and the error falls with their number.
const MAX_FLOW_STEPS: usize = 1000;

/// What a head gave.
#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) chunk: Vec<f32>,
    pub(crate) tokens: Vec<u32>,
    pub(crate) velocities: Option<Vec<Vec<f32>>>,
    pub(crate) logits: Option<Vec<Vec<f32>>>,
    /// Tokens of the answer in the model's ids, without the depth map's.
    pub(crate) generated: Vec<u32>,
    pub(crate) prompt_logits: Option<Vec<f32>>,
    pub(crate) depth: Option<Walked>,
    pub(crate) gates: Option<Vec<f32>>,
}

impl Policy {
    /// Image features, `[image tokens, hidden]`.
    pub(crate) fn see(&self, batch: &ImageBatch) -> Tensor<2> {
        let shape = [batch.crops, batch.patches, batch.patch_len];
        let patches = Tensor::from_data(
            TensorData::new(batch.values.clone(), shape),
            self.network.device(),
        );
        let plan = PoolPlan::new(batch.pool_indices.clone(), batch.window);
        self.network.see(patches, &plan)
    }

    /// Answers with the flow-matching expert.
    pub(crate) async fn flow(
        &self,
        ready: &Ready<'_>,
        features: Tensor<2>,
        options: &ActOptions,
        clock: &mut StageClock<'_>,
    ) -> Result<Answer, ActError> {
        let Some(expert) = self.network.expert() else {
            return Err(ActError::ModeUnavailable {
                mode: Mode::Continuous,
                reason: "the checkpoint has no action expert".to_owned(),
            });
        };
        let (rows, dims) = (ready.rows.horizon, ready.tag.action.dims());
        // Without the padding rule the network moves every dimension, so all are computed.
        let moved = if self.config.mask_action_dim_padding {
            dims
        } else {
            expert.max_action_dim()
        };
        let noise = self.noise(options, rows, moved, expert.max_action_dim())?;
        let modulations = self.modulations(expert, options.flow_steps)?;
        let steering = match &options.continuation {
            Some(running) => running.steering(rows, dims, moved, self.network.device())?,
            None => None,
        };
        let prefix = self
            .read_prompt(ready, features, options, &[], false, clock)
            .await?;
        let visible = visible_tokens(
            &prefix.ids,
            self.config.action_mode == ActionMode::Both,
            self.config.eos_token_id,
            self.config.action_start_token_id,
            self.config.action_end_token_id,
        );
        let (mut cache, mut gates) = (prefix.cache, None);
        if let Some(gate) = self.network.depth_gate() {
            let gated = gate.apply(&cache, &prefix.ids, &visible);
            cache = gated.cache;
            if options.dumps && !gated.gates.is_empty() {
                gates = Some(read(Tensor::cat(gated.gates, 0)).await?);
            }
        }
        let context = expert.context(&cache, &visible);
        let flow = integrate(
            &expert.for_chunk(rows, moved),
            &context,
            &modulations,
            Tensor::from_data(TensorData::new(noise, [rows, moved]), self.network.device()),
            steering.as_ref(),
            options.dumps,
        );
        let chunk = read(flow.chunk.narrow(1, 0, dims)).await?;
        let mut velocities = None;
        if options.dumps {
            let mut steps = Vec::with_capacity(flow.velocities.len());
            for velocity in flow.velocities {
                steps.push(read(velocity.narrow(1, 0, dims)).await?);
            }
            velocities = Some(steps);
        }
        clock.end("flow");
        Ok(Answer {
            chunk,
            velocities,
            prompt_logits: prefix.prompt_logits,
            depth: prefix.depth,
            gates,
            ..Answer::default()
        })
    }

    /// The first `moved` of `max` columns of the noise, `[rows, moved]`.
    fn noise(
        &self,
        options: &ActOptions,
        rows: usize,
        moved: usize,
        max: usize,
    ) -> Result<Vec<f32>, ActError> {
        let drawn;
        let noise = match &options.noise {
            Some(given) if given.len() == rows * max => given,
            Some(given) => {
                return Err(ActError::BadNoise {
                    got: given.len(),
                    want: rows * max,
                });
            }
            None => {
                drawn = standard_normal(options.seed, rows * max);
                &drawn
            }
        };
        if noise.iter().any(|value| !value.is_finite()) {
            return Err(ActError::NotFinite {
                what: "a value of the noise",
            });
        }
        Ok(noise
            .chunks(max.max(1))
            .flat_map(|row| row.iter().take(moved))
            .copied()
            .collect())
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

    /// Answers with action tokens; `written` is told of each.
    pub(crate) async fn decode(
        &self,
        ready: &Ready<'_>,
        features: Tensor<2>,
        options: &ActOptions,
        clock: &mut StageClock<'_>,
        written: &mut Written<'_>,
    ) -> Result<Answer, ActError> {
        let Some(head) = &self.token_head else {
            return Err(ActError::ModeUnavailable {
                mode: Mode::Discrete,
                reason: format!("the policy has no action tokenizer in {FAST_FOLDER}/"),
            });
        };
        let shape = Shape {
            horizon: ready.rows.horizon,
            dims: ready.tag.action.dims(),
        };
        // Masked decoding knows the first token, so it is read together with what comes before.
        let given: &[u32] = match options.decoding {
            Decoding::Masked => &[head.ids.start],
            Decoding::Strict => &[],
        };
        let mut prefix = self
            .read_prompt(ready, features, options, given, true, clock)
            .await?;
        let hidden = prefix.take_hidden()?;
        let cache = &mut prefix.cache;
        let before = prefix.depth.as_ref().map(|depth| depth.tokens.as_slice());
        let text = self.network.text();
        let decoded = match options.decoding {
            Decoding::Masked => {
                head.masked(text, cache, hidden, shape, options.dumps, written)
                    .await?
            }
            Decoding::Strict => {
                let before = before.unwrap_or_default();
                head.strict(text, cache, hidden, before, shape, options.dumps, written)
                    .await?
            }
        };
        let chunk = head.tokenizer.decode(&decoded.fast_ids, shape)?;
        clock.end("decode");
        Ok(Answer {
            chunk,
            tokens: decoded.fast_ids,
            logits: options.dumps.then_some(decoded.logits),
            generated: decoded.generated,
            prompt_logits: prefix.prompt_logits,
            depth: prefix.depth,
            ..Answer::default()
        })
    }
}
