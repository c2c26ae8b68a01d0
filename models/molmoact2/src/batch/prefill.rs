//! Prefill: the prompts of a group read into one cache, and the depth maps written after them.

use burn_tensor::Tensor;

use crate::batch::model::Model;
use crate::batch::prepared::{HeadOutputs, PreparedRequest};
use crate::clock::StageClock;
use crate::error::ActError;
use crate::heads::depth::decode_state::DepthDecodeState;
use crate::heads::depth::head::DepthContinuation;
use crate::heads::depth::map::DepthMap;
use crate::network::readback::read;
use crate::network::rows::rows_of;
use crate::network::sequences::Sequences;
use crate::network::text_model::Until;

/// Sequences of several requests, ready for the head.
pub(crate) struct Prefilled {
    /// One sequence for each of `rows`.
    pub(crate) past: Sequences,
    /// Final hidden state of the last token of each, `[rows, hidden]`, if the head needs it.
    hidden: Option<Tensor<2>>,
    pub(crate) rows: Vec<PrefilledRow>,
    /// Requests that failed, by their place in the group.
    failed: Vec<(usize, ActError)>,
}

/// The sequence of one request.
pub(crate) struct PrefilledRow {
    /// Place of the request in the group.
    pub(crate) place: usize,
    /// Tokens of the sequence.
    pub(crate) ids: Vec<u32>,
    /// Logits of the whole vocabulary at the last token of the prompt, if asked for.
    pub(crate) prompt_logits: Option<Vec<f32>>,
    /// The depth map, if the prompt asks for one.
    pub(crate) depth: Option<DepthMap>,
}

impl Prefilled {
    /// The hidden states that the head starts from, `[rows, hidden]`.
    pub(crate) fn take_hidden(&mut self) -> Result<Tensor<2>, ActError> {
        self.hidden.take().ok_or_else(ActError::no_hidden_state)
    }

    /// Outputs of a group of `count` requests so far: the errors of those that failed.
    pub(crate) fn take_outputs(&mut self, count: usize) -> HeadOutputs {
        let none = || Err(ActError::no_answer());
        let mut outputs: HeadOutputs = std::iter::repeat_with(none).take(count).collect();
        for (place, error) in std::mem::take(&mut self.failed) {
            if let Some(slot) = outputs.get_mut(place) {
                *slot = Err(error);
            }
        }
        outputs
    }

    /// Drops the requests that failed in `outcomes`, which has one entry for each row, and returns the values of the
    /// others.
    fn retain_ok<T>(&mut self, outcomes: Vec<Result<T, ActError>>) -> Vec<T> {
        let rows = std::mem::take(&mut self.rows);
        let (mut kept, mut values) = (Vec::new(), Vec::new());
        for (index, (row, outcome)) in rows.into_iter().zip(outcomes).enumerate() {
            match outcome {
                Ok(value) => {
                    kept.push(index);
                    values.push(value);
                    self.rows.push(row);
                }
                Err(error) => self.failed.push((row.place, error)),
            }
        }
        let past = std::mem::replace(&mut self.past, Sequences::new(0));
        self.past = past.select(&kept);
        values
    }
}

/// Reads the prompts of a group, writes their depth maps if they have any, and reads `continuation`, the tokens that
/// every answer is known to begin with.
///
/// - `features`: `[image tokens of all prompts, hidden]`, in the order of the group.
pub(crate) async fn prefill(
    model: &Model,
    group: &[PreparedRequest<'_>],
    features: Tensor<2>,
    continuation: DepthContinuation<'_>,
    clock: &mut StageClock<'_>,
) -> Result<Prefilled, ActError> {
    let text = model.network.text();
    let dumps = group.iter().any(|request| request.options.dumps);
    let depth_head = model
        .depth_head
        .as_ref()
        .filter(|_| group.iter().any(|request| request.depth_plan.is_some()));
    let (mut ids, mut image, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    let mut rows = Vec::with_capacity(group.len());
    for (place, request) in group.iter().enumerate() {
        let prompt = &request.prompt;
        // Tokens that are known to follow are read together with the prompt.
        let known = match (&request.depth_plan, depth_head) {
            (Some(plan), Some(head)) => {
                let spans = plan.spans.as_ref();
                spans.map_or_else(Vec::new, |spans| head.known_beginning(spans))
            }
            _ => continuation.tokens.to_vec(),
        };
        let of_row = [prompt.ids.as_slice(), &known].concat();
        image.extend_from_slice(&prompt.image_type);
        image.resize(image.len() + known.len(), false);
        counts.push(of_row.len());
        ids.extend_from_slice(&of_row);
        rows.push(PrefilledRow {
            place,
            ids: of_row,
            prompt_logits: None,
            depth: None,
        });
    }
    let max = text.max_positions();
    if let Some(&tokens) = counts.iter().find(|count| **count > max) {
        return Err(ActError::TooLong { tokens, max });
    }
    let embedded = model
        .network
        .embed_prompt(&ids, model.config.image_patch_id, Some(features));
    let until = match (dumps, continuation.hidden || depth_head.is_some()) {
        (true, _) => Until::EveryToken,
        (false, true) => Until::LastToken,
        (false, false) => Until::KeysAndValues,
    };
    let mut past = Sequences::new(group.len());
    let states = text.forward_several(embedded, &counts, &image, &mut past, until);
    let mut prefilled = Prefilled {
        past,
        hidden: None,
        rows,
        failed: Vec::new(),
    };
    prefilled.hidden = match (states, dumps) {
        (Some(states), true) => {
            let mut first = 0;
            let mut last = Vec::with_capacity(counts.len());
            for ((row, request), &count) in prefilled.rows.iter_mut().zip(group).zip(&counts) {
                let end = request.prompt.ids.len().saturating_sub(1);
                let logits = text.logits(states.clone().narrow(0, first + end, 1));
                row.prompt_logits = Some(read(logits).await?);
                first += count;
                last.push(first.saturating_sub(1));
            }
            Some(rows_of(states, &last))
        }
        (states, _) => states,
    };
    clock.end("prefill");
    let Some(head) = depth_head else {
        return Ok(prefilled);
    };
    let decode_states: Vec<DepthDecodeState<'_>> = group
        .iter()
        .filter_map(|request| request.depth_plan.as_ref())
        .map(|plan| head.decode_state(plan.spans.as_deref(), dumps))
        .collect();
    let hidden = prefilled.take_hidden()?;
    let (written, hidden) = head
        .write(
            text,
            &mut prefilled.past,
            hidden,
            decode_states,
            continuation,
        )
        .await?;
    prefilled.hidden = hidden;
    let written = prefilled.retain_ok(written);
    for (row, depth_map) in prefilled.rows.iter_mut().zip(written) {
        let prompt = group.get(row.place).map(|request| request.prompt.ids.len());
        row.ids.truncate(prompt.unwrap_or_default());
        row.ids.extend(&depth_map.tokens);
        row.ids.extend(continuation.tokens);
        row.depth = Some(depth_map);
    }
    clock.end("think");
    Ok(prefilled)
}
