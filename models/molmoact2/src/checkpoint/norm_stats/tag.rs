//! One robot of a checkpoint.

use super::Normalizer;
use crate::checkpoint::calibration::Calibration;
use crate::checkpoint::config::TopConfig;
use crate::error::ActError;

/// One robot.
#[derive(Debug, Clone, PartialEq)]
pub struct Tag {
    /// Name in the file.
    pub name: String,
    /// Dataset keys of the cameras, in prompt order.
    pub camera_keys: Vec<String>,
    /// Alternative set of cameras that it was trained with, in prompt order; empty if there is none.
    pub camera_keys_alternative: Vec<String>,
    /// Wording of the prompt for the robot.
    pub setup_type: String,
    /// Wording of the prompt for its control mode.
    pub control_mode: String,
    /// Rows of a chunk; `None` takes the checkpoint's maximum.
    pub action_horizon: Option<usize>,
    /// Rows to execute; `None` takes the whole horizon.
    pub n_action_steps: Option<usize>,
    /// True if the gripper was normalized like the joints, if the file states it.
    pub normalize_gripper: Option<bool>,
    /// The measured state.
    pub state: Normalizer,
    /// The actions; their real number of dimensions is [`Normalizer::dims`].
    pub action: Normalizer,
    /// Joint signs and zero offsets of the robot, if they differ from the statistics'.
    pub calibration: Option<Calibration>,
}

/// Rows of a chunk, and the range of them to execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkRows {
    /// Rows that the network generates.
    pub horizon: usize,
    /// First row executed: `n_obs_steps - 1`.
    pub first: usize,
    /// Rows executed.
    pub count: usize,
}

impl Tag {
    /// Rows of this robot's chunk, checked against the limits of a checkpoint.
    ///
    /// # Errors
    /// [`ActError::BadTag`] when they do not fit.
    pub fn rows(&self, config: &TopConfig) -> Result<ChunkRows, ActError> {
        let bad = |key, problem: String| ActError::BadTag {
            tag: self.name.clone(),
            key,
            problem,
        };
        let most = config.max_action_horizon;
        let horizon = self.action_horizon.unwrap_or(most);
        if horizon == 0 || horizon > most {
            return Err(bad(
                "action_horizon",
                format!(
                    "is {horizon}; this checkpoint makes 1 to {most} rows (max_action_horizon)"
                ),
            ));
        }
        let dims = self.action.dims();
        if dims > config.max_action_dim {
            return Err(bad(
                "action_stats",
                format!(
                    "has {dims} dimensions, over max_action_dim = {}",
                    config.max_action_dim
                ),
            ));
        }
        let first = config.n_obs_steps.saturating_sub(1);
        let count = self.n_action_steps.unwrap_or(horizon);
        if count == 0 || first.saturating_add(count) > horizon {
            return Err(bad(
                "n_action_steps",
                format!(
                    "is {count}; rows {first} to {} of {horizon} are asked for",
                    first.saturating_add(count)
                ),
            ));
        }
        Ok(ChunkRows {
            horizon,
            first,
            count,
        })
    }

    /// Camera names without the prefix of the dataset: `observation.images.wrist` is `wrist`.
    #[must_use]
    pub fn cameras(&self) -> Vec<String> {
        short_names(&self.camera_keys)
    }

    /// The cameras of the other set, named like [`Tag::cameras`].
    #[must_use]
    pub fn cameras_alternative(&self) -> Vec<String> {
        short_names(&self.camera_keys_alternative)
    }

    /// True if an observation may have this many images. A robot without cameras in its statistics takes any
    /// number.
    #[must_use]
    pub fn takes_images(&self, count: usize) -> bool {
        let (usual, other) = (self.camera_keys.len(), self.camera_keys_alternative.len());
        count > 0 && (usual == 0 || count == usual || (other > 0 && count == other))
    }

    /// The normalized state, before binning.
    ///
    /// # Errors
    /// [`ActError::WrongState`] for a state of another length.
    pub fn normalize_state(&self, state: &[f32]) -> Result<Vec<f32>, ActError> {
        if state.len() != self.state.dims() {
            return Err(ActError::WrongState {
                tag: self.name.clone(),
                got: state.len(),
                want: self.state.dims(),
            });
        }
        let turned = match &self.calibration {
            Some(calibration) => calibration.to_model(state),
            None => state.to_vec(),
        };
        if let Some(index) = self.state.out_of_range(&turned) {
            return Err(ActError::StateOutOfRange {
                tag: self.name.clone(),
                index,
            });
        }
        Ok(self.state.normalize(&turned))
    }

    /// Rows of normalized actions (`[rows, dims]`) in robot units.
    ///
    /// # Errors
    /// [`ActError::WrongActions`] when the values are not whole rows.
    pub fn unnormalize_actions(&self, rows: &[f32]) -> Result<Vec<f32>, ActError> {
        if !rows.len().is_multiple_of(self.action.dims()) {
            return Err(ActError::WrongActions {
                got: rows.len(),
                want: self.action.dims(),
            });
        }
        let actions = self.action.unnormalize(rows);
        Ok(match &self.calibration {
            Some(calibration) => calibration.to_robot(&actions, self.action.dims()),
            None => actions,
        })
    }
}

fn short_names(keys: &[String]) -> Vec<String> {
    let short = |key: &String| key.rsplit('.').next().unwrap_or(key).to_owned();
    keys.iter().map(short).collect()
}
