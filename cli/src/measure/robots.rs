//! Several robots at one policy: does it pay to ask it for those who wait together?

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

const PATIENCE: Duration = Duration::from_secs(20);
/// After the last robot has set off, before anything is counted.
const WARM_UP: Duration = Duration::from_secs(1);

/// What to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RobotsPlan {
    /// Simulated robots that are driven at the same time.
    pub(crate) robots: usize,
    /// Of which the policy answers so many together, at most.
    pub(crate) max_batch: usize,
    /// Head of the policy.
    pub(crate) mode: Mode,
    /// How a chunk meets the one before.
    pub(crate) chunking: Chunking,
    /// Length of the measurement.
    pub(crate) duration: Duration,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RobotsTimes {
    /// Robots.
    pub(crate) robots: usize,
    /// Answered together, at most.
    pub(crate) max_batch: usize,
    /// Chunks a second, of all robots.
    pub(crate) chunks_per_sec: f64,
    /// From the arrival of an observation at the studio to the departure of its chunk, waiting included.
    pub(crate) latency: Millis,
}

/// A policy that several studios use, one after the other, without loading it again.
#[derive(Clone)]
pub(crate) struct Shared {
    info: PolicyInfo,
    actor: Arc<Mutex<Box<dyn Policy>>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Of a loaded policy.
    pub(crate) fn new(actor: Box<dyn Policy>) -> Self {
        Self {
            info: actor.info().clone(),
            actor: Arc::new(Mutex::new(actor)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Box<dyn Policy>> {
        // A policy is asked again after a panic elsewhere, too.
        self.actor.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn act_batch(&mut self, requests: &[ActRequest<'_>], told: &mut EventSink<'_>) {
        self.lock().act_batch(requests, told);
    }

    fn forget(&mut self, robot: u64) {
        self.lock().forget(robot);
    }

    fn encode(&mut self, chunk_normalised: &[f32], rows: usize, dims: usize) -> Option<Vec<u32>> {
        self.lock().encode(chunk_normalised, rows, dims)
    }
}

/// Starts a studio with this policy and simulated robots, drives all of them, and stops.
///
/// # Errors
/// [`LiveError`] when a part fails or nothing happens within 20 s.
pub(crate) async fn measure(policy: &Shared, plan: RobotsPlan) -> Result<RobotsTimes, LiveError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let stop = CancellationToken::new();
    let config = Config {
        policy: Ok(Box::new(policy.clone())),
        question_answerer: policies::question_answerer::unavailable("A measurement"),
        scorer: server::scorer_service::unavailable("A measurement"),
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
        viewers.push(set_off(address, &format!("bench-{number}"), plan.mode).await?);
    }
    let begins_at = Instant::now() + WARM_UP;
    let mut counting = JoinSet::new();
    for viewer in viewers {
        counting.spawn(count(viewer, begins_at, plan.duration));
    }
    let mut latencies = Vec::new();
    while let Some(counted) = counting.join_next().await {
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
async fn set_off(address: &str, robot_id: &str, mode: Mode) -> Result<ViewerClient, LiveError> {
    let mut viewer = ViewerClient::connect(address, "bench").await?;
    viewer
        .wait_for("a robot in the list", PATIENCE, |message| match message {
            ToViewer::Robots(list) => {
                let here = |id: &str| list.robots.iter().any(|robot| robot.robot_id == id);
                here(robot_id).then_some(())
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
    let first = viewer.wait_for("a decision", PATIENCE, |message| {
        matches!(message, ToViewer::Trace(_)).then_some(())
    });
    first.await?;
    Ok(viewer)
}

/// The latency of every decision in a span of time, in milliseconds.
async fn count(
    mut viewer: ViewerClient,
    begins_at: Instant,
    duration: Duration,
) -> Result<Vec<f64>, ClientError> {
    let mut latencies = Vec::new();
    loop {
        // States come ten times a second, so the end is never missed by much.
        let message = viewer.next().await?;
        let now = Instant::now();
        if now >= begins_at + duration {
            return Ok(latencies);
        }
        if let (ToViewer::Trace(trace), true) = (message, now >= begins_at) {
            latencies.push(trace.latency_micros as f64 / 1e3);
        }
    }
}
