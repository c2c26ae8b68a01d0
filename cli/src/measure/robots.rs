//! Benchmark of several robots on one policy, with and without batching of the robots that wait.

use super::{live::LiveError, stats::Millis};
use policies::{
    ActRequest, EventSink, Policy, PolicyError, PolicyInfo, PolicyOutput, TokenCallback,
    chunking::Chunking,
};
use protocol::{
    Mode, ToViewer,
    viewer::{Command, Watch},
};
use serde::Serialize;
use server::{
    Config, Limits,
    client::{ClientError, ViewerClient},
    serve,
    sim_robot::{self, SimConfig},
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Time limit of every wait.
const WAIT_LIMIT: Duration = Duration::from_secs(20);
/// Time between the first decision of the last robot and the measurement.
const WARM_UP: Duration = Duration::from_secs(1);

/// Settings of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RobotsPlan {
    /// Number of simulated robots.
    pub(crate) robots: usize,
    /// Largest batch of the policy.
    pub(crate) max_batch: usize,
    /// Head of the policy.
    pub(crate) mode: Mode,
    /// Transition from one chunk to the next.
    pub(crate) chunking: Chunking,
    /// Length of the measurement.
    pub(crate) duration: Duration,
}

/// Results of a measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RobotsTimes {
    /// Number of robots.
    pub(crate) robots: usize,
    /// Largest batch.
    pub(crate) max_batch: usize,
    /// Chunks per second, of all robots together.
    pub(crate) chunks_per_sec: f64,
    /// From the arrival of an observation at the studio to the departure of its chunk, waiting included.
    pub(crate) latency: Millis,
}

/// A policy that several studios use in succession without loading it again.
#[derive(Clone)]
pub(crate) struct Shared {
    info: PolicyInfo,
    policy: Arc<Mutex<Box<dyn Policy>>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Shares a loaded policy.
    pub(crate) fn new(policy: Box<dyn Policy>) -> Self {
        Self {
            info: policy.info().clone(),
            policy: Arc::new(Mutex::new(policy)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Box<dyn Policy>> {
        // The server also keeps using a policy after a panic.
        self.policy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Policy for Shared {
    fn info(&self) -> &PolicyInfo {
        &self.info
    }

    fn act(&mut self, request: &ActRequest<'_>) -> Result<PolicyOutput, PolicyError> {
        self.lock().act(request)
    }

    fn act_streaming(
        &mut self,
        request: &ActRequest<'_>,
        on_tokens: &mut TokenCallback<'_>,
    ) -> Result<PolicyOutput, PolicyError> {
        self.lock().act_streaming(request, on_tokens)
    }

    fn act_batch(&mut self, requests: &[ActRequest<'_>], events: &mut EventSink<'_>) {
        self.lock().act_batch(requests, events);
    }

    fn forget(&mut self, robot: u64) {
        self.lock().forget(robot);
    }

    fn encode(&mut self, chunk_normalised: &[f32], rows: usize, dims: usize) -> Option<Vec<u32>> {
        self.lock().encode(chunk_normalised, rows, dims)
    }
}

/// Starts a studio with this policy and simulated robots, commands all of them, measures, and stops.
///
/// # Errors
/// [`LiveError`] when a part fails or nothing happens within 20 s.
pub(crate) async fn measure(policy: &Shared, plan: RobotsPlan) -> Result<RobotsTimes, LiveError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let stop = CancellationToken::new();
    let config = Config {
        policy: Ok(Box::new(policy.clone())),
        question_answerer: policies::question_answerer::unavailable("The benchmark"),
        scorer: server::scorer_service::unavailable("The benchmark"),
        recordings: Default::default(),
        data: None,
        limits: Limits {
            max_batch: plan.max_batch,
            chunking: plan.chunking,
            ..Limits::default()
        },
    };
    let studio = tokio::spawn(serve(listener, config, stop.clone().cancelled_owned()));
    let mut robots = JoinSet::new();
    for number in 0..plan.robots {
        let config = SimConfig::new(
            format!("http://{address}"),
            format!("bench-{number}"),
            1 + number as u64,
        );
        robots.spawn(sim_robot::run(config, stop.clone()));
    }
    let measured = drive(&address, plan).await;
    stop.cancel();
    while let Some(robot) = robots.join_next().await {
        robot??;
    }
    studio.await??;
    measured
}

async fn drive(address: &str, plan: RobotsPlan) -> Result<RobotsTimes, LiveError> {
    let mut viewers = Vec::new();
    for number in 0..plan.robots {
        viewers.push(start_robot(address, &format!("bench-{number}"), plan.mode).await?);
    }
    let starts_at = Instant::now() + WARM_UP;
    let mut viewers_counting = JoinSet::new();
    for viewer in viewers {
        viewers_counting.spawn(count(viewer, starts_at, plan.duration));
    }
    let mut latencies = Vec::new();
    while let Some(counted) = viewers_counting.join_next().await {
        latencies.extend(counted??);
    }
    Ok(RobotsTimes {
        robots: plan.robots,
        max_batch: plan.max_batch,
        chunks_per_sec: latencies.len() as f64 / plan.duration.as_secs_f64(),
        latency: Millis::of(latencies),
    })
}

/// Waits for a robot, commands it, and waits for its first decision.
async fn start_robot(address: &str, robot_id: &str, mode: Mode) -> Result<ViewerClient, LiveError> {
    let mut viewer = ViewerClient::connect(address, "bench").await?;
    viewer
        .wait_for("a robot in the list", WAIT_LIMIT, |message| match message {
            ToViewer::Robots(list) => {
                let is_listed = |id: &str| list.robots.iter().any(|robot| robot.robot_id == id);
                is_listed(robot_id).then_some(())
            }
            _ => None,
        })
        .await?;
    let watch = Watch {
        robot_id: robot_id.to_owned(),
    };
    viewer.send(&watch.into()).await?;
    let command = Command {
        robot_id: robot_id.to_owned(),
        // The simulator has no success test for this one, so it does not end early.
        text: "push the red cube".to_owned(),
        mode,
        heard_beat: None,
    };
    viewer.send(&command.into()).await?;
    let first = viewer.wait_for("a decision", WAIT_LIMIT, |message| {
        matches!(message, ToViewer::Trace(_)).then_some(())
    });
    first.await?;
    Ok(viewer)
}

/// The latencies of all decisions in the measured time, in milliseconds.
async fn count(
    mut viewer: ViewerClient,
    starts_at: Instant,
    duration: Duration,
) -> Result<Vec<f64>, ClientError> {
    let mut latencies = Vec::new();
    loop {
        // Joint states arrive at 10 Hz, so the loop ends soon after the measured time.
        let message = viewer.next().await?;
        let now = Instant::now();
        if now >= starts_at + duration {
            return Ok(latencies);
        }
        if let (ToViewer::Trace(trace), true) = (message, now >= starts_at) {
            latencies.push(trace.latency_micros as f64 / 1e3);
        }
    }
}
