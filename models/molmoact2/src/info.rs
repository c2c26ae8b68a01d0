//! What a loaded policy says about itself.

use crate::checkpoint::norm_stats::{ChunkRows, Tag};
use crate::mode::Mode;

/// What a policy is and which robots it knows.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct PolicyInfo {
    /// The name of its folder.
    pub name: String,
    /// The robots it has statistics for, sorted by tag.
    pub tags: Vec<TagInfo>,
    /// The heads it can answer with.
    pub modes: Vec<Mode>,
    /// Euler steps of the flow when none are asked for.
    pub flow_steps: usize,
    /// Cells of the depth map the policy can write before it acts; `None` if it does not reason
    /// about depth.
    pub depth_cells: Option<usize>,
    /// Codes a cell can have; 0 if it does not reason about depth.
    pub depth_codes: usize,
    /// Number of weights.
    pub parameters: u64,
    /// The types the weights are stored in.
    pub dtype: String,
    /// What the large matrices were loaded in; between the layers everything is F32.
    pub precision: layers::Precision,
    /// Bytes the loaded weights take.
    pub weight_bytes: u64,
}

impl PolicyInfo {
    /// The robot called `tag`.
    pub fn tag(&self, tag: &str) -> Option<&TagInfo> {
        self.tags.iter().find(|info| info.tag == tag)
    }
}

/// One robot a policy knows.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct TagInfo {
    /// The name of its statistics.
    pub tag: String,
    /// Cameras in the order the frames are given.
    pub cameras: Vec<String>,
    /// Another set of cameras it can be given instead; empty if there is none.
    pub cameras_alternative: Vec<String>,
    /// Values of the state.
    pub state_dim: usize,
    /// Values of one action.
    pub action_dim: usize,
    /// Rows of a chunk.
    pub horizon: usize,
    /// Rows of a chunk that are meant to be executed.
    pub n_action_steps: usize,
    /// What the prompt calls the robot.
    pub setup: String,
    /// What the prompt calls the actions.
    pub control_mode: String,
    /// How actions are scaled.
    pub action_stats: ActionStats,
}

impl TagInfo {
    pub(crate) fn new(tag: &Tag, rows: ChunkRows) -> Self {
        let dims = tag.action.dims();
        let stats = tag.action.stats();
        let robot = |values: Vec<f32>| match &tag.calibration {
            Some(calibration) => calibration.to_robot(&values, dims),
            None => values,
        };
        Self {
            tag: tag.name.clone(),
            cameras: tag.cameras(),
            cameras_alternative: tag.cameras_alternative(),
            state_dim: tag.state.dims(),
            action_dim: dims,
            horizon: rows.horizon,
            n_action_steps: rows.count,
            setup: tag.setup_type.clone(),
            control_mode: tag.control_mode.clone(),
            action_stats: ActionStats {
                names: stats.names.clone().unwrap_or_default(),
                low: robot(tag.action.unnormalize(&vec![-1.0; dims])),
                high: robot(tag.action.unnormalize(&vec![1.0; dims])),
                mean: robot(stats.mean.clone().unwrap_or_default()),
                mask: stats.mask.clone().unwrap_or_else(|| vec![true; dims]),
            },
        }
    }
}

/// The range actions were scaled by, in robot units, one value per dimension.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ActionStats {
    /// Names of the dimensions, if the checkpoint gives them.
    pub names: Vec<String>,
    /// The value that -1 stands for; above `high` where a calibration turns the joint around.
    pub low: Vec<f32>,
    /// The value that 1 stands for.
    pub high: Vec<f32>,
    /// The mean action, if the checkpoint gives it.
    pub mean: Vec<f32>,
    /// Whether the dimension is scaled at all; if not, it passes through clipped to -1..=1.
    pub mask: Vec<bool>,
}
