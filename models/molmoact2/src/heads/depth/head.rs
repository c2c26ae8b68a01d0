//! Decoding of depth maps.
//!
//! Decoding is greedy and restricted to the codes, so a map always has all its cells. Generated codes stay on the
//! device until the whole map is done, so the passes follow each other without waiting for the host. After the last
//! cell decoding is unrestricted, and the model is expected to write `<depth_end>`.
//!
//! Several maps are decoded together. A pass extends each of them by its next input: one new cell, a run of kept
//! cells, or a token of its end.

use burn_tensor::{Int, Tensor};
use layers::Linear;

use super::DepthIds;
use super::decode_state::{DepthDecodeState, NextInput, Step};
use super::map::DepthMap;
use super::regeneration::Span;
use crate::checkpoint::config::Config;
use crate::error::ActError;
use crate::network::readback::{read, read_indices};
use crate::network::rows::rows_of;
use crate::network::sequences::Sequences;
use crate::network::text_model::{TextModel, Until};

/// Ids, output rows and limits for depth maps.
#[derive(Debug)]
pub(crate) struct DepthHead {
    pub(crate) ids: DepthIds,
    /// The output head's rows for the codes alone.
    pub(crate) head: Linear,
    /// Maximum number of tokens after the last cell, `<depth_end>` included.
    pub(crate) end_limit: usize,
    /// Maximum number of tokens of a map in unrestricted decoding.
    pub(crate) free_limit: usize,
}

/// Tokens to feed after `<depth_end>`, and whether the hidden state after them is needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DepthContinuation<'a> {
    pub(crate) tokens: &'a [u32],
    pub(crate) hidden: bool,
}

impl DepthContinuation<'static> {
    /// No tokens, and no hidden state.
    pub(crate) const NONE: Self = Self {
        tokens: &[],
        hidden: false,
    };
}

/// Codes generated in one pass, and their maps.
struct SelectedCodes {
    maps: Vec<usize>,
    codes: Tensor<1, Int>,
    scores: Option<Tensor<2>>,
}

impl DepthHead {
    /// The limits are the reference's.
    pub(crate) fn new(ids: DepthIds, config: &Config, text: &TextModel) -> Self {
        let horizon = config.max_action_horizon;
        Self {
            ids,
            head: text.head_for(ids.first as usize, ids.codes),
            end_limit: horizon.max(8),
            free_limit: (ids.cells + 8).max(horizon.saturating_mul(16)),
        }
    }

    /// Tokens that are known in advance and read together with the prompt: `<depth_start>` and the cells kept
    /// before the first new one.
    pub(crate) fn known_beginning(&self, spans: &[Span]) -> Vec<u32> {
        let mut known = vec![self.ids.start];
        if let Some(Span::Kept(codes)) = spans.first() {
            known.extend(codes.iter().map(|&code| self.ids.token(code)));
        }
        known
    }

