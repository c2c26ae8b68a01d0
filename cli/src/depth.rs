//! Options about depth, shared by the subcommands.

use clap::{Args, ValueEnum};
use policies::molmoact2_policy::PolicyOptions;
use protocol::depth::DepthMode;
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DepthArgument {
    /// No depth map.
    Off,
    /// Every cell is written anew.
    Full,
    /// Cells in which nothing changed since the call before keep their code.
    Adaptive,
    /// The model writes as it likes until it ends the map itself.
    Free,
}

impl From<DepthArgument> for DepthMode {
    fn from(argument: DepthArgument) -> Self {
        match argument {
            DepthArgument::Off => Self::Off,
            DepthArgument::Full => Self::Full,
            DepthArgument::Adaptive => Self::Adaptive,
            DepthArgument::Free => Self::Free,
        }
    }
}

#[derive(Debug, Clone, Args)]
pub(super) struct DecoderArgument {
    /// Safetensors file of the decoder that draws depth codes (models/depth_decoder/convert.py makes it from the
    /// published one); depth_decoder.safetensors in the policy's folder when absent.
    #[arg(long, value_name = "FILE", requires = "policy")]
    depth_decoder: Option<PathBuf>,
}

impl DecoderArgument {
    pub(super) fn put_into(&self, setup: &mut PolicyOptions) {
        setup.depth_decoder.clone_from(&self.depth_decoder);
    }
}
