//! Tests of the binary from the command line.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use policies::probe::{Gpu, Verdict, probe};
use serde_json::Value;
use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

/// Path of Chromium's software Vulkan driver.
const SWIFTSHADER: &str = "/usr/lib/chromium/vk_swiftshader_icd.json";

fn studio(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_policy-studio"));
    command.args(arguments);
    // A data folder per test.
    command.env("XDG_DATA_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

fn run(arguments: &[&str]) -> Output {
    studio(arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr))
    })
}

#[test]
fn every_subcommand_helps_with_examples() {
    for subcommand in [
        "serve",
        "sim",
        "act",
        "ask",
        "eval",
        "bench",
        "doctor",
        "fast",
        "inspect",
        "synthesise",
        "probe-adapter",
    ] {
        let output = run(&[subcommand, "--help"]);
        let help = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success());
        assert!(help.contains("Examples:"), "{subcommand}: {help}");
        assert!(
            help.contains(&format!("policy-studio {subcommand}")),
            "{help}"
        );
    }
}

#[test]
fn a_wrong_command_line_ends_with_status_2() {
    for arguments in [
        &["serve", "--sims", "two"] as &[&str],
        &["eval", "--families", "juggle"],
        &["fly"],
        &["eval", "--episodes", "0"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn what_does_not_work_ends_with_status_1_and_says_why() {
    let missing = run(&["eval", "--device", "cpu", "--policy", "/does/not/exist"]);
    assert_eq!(missing.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(stderr.contains("/does/not/exist"), "{stderr}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["serve", "--device", "cpu", "--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        stderr.contains(&address) && stderr.contains("--listen"),
        "{stderr}"
    );

    let nowhere = run(&["sim", "--connect", "ftp://x"]);
    assert_eq!(nowhere.status.code(), Some(1));
}

#[test]
fn doctor_reports_the_chosen_device_and_the_reason_as_json() {
    let output = run(&[
        "doctor",
        "--json",
        "--device",
        "cpu",
        "--listen",
        "127.0.0.1:0",
    ]);
    let findings = json(&output);
    assert_eq!(findings["device"]["chosen"], "cpu");
    assert!(findings["device"]["refused"].as_array().unwrap().is_empty());
    let checks = findings["self_test"].as_array().unwrap();
    assert!(checks.len() >= 10 && checks.iter().all(|check| check["passed"] == true));
    assert_eq!(findings["port"]["free"], true);
    assert!(findings["page"]["built"].is_boolean());
    assert_eq!(findings["policy"]["loaded"], true, "{}", findings["policy"]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_software_vulkan_driver_is_refused_and_the_cpu_chosen() {
    if !Path::new(SWIFTSHADER).exists() {
        eprintln!("skipped: there is no {SWIFTSHADER} here; install Chromium to run this test");
        return;
    }
    let output = studio(&["doctor", "--json", "--listen", "127.0.0.1:0"])
        .env("VK_DRIVER_FILES", SWIFTSHADER)
        .env_remove("VK_ICD_FILENAMES")
        .output()
        .unwrap();
    let findings = json(&output);
    assert_eq!(findings["device"]["chosen"], "cpu");
    let refused = findings["device"]["refused"].as_array().unwrap();
    // Without the loader (libvulkan1) no driver is found at all.
    if let Some(refused) = refused.first() {
        assert!(
            refused["name"].as_str().unwrap().contains("SwiftShader"),
            "{refused}"
        );
        assert!(
            refused["reason"]
                .as_str()
                .unwrap()
                .contains("software adapter"),
            "{refused}"
        );
    }
}

#[test]
fn a_probe_that_crashes_or_hangs_does_not_end_the_command() {
    let crashed = probe(
        Path::new("/bin/false"),
        Gpu::Wgpu,
        false,
        Duration::from_secs(10),
    );
    assert!(
        matches!(&crashed, Verdict::Refused { reason, .. } if reason.contains("crashed")),
        "{crashed:?}"
    );
    let missing = probe(
        Path::new("/does/not/exist"),
        Gpu::Wgpu,
        false,
        Duration::from_secs(10),
    );
    assert!(matches!(missing, Verdict::Refused { .. }));
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let mut child = studio(&[
        "doctor",
        "--json",
        "--device",
        "cpu",
        "--listen",
        "127.0.0.1:0",
    ])
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn eval_reports_rates_per_family_and_controls_as_json() {
    let output = run(&[
        "eval",
        "--device",
        "cpu",
        "--episodes",
        "1",
        "--families",
        "reach,push",
        "--max-secs",
        "1",
        "--jobs",
        "1",
        "--json",
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report = json(&output);
    let groups = [
        &report["continuous"],
        &report["discrete"],
        &report["controls"]["wrong_instruction"],
        &report["controls"]["mean_action"],
    ];
    for group in groups {
        for family in ["reach", "push"] {
            assert_eq!(group[family]["episodes"], 1, "{report}");
            let rate = group[family]["success_rate"].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&rate));
        }
        assert!(group.get("place").is_none());
    }
    assert!(report["controls"]["wrong_instruction"]["reach"]["told_task_rate"].is_number());
    assert!(report["mean"].is_number() && report["seed"].is_number());
}

#[cfg(unix)]
#[test]
fn serve_prints_its_address_and_stops_on_a_signal() {
    let data = data_folder("signals");
    for signal in ["-INT", "-TERM"] {
        let mut child = studio(&[
            "serve",
            "--data",
            data.as_str(),
            "--listen",
            "127.0.0.1:0",
            "--device",
            "cpu",
            "--sims",
            "2",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(
            line.starts_with("Policy Studio is at http://127.0.0.1:"),
            "{line}"
        );
        std::thread::sleep(Duration::from_millis(500));
        let killed = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
        let until = Instant::now() + Duration::from_secs(15);
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > until {
                child.kill().unwrap();
                panic!("it does not stop on {signal}");
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        assert_eq!(status.code(), Some(0), "{signal}");
    }
}

/// A data folder for one test.
fn data_folder(name: &str) -> String {
    format!("{}/data-{name}", env!("CARGO_TARGET_TMPDIR"))
}

/// Folders of the repository.
fn folder(name: &str) -> String {
    format!("{}/../{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn serve_refuses_an_invalid_scorer_or_data_set() {
    let policy = folder("models/nano/molmoact2");
    let scorer = folder("tests/goldens/qwen3vl/tied/checkpoint");
    let data = data_folder("refusals");
    for (arguments, status, reason) in [
        (&["--scorer", &policy] as &[&str], 1, "model_type"),
        (&["--scorer", "/nowhere"], 1, "/nowhere"),
        (&["--score-here"], 2, "--scorer"),
        (&["--scorer", &scorer, "--scorer-dtype", "f8"], 2, "f8"),
        (&["--dataset", &policy], 1, "meta/info.json"),
        (&["--camera", "top"], 2, "--dataset"),
    ] {
        let common = [
            "serve",
            "--no-sim",
            "--data",
            data.as_str(),
            "--listen",
            "127.0.0.1:0",
            "--device",
            "cpu",
        ];
        let output = run(&[&common, arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(said.contains(reason), "{arguments:?}: {said}");
    }
}

#[test]
fn doctor_checks_the_scorer() {
    let look = |scorer: &str, more: &[&str]| {
        let common = ["doctor", "--json", "--device", "cpu", "--scorer", scorer];
        run(&[&common, more].concat())
    };
    let checkpoint = folder("tests/goldens/qwen3vl/tied/checkpoint");
    let report = json(&look(&checkpoint, &[]));
    assert_eq!(report["scorer"]["found"], true);
    assert_eq!(report["scorer"]["name"], "checkpoint");
    assert_eq!(report["scorer"]["parameters"], 226_688);
    assert_eq!(report["scorer"]["device"], Value::Null);
    let here = json(&look(
        &checkpoint,
        &["--score-here", "--scorer-dtype", "int8"],
    ));
    let device = here["scorer"]["device"].as_str().unwrap();
    assert!(
        device.starts_with("cpu") && device.ends_with("int8"),
        "{device}"
    );
    let wrong = look(&folder("models/nano/molmoact2"), &[]);
    assert_eq!(wrong.status.code(), Some(1));
    let report = json(&wrong);
    assert_eq!(
        (&report["scorer"]["found"], &report["healthy"]),
        (&false.into(), &false.into())
    );
    assert!(
        report["scorer"]["error"]
            .as_str()
            .unwrap()
            .contains("model_type")
    );
}
