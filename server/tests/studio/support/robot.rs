//! A robot as a plain WebSocket client, and its messages.

use super::{SOON, TAG, TestStudio};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{
    CameraDescription, FromRobot, JointDescription, TaskState, ToRobot, View, ViewEncoding,
    robot::{ActionChunk, Observation, RobotHello, RobotReport},
};
use std::time::Duration;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message},
};

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

/// A robot that is driven by the test.
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
        // Pings arrive all the time, so the timeout covers the whole wait.
        timeout(SOON, message).await.expect("a message in time")
    }

    /// Sends observations until a chunk arrives.
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

    /// The chunks that arrive within a time, with an observation every 20 ms.
    pub async fn chunks_within(&mut self, within: Duration) -> Vec<ActionChunk> {
        let deadline = tokio::time::Instant::now() + within;
        let mut chunks = Vec::new();
        while tokio::time::Instant::now() < deadline {
            self.observe().await;
            if let Some(ToRobot::Chunk(chunk)) = self.try_next(Duration::from_millis(20)).await {
                chunks.push(chunk);
            }
        }
        chunks
    }
}

/// Reads until the peer closes, and returns the last error that it sent.
pub async fn last_error(socket: &mut Socket) -> protocol::ErrorMessage {
    let mut last = None;
    let read = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Binary(frame))) => {
                    if let Ok(error) = protocol::decode::<protocol::ErrorMessage>(&frame) {
                        last = Some(error);
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
    last.expect("an error before the end")
}
