//! A studio on a free port, a scripted policy, a robot and a viewer as plain clients.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use policies::{
    ActRequest, Policy, PolicyError, PolicyInfo, PolicyOutput, TagInfo,
    chunking::Chunking,
    question_answerer::{Answering, unavailable},
};
use protocol::{
    CameraDescription, FromRobot, JointDescription, Mode, Stage, TaskState, ToRobot, ToViewer,
    View, ViewEncoding,
    robot::{ActionChunk, Observation, RobotHello, RobotReport},
    viewer::{ActionDimension, Command, RobotDetails, RobotStatus, Watch},
};
use server::{
    Config, Limits,
    client::ViewerClient,
    recordings::Recordings,
    scorer_service::{self, Scoring},
    serve,
};
use std::time::Duration;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message},
};

pub const SOON: Duration = Duration::from_secs(10);
pub const TAG: &str = "two_joints";
pub const ROWS: usize = 10;

/// Commands the number behind the last word of the sentence, for both joints: `go 5` gives rows of 5.0.
/// `break`, `crash`, `nan` and `slow` do what they say.
pub struct Scripted {
    info: PolicyInfo,
}

impl Scripted {
    pub fn new() -> Self {
        let dimension = |name: &str| ActionDimension {
            name: name.to_owned(),
            low: -100.0,
            high: 100.0,
            normalised: true,
        };
        Self {
            info: PolicyInfo {
                name: "scripted".to_owned(),
                parameters: 0,
                device: "none".to_owned(),
                modes: vec![Mode::Continuous],
                tags: vec![TagInfo {
                    tag: TAG.to_owned(),
                    cameras: vec!["eye".to_owned()],
                    state_dim: 2,
                    action: vec![dimension("a"), dimension("b")],
                    mean_action: vec![0.0, 0.0],
                    horizon: ROWS,
                    n_action_steps: 1,
                }],
                tokenizer: None,
                depth: None,
            },
        }
    }
}

impl Policy for Scripted {
    fn info(&self) -> &PolicyInfo {
        &self.info
    }

    fn act(&mut self, request: &ActRequest<'_>) -> Result<PolicyOutput, PolicyError> {
        let word = request.instruction.split(' ').next_back().unwrap();
        let target = match word {
            "break" => return Err(PolicyError::new("told to break")),
            "crash" => panic!("told to crash"),
            "nan" => f32::NAN,
            "slow" => {
                std::thread::sleep(Duration::from_millis(400));
                1.0
            }
            number => number.parse().unwrap(),
        };
        Ok(PolicyOutput {
            rows: ROWS,
            dims: 2,
            actions: vec![target; ROWS * 2],
            chunk_normalised: vec![target / 100.0; ROWS * 2],
            prompt: format!("<|im_start|> {}", request.instruction),
            prompt_tokens: 3,
            action_tokens: Vec::new(),
            depth: None,
            stages: vec![Stage {
                name: "flow".to_owned(),
                micros: 1,
            }],
        })
    }
}

/// Short times, so that tests of silence do not last.
pub fn quick() -> Limits {
    Limits {
        hello_within: Duration::from_millis(300),
        ping_every: Duration::from_millis(200),
        silence: Duration::from_millis(900),
        max_chunk_age: Duration::from_millis(250),
        chunking: Chunking::Plain,
        unattended: true,
        ..Limits::default()
    }
}

