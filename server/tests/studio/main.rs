//! Tests of the studio over real sockets: robots, viewers, and everything that can go wrong between them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

mod bad_input;
mod chunking;
mod control;
mod data_folder;
mod flood;
mod gathering;
mod health;
mod http;
mod images;
mod limits;
#[path = "../../../cli/tests/command_line_score/made.rs"]
#[allow(
    dead_code,
    reason = "the tests of the command line make more kinds of data sets"
)]
mod made;
mod presence;
mod recorder;
mod recordings;
mod releases;
mod robots;
mod scene;
mod scorer_files;
mod scoring;
mod sim_robot;
mod slow_robots;
mod stop_floods;
mod stops;
mod support;
mod tokens;
mod units;
mod viewers;
mod web;
