//! The project's own commands. A newcomer needs only `cargo xtask demo`.
//!
//! - [`arguments`]: the command line
//! - [`tools`]: finds or installs what the build and the tests need, through the tools' ordinary clients
//! - [`page`]: builds the page and the worker into `dist/`; [`document`]: the page's `index.html`
//! - [`bundler`]: binds wasm modules to JavaScript and compresses files
//! - [`binary`]: builds the server with the page inside, and starts it
//! - [`parity`]: builds the goldens' comparison for the browser
//! - [`suite`]: every check and test, as continuous integration runs them
//! - [`steps`]: running a command with a title and a time

mod arguments;
mod binary;
mod bundler;
mod document;
mod page;
mod parity;
mod steps;
mod suite;
mod tools;

use anyhow::Result;
use arguments::Command;
use std::process::ExitCode;

fn main() -> ExitCode {
    let command = match arguments::parse(lexopt::Parser::from_env()) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("error: {error}\n\n{}", arguments::HELP);
            return ExitCode::from(2);
        }
    };
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Help => {
            println!("{}", arguments::HELP);
            Ok(())
        }
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
        Command::Dev => page::build_for_development(),
        Command::Lint => suite::lint(),
        Command::Test { part, begin_within } => suite::run(part, begin_within),
    }
}

/// Builds the page, then the binary that embeds it.
fn build() -> Result<std::path::PathBuf> {
    page::build(false)?;
    binary::build()
}
