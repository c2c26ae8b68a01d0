//! `probe-adapter`: an internal subcommand, run as a child process because a driver may crash it.

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
    /// Also test an adapter that reports itself as software.
    #[arg(long)]
    even_software: bool,
    /// End when standard input ends, because the parent process has ended.
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

/// Ends the process when standard input ends. The child has a separate process group, so Ctrl-C does not reach it.
#[expect(
    clippy::exit,
    reason = "a driver may hang, so the process cannot end otherwise"
)]
fn end_with_stdin() {
    let ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    tracing::debug!("the parent process has ended: {ended:?}");
    std::process::exit(1);
}
