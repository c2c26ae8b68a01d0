//! Depth options shared by the subcommands.

use clap::{Args, ValueEnum};
use policies::molmoact2_policy::PolicyOptions;
use protocol::depth::DepthMode;
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DepthArgument {
    /// No depth map.
    Off,
    /// Every cell is generated.
    Full,
    /// Cells whose image patch did not change since the previous call keep their code.
    Adaptive,
    /// The model generates freely until it ends the map.
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
    /// Safetensors file of the decoder that renders depth codes (models/depth_decoder/convert.py makes it from the
    /// published one); depth_decoder.safetensors in the policy's folder when absent.
    #[arg(long, value_name = "FILE", requires = "policy")]
    depth_decoder: Option<PathBuf>,
}

impl DecoderArgument {
    pub(super) fn apply_to(&self, options: &mut PolicyOptions) {
        options.depth_decoder.clone_from(&self.depth_decoder);
    }
}
