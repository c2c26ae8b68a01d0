//! The log of the binary: a studio whose standard error is a full pipe without a reader still serves, stops robots and ends,
//! and one peer causes few lines.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{
    FromRobot, JointDescription, Mode, ToViewer,
    robot::RobotHello,
    viewer::{Command, StopRobot},
};
use server::client::ViewerClient;
use std::{
    io::{BufRead as _, BufReader, PipeReader, PipeWriter, Read as _, Write as _},
    path::Path,
    process::{self, Child, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::sync_channel,
    },
    thread,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{connect_async, tungstenite::Message};

const SOON: Duration = Duration::from_secs(60);
/// Time limit for the process to end after a signal.
const END_WITHIN: Duration = Duration::from_secs(5);
/// Commands of a flood: more than the few thousand lines that fit into the pipe and the queue.
const COMMANDS: usize = 10_000;

/// The unread end of the log's pipe.
struct Pipe {
    reader: PipeReader,
    /// True while a thread keeps the pipe full.
    fills: Arc<AtomicBool>,
}

struct Studio {
    child: Child,
    address: String,
}

impl Drop for Studio {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Studio {
    /// Starts the binary with a full pipe as its log, and returns the read end.
    fn start(test: &str) -> (Self, Pipe) {
        let (reader, writer) = std::io::pipe().unwrap();
        let fills = Arc::new(AtomicBool::new(true));
        thread::spawn({
            let (mut to, fills) = (writer.try_clone().unwrap(), fills.clone());
            // Blocks until the pipe is read.
            move || {
                while fills.load(Ordering::Acquire) && to.write_all(&[b'x'; 4096]).is_ok() {}
            }
        });
        thread::sleep(Duration::from_millis(300));
        let studio = Self::with_log(test, "debug", writer);
        (studio, Pipe { reader, fills })
    }

    fn with_log(test: &str, filter: &str, log: PipeWriter) -> Self {
        let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("log-{test}"));
        std::fs::remove_dir_all(&data).ok();
        let mut child = process::Command::new(env!("CARGO_BIN_EXE_policy-studio"))
            .args(["serve", "--listen", "127.0.0.1:0", "--device", "cpu"])
            .arg("--data")
            .arg(data)
            .env("RUST_LOG", filter)
            .stdout(Stdio::piped())
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        let mut studio = Self {
            child,
            address: String::new(),
        };
        let (said, says) = sync_channel(1);
        thread::spawn(move || {
            let mut line = String::new();
            BufReader::new(out).read_line(&mut line).ok();
            said.send(line).ok();
        });
        let line = says.recv_timeout(SOON).expect("it starts");
        let (_, address) = line.trim().split_once("http://").unwrap();
        studio.address = address.to_owned();
        studio
    }

    async fn is_well(&self) {
        let ask = async {
            let mut socket = TcpStream::connect(&self.address).await.unwrap();
            let request = b"GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
            socket.write_all(request).await.unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        };
        timeout(SOON, ask).await.expect("health is answered");
    }

    /// A viewer that sends many commands. Each is a line of the log, far more than the queue holds.
    async fn flood(&self) -> ViewerClient {
        let mut viewer = ViewerClient::connect(&self.address, "test").await.unwrap();
        let is_here = |message| match message {
            ToViewer::Robots(list) => {
                let mut robots = list.robots.iter();
                robots
                    .any(|robot| robot.robot_id == "sim" && robot.connected)
                    .then_some(())
            }
            _ => None,
        };
        viewer
            .wait_for("the built-in robot", SOON, is_here)
            .await
            .unwrap();
        for _ in 0..COMMANDS {
            let command = Command {
                robot_id: "sim".to_owned(),
                text: String::new(),
                mode: Mode::Continuous,
                heard_beat: None,
            };
            viewer.send(&command.into()).await.unwrap();
        }
        viewer
    }

    /// Stops the robot after all previous messages of the viewer.
    async fn stop(viewer: &mut ViewerClient) {
        let stop = StopRobot {
            robot_id: "sim".to_owned(),
            press_id: 7,
        };
        viewer.send(&stop.into()).await.unwrap();
        let accepted = viewer.wait_for("the answer to the stop", SOON, |message| match message {
            ToViewer::StopAccepted(accepted) => Some(accepted),
            _ => None,
        });
        let accepted = accepted.await.unwrap();
        assert_eq!(accepted.press_id, 7);
        assert_eq!(accepted.robots[0].robot_id, "sim");
    }

    fn terminate(&mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(
            process::Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        let signalled_at = Instant::now();
        while signalled_at.elapsed() < END_WITHIN {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("it lives on after {END_WITHIN:?}");
    }
}

#[tokio::test]
async fn an_unread_log_delays_neither_stops_nor_health_nor_the_end() {
    let (mut studio, mut pipe) = Studio::start("held");
    let mut viewer = studio.flood().await;
    Studio::stop(&mut viewer).await;
    studio.is_well().await;
    assert_eq!(studio.terminate().code(), Some(0));
    // The pipe has not been read until here.
    let mut first = [0];
    pipe.reader.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"x");
}

#[tokio::test]
async fn a_log_that_is_read_again_reports_the_lost_lines() {
    let (mut studio, mut pipe) = Studio::start("read");
    let mut viewer = studio.flood().await;
    Studio::stop(&mut viewer).await;
    pipe.fills.store(false, Ordering::Release);
    let reading = thread::spawn(move || {
        let mut log = Vec::new();
        pipe.reader.read_to_end(&mut log).ok();
        log
    });
    assert_eq!(studio.terminate().code(), Some(0));
    let log = reading.join().unwrap();
    let log = String::from_utf8_lossy(&log);
    let (before, _) = log
        .split_once(" lines of this log are lost")
        .expect("the log says so");
    let lost = before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap();
    let lost: usize = lost.parse().unwrap();
    assert!(lost > COMMANDS / 2, "{lost}");
}

#[tokio::test]
async fn a_robot_that_reconnects_under_new_names_causes_few_log_lines() {
    const ROBOTS: usize = 500;
    let (mut reader, writer) = std::io::pipe().unwrap();
    let log = Arc::<Mutex<Vec<u8>>>::default();
    thread::spawn({
        let log = log.clone();
        move || {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut piece) {
                log.lock().unwrap().extend_from_slice(&piece[..read]);
            }
        }
    });
    let studio = Studio::with_log("robots", "info", writer);
    let began = Instant::now();
    let before = log.lock().unwrap().len();
    for number in 0..ROBOTS {
        let url = format!("ws://{}/ws/robot", studio.address);
        let dialled = timeout(SOON, connect_async(url)).await.expect("served");
        let (mut socket, _) = dialled.unwrap();
        let hello = RobotHello {
            name: format!("hostile-{number}"),
            tag: "policy_studio_sim".to_owned(),
            joints: vec![JointDescription {
                name: "pan".to_owned(),
                unit: "deg".to_owned(),
                min: -90.0,
                max: 90.0,
            }],
            cameras: Vec::new(),
            control_rate_hz: 30.0,
            example_instructions: Vec::new(),
            simulated: false,
            resume_token: None,
        };
        let frame = Bytes::from(FromRobot::from(hello).encode().unwrap());
        socket.send(Message::Binary(frame)).await.unwrap();
        // The welcome or a refusal shows that the studio has handled the hello.
        timeout(SOON, socket.next()).await.expect("answered");
    }
    while !String::from_utf8_lossy(&log.lock().unwrap()).contains("left out") {
        assert!(began.elapsed() < SOON, "nothing says how many");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let bytes = log.lock().unwrap().len() - before;
    let may = 16_384.0 + 3072.0 * began.elapsed().as_secs_f64();
    assert!((bytes as f64) < may, "{bytes} bytes of log, {may} at most");
    let said = log.lock().unwrap();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("robot hostile-0 is here"), "{said}");
}
