//! What the binary's memory does while somebody tries to fill it. One peer, known or not, gets less than 64 MiB.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{
    CameraDescription, ErrorMessage, FromRobot, FromViewer, JointDescription, View, ViewEncoding,
    robot::{Observation, RobotHello},
    scene::Ask,
    viewer::{StopRobot, ViewerHello, Watch},
};
use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const MIB: usize = 1 << 20;
/// What one peer may cost, measured from outside.
const LIMIT: usize = 64 * MIB;

/// The binary, as somebody starts it.
struct Studio {
    child: Child,
    address: String,
    /// Before anybody came.
    rss: usize,
    /// Its data, which no other studio may have.
    data: PathBuf,
}

impl Drop for Studio {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_dir_all(&self.data).ok();
    }
}

impl Studio {
    async fn start() -> Self {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("memory-{}-{number}", std::process::id());
        let data = std::env::temp_dir().join(name);
        let mut child = Command::new(env!("CARGO_BIN_EXE_policy-studio"))
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--no-sim",
                "--device",
                "cpu",
                "--data",
            ])
            .arg(&data)
            .env("RUST_LOG", "info")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        let (_, address) = line.trim().split_once("http://").unwrap();
        let mut studio = Self {
            child,
            address: address.to_owned(),
            rss: 0,
            data,
        };
        studio.is_served().await;
        sleep(Duration::from_millis(500)).await;
        studio.rss = studio.memory("VmRSS");
        studio
    }

    fn memory(&self, what: &str) -> usize {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with(what)).unwrap();
        let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib << 10
    }

    async fn dial(&self, path: &str) -> Socket {
        let (socket, _) = connect_async(format!("ws://{}{path}", self.address))
            .await
            .unwrap();
        socket
    }

    async fn viewer(&self) -> Socket {
        let mut socket = self.dial("/ws/viewer").await;
        let hello = ViewerHello {
            client: "test".to_owned(),
        };
        put(&mut socket, FromViewer::from(hello).encode().unwrap()).await;
        socket
    }

    async fn robot(&self, name: &str) -> Socket {
        let mut socket = self.dial("/ws/robot").await;
        put(&mut socket, FromRobot::from(hello(name)).encode().unwrap()).await;
        socket
    }

    /// Somebody else is served at once.
    async fn is_served(&self) {
        let ask = async {
            let mut socket = TcpStream::connect(&self.address).await.unwrap();
            let request = b"GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
            socket.write_all(request).await.unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        };
        timeout(Duration::from_secs(5), ask).await.expect("served");
    }

    /// The highest that memory ever was is little more than at the start.
    async fn is_bounded(&self, what: &str) {
        self.is_served().await;
        let grew = self.memory("VmHWM").saturating_sub(self.rss);
        eprintln!("{what}: +{:.1} MiB at most", grew as f64 / MIB as f64);
        assert!(grew < LIMIT, "{what}: +{} MiB", grew / MIB);
    }
}

fn hello(name: &str) -> RobotHello {
    let joint = |name: &str| JointDescription {
        name: name.to_owned(),
        unit: "deg".to_owned(),
        min: -90.0,
        max: 90.0,
    };
    RobotHello {
        name: name.to_owned(),
        tag: "policy_studio_sim".to_owned(),
        joints: vec![joint("a"), joint("b")],
        cameras: vec![CameraDescription {
            name: "eye".to_owned(),
            width: 32,
            height: 24,
            has_depth: false,
        }],
        control_rate_hz: 30.0,
        example_instructions: vec!["go 5".to_owned()],
        simulated: false,
        resume_token: None,
    }
}

async fn put(socket: &mut Socket, frame: Vec<u8>) -> bool {
    let sent = socket.send(Message::Binary(Bytes::from(frame)));
    matches!(timeout(Duration::from_secs(2), sent).await, Ok(Ok(())))
}

/// The beginning of a message of so many bytes.
fn announced(bytes: u64) -> Vec<u8> {
    let mut frame = vec![0x82, 0x80 | 127];
    frame.extend(bytes.to_be_bytes());
    frame.extend([0; 4]);
    frame
}

/// Sends bytes that a library would not.
async fn raw(socket: &mut Socket, bytes: &[u8]) -> bool {
    let MaybeTlsStream::Plain(stream) = socket.get_mut() else {
        unreachable!()
    };
    matches!(
        timeout(Duration::from_secs(2), stream.write_all(bytes)).await,
        Ok(Ok(()))
    )
}

