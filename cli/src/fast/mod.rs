//! `fast`: action tokenizers on files.
//!
//! Arrays are `.npy`, `[batch, horizon, dims]`; token files are JSON, a list of lists of ids. Output files are written
//! atomically ([`output`]).

mod chunks;
mod corpus;
mod decode;
mod encode;
mod inspect;
mod output;
mod plot;
mod quality;
mod report;
mod statistics;
mod streams;
mod tokenizer;
mod train;
mod units;
mod vocabulary;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  policy-studio fast inspect --tokenizer DIR
  policy-studio fast encode --tokenizer DIR --actions chunks.npy --out tokens.json
  policy-studio fast decode --tokenizer DIR --tokens tokens.json --horizon 16 --dim 6 --out chunks.npy
  policy-studio fast train --actions chunks.npy --out DIR
  policy-studio fast train --dataset ~/datasets/my_arm --horizon 30 --out DIR";

/// Action tokens (FAST): encode and decode action chunks, train and inspect tokenizers.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Fast {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Encode(encode::Encode),
    Decode(decode::Decode),
    Train(train::Train),
    Inspect(inspect::Inspect),
}

impl Fast {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Encode(encode) => encode.run(),
            Command::Decode(decode) => decode.run(),
            Command::Train(train) => train.run(),
            Command::Inspect(inspect) => inspect.run(),
        }
    }
}

/// Number of losses or faults that are listed one by one.
const LISTED: usize = 5;

/// Reports on standard error the number of items beyond the [`LISTED`] first.
fn report_unlisted(total: usize) {
    if total > LISTED {
        eprintln!("  and {} more", total - LISTED);
    }
}

/// A progress bar on standard error, if that is a terminal.
fn bar(len: usize, what: &'static str) -> anyhow::Result<ProgressBar> {
    let template =
        format!("{{elapsed_precise}} {{wide_bar}} {{pos}}/{{len}} {what}, {{eta}} to go");
    Ok(ProgressBar::new(len as u64).with_style(ProgressStyle::with_template(&template)?))
}

/// A progress display for work of unknown length.
fn spinner(what: &'static str) -> anyhow::Result<ProgressBar> {
    let bar = ProgressBar::new_spinner()
        .with_style(ProgressStyle::with_template(
            "{elapsed_precise} {spinner} {msg}",
        )?)
        .with_message(what);
    bar.enable_steady_tick(std::time::Duration::from_millis(120));
    Ok(bar)
}
