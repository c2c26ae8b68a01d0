//! Options of loading a MolmoAct2 policy.

use molmoact2::Precision;
use protocol::depth::DepthMode;
use std::path::PathBuf;

/// Options of loading a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyOptions {
    /// Folder of the checkpoint that a LeRobot folder was fine-tuned from.
    pub base: Option<PathBuf>,
    /// Folder of the action tokenizer, instead of the one in the policy's folder.
    pub fast: Option<PathBuf>,
    /// Use the action tokenizer of the nano policy if the policy has none.
    pub fast_of_nano: bool,
    /// JSON file with the signs and zero offsets of the robot's joints relative to the checkpoint's.
    pub calibration: Option<PathBuf>,
    /// Precision of the large matrices in memory.
    pub precision: Precision,
    /// Mode of depth reasoning of a policy that is trained for it; adaptive if absent.
    pub depth: Option<DepthMode>,
    /// File of the depth decoder, instead of the one in the policy's folder.
    pub depth_decoder: Option<PathBuf>,
}
