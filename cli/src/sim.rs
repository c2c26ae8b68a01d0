//! `sim`: the built-in robot as a separate process.

use super::{block_on, log};
use clap::Args;
use server::{
    signals,
    sim_robot::{self, SimConfig},
};
use std::process::ExitCode;

/// Run the simulated robot and connect it to a studio, on this or another machine.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policy-studio sim
  policy-studio sim --connect http://192.168.1.20:8080 --seed 7 --name bench-arm")]
pub(super) struct Sim {
    /// Address of the studio; http:// and ws:// are equivalent.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    connect: String,
    /// Seed of the first scene; the same seed gives the same scene.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Name of the robot; the studio appends a number if it is taken.
    #[arg(long, default_value = "sim")]
    name: String,
}

impl Sim {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self {
            connect,
            seed,
            name,
        } = self;
        block_on(async {
            let stop = signals::listen(log::flush)?;
            sim_robot::run(SimConfig::new(connect, name, seed), stop).await?;
            Ok(ExitCode::SUCCESS)
        })
    }
}
