//! A process that serves a studio ends on a signal, even if a part of it hangs.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use policies::question_answerer::unavailable;
use server::{Config, Limits, recordings::Recordings, scorer_service, serve, signals};
use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// Environment variable that selects the part that hangs in the child process.
const HANGS: &str = "POLICY_STUDIO_TEST_HANGS";
/// Much longer than a process may take to end.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The child process of the tests below, not a test. Without the environment variable it does nothing.
#[test]
fn child() {
    let Ok(what) = std::env::var(HANGS) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let policy = Err("none".to_owned());
    let done = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = Config {
            policy,
            question_answerer: unavailable("The test"),
            scorer: scorer_service::unavailable("The test"),
            recordings: Recordings::default(),
            data: None,
            limits: Limits::default(),
        };
        let signalled = signals::listen(|| {}).unwrap();
        match what.as_str() {
            "pool" => drop(tokio::task::spawn_blocking(hang)),
            "runtime" => {
                for _ in 0..2 {
                    tokio::spawn(async { hang() });
                }
            }
            _ => {}
        }
        println!("\nready");
        if what == "main" {
            hang();
        }
        serve(listener, config, signalled.cancelled_owned()).await
    });
    runtime.shutdown_timeout(Duration::from_millis(500));
    done.unwrap();
    #[allow(
        clippy::exit,
        reason = "ends like the binary, without waiting for threads that hang"
    )]
    std::process::exit(0);
}

fn hang() {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

struct Program(Child);

impl Program {
    fn start(what: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture", "--test-threads", "1"])
            .env(HANGS, what)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines {
            if line.unwrap() == "ready" {
                break;
            }
        }
        Self(child)
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.0.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    fn ended(&mut self) -> (ExitStatus, Duration) {
        let started = Instant::now();
        while started.elapsed() < TIME_LIMIT {
            if let Some(status) = self.0.try_wait().unwrap() {
                return (status, started.elapsed());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the process did not end");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_signal_ends_a_studio_with_a_hanging_part() {
    for (what, status) in [("nothing", 0), ("pool", 0), ("main", 143), ("runtime", 143)] {
        let mut program = Program::start(what);
        program.signal("TERM");
        let (ended, took) = program.ended();
        eprintln!("{what} hangs: {ended} after {took:?}");
        // With the whole runtime hung, the stop task may or may not run before the time limit.
        assert!(
            ended.code() == Some(status) || what == "runtime" && ended.code() == Some(0),
            "{what}: {ended}"
        );
    }
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    for (first, second, status) in [
        ("TERM", "TERM", 143),
        ("TERM", "INT", 130),
        ("INT", "TERM", 143),
    ] {
        let mut program = Program::start("main");
        program.signal(first);
        std::thread::sleep(Duration::from_millis(300));
        assert!(program.0.try_wait().unwrap().is_none(), "it hangs");
        program.signal(second);
        let (ended, took) = program.ended();
        eprintln!("{first}, {second}: {ended} after {took:?}");
        assert_eq!(ended.code(), Some(status));
    }
}