#[tokio::test]
async fn stops_with_huge_ids_from_a_viewer_that_does_not_read() {
    let studio = Studio::start().await;
    let mut viewer = studio.viewer().await;
    let mut frame = b"PS\x01\x24\x82\xa8robot_id\xdb".to_vec();
    frame.extend((15 * MIB as u32).to_be_bytes());
    frame.extend(vec![b'x'; 15 * MIB]);
    frame.extend(b"\xa8press_id\x01");
    for _ in 0..70 {
        if !put(&mut viewer, frame.clone()).await {
            break;
        }
    }
    // As long as the wire permits.
    let mut viewer = studio.viewer().await;
    for press_id in 0..5_000 {
        let stop = StopRobot {
            robot_id: "x".repeat(256),
            press_id,
        };
        if !put(&mut viewer, FromViewer::from(stop).encode().unwrap()).await {
            break;
        }
    }
    studio.is_bounded("70 stops with ids of 15 MiB").await;
}

#[tokio::test]
async fn questions_about_an_unknown_robot_from_a_viewer_that_does_not_read() {
    let studio = Studio::start().await;
    let mut viewer = studio.viewer().await;
    for question_id in 0..60_000 {
        let ask = Ask {
            robot_id: "nobody".to_owned(),
            question_id,
            cameras: vec!["eye".to_owned()],
            question: "q".repeat(1000),
        };
        if !put(&mut viewer, FromViewer::from(ask).encode().unwrap()).await {
            break;
        }
    }
    studio.is_bounded("60,000 questions").await;
}

#[tokio::test]
async fn unfinished_messages_before_any_hello() {
    let studio = Studio::start().await;
    let mut sockets = Vec::new();
    let begin = [announced(15 * MIB as u64), vec![0; 14 * MIB]].concat();
    for number in 0..60 {
        let path = ["/ws/robot", "/ws/viewer"][number % 2];
        let mut socket = studio.dial(path).await;
        raw(&mut socket, &begin).await;
        sockets.push(socket);
    }
    // The same in pieces, and as much as may come before the hello.
    for _ in 0..200 {
        let mut socket = studio.dial("/ws/robot").await;
        raw(
            &mut socket,
            &[announced(60 << 10), vec![0; 59 << 10]].concat(),
        )
        .await;
        sockets.push(socket);
    }
    studio.is_bounded("60 unfinished messages of 15 MiB").await;
}

#[tokio::test]
async fn announcements_without_a_byte_of_what_they_announce() {
    let studio = Studio::start().await;
    let mut sockets = Vec::new();
    for _ in 0..300 {
        let mut socket = studio.dial("/ws/robot").await;
        raw(&mut socket, &announced(16 * MIB as u64)).await;
        sockets.push(socket);
    }
    studio.is_bounded("300 announcements of 16 MiB").await;
    drop(sockets);
    sleep(Duration::from_secs(2)).await;
    let kept = studio.memory("VmRSS").saturating_sub(studio.rss);
    assert!(kept < 16 * MIB, "{} MiB are kept", kept / MIB);
}

#[tokio::test]
async fn errors_and_hellos_of_a_robot_that_are_huge() {
    let studio = Studio::start().await;
    let mut robot = studio.robot("arm").await;
    let mut viewer = studio.viewer().await;
    let watch = Watch {
        robot_id: "arm".to_owned(),
    };
    put(&mut viewer, FromViewer::from(watch).encode().unwrap()).await;
    for _ in 0..19 {
        let mut frame = b"PS\x01\x7f\x83\xa4code\xa1x\xa5fatal\xc2\xa7message\xdb".to_vec();
        frame.extend((10 * MIB as u32).to_be_bytes());
        frame.extend(vec![b'x'; 10 * MIB]);
        put(&mut robot, frame).await;
    }
    for _ in 0..20_000 {
        let error = ErrorMessage {
            code: "x".to_owned(),
            message: "y".repeat(4000),
            fatal: false,
        };
        if !put(&mut robot, FromRobot::from(error).encode().unwrap()).await {
            break;
        }
    }
    studio.is_bounded("errors of 10 MiB").await;
}

#[tokio::test]
async fn frames_that_unfold_into_many_values() {
    let studio = Studio::start().await;
    let mut robot = studio.robot("arm").await;
    for each in [&b"\xc0"[..], b"\x80", b"\x90", b"\x01"] {
        for field in [&b"\xa5views"[..], b"\xa5state", b"\xa7unknown"] {
            let count = 15 * MIB as u32;
            let mut frame = [b"PS\x01\x02\x81", field, b"\xdd"].concat();
            frame.extend(count.to_be_bytes());
            frame.extend(each.repeat(count as usize));
            if !put(&mut robot, frame).await {
                robot = studio.robot("arm").await;
            }
        }
    }
    let mut frame = b"PS\x01\x02\x81\xa7unknown".to_vec();
    frame.extend(vec![0x91; 15 * MIB]);
    put(&mut robot, frame).await;
    studio.is_bounded("16 million values in a frame").await;
}

