//! Description of a loaded policy.

use crate::checkpoint::norm_stats::{ChunkRows, Tag};
use crate::mode::Mode;

/// Description of a policy and of its robots.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct PolicyInfo {
    /// Name of its folder.
    pub name: String,
    /// The robots it has statistics for, sorted by tag.
    pub tags: Vec<TagInfo>,
    /// Modes it can answer in.
    pub modes: Vec<Mode>,
    /// Euler steps of the flow by default.
    pub flow_steps: usize,
    /// Cells of the depth map the policy can write before it acts; `None` if it does not reason
    /// about depth.
    pub depth_cells: Option<usize>,
    /// Codes a cell can have; 0 if it does not reason about depth.
    pub depth_codes: usize,
    /// Number of weights.
    pub parameters: u64,
    /// Types that the weights are stored in.
    pub dtype: String,
    /// Precision of the large matrices; activations are always F32.
    pub precision: layers::Precision,
    /// Bytes of the loaded weights.
    pub weight_bytes: u64,
}

impl PolicyInfo {
    /// The robot called `tag`.
    pub fn tag(&self, tag: &str) -> Option<&TagInfo> {
        self.tags.iter().find(|info| info.tag == tag)
    }
}

/// One robot of a policy.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct TagInfo {
    /// Name of its statistics.
    pub tag: String,
    /// Cameras, in the order of the images.
    pub cameras: Vec<String>,
    /// Alternative set of cameras; empty if there is none.
    pub cameras_alternative: Vec<String>,
    /// Values of the state.
    pub state_dim: usize,
    /// Values of one action.
    pub action_dim: usize,
    /// Rows of a chunk.
    pub horizon: usize,
    /// Rows of a chunk to execute.
    pub n_action_steps: usize,
    /// Wording of the prompt for the robot.
    pub setup: String,
    /// Wording of the prompt for the actions.
    pub control_mode: String,
    /// Scaling of the actions.
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

/// Range that actions are scaled by, in robot units, one value per dimension.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ActionStats {
    /// Names of the dimensions, if the checkpoint gives them.
    pub names: Vec<String>,
    /// Value that -1 stands for; above `high` where a calibration inverts the joint.
    pub low: Vec<f32>,
    /// Value that 1 stands for.
    pub high: Vec<f32>,
    /// The mean action, if the checkpoint gives it.
    pub mean: Vec<f32>,
    /// True if the dimension is scaled at all; if not, it passes through clipped to -1..=1.
    pub mask: Vec<bool>,
}
