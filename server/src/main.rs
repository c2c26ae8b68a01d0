//! The `policy-studio` command.

mod cli;

use std::process::ExitCode;

/// The network's results are large and short-lived, which the system's allocator gives back to the system every time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
