//! Support for the tests: a studio on a free port, a scripted policy, and a robot and a viewer as plain clients.

mod policy;
mod robot;
mod viewer;

pub use policy::{ROWS, Scripted, TAG};
pub use robot::{Robot, Socket, dial, hello, last_error, observation, report};
pub use viewer::{command, wait_details, wait_error, wait_status};

use policies::{
    Policy,
    chunking::Chunking,
    question_answerer::{Answering, unavailable},
};
use protocol::viewer::Watch;
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

/// Time limit of every wait.
pub const SOON: Duration = Duration::from_secs(10);

/// Limits with short times, for tests that wait until they expire.
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
        // A viewer that a test does not read for a while must not end the instruction; `stops` tests the opposite.
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

    /// Stops gracefully; panics if that takes longer than [`SOON`].
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
        let mut response = Vec::new();
        socket.read_to_end(&mut response).await.unwrap();
        String::from_utf8_lossy(&response).into_owned()
    }
}
