//! Weights for reward-aligned behavior cloning, from the progress over the next chunk.
//!
//! As LeRobot's trainer computes them from a progress file (SARM, equations 8 and 9). Differences and
//! weights are `f32` there, the statistics over the data set `f64`; so they are here.

use crate::Error;

/// Parameters of [`RabcWeights`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rabc {
    /// Lookahead of the comparison in frames: the length of an action chunk.
    pub chunk: usize,
    /// Progress above which a frame counts in full.
    pub kappa: f64,
    /// Keeps divisions from dividing by nothing.
    pub epsilon: f64,
    /// The weight of a frame whose progress over the chunk is unknown.
    pub unknown: f32,
}

impl Default for Rabc {
    fn default() -> Self {
        Self {
            chunk: 50,
            kappa: 0.01,
            epsilon: 1e-6,
            unknown: 1.0,
        }
    }
}

/// Progress differences of a data set and the weights that follow from them.
#[derive(Debug, Clone, PartialEq)]
pub struct RabcWeights {
    settings: Rabc,
    deltas: Vec<Vec<Option<f64>>>,
    mean: f64,
    deviation: f64,
}

impl RabcWeights {
    /// From the progress at every frame of every episode; `None` where it is unknown.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless the chunk is at least one frame and epsilon above zero.
    pub fn new(episodes: &[Vec<Option<f32>>], settings: Rabc) -> Result<Self, Error> {
        if settings.chunk == 0 {
            return Err(Error::Parameter {
                name: "chunk",
                value: 0.0,
                want: "at least 1 frame",
            });
        }
        if !(settings.epsilon.is_finite() && settings.epsilon > 0.0) {
            return Err(Error::Parameter {
                name: "epsilon",
                value: settings.epsilon,
                want: "above 0",
            });
        }
        let deltas: Vec<Vec<Option<f64>>> = episodes
            .iter()
            .map(|episode| deltas(episode, settings.chunk))
            .collect();
        let known: Vec<f64> = deltas.iter().flatten().filter_map(|delta| *delta).collect();
        let (mean, deviation) = if known.is_empty() {
            (0.0, settings.epsilon)
        } else {
            let count = known.len() as f64;
            let mean = known.iter().sum::<f64>() / count;
            let variance = known
                .iter()
                .map(|delta| (delta - mean).powi(2))
                .sum::<f64>()
                / count;
            (mean.max(0.0), variance.sqrt().max(settings.epsilon))
        };
        Ok(Self {
            settings,
            deltas,
            mean,
            deviation,
        })
    }

    /// Mean progress over a chunk in the data set, never below zero.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Its standard deviation, never below epsilon.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        self.deviation
    }

    /// Progress over the next chunk per episode and frame.
    #[must_use]
    pub fn deltas(&self) -> &[Vec<Option<f64>>] {
        &self.deltas
    }

    /// Weights in [0, 1] per episode and frame, before a batch is rescaled.
    #[must_use]
    pub fn weights(&self) -> Vec<Vec<f32>> {
        self.deltas
            .iter()
            .map(|episode| episode.iter().map(|delta| self.weight(*delta)).collect())
            .collect()
    }

    fn weight(&self, delta: Option<f64>) -> f32 {
        let Some(delta) = delta.map(|delta| delta as f32) else {
            return self.settings.unknown;
        };
        if delta > self.settings.kappa as f32 {
            return 1.0;
        }
        if delta < 0.0 {
            return 0.0;
        }
        let lowest = (self.mean - 2.0 * self.deviation) as f32;
        let range = (4.0 * self.deviation + self.settings.epsilon) as f32;
        ((delta - lowest) / range).clamp(0.0, 1.0)
    }

    /// Weights of one batch, rescaled to sum to its size.
    #[must_use]
    pub fn rescale(&self, batch: &[f32]) -> Vec<f32> {
        let sum = batch.iter().sum::<f32>() + self.settings.epsilon as f32;
        batch
            .iter()
            .map(|weight| weight * batch.len() as f32 / sum)
            .collect()
    }
}

/// Near the end of an episode the last frame stands for the one beyond it.
fn deltas(episode: &[Option<f32>], chunk: usize) -> Vec<Option<f64>> {
    let last = episode.len().saturating_sub(1);
    episode
        .iter()
        .enumerate()
        .map(|(index, now)| {
            let ahead = episode.get((index + chunk).min(last)).copied().flatten()?;
            Some(f64::from(ahead) - f64::from((*now)?))
        })
        .collect()
}