    /// State of a map of these cells after [`DepthHead::known_beginning`]; without cells, of unrestricted decoding.
    pub(crate) fn decode_state<'a>(
        &self,
        spans: Option<&'a [Span]>,
        dumps: bool,
    ) -> DepthDecodeState<'a> {
        let limit = spans.map_or(self.free_limit, |_| self.end_limit);
        DepthDecodeState::new(spans, limit, dumps)
    }

    /// Decodes the maps `decode_states`, one for each sequence of `past`, which holds the prompts and the known
    /// beginnings; `hidden` (`[maps, hidden]`) has the final hidden state of the last token of each.
    ///
    /// Returns the maps, and `[maps that are Ok, hidden]` if the state after `then` is needed.
    pub(crate) async fn write(
        &self,
        text: &TextModel,
        past: &mut Sequences,
        hidden: Tensor<2>,
        mut decode_states: Vec<DepthDecodeState<'_>>,
        then: DepthContinuation<'_>,
    ) -> Result<(Vec<Result<DepthMap, ActError>>, Option<Tensor<2>>), ActError> {
        let mut picks = Vec::new();
        // Maps that continue, in the order of the rows of `hidden`.
        let mut writing: Vec<usize> = (0..decode_states.len()).collect();
        let mut hidden = hidden;
        loop {
            let picked = self.pick(&hidden, &writing, &decode_states);
            let mut ends = self
                .ends(text, &hidden, &writing, &decode_states)
                .await?
                .into_iter();
            let mut inputs: Vec<(usize, NextInput)> = Vec::with_capacity(writing.len());
            let mut place = 0;
            for &map in &writing {
                let Some(decode_state) = decode_states.get_mut(map) else {
                    continue;
                };
                let input = match decode_state.steps.pop_front() {
                    Some(Step::New) => {
                        place += 1;
                        Ok(NextInput::Picked(place - 1))
                    }
                    Some(Step::Kept(codes)) => Ok(NextInput::Tokens(
                        codes.iter().map(|&code| self.ids.token(code)).collect(),
                    )),
                    None => decode_state.close(ends.next(), self.ids.end, then.tokens),
                };
                let (tokens, max) = (past.len(map), text.max_positions());
                match input {
                    Ok(input) if tokens + input.len() > max => {
                        let tokens = tokens + input.len();
                        decode_state.failed = Some(ActError::TooLong { tokens, max });
                    }
                    Ok(input) => {
                        decode_state.forwards += 1;
                        inputs.push((map, input));
                    }
                    Err(error) => decode_state.failed = Some(error),
                }
            }
            let codes = picked.as_ref().map(|picked| picked.codes.clone());
            picks.extend(picked);
            if inputs.is_empty() {
                break;
            }
            let mut counts = vec![0; decode_states.len()];
            for (map, input) in &inputs {
                if let Some(count) = counts.get_mut(*map) {
                    *count = input.len();
                }
            }
            let done = |input: &NextInput| matches!(input, NextInput::Last(_));
            let until = if !then.hidden && inputs.iter().all(|(_, input)| done(input)) {
                Until::KeysAndValues
            } else {
                Until::LastToken
            };
            let embedded = self.embed(text, &inputs, codes);
            let states = text.forward_several(embedded, &counts, &[], past, until);
            let Some(states) = states else {
                break;
            };
            let mut going = Vec::new();
            writing.clear();
            for (row, (map, input)) in inputs.iter().enumerate() {
                if !done(input) {
                    going.push(row);
                    writing.push(*map);
                } else if let Some(decode_state) =
                    decode_states.get_mut(*map).filter(|_| then.hidden)
                {
                    decode_state.hidden = Some(states.clone().narrow(0, row, 1));
                }
            }
            if going.is_empty() {
                break;
            }
            hidden = rows_of(states, &going);
        }
        self.finish(decode_states, picks, then).await
    }

    /// The likeliest code for every map whose next cell is new; `None` if there is none.
    fn pick(
        &self,
        hidden: &Tensor<2>,
        writing: &[usize],
        decode_states: &[DepthDecodeState<'_>],
    ) -> Option<SelectedCodes> {
        let new = |map: usize| {
            let step = decode_states
                .get(map)
                .and_then(|decode_state| decode_state.steps.front());
            matches!(step, Some(Step::New))
        };
        let rows: Vec<usize> = (0..writing.len())
            .filter(|&row| writing.get(row).is_some_and(|&map| new(map)))
            .collect();
        if rows.is_empty() {
            return None;
        }
        let scores = self.head.forward(rows_of(hidden.clone(), &rows));
        Some(SelectedCodes {
            codes: scores.clone().argmax(1).reshape([rows.len()]),
            maps: writing.iter().copied().filter(|&map| new(map)).collect(),
            scores: decode_states
                .iter()
                .any(|decode_state| decode_state.dumps)
                .then_some(scores),
        })
    }

    /// The likeliest token of the whole vocabulary for every map that has all its cells.
    async fn ends(
        &self,
        text: &TextModel,
        hidden: &Tensor<2>,
        writing: &[usize],
        decode_states: &[DepthDecodeState<'_>],
    ) -> Result<Vec<u32>, ActError> {
        let whole = |map: usize| {
            decode_states
                .get(map)
                .is_some_and(|decode_state| decode_state.steps.is_empty())
        };
        let rows: Vec<usize> = (0..writing.len())
            .filter(|&row| writing.get(row).is_some_and(|&map| whole(map)))
            .collect();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let best = text.logits(rows_of(hidden.clone(), &rows)).argmax(1);
        read_indices(vec![best.reshape([rows.len()])]).await
    }

    /// Embeddings of the inputs, `[tokens, hidden]`. Tokens known to the host do not wait for codes on the device.
    fn embed(
        &self,
        text: &TextModel,
        inputs: &[(usize, NextInput)],
        picked: Option<Tensor<1, Int>>,
    ) -> Tensor<2> {
        let known = inputs.iter().flat_map(|(_, input)| match input {
            NextInput::Picked(_) => [].as_slice(),
            NextInput::Tokens(tokens) | NextInput::Last(tokens) => tokens,
        });
        let known: Vec<u32> = known.copied().collect();
        let Some(picked) = picked else {
            return text.embed(&known);
        };
        let first = i64::from(self.ids.first);
        let all_picked = inputs
            .iter()
            .enumerate()
            .all(|(row, (_, input))| matches!(input, NextInput::Picked(place) if *place == row));
        let [count] = picked.dims();
        if all_picked && inputs.len() == count {
            return text.embed_rows(picked + first);
        }
        // All generated codes come first, then all known tokens; the selection brings them into order.
        let mut order = Vec::new();
        let mut next = count;
        for (_, input) in inputs {
            match input {
                NextInput::Picked(place) => order.push(*place),
                NextInput::Tokens(tokens) | NextInput::Last(tokens) => {
                    order.extend(next..next + tokens.len());
                    next += tokens.len();
                }
            }
        }
        let mut parts = vec![text.embed_rows(picked + first)];
        if !known.is_empty() {
            parts.push(text.embed(&known));
        }
        rows_of(Tensor::cat(parts, 0), &order)
    }

    /// Reads the generated codes back and assembles the maps.
    async fn finish(
        &self,
        decode_states: Vec<DepthDecodeState<'_>>,
        picks: Vec<SelectedCodes>,
        then: DepthContinuation<'_>,
    ) -> Result<(Vec<Result<DepthMap, ActError>>, Option<Tensor<2>>), ActError> {
        let mut scores: Vec<Vec<Vec<f32>>> = decode_states.iter().map(|_| Vec::new()).collect();
        let mut codes: Vec<Vec<u32>> = decode_states.iter().map(|_| Vec::new()).collect();
        let mut maps = Vec::new();
        let mut picked = Vec::with_capacity(picks.len());
        for picks in picks {
            if let Some(rows) = picks.scores {
                let [_, width] = rows.dims();
                let values = read(rows).await?;
                for (&map, row) in picks.maps.iter().zip(values.chunks(width.max(1))) {
                    if let Some(scores) = scores.get_mut(map) {
                        scores.push(row.to_vec());
                    }
                }
            }
            maps.extend(picks.maps);
            picked.push(picks.codes);
        }
        for (map, code) in maps.into_iter().zip(read_indices(picked).await?) {
            if let Some(codes) = codes.get_mut(map) {
                codes.push(code);
            }
        }
        let mut hidden = Vec::new();
        let mut written = Vec::with_capacity(decode_states.len());
        for ((decode_state, codes), scores) in decode_states.into_iter().zip(codes).zip(scores) {
            let state = decode_state.hidden.clone();
            let depth_map = decode_state.finish(&self.ids, codes, scores);
            if depth_map.is_ok() && then.hidden {
                hidden.push(state.ok_or_else(ActError::no_hidden_state)?);
            }
            written.push(depth_map);
        }
        let hidden = (!hidden.is_empty()).then(|| Tensor::cat(hidden, 0));
        Ok((written, hidden))
    }
}
