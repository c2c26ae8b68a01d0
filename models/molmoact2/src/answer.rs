//! The two ways from a prepared question to a chunk.

use std::sync::{Arc, PoisonError};

use burn::tensor::{Tensor, TensorData};
use layers::KvCache;
use openfast::Shape;

use crate::action::{ActOptions, Mode};
use crate::clock::StageClock;
use crate::config::ActionMode;
use crate::connector::PoolPlan;
use crate::discrete::{Decoding, Written, read};
use crate::error::ActError;
use crate::expert::{Expert, StepModulation};
use crate::image_input::ImageBatch;
use crate::noise::standard_normal;
use crate::policy::{FAST_FOLDER, Modulations, Policy, Ready};
use crate::sampler::{integrate, visible_tokens};
use crate::text_model::{Until, prefill_bias};

/// Most Euler steps per chunk; ten are usual, and the error falls with their number.
const MAX_FLOW_STEPS: usize = 1000;

/// What a head gave.
#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) chunk: Vec<f32>,
    pub(crate) tokens: Vec<u32>,
    pub(crate) velocities: Option<Vec<Vec<f32>>>,
    pub(crate) logits: Option<Vec<Vec<f32>>>,
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

    /// Reads the prompt, and `answer` after it.
    fn prefill(
        &self,
        ready: &Ready<'_>,
        features: Tensor<2>,
        answer: Option<u32>,
        until: Until,
    ) -> (KvCache, Option<Tensor<2>>) {
        let mut ids = ready.prompt.ids.clone();
        let mut image = ready.prompt.image_type.clone();
        ids.extend(answer);
        image.extend(answer.map(|_| false));
        let embedded = self
            .network
            .embed_prompt(&ids, self.config.image_patch_id, Some(features));
        let bias = prefill_bias(&image, self.network.device());
        let mut cache = self.network.new_cache();
        let hidden = self
            .network
            .text()
            .forward(embedded, Some(&bias), &mut cache, until);
        (cache, hidden)
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
        let (cache, _) = self.prefill(ready, features, None, Until::KeysAndValues);
        clock.end("prefill");
        let visible = visible_tokens(
            &ready.prompt.ids,
            self.config.action_mode == ActionMode::Both,
            self.config.eos_token_id,
            self.config.action_start_token_id,
            self.config.action_end_token_id,
        );
        let context = expert.context(&cache, &visible);
        let flow = integrate(
            &expert.for_chunk(rows, moved),
            &context,
            &modulations,
            Tensor::from_data(TensorData::new(noise, [rows, moved]), self.network.device()),
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
        // Masked decoding knows the first token, so it is read together with the prompt.
        let given = match options.decoding {
            Decoding::Masked => Some(head.ids.start),
            Decoding::Strict => None,
        };
        let (mut cache, hidden) = self.prefill(ready, features, given, Until::LastToken);
        let hidden = hidden.ok_or_else(|| ActError::ReadBack {
            reason: "the language model gave no hidden state".to_owned(),
        })?;
        clock.end("prefill");
        let text = self.network.text();
        let decoded = match options.decoding {
            Decoding::Masked => {
                head.masked(text, &mut cache, hidden, shape, options.dumps, written)
                    .await?
            }
            Decoding::Strict => {
                head.strict(text, &mut cache, hidden, shape, options.dumps, written)
                    .await?
            }
        };
        let chunk = head.tokenizer.decode(&decoded.fast_ids, shape)?;
        clock.end("decode");
        Ok(Answer {
            chunk,
            tokens: decoded.fast_ids,
            logits: options.dumps.then_some(decoded.logits),
            velocities: None,
        })
    }
}
