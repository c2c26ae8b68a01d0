//! `probe-adapter`: the child process that may crash. Not for people.

use clap::{Args, ValueEnum};
use policy_studio::policies::probe::{self, Gpu};

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Family {
    Wgpu,
    Cuda,
}

/// Open an adapter, run the numerical self-test on it, print what happens as JSON lines.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  policy-studio probe-adapter wgpu\n  policy-studio probe-adapter wgpu --even-software"
)]
pub(super) struct ProbeAdapter {
    family: Family,
    /// Test an adapter that says of itself that it is software.
    #[arg(long)]
    even_software: bool,
}

impl ProbeAdapter {
    pub(super) fn run(self) {
        let gpu = match self.family {
            Family::Wgpu => Gpu::Wgpu,
            Family::Cuda => Gpu::Cuda,
        };
        probe::child(gpu, self.even_software);
    }
}
