//! The studio over real sockets: robots, viewers, and everything that can go wrong between them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

mod bad_input;
mod bench;
mod chunking;
mod control;
mod gathering;
mod http;
mod recorder;
mod scene;
mod scorer_files;
mod scoring;
mod sim_robot;
mod tokens;
mod viewers;
mod web;
