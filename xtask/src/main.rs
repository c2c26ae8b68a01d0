//! The project's own commands. `cargo xtask demo` is all that a newcomer needs.
//!
//! - [`tools`]: finds or installs what the build needs, through the tools' ordinary clients
//! - [`page`]: builds the page and the worker into `dist/`, compressed for the wire
//! - [`binary`]: builds the server with the page inside
//! - [`parity`]: builds the goldens' comparison for the browser
//! - [`suite`]: every check and test, as the continuous integration runs them
//! - [`steps`]: running a command with a title and a time

mod binary;
mod page;
mod parity;
mod steps;
mod suite;
mod tools;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    about = "Policy Studio's own commands",
    after_help = "Examples:\n  cargo xtask demo                   build everything, start the studio, open the page\n  cargo xtask demo -- --listen 0.0.0.0:9000\n  cargo xtask test                   all checks and tests\n  cargo xtask test browser           only the journeys in a real browser"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install what is missing, build the page and the binary, start the studio and open it.
    Demo {
        /// Do not open a browser.
        #[arg(long)]
        no_open: bool,
        /// Further arguments for `policy-studio serve`.
        #[arg(last = true)]
        serve: Vec<String>,
    },
    /// Build the page and the binary without starting anything.
    Build,
    /// Build the page alone.
    Page {
        /// Build even when nothing changed since the last time.
        #[arg(long)]
        force: bool,
    },
    /// Formatting and lints; warnings fail.
    Lint,
    /// Install what the tests need and run them.
    Test {
        /// Which part to run; all of them when absent.
        part: Option<suite::Part>,
    },
}

fn main() -> Result<()> {
    let Arguments { command } = Arguments::parse();
    match command {
        Command::Demo { no_open, serve } => {
            let binary = build()?;
            binary::serve(&binary, !no_open, &serve)
        }
        Command::Build => {
            let binary = build()?;
            println!("{}", binary.display());
            Ok(())
        }
        Command::Page { force } => page::build(force),
        Command::Lint => suite::lint(),
        Command::Test { part } => suite::run(part),
    }
}

/// Page first, because the binary embeds it.
fn build() -> Result<std::path::PathBuf> {
    page::build(false)?;
    binary::build()
}
