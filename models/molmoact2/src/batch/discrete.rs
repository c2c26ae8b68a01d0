//! Chunks of a group from the token head.

use burn_tensor::Tensor;

use crate::batch::model::Model;
use crate::batch::prefill::prefill;
use crate::batch::prepared::{BatchTokenCallback, HeadOutput, HeadOutputs, PreparedRequest};
use crate::clock::StageClock;
use crate::error::ActError;
use crate::heads::depth::head::DepthContinuation;
use crate::heads::token_head::Decoding;
use crate::mode::Mode;

/// Answers a group, whose requests share their decoding, with action tokens.
///
/// - `features`: `[image tokens of all prompts, hidden]`, in the order of the group.
pub(crate) async fn run(
    model: &Model,
    group: &[PreparedRequest<'_>],
    features: Tensor<2>,
    clock: &mut StageClock<'_>,
    on_tokens: &mut BatchTokenCallback<'_>,
) -> Result<HeadOutputs, ActError> {
    let head = match &model.token_head {
        Ok(head) => head,
        Err(reason) => {
            return Err(ActError::ModeUnavailable {
                mode: Mode::Discrete,
                reason: reason.clone(),
            });
        }
    };
    let first = group.first();
    let decoding = first
        .map(|request| request.options.decoding)
        .unwrap_or_default();
    let dumps = group.iter().any(|request| request.options.dumps);
    // The first token of masked decoding is known, so it is read together with what comes before it.
    let given: &[u32] = match decoding {
        Decoding::Masked => &[head.ids.start],
        Decoding::Strict => &[],
    };
    let continuation = DepthContinuation {
        tokens: given,
        hidden: true,
    };
    let mut prefilled = prefill(model, group, features, continuation, clock).await?;
    let mut outputs = prefilled.take_outputs(group.len());
    if prefilled.rows.is_empty() {
        return Ok(outputs);
    }
    let hidden = prefilled.take_hidden()?;
    let (mut streams, mut shapes, mut indices) = (Vec::new(), Vec::new(), Vec::new());
    for row in &prefilled.rows {
        let Some(request) = group.get(row.place) else {
            continue;
        };
        let shape = request.shape();
        let before = row.depth.as_ref().map(|depth| depth.tokens.as_slice());
        streams.push(head.stream(decoding, shape, before.unwrap_or_default())?);
        shapes.push(shape);
        indices.push(request.index);
    }
    let mut on_stream = |stream: usize, ids: &[u32]| {
        if let Some(&index) = indices.get(stream) {
            on_tokens(index, ids);
        }
    };
    let text = model.network.text();
    let decoded = head
        .write(
            text,
            &mut prefilled.past,
            hidden,
            streams,
            dumps,
            &mut on_stream,
        )
        .await?;
    for ((row, shape), decoded) in prefilled.rows.into_iter().zip(shapes).zip(decoded) {
        let output = decoded.and_then(|decoded| {
            Ok(HeadOutput {
                chunk: head.tokenizer.decode(&decoded.fast_ids, shape)?,
                tokens: decoded.fast_ids,
                logits: dumps.then_some(decoded.logits),
                generated: decoded.generated,
                prompt_logits: row.prompt_logits,
                depth: row.depth,
                ..HeadOutput::default()
            })
        });
        if let Some(slot) = outputs.get_mut(row.place) {
            *slot = output;
        }
    }
    clock.end("decode");
    Ok(outputs)
}
