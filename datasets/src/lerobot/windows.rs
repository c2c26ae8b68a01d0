//! Episodes cut into action chunks: every run of `horizon` frames is a chunk.

use openfast::Shape;

use super::{DataSetError, Episode, Normalisation};

/// Parameters of cutting episodes into chunks.
#[derive(Debug, Clone)]
pub struct Cut {
    /// Rows of a chunk.
    pub horizon: usize,
    /// Share of each episode's chunks to take, evenly spaced (0 to 1).
    pub sample_fraction: f64,
    /// Dimensions of the action to take, in this order.
    pub dims: Vec<usize>,
    /// Dimensions of the action (as recorded) that are taken relative to the state in the chunk's first frame.
    pub relative_dims: Vec<usize>,
}

/// Chunks in the order of their episodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Windows {
    /// Shape of each chunk.
    pub shape: Shape,
    /// `[chunks, horizon, dims]`, row-major.
    pub values: Vec<f32>,
    /// Index of the episode of each chunk.
    pub episodes: Vec<i64>,
    /// Number of episodes that are shorter than a chunk and give none.
    pub too_short: usize,
}

/// Cuts episodes into chunks, in data units.
///
/// # Errors
/// [`DataSetError::BadDims`] for a dimension that the vectors do not have.
pub fn cut(episodes: &[Episode], how: &Cut) -> Result<Windows, DataSetError> {
    let shape = Shape {
        horizon: how.horizon,
        dims: how.dims.len(),
    };
    let mut out = Windows {
        shape,
        values: Vec::new(),
        episodes: Vec::new(),
        too_short: 0,
    };
    for episode in episodes {
        check(episode, how)?;
        let Some(windows) = (episode.frames() + 1)
            .checked_sub(how.horizon)
            .filter(|&windows| windows > 0)
        else {
            out.too_short += 1;
            continue;
        };
        let taken = ((windows as f64 * how.sample_fraction) as usize).clamp(1, windows);
        for sample in 0..taken {
            let start = sample * windows / taken;
            out.episodes.push(episode.index);
            window(episode, how, start, &mut out.values);
        }
    }
    Ok(out)
}

fn check(episode: &Episode, how: &Cut) -> Result<(), DataSetError> {
    let Episode {
        action_dims,
        state_dims,
        ..
    } = *episode;
    if let Some(dim) = how.dims.iter().find(|&&dim| dim >= action_dims) {
        return Err(DataSetError::BadDims(format!(
            "dimension {dim} is requested, but the actions have {action_dims} (0 to {})",
            action_dims.saturating_sub(1)
        )));
    }
    if let Some(dim) = how
        .relative_dims
        .iter()
        .find(|&&dim| dim >= action_dims || dim >= state_dims)
    {
        return Err(DataSetError::BadDims(format!(
            "dimension {dim} is to be relative, but the actions have {action_dims} dimensions and the states {state_dims}"
        )));
    }
    Ok(())
}

fn window(episode: &Episode, how: &Cut, start: usize, out: &mut Vec<f32>) {
    let first_state = episode.states.chunks(episode.state_dims.max(1)).nth(start);
    let rows = episode.actions.chunks(episode.action_dims.max(1));
    for row in rows.skip(start).take(how.horizon) {
        for &dim in &how.dims {
            let value = row.get(dim).copied().unwrap_or_default();
            let from = first_state
                .filter(|_| how.relative_dims.contains(&dim))
                .and_then(|state| state.get(dim));
            out.push(value - from.copied().unwrap_or_default());
        }
    }
}

impl Windows {
    /// Number of chunks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.episodes.len()
    }

    /// True if there is no chunk.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.episodes.is_empty()
    }

    /// Normalises the values. The dimensions of `normalisation` are those of the chunks, not of the recorded actions.
    pub fn normalise(&mut self, normalisation: &Normalisation) {
        let dims = self.shape.dims.max(1);
        for (index, value) in self.values.iter_mut().enumerate() {
            *value = normalisation.apply(*value, index % dims);
        }
    }
}
