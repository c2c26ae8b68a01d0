//! Episodes under construction: a file has rows of many episodes, and an episode can have rows in several files.

use super::{Episode, Used, Wanted, missing};
use crate::lerobot::{DataSetError, columns::Table, vectors::Vectors};
use std::{
    collections::{BTreeMap, btree_map::Entry as MapEntry},
    path::Path,
};

/// Memory overhead of an episode, counted in numbers.
const DRAFT_NUMBERS: usize = 64;

/// Rows collected into episodes.
pub(super) struct Rows {
    pub(super) drafts: BTreeMap<i64, Draft>,
    /// True once a file held only episodes beyond the requested ones.
    pub(super) passed: bool,
    numbers: usize,
    most: usize,
}

impl Rows {
    /// Empty, for at most `most` numbers.
    pub(super) fn new(most: usize) -> Self {
        Self {
            drafts: BTreeMap::new(),
            passed: false,
            numbers: 0,
            most,
        }
    }

    /// Adds the rows of a file that belong to episodes below `limit`.
    pub(super) fn read(
        &mut self,
        path: &Path,
        wanted: &Wanted<'_>,
        limit: i64,
    ) -> Result<(), DataSetError> {
        let table = Table::open(path)?;
        let episodes = table.integers("episode_index")?;
        if episodes.iter().all(|&episode| episode >= limit) {
            self.passed = true;
            return Ok(());
        }
        let frames = frames(&table)?;
        let actions = table.vectors(wanted.action_key)?;
        let states = wanted.state_key.map(|key| table.vectors(key)).transpose()?;
        let mut states = states.as_ref().map(Vectors::rows);
        let describe =
            |key: &str, problem: &str| format!("{}, column {key:?}: {problem}", path.display());
        for ((episode, frame), action) in episodes.into_iter().zip(frames).zip(actions.rows()) {
            let state = states.as_mut().and_then(Iterator::next);
            if episode >= limit {
                continue;
            }
            let draft = match self.drafts.entry(episode) {
                MapEntry::Occupied(known) => known.into_mut(),
                MapEntry::Vacant(new) => {
                    self.numbers += DRAFT_NUMBERS;
                    new.insert(Draft::default())
                }
            };
            let state = state.transpose().map(Option::unwrap_or_default);
            let (action, state) = match (action, state) {
                (Ok(action), Ok(state)) => (action, state),
                (Err(problem), _) => {
                    draft.spoil(|| describe(wanted.action_key, &problem));
                    continue;
                }
                (_, Err(problem)) => {
                    draft.spoil(|| describe(wanted.state_key.unwrap_or_default(), &problem));
                    continue;
                }
            };
            self.numbers += action.len() + state.len() + 2;
            if self.numbers > self.most {
                return Err(DataSetError::TooLarge {
                    path: path.to_owned(),
                    problem: format!(
                        "and the files before it hold more than the {} numbers that meta/info.json and the files' own \
                         sizes account for",
                        self.most
                    ),
                });
            }
            draft.push(frame, action, state);
        }
        Ok(())
    }
}

/// Frame number of each row in its episode; where that is not recorded, derived from the rows' numbers in the data set.
fn frames(table: &Table) -> Result<Vec<i64>, DataSetError> {
    if table.has("frame_index") || !table.has("index") {
        return table.integers("frame_index");
    }
    let episodes = table.integers("episode_index")?;
    let indices = table.integers("index")?;
    let mut first: BTreeMap<i64, i64> = BTreeMap::new();
    for (episode, index) in episodes.iter().zip(&indices) {
        let known = first.entry(*episode).or_insert(*index);
        *known = (*known).min(*index);
    }
    let from = |episode: &i64| first.get(episode).copied().unwrap_or_default();
    let rows = episodes.iter().zip(indices);
    Ok(rows.map(|(episode, index)| index - from(episode)).collect())
}

/// An episode under construction.
#[derive(Default)]
pub(super) struct Draft {
    frames: Vec<i64>,
    action_dims: usize,
    actions: Vec<f32>,
    state_dims: usize,
    states: Vec<f32>,
    /// Fault of the first bad row.
    problem: Option<String>,
}

impl Draft {
    fn spoil(&mut self, problem: impl FnOnce() -> String) {
        if self.problem.is_none() {
            self.problem = Some(problem());
            self.frames = Vec::new();
            self.actions = Vec::new();
            self.states = Vec::new();
        }
    }

    fn push(&mut self, frame: i64, action: &[f32], state: &[f32]) {
        if self.problem.is_some() {
            return;
        }
        if self.frames.is_empty() {
            (self.action_dims, self.state_dims) = (action.len(), state.len());
        }
        if action.len() != self.action_dims || state.len() != self.state_dims {
            self.spoil(|| {
                format!("frame {frame} differs in its number of dimensions from those before it")
            });
            return;
        }
        self.frames.push(frame);
        self.actions.extend_from_slice(action);
        self.states.extend_from_slice(state);
    }

    /// The episode with its frames in order and duplicates removed, and a message about these; or the reason why the
    /// rows are not an episode.
    pub(super) fn episode(
        self,
        index: i64,
        wanted: &Wanted<'_>,
        used: Used<'_>,
    ) -> Result<(Episode, Option<String>), String> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let mut order: Vec<usize> = (0..self.frames.len()).collect();
        order.sort_by_key(|row| self.frames.get(*row).copied());
        let vector = |values: &[f32], dims: usize, row: usize| -> Vec<f32> {
            let all = values.chunks(dims.max(1));
            all.skip(row).take(1).flatten().copied().collect()
        };
        let row = |row: usize| {
            (
                self.frames.get(row).copied().unwrap_or_default(),
                vector(&self.actions, self.action_dims, row),
                vector(&self.states, self.state_dims, row),
            )
        };
        let mut episode = Episode {
            index,
            action_dims: self.action_dims,
            actions: Vec::with_capacity(self.actions.len()),
            state_dims: self.state_dims,
            states: Vec::with_capacity(self.states.len()),
        };
        let (mut expected, mut before, mut duplicates) = (0, None, 0_usize);
        for index_in_draft in order {
            let now @ (frame, ..) = row(index_in_draft);
            if before.as_ref() == Some(&now) {
                duplicates += 1;
                continue;
            }
            if frame < expected {
                return Err(format!("frame {frame} occurs twice, with different values"));
            }
            if frame > expected {
                return Err(missing(expected, frame - 1));
            }
            for (key, values, dims) in [
                (wanted.action_key, &now.1, used.actions),
                (wanted.state_key.unwrap_or_default(), &now.2, used.states),
            ] {
                let is_used = |dim: usize| dims.is_none_or(|dims| dims.contains(&dim));
                let bad = |(dim, value): (usize, &f32)| !value.is_finite() && is_used(dim);
                if let Some(dim) = values.iter().enumerate().position(bad) {
                    return Err(format!(
                        "frame {frame}: dimension {dim} of {key:?} is not a finite number"
                    ));
                }
            }
            episode.actions.extend_from_slice(&now.1);
            episode.states.extend_from_slice(&now.2);
            expected += 1;
            before = Some(now);
        }
        let note = (duplicates > 0).then(|| {
            format!("episode {index}: {duplicates} of its rows are duplicates; each is used once")
        });
        Ok((episode, note))
    }
}
