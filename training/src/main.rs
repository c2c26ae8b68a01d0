//! Training data for the nano weights, and closed-loop simulation for a policy under training.
//!
//! * `training sentences`: every wording of every task, for the prompt tokenizer.
//! * `training collect`: frames from the scripted expert, with noise, labelled for several tasks each.
//! * `training episodes`: whole episodes for the scorer, successes and failures, with the progress of every task.
//! * `training drive`: many simulated robots in lockstep on stdin and stdout, for closed-loop evaluation and for
//!   labelling the states that a partly trained policy reaches.

mod collect;
mod drive;
mod episodes;
mod frame;
mod noise;
mod sentences;

use clap::{Parser, Subcommand};

/// Training data and closed-loop drives for the nano policy.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print every wording of every task as JSON.
    Sentences,
    /// Write frames with expert labels into a folder of flat arrays.
    Collect(collect::Options),
    /// Write whole episodes for the scorer, with the progress of every task in every frame.
    Episodes(episodes::Options),
    /// Step many robots in lockstep: targets in on stdin, observations and labels out on stdout.
    Drive(drive::Options),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Sentences => sentences::print(),
        Command::Collect(options) => collect::run(&options),
        Command::Episodes(options) => episodes::run(&options),
        Command::Drive(options) => drive::run(&options),
    }
}
