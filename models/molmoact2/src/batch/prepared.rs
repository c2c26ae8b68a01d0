//! Values of a batch: requests as they are made, requests after preprocessing, and the outputs of the heads.

use openfast::Shape;

use crate::action::{ActOptions, Action, Observation};
use crate::checkpoint::norm_stats::{ChunkRows, Tag};
use crate::error::ActError;
use crate::heads::depth::map::DepthMap;
use crate::heads::depth::regeneration::RegenerationPlan;
use crate::input::images::ImageBatch;
use crate::input::prompt::Prompt;

/// One request of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Observation to act on.
    pub observation: Observation<'a>,
    /// Options of the answer.
    pub options: &'a ActOptions,
}

/// Callback that gets the index of a request in the batch and the FAST ids of its chunk so far, after every action
/// token.
pub type BatchTokenCallback<'a> = dyn FnMut(usize, &[u32]) + Send + 'a;

/// A request after preprocessing.
pub(crate) struct PreparedRequest<'a> {
    /// Index in the batch.
    pub(crate) index: usize,
    pub(crate) options: &'a ActOptions,
    pub(crate) tag: &'a Tag,
    pub(crate) rows: ChunkRows,
    pub(crate) prompt: Prompt,
    /// The images, until the vision tower takes them.
    pub(crate) images: Option<ImageBatch>,
    /// Plan of the depth map; `None` for a request without one.
    pub(crate) depth_plan: Option<RegenerationPlan>,
}

impl PreparedRequest<'_> {
    /// Shape of the chunk.
    pub(crate) fn shape(&self) -> Shape {
        Shape {
            horizon: self.rows.horizon,
            dims: self.tag.action.dims(),
        }
    }

    /// The answer in robot units; its stage times are filled in by the caller.
    pub(crate) fn into_action(self, output: HeadOutput) -> Result<Action, ActError> {
        if output.chunk.iter().any(|value| !value.is_finite()) {
            return Err(ActError::NotFinite {
                what: "a value of the action chunk",
            });
        }
        let chunk = self.tag.unnormalize_actions(&output.chunk)?;
        let dims = self.tag.action.dims();
        let ChunkRows {
            horizon,
            first,
            count,
        } = self.rows;
        let actions = chunk
            .iter()
            .skip(first * dims)
            .take(count * dims)
            .copied()
            .collect();
        let generated_ids = match &output.depth {
            Some(map) => [map.tokens.as_slice(), &output.generated].concat(),
            None => output.generated,
        };
        let depth = output
            .depth
            .zip(self.depth_plan)
            .map(|(map, plan)| plan.trace(map, output.gates));
        Ok(Action {
            rows: count,
            dims,
            actions,
            chunk,
            chunk_normalized: output.chunk,
            horizon,
            prompt: self.prompt.text,
            prompt_ids: self.prompt.ids,
            action_tokens: output.tokens,
            generated_ids,
            depth,
            prompt_logits: output.prompt_logits,
            velocities: output.velocities,
            logits: output.logits,
            stages: Vec::new(),
        })
    }
}

/// Output of an action head for one request.
#[derive(Default)]
pub(crate) struct HeadOutput {
    pub(crate) chunk: Vec<f32>,
    pub(crate) tokens: Vec<u32>,
    pub(crate) velocities: Option<Vec<Vec<f32>>>,
    pub(crate) logits: Option<Vec<Vec<f32>>>,
    /// Generated tokens in the model's ids, without those of the depth map.
    pub(crate) generated: Vec<u32>,
    pub(crate) prompt_logits: Option<Vec<f32>>,
    pub(crate) depth: Option<DepthMap>,
    pub(crate) gates: Option<Vec<f32>>,
}

/// Outputs for the requests of a group, in their order.
pub(crate) type HeadOutputs = Vec<Result<HeadOutput, ActError>>;