pub struct TestStudio {
    pub address: String,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl TestStudio {
    pub async fn start() -> Self {
        // A viewer that a test does not read for a while must not end the instruction; `stops` tests that it does.
        let limits = Limits {
            chunking: Chunking::Plain,
            unattended: true,
            ..Limits::default()
        };
        Self::with(Ok(Box::new(Scripted::new())), limits).await
    }

    pub async fn with(policy: Result<Box<dyn Policy>, String>, limits: Limits) -> Self {
        Self::with_question_answerer(policy, unavailable("The test"), limits).await
    }

    pub async fn with_question_answerer(
        policy: Result<Box<dyn Policy>, String>,
        question_answerer: Answering,
        limits: Limits,
    ) -> Self {
        Self::of(Config {
            policy,
            question_answerer,
            scorer: scorer_service::unavailable("The test"),
            recordings: Recordings::default(),
            data: None,
            limits,
        })
        .await
    }

    pub async fn with_scorer(scorer: Scoring, limits: Limits) -> Self {
        Self::of(Config {
            policy: Err("none".to_owned()),
            question_answerer: unavailable("The test"),
            scorer,
            recordings: Recordings::default(),
            data: None,
            limits,
        })
        .await
    }

    pub async fn with_recordings(recordings: Recordings) -> Self {
        Self::of(Config {
            policy: Err("none".to_owned()),
            question_answerer: unavailable("The test"),
            scorer: scorer_service::unavailable("The test"),
            recordings,
            data: None,
            limits: Limits::default(),
        })
        .await
    }

    pub async fn of(config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(async move {
            serve(listener, config, async {
                stopped.await.ok();
            })
            .await
            .unwrap();
        });
        Self {
            address,
            stop: Some(stop),
            running,
        }
    }

    /// Stops gracefully; panics if that takes long.
    pub async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        timeout(SOON, self.running).await.unwrap().unwrap();
    }

    pub async fn viewer(&self) -> ViewerClient {
        ViewerClient::connect(&self.address, "test").await.unwrap()
    }

    /// A viewer that watches a robot.
    pub async fn watcher(&self, robot_id: &str) -> ViewerClient {
        let mut viewer = self.viewer().await;
        let watch = Watch {
            robot_id: robot_id.to_owned(),
        };
        viewer.send(&watch.into()).await.unwrap();
        viewer
    }

    pub async fn get(&self, path: &str, headers: &str) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut socket = TcpStream::connect(&self.address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

pub fn hello(name: &str) -> RobotHello {
    let joint = |name: &str| JointDescription {
        name: name.to_owned(),
        unit: "deg".to_owned(),
        min: -90.0,
        max: 90.0,
    };
    RobotHello {
        name: name.to_owned(),
        tag: TAG.to_owned(),
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

pub fn observation(sequence: u64) -> Observation {
    Observation {
        sequence,
        captured_at_micros: sequence * 1000,
        state: vec![0.0, 0.0],
        commanded: Vec::new(),
        views: vec![View {
            name: "eye".to_owned(),
            encoding: ViewEncoding::Rgb8,
            width: 32,
            height: 24,
            data: vec![128; 32 * 24 * 3],
        }],
    }
}

pub fn report(instruction: &str, task: TaskState) -> RobotReport {
    RobotReport {
        at_micros: 0,
        instruction: instruction.to_owned(),
        task,
        task_secs: 0.0,
        holding: false,
        stopped: false,
        ticks: 1,
        late_ticks: 0,
        clamped: 0,
        refused_chunks: 0,
        last_refusal: String::new(),
    }
}

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub async fn dial(studio: &TestStudio, path: &str) -> Socket {
    let (socket, _) = connect_async(format!("ws://{}{path}", studio.address))
        .await
        .unwrap();
    socket
}

/// A robot that does only what the test tells it.
pub struct Robot {
    pub socket: Socket,
    pub robot_id: String,
    pub sequence: u64,
}

impl Robot {
    pub async fn connect(studio: &TestStudio, name: &str) -> Self {
        let mut robot = Self {
            socket: dial(studio, "/ws/robot").await,
            robot_id: String::new(),
            sequence: 0,
        };
        robot.send(hello(name)).await;
        robot.robot_id = loop {
            if let ToRobot::Welcome(welcome) = robot.next().await {
                break welcome.robot_id;
            }
        };
        robot
    }

    pub async fn send(&mut self, message: impl Into<FromRobot>) {
        let frame = message.into().encode().unwrap();
        self.send_bytes(frame).await;
    }

    pub async fn send_bytes(&mut self, bytes: Vec<u8>) {
        self.socket
            .send(Message::Binary(Bytes::from(bytes)))
            .await
            .unwrap();
    }

    pub async fn observe(&mut self) {
        self.sequence += 1;
        self.send(observation(self.sequence)).await;
    }

    pub async fn next(&mut self) -> ToRobot {
        let message = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Binary(frame))) => return ToRobot::decode(&frame).unwrap(),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    other => panic!("expected a message, got {other:?}"),
                }
            }
        };
        // Pings come all the time, so the wait is for all of it.
        timeout(SOON, message).await.expect("a message in time")
    }

    /// Observes until a chunk comes.
    pub async fn chunk(&mut self) -> ActionChunk {
        let search = async {
            loop {
                self.observe().await;
                while let Some(message) = self.try_next(Duration::from_millis(50)).await {
                    if let ToRobot::Chunk(chunk) = message {
                        return chunk;
                    }
                }
            }
        };
        timeout(SOON, search).await.expect("a chunk in time")
    }

    /// The next message within a time.
    pub async fn try_next(&mut self, within: Duration) -> Option<ToRobot> {
        timeout(within, async {
            loop {
                if let Message::Binary(frame) = self.socket.next().await.unwrap().unwrap() {
                    return ToRobot::decode(&frame).unwrap();
                }
            }
        })
        .await
        .ok()
    }

    /// The chunks that come within a time, while observing every 20 ms.
    pub async fn chunks_within(&mut self, within: Duration) -> Vec<ActionChunk> {
        let until = tokio::time::Instant::now() + within;
        let mut chunks = Vec::new();
        while tokio::time::Instant::now() < until {
            self.observe().await;
            if let Some(ToRobot::Chunk(chunk)) = self.try_next(Duration::from_millis(20)).await {
                chunks.push(chunk);
            }
        }
        chunks
    }
}

