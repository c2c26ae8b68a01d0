//! The binary as a studio, its memory, and clients that send arbitrary bytes.

use bytes::Bytes;
use futures_util::SinkExt as _;
use protocol::{
    CameraDescription, FromRobot, FromViewer, JointDescription, robot::RobotHello,
    viewer::ViewerHello,
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

pub(crate) const MIB: usize = 1 << 20;
/// Memory limit of one peer, measured from outside.
const LIMIT: usize = 64 * MIB;

/// A running studio.
pub(crate) struct Studio {
    child: Child,
    pub(crate) address: String,
    /// Resident memory before the first client, in bytes.
    pub(crate) rss: usize,
    /// Its data folder.
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
    pub(crate) async fn start() -> Self {
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
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
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

    /// A line of `/proc/PID/status`, in bytes.
    pub(crate) fn memory(&self, field: &str) -> usize {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib << 10
    }

    pub(crate) async fn dial(&self, path: &str) -> Socket {
        let (socket, _) = connect_async(format!("ws://{}{path}", self.address))
            .await
            .unwrap();
        socket
    }

    pub(crate) async fn viewer(&self) -> Socket {
        let mut socket = self.dial("/ws/viewer").await;
        let hello = ViewerHello {
            client: "test".to_owned(),
        };
        put(&mut socket, FromViewer::from(hello).encode().unwrap()).await;
        socket
    }

    pub(crate) async fn robot(&self, name: &str) -> Socket {
        let mut socket = self.dial("/ws/robot").await;
        put(&mut socket, FromRobot::from(hello(name)).encode().unwrap()).await;
        socket
    }

    /// Checks that another client is served at once.
    pub(crate) async fn is_served(&self) {
        let request = async {
            let mut socket = TcpStream::connect(&self.address).await.unwrap();
            let bytes = b"GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
            socket.write_all(bytes).await.unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        };
        timeout(Duration::from_secs(5), request)
            .await
            .expect("served");
    }

    /// Checks that the peak memory is at most the limit above that of the start.
    pub(crate) async fn is_bounded(&self, what: &str) {
        self.is_served().await;
        let grew = self.memory("VmHWM").saturating_sub(self.rss);
        eprintln!("{what}: +{:.1} MiB at most", grew as f64 / MIB as f64);
        assert!(grew < LIMIT, "{what}: +{} MiB", grew / MIB);
    }
}

pub(crate) fn hello(name: &str) -> RobotHello {
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

/// Sends a frame; `false` if the studio does not take it in time.
pub(crate) async fn put(socket: &mut Socket, frame: Vec<u8>) -> bool {
    let sent = socket.send(Message::Binary(Bytes::from(frame)));
    matches!(timeout(Duration::from_secs(2), sent).await, Ok(Ok(())))
}

/// Header of a WebSocket message of `bytes` bytes.
pub(crate) fn announced(bytes: u64) -> Vec<u8> {
    let mut frame = vec![0x82, 0x80 | 127];
    frame.extend(bytes.to_be_bytes());
    frame.extend([0; 4]);
    frame
}

/// Sends bytes past the WebSocket library.
pub(crate) async fn raw(socket: &mut Socket, bytes: &[u8]) -> bool {
    let MaybeTlsStream::Plain(stream) = socket.get_mut() else {
        unreachable!()
    };
    matches!(
        timeout(Duration::from_secs(2), stream.write_all(bytes)).await,
        Ok(Ok(()))
    )
}
