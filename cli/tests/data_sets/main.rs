//! Real-world data sets: unused parts may be malformed, rows take precedence over metadata, and a bad file affects only
//! its own rows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod listing;
mod paths;
mod reading;
mod results;
mod scoring;
mod set;
mod statistics;
mod table;
mod times;
mod unfolding;

use serde_json::Value;
use std::process::{Command, Output};

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", stderr(output)))
}

fn studio() -> Command {
    Command::new(env!("CARGO_BIN_EXE_policy-studio"))
}
