//! Reading prompts, and thinking before the answer.

use burn::tensor::Tensor;

use crate::batch::run::Row;
use crate::clock::StageClock;
use crate::error::ActError;
use crate::heads::depth::decode_state::{DepthDecodeState, DepthMap};
use crate::heads::depth::head::DepthContinuation;
use crate::network::readback::read;
use crate::network::rows::rows_of;
use crate::network::sequences::Sequences;
use crate::network::text_model::Until;
use crate::policy::Policy;

/// Everything before the answers of several requests.
pub(crate) struct Prefix {
    /// One sequence for each of `rows`.
    pub(crate) past: Sequences,
    /// Final hidden state of the last token of each, `[rows, hidden]`, if the answer needs it.
    hidden: Option<Tensor<2>>,
    pub(crate) rows: Vec<PrefixRow>,
    /// The requests that came to nothing, by their place in the group.
    pub(crate) failed: Vec<(usize, ActError)>,
}

/// What was read and written for one request.
pub(crate) struct PrefixRow {
    /// Its place in the group.
    pub(crate) place: usize,
    /// The tokens that its sequence holds.
    pub(crate) ids: Vec<u32>,
    /// Scores of every id at the last token of the prompt, if asked for.
    pub(crate) prompt_logits: Option<Vec<f32>>,
    /// The depth map, if the prompt asks for one.
    pub(crate) depth: Option<DepthMap>,
}

impl Prefix {
    /// The hidden states the answers start from, `[rows, hidden]`.
    pub(crate) fn take_hidden(&mut self) -> Result<Tensor<2>, ActError> {
        self.hidden.take().ok_or_else(ActError::no_hidden_state)
    }

    /// Drops the requests that failed in `outcome`, which has one entry for each row.
    fn keep<T>(&mut self, outcome: Vec<Result<T, ActError>>) -> Vec<T> {
        let rows = std::mem::take(&mut self.rows);
        let (mut kept, mut values) = (Vec::new(), Vec::new());
        for (index, (row, outcome)) in rows.into_iter().zip(outcome).enumerate() {
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

impl Policy {
    /// Reads the prompts of a group, writes the depth maps if there are to be some, and reads `then`, the tokens
    /// every answer is known to begin with. `needs_hidden` says whether the answers go on from there.
    ///
    /// - `features`: `[image tokens of all prompts, hidden]`, in the order of the rows.
    pub(crate) async fn read_prompts(
        &self,
        group: &[Row<'_>],
        features: Tensor<2>,
        then: &[u32],
        needs_hidden: bool,
        clock: &mut StageClock<'_>,
    ) -> Result<Prefix, ActError> {
        let text = self.network.text();
        let dumps = group.iter().any(|row| row.options.dumps);
        let thinking = self
            .depth
            .as_ref()
            .filter(|_| group.iter().any(|row| row.ready.plan.is_some()));
        let (mut ids, mut image, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        let mut rows = Vec::with_capacity(group.len());
        for (place, row) in group.iter().enumerate() {
            let prompt = &row.ready.prompt;
            // What is known to follow is read together with the prompt.
            let known = match (&row.ready.plan, thinking) {
                (Some(plan), Some(head)) => {
                    let spans = plan.spans.as_ref();
                    spans.map_or_else(Vec::new, |spans| head.known_beginning(spans))
                }
                _ => then.to_vec(),
            };
            let of_row = [prompt.ids.as_slice(), &known].concat();
            image.extend_from_slice(&prompt.image_type);
            image.resize(image.len() + known.len(), false);
            counts.push(of_row.len());
            ids.extend_from_slice(&of_row);
            rows.push(PrefixRow {
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
        let embedded = self
            .network
            .embed_prompt(&ids, self.config.image_patch_id, Some(features));
        let until = match (dumps, needs_hidden || thinking.is_some()) {
            (true, _) => Until::EveryToken,
            (false, true) => Until::LastToken,
            (false, false) => Until::KeysAndValues,
        };
        let mut past = Sequences::new(group.len());
        let states = text.forward_several(embedded, &counts, &image, &mut past, until);
        let mut prefix = Prefix {
            past,
            hidden: None,
            rows,
            failed: Vec::new(),
        };
        prefix.hidden = match (states, dumps) {
            (Some(states), true) => {
                let mut first = 0;
                let mut last = Vec::with_capacity(counts.len());
                for ((row, asked), &count) in prefix.rows.iter_mut().zip(group).zip(&counts) {
                    let end = asked.ready.prompt.ids.len().saturating_sub(1);
                    let scores = text.logits(states.clone().narrow(0, first + end, 1));
                    row.prompt_logits = Some(read(scores).await?);
                    first += count;
                    last.push(first.saturating_sub(1));
                }
                Some(rows_of(states, &last))
            }
            (states, _) => states,
        };
        clock.end("prefill");
        let Some(head) = thinking else {
            return Ok(prefix);
        };
        let decode_states: Vec<DepthDecodeState<'_>> = group
            .iter()
            .filter_map(|row| row.ready.plan.as_ref())
            .map(|plan| head.decode_state(plan.spans.as_deref(), dumps))
            .collect();
        let hidden = prefix.take_hidden()?;
        let then = DepthContinuation {
            tokens: then,
            hidden: needs_hidden,
        };
        let (written, hidden) = head
            .write(text, &mut prefix.past, hidden, decode_states, then)
            .await?;
        prefix.hidden = hidden;
        let written = prefix.keep(written);
        for (row, depth_map) in prefix.rows.iter_mut().zip(written) {
            let prompt = group
                .get(row.place)
                .map(|asked| asked.ready.prompt.ids.len());
            row.ids.truncate(prompt.unwrap_or_default());
            row.ids.extend(&depth_map.tokens);
            row.ids.extend(then.tokens);
            row.depth = Some(depth_map);
        }
        clock.end("think");
        Ok(prefix)
    }
}
