//! Runs the numerical self-test on the CPU, or with `gpu` on the preferred adapter.
//!
//! ```text
//! cargo run -p layers --example self_test -- gpu
//! ```
//! Ends with status 1 if the device must not be used. A driver may also crash the process; that
//! is an answer too.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use layers::device;

fn main() -> ExitCode {
    let device = if std::env::args().nth(1).as_deref() == Some("gpu") {
        match layers::block_on(device::gpu_async()) {
            Ok(gpu) => {
                println!(
                    "{} ({}, software: {})",
                    gpu.name, gpu.interface, gpu.software
                );
                gpu.device
            }
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
    } else {
        device::cpu()
    };
    let report = layers::block_on(layers::self_test(&device));
    for check in &report.checks {
        let verdict = if check.passed { "ok" } else { "WRONG" };
        println!(
            "{:32} max error {:9.2e}  {verdict}",
            check.name, check.max_error
        );
    }
    match report.refusal() {
        None => ExitCode::SUCCESS,
        Some(reason) => {
            eprintln!("refused: {reason}");
            ExitCode::FAILURE
        }
    }
}