/// The largest observation: one view of random colours.
fn largest_frame(sequence: u64, height: u32) -> Vec<u8> {
    const WIDTH: u32 = 4096;
    let numbers = (0..WIDTH * height * 3).map(|i| i.wrapping_mul(2_654_435_761) >> 24);
    let observation = Observation {
        sequence,
        captured_at_micros: sequence * 33_333,
        state: vec![0.0, 0.0],
        commanded: Vec::new(),
        views: vec![View {
            name: "eye".to_owned(),
            encoding: ViewEncoding::Rgb8,
            width: WIDTH,
            height,
            data: numbers.map(|number| number as u8).collect(),
        }],
    };
    FromRobot::from(observation).encode().unwrap()
}

/// Frames of two sizes in turns, so that a read buffer that grows for each of them shows, with somebody who watches.
async fn watched_robot(what: &str, heights: [u32; 2]) {
    let studio = Studio::start().await;
    let mut robot = studio.robot("arm").await;
    let mut viewer = studio.viewer().await;
    let watch = Watch {
        robot_id: "arm".to_owned(),
    };
    put(&mut viewer, FromViewer::from(watch).encode().unwrap()).await;
    let reading = tokio::spawn(async move { while let Some(Ok(_)) = viewer.next().await {} });
    let frames = heights.map(|height| largest_frame(1, height));
    for number in 0..16 {
        let frame = frames[number % 2].clone();
        assert!(put(&mut robot, frame).await, "{what}: it is read");
    }
    studio.is_bounded(what).await;
    reading.abort();
}

#[tokio::test]
async fn a_robot_with_the_largest_frames() {
    let largest = largest_frame(1, 1365).len();
    assert!(largest > protocol::MAX_FRAME_BYTES - (8 << 10));
    watched_robot("a robot with frames of 16 MiB", [1305, 1365]).await;
}

#[tokio::test]
async fn a_robot_with_the_largest_frames_of_which_the_pictures_are_kept() {
    watched_robot("a robot with frames of 13 MiB", [1100, 1140]).await;
}

#[tokio::test]
async fn lists_of_many_robots_that_nobody_reads() {
    let studio = Studio::start().await;
    let large = |name: &str| {
        let mut hello = hello(name);
        while FromRobot::from(hello.clone()).encode().is_ok() {
            hello.example_instructions.push("e".repeat(2000));
        }
        hello.example_instructions.pop();
        FromRobot::from(hello).encode().unwrap()
    };
    let mut robots = Vec::new();
    for number in 0..180 {
        let mut socket = studio.dial("/ws/robot").await;
        put(&mut socket, large(&format!("arm{number}"))).await;
        let greeted = timeout(Duration::from_secs(5), socket.next()).await;
        assert!(matches!(greeted, Ok(Some(Ok(_)))), "{greeted:?}");
        robots.push(socket);
        if robots.len() > 60 {
            robots.remove(0);
        }
    }
    let mut unread = Vec::new();
    for _ in 0..100 {
        let mut socket = TcpStream::connect(&studio.address).await.unwrap();
        let request = b"GET /api/robots HTTP/1.1\r\nHost: test\r\n\r\n";
        socket.write_all(request).await.unwrap();
        unread.push(socket);
    }
    sleep(Duration::from_secs(1)).await;
    studio.is_bounded("100 lists of 180 robots, unread").await;
}

#[tokio::test]
async fn more_idle_connections_than_there_are_descriptors() {
    let studio = Studio::start().await;
    let mut idle = Vec::new();
    // As many descriptors as the test itself may have; half of the connections drip a header.
    for number in 0..1_500 {
        let Ok(mut socket) = TcpStream::connect(&studio.address).await else {
            break;
        };
        if number % 2 == 0 {
            socket.write_all(b"GET / HTTP/1.1\r\nX-").await.ok();
        }
        idle.push(socket);
    }
    assert!(idle.len() > 900, "{}", idle.len());
    for _ in 0..10 {
        studio.is_served().await;
    }
    let mut viewer = studio.viewer().await;
    let told = timeout(Duration::from_secs(5), viewer.next()).await;
    assert!(matches!(told, Ok(Some(Ok(Message::Binary(_))))), "{told:?}");
    studio.is_bounded("1,500 idle connections").await;
}
