//! `probe-adapter`: the child process that may crash. Not for people.

use clap::{Args, ValueEnum};
use policies::probe::{self, Gpu};

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
    /// End when standard input ends: whoever waited is gone.
    #[arg(long, hide = true)]
    while_stdin_is_open: bool,
}

impl ProbeAdapter {
    pub(super) fn run(self) {
        let gpu = match self.family {
            Family::Wgpu => Gpu::Wgpu,
            Family::Cuda => Gpu::Cuda,
        };
        if self.while_stdin_is_open {
            std::thread::spawn(end_with_stdin);
        }
        probe::run_child(gpu, self.even_software);
    }
}

/// A child has a process group of its own, so Ctrl-C in the terminal does not reach it.
#[expect(clippy::exit, reason = "a driver may hang; nothing is left to be done")]
fn end_with_stdin() {
    let ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    tracing::debug!("nobody waits any more: {ended:?}");
    std::process::exit(1);
}
