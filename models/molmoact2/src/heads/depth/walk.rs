//! Writing depth maps, token by token through the cache.
//!
//! A code is the likeliest of the codes alone, so a map always has its cells; which one it is stays
//! on the device until the whole map is written, and the passes follow each other without waiting
//! for the host. After the last cell the model is free, and expected to write `<depth_end>`.
//!
//! Several maps are written together: a pass feeds each of them what it needs next, one new cell, a
//! whole run of kept ones or a token of its end, until the last is done.

use burn::tensor::{Int, Tensor};
use layers::Linear;

use super::DepthIds;
use super::map::{Feed, Step, Walk, Walked};
use super::plan::Span;
use crate::batch::prefix::no_hidden;
use crate::checkpoint::config::Config;
use crate::error::ActError;
use crate::heads::discrete::{read, rows_of};
use crate::network::sequences::Sequences;
use crate::network::text_model::{TextModel, Until};

/// Everything needed to write a depth map.
#[derive(Debug)]
pub(crate) struct DepthHead {
    pub(crate) ids: DepthIds,
    /// The output head's rows for the codes alone.
    pub(crate) head: Linear,
    /// Most tokens between the last cell and `<depth_end>`, it included.
    pub(crate) end_limit: usize,
    /// Most tokens of a map that the model writes freely.
    pub(crate) free_limit: usize,
}

/// What to feed after `<depth_end>`, and whether anybody wants the state after it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Then<'a> {
    pub(crate) tokens: &'a [u32],
    pub(crate) hidden: bool,
}

/// Codes picked in one pass, and for which maps.
struct Picks {
    maps: Vec<usize>,
    codes: Tensor<1, Int>,
    scores: Option<Tensor<2>>,
}

impl DepthHead {
    /// The bounds are the reference's.
    pub(crate) fn new(ids: DepthIds, config: &Config, text: &TextModel) -> Self {
        let horizon = config.max_action_horizon;
        Self {
            ids,
            head: text.head_for(ids.first as usize, ids.codes),
            end_limit: horizon.max(8),
            free_limit: (ids.cells + 8).max(horizon.saturating_mul(16)),
        }
    }

    /// What can be read together with the prompt because it is known beforehand: `<depth_start>`
    /// and the cells kept before the first new one.
    pub(crate) fn known_beginning(&self, spans: &[Span]) -> Vec<u32> {
        let mut known = vec![self.ids.start];
        if let Some(Span::Kept(codes)) = spans.first() {
            known.extend(codes.iter().map(|&code| self.ids.token(code)));
        }
        known
    }