/// Reads until the peer closes, and returns the last error it told.
pub async fn last_error(socket: &mut Socket) -> protocol::ErrorMessage {
    let mut told = None;
    let read = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Binary(frame))) => {
                    if let Ok(error) = protocol::decode::<protocol::ErrorMessage>(&frame) {
                        told = Some(error);
                    }
                }
                None | Some(Ok(Message::Close(_)) | Err(Error::Protocol(_) | Error::Io(_))) => {
                    break;
                }
                Some(_) => {}
            }
        }
    };
    timeout(SOON, read)
        .await
        .expect("the connection ends in time");
    told.expect("an error before the end")
}

pub async fn command(viewer: &mut ViewerClient, robot_id: &str, text: &str) {
    let command = Command {
        robot_id: robot_id.to_owned(),
        text: text.to_owned(),
        mode: Mode::Continuous,
        heard_beat: None,
    };
    viewer.send(&command.into()).await.unwrap();
}

pub async fn wait_status(
    viewer: &mut ViewerClient,
    wanted: impl Fn(&RobotStatus) -> bool,
) -> RobotStatus {
    viewer
        .wait_for("a status", SOON, |message| match message {
            ToViewer::Status(status) if wanted(&status) => Some(status),
            _ => None,
        })
        .await
        .unwrap()
}

pub async fn wait_details(
    viewer: &mut ViewerClient,
    wanted: impl Fn(&RobotDetails) -> bool,
) -> RobotDetails {
    viewer
        .wait_for("the details", SOON, |message| match message {
            ToViewer::Details(details) if wanted(&details) => Some(details),
            _ => None,
        })
        .await
        .unwrap()
}

pub async fn wait_error(viewer: &mut ViewerClient) -> protocol::ErrorMessage {
    viewer
        .wait_for("an error", SOON, |message| match message {
            ToViewer::Error(error) => Some(error),
            _ => None,
        })
        .await
        .unwrap()
}
