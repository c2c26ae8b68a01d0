//! Options of loading a MolmoAct2 policy.

use molmoact2::Precision;
use protocol::depth::DepthMode;
use std::path::PathBuf;

/// Options of loading a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyOptions {
    /// The checkpoint a LeRobot folder was made from.
    pub base: Option<PathBuf>,
    /// Folder of the action tokenizer, instead of the one in the policy's folder.
    pub fast: Option<PathBuf>,
    /// Take the nano's action tokenizer where the policy has none.
    pub fast_of_nano: bool,
    /// A JSON file that says how the robot counts its joints.
    pub calibration: Option<PathBuf>,
    /// What the large matrices are kept in.
    pub precision: Precision,
    /// How a policy that can reasons about depth; adaptively when absent.
    pub depth: Option<DepthMode>,
    /// The file that draws depth codes, instead of the one in the policy's folder.
    pub depth_decoder: Option<PathBuf>,
}