    /// A map of these cells after [`DepthHead::known_beginning`], or one that the model writes as it likes.
    pub(crate) fn walk<'a>(&self, spans: Option<&'a [Span]>, dumps: bool) -> Walk<'a> {
        let limit = spans.map_or(self.free_limit, |_| self.end_limit);
        Walk::new(spans, limit, dumps)
    }

    /// Writes the maps `walks`, one for each sequence of `past`, which holds the prompts and the beginnings that
    /// are known; `hidden` (`[maps, hidden]`) has the final hidden state of the last token of each.
    ///
    /// Returns the maps, and `[maps that are Ok, hidden]` if the state after `then` is wanted.
    pub(crate) async fn write(
        &self,
        text: &TextModel,
        past: &mut Sequences,
        hidden: Tensor<2>,
        mut walks: Vec<Walk<'_>>,
        then: Then<'_>,
    ) -> Result<(Vec<Result<Walked, ActError>>, Option<Tensor<2>>), ActError> {
        let mut picks = Vec::new();
        // Who goes on, in the order of the rows of `hidden`.
        let mut writing: Vec<usize> = (0..walks.len()).collect();
        let mut hidden = hidden;
        loop {
            let picked = self.pick(&hidden, &writing, &walks);
            let mut ends = self
                .ends(text, &hidden, &writing, &walks)
                .await?
                .into_iter();
            let mut feeds: Vec<(usize, Feed)> = Vec::with_capacity(writing.len());
            let mut place = 0;
            for &map in &writing {
                let Some(walk) = walks.get_mut(map) else {
                    continue;
                };
                let feed = match walk.steps.pop_front() {
                    Some(Step::New) => {
                        place += 1;
                        Ok(Feed::Picked(place - 1))
                    }
                    Some(Step::Kept(codes)) => Ok(Feed::Tokens(
                        codes.iter().map(|&code| self.ids.token(code)).collect(),
                    )),
                    None => walk.close(ends.next(), self.ids.end, then.tokens),
                };
                let (tokens, max) = (past.len(map), text.max_positions());
                match feed {
                    Ok(feed) if tokens + feed.len() > max => {
                        let tokens = tokens + feed.len();
                        walk.failed = Some(ActError::TooLong { tokens, max });
                    }
                    Ok(feed) => {
                        walk.forwards += 1;
                        feeds.push((map, feed));
                    }
                    Err(error) => walk.failed = Some(error),
                }
            }
            let codes = picked.as_ref().map(|picked| picked.codes.clone());
            picks.extend(picked);
            if feeds.is_empty() {
                break;
            }
            let mut counts = vec![0; walks.len()];
            for (map, feed) in &feeds {
                if let Some(count) = counts.get_mut(*map) {
                    *count = feed.len();
                }
            }
            let done = |feed: &Feed| matches!(feed, Feed::Last(_));
            let until = if !then.hidden && feeds.iter().all(|(_, feed)| done(feed)) {
                Until::KeysAndValues
            } else {
                Until::LastToken
            };
            let embedded = self.embed(text, &feeds, codes);
            let states = text.forward_several(embedded, &counts, &[], past, until);
            let Some(states) = states else {
                break;
            };
            let mut going = Vec::new();
            writing.clear();
            for (row, (map, feed)) in feeds.iter().enumerate() {
                if !done(feed) {
                    going.push(row);
                    writing.push(*map);
                } else if let Some(walk) = walks.get_mut(*map).filter(|_| then.hidden) {
                    walk.hidden = Some(states.clone().narrow(0, row, 1));
                }
            }
            if going.is_empty() {
                break;
            }
            hidden = rows_of(states, &going);
        }
        self.finish(walks, picks, then).await
    }

    /// The likeliest code for every map whose next cell is new; `None` if there is none.
    fn pick(&self, hidden: &Tensor<2>, writing: &[usize], walks: &[Walk<'_>]) -> Option<Picks> {
        let new = |map: usize| {
            let step = walks.get(map).and_then(|walk| walk.steps.front());
            matches!(step, Some(Step::New))
        };
        let rows: Vec<usize> = (0..writing.len())
            .filter(|&row| writing.get(row).is_some_and(|&map| new(map)))
            .collect();
        if rows.is_empty() {
            return None;
        }
        let scores = self.head.forward(rows_of(hidden.clone(), &rows));
        Some(Picks {
            codes: scores.clone().argmax(1).reshape([rows.len()]),
            maps: writing.iter().copied().filter(|&map| new(map)).collect(),
            scores: walks.iter().any(|walk| walk.dumps).then_some(scores),
        })
    }

    /// The likeliest token of all for every map that has all its cells.
    async fn ends(
        &self,
        text: &TextModel,
        hidden: &Tensor<2>,
        writing: &[usize],
        walks: &[Walk<'_>],
    ) -> Result<Vec<u32>, ActError> {
        let whole = |map: usize| walks.get(map).is_some_and(|walk| walk.steps.is_empty());
        let rows: Vec<usize> = (0..writing.len())
            .filter(|&row| writing.get(row).is_some_and(|&map| whole(map)))
            .collect();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let best = text.logits(rows_of(hidden.clone(), &rows)).argmax(1);
        read_indices(vec![best.reshape([rows.len()])]).await
    }

    /// Embeddings of what is fed, `[tokens, hidden]`. What the host knows does not wait for what it does not.
    fn embed(
        &self,
        text: &TextModel,
        feeds: &[(usize, Feed)],
        picked: Option<Tensor<1, Int>>,
    ) -> Tensor<2> {
        let known = feeds.iter().flat_map(|(_, feed)| match feed {
            Feed::Picked(_) => [].as_slice(),
            Feed::Tokens(tokens) | Feed::Last(tokens) => tokens,
        });
        let known: Vec<u32> = known.copied().collect();
        let Some(picked) = picked else {
            return text.embed(&known);
        };
        let first = i64::from(self.ids.first);
        let all_picked = feeds
            .iter()
            .enumerate()
            .all(|(row, (_, feed))| matches!(feed, Feed::Picked(place) if *place == row));
        let [count] = picked.dims();
        if all_picked && feeds.len() == count {
            return text.embed_rows(picked + first);
        }
        // All picked ones come first, then all known ones; each is taken from there to its place.
        let mut order = Vec::new();
        let mut next = count;
        for (_, feed) in feeds {
            match feed {
                Feed::Picked(place) => order.push(*place),
                Feed::Tokens(tokens) | Feed::Last(tokens) => {
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

    /// Reads the picks and puts the maps together.
    async fn finish(
        &self,
        walks: Vec<Walk<'_>>,
        picks: Vec<Picks>,
        then: Then<'_>,
    ) -> Result<(Vec<Result<Walked, ActError>>, Option<Tensor<2>>), ActError> {
        let mut scores: Vec<Vec<Vec<f32>>> = walks.iter().map(|_| Vec::new()).collect();
        let mut codes: Vec<Vec<u32>> = walks.iter().map(|_| Vec::new()).collect();
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
        let mut written = Vec::with_capacity(walks.len());
        for ((walk, codes), scores) in walks.into_iter().zip(codes).zip(scores) {
            let state = walk.hidden.clone();
            let walked = walk.finish(&self.ids, codes, scores);
            if walked.is_ok() && then.hidden {
                hidden.push(state.ok_or_else(no_hidden)?);
            }
            written.push(walked);
        }
        let hidden = (!hidden.is_empty()).then(|| Tensor::cat(hidden, 0));
        Ok((written, hidden))
    }
}

/// Reads picks back to the host, all at once.
async fn read_indices(picks: Vec<Tensor<1, Int>>) -> Result<Vec<u32>, ActError> {
    if picks.is_empty() {
        return Ok(Vec::new());
    }
    let failed = |reason: String| ActError::ReadBack { reason };
    let data = Tensor::cat(picks, 0)
        .into_data_async()
        .await
        .map_err(|error| failed(format!("{error:?}")))?;
    data.convert::<i64>()
        .as_slice::<i64>()
        .map_err(|error| failed(format!("{error:?}")))?
        .iter()
        .map(|&index| u32::try_from(index).map_err(|error| failed(error.to_string())))
        .collect()
}
