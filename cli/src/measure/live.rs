//! A whole studio over the loopback: one simulated robot, one viewer, measured from the viewer's side.

use super::stats::{Millis, millis};
use policies::{Policy, chunking::Chunking};
use protocol::{
    Mode, ToViewer,
    robot::ResetScene,
    viewer::{Command, ReleaseRobot, ResetRobot, RobotState, RobotStatus, StopRobot, Watch},
};
use serde::Serialize;
use server::{
    Config, Limits, ServeError,
    client::{ClientError, ViewerClient},
    serve,
    sim_robot::{self, SimConfig, SimError},
};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A joint that has moved by this much has moved, in degrees or percent.
const MOTION: f32 = 0.5;
const PATIENCE: Duration = Duration::from_secs(20);

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct LiveTimes {
    /// From the viewer's connection to its first picture.
    pub(crate) first_frame_millis: f64,
    /// From the command's arrival at the studio to the departure of its first chunk.
    pub(crate) command_to_chunk: Millis,
    /// From sending the command to the first state that differs by more than half a degree. States come ten
    /// times a second, so this is up to 100 ms more than the robot itself took.
    pub(crate) command_to_motion: Millis,
    /// From the arrival of an observation at the studio to the departure of its chunk.
    pub(crate) observation_to_chunk: Millis,
    /// From sending the stop to the robot's report that it is halted and latched.
    pub(crate) stop_to_stopped: Millis,
    /// Control ticks a second that the robot held while the policy drove it.
    pub(crate) control_rate_hz: f64,
    /// Share of those ticks that came later than 1.5 periods after the one before.
    pub(crate) late_share: f64,
    /// Chunks a second.
    pub(crate) chunks_per_sec: f64,
    /// Pictures a second that the viewer received.
    pub(crate) frames_per_sec: f64,
}

/// What to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LivePlan {
    /// Head of the policy.
    pub(crate) mode: Mode,
    /// How a chunk meets the one before.
    pub(crate) chunking: Chunking,
    /// Commands given and stops pressed.
    pub(crate) repeats: usize,
    /// Length of the control rate's measurement.
    pub(crate) duration: Duration,
}

/// The measurement failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LiveError {
    /// No socket.
    #[error("cannot listen on the loopback: {0}")]
    Socket(#[from] std::io::Error),
    /// The viewer's side.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The studio's side.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The robot's side.
    #[error(transparent)]
    Sim(#[from] SimError),
    /// A task crashed.
    #[error("a part of the measurement crashed: {0}")]
    Crash(#[from] tokio::task::JoinError),
    /// The studio answered with an error.
    #[error("the studio says: {0}")]
    Refused(String),
}

/// Starts a studio with this policy and a simulated robot, measures, and stops both.
///
/// # Errors
/// [`LiveError`] when a part fails or nothing happens within 20 s.
pub(crate) async fn measure(
    actor: Box<dyn Policy>,
    plan: LivePlan,
) -> Result<LiveTimes, LiveError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let stop = CancellationToken::new();
    let config = Config {
        policy: Ok(actor),
        question_answerer: policies::question_answerer::unavailable("A measurement"),
        scorer: server::scorer_service::unavailable("A measurement"),
        recordings: Default::default(),
        data: None,
        limits: Limits {
            chunking: plan.chunking,
            ..Limits::default()
        },
    };
    let studio = tokio::spawn(serve(listener, config, stop.clone().cancelled_owned()));
    let robot = tokio::spawn(sim_robot::run(
        SimConfig::new(format!("http://{address}"), "bench", 1),
        stop.clone(),
    ));
    let measured = watch(&address, plan).await;
    stop.cancel();
    robot.await??;
    studio.await??;
    measured
}

async fn watch(address: &str, plan: LivePlan) -> Result<LiveTimes, LiveError> {
    let connected_at = Instant::now();
    let mut viewer = ViewerClient::connect(address, "bench").await?;
    let robot_id = viewer
        .wait_for("a robot in the list", PATIENCE, |message| match message {
            ToViewer::Robots(list) => list.robots.first().map(|robot| robot.robot_id.clone()),
            _ => None,
        })
        .await?;
    let watched = Watch {
        robot_id: robot_id.clone(),
    };
    viewer.send(&watched.into()).await?;
    viewer
        .wait_for("a picture", PATIENCE, |message| {
            matches!(message, ToViewer::Frame(_)).then_some(())
        })
        .await?;
    let first_frame_millis = millis(connected_at.elapsed());

    let mut bench = Bench {
        viewer,
        robot_id,
        mode: plan.mode,
    };
    let mut to_chunk = Vec::new();
    let mut to_motion = Vec::new();
    let mut to_stop = Vec::new();
    for repeat in 0..plan.repeats {
        bench.fresh_scene(1 + repeat as u64).await?;
        let (chunk, motion) = bench.command().await?;
        to_chunk.push(chunk);
        to_motion.push(motion);
        to_stop.push(bench.stop_and_release().await?);
    }
    bench.fresh_scene(1).await?;
    let rate = bench.drive(plan.duration).await?;
    Ok(LiveTimes {
        first_frame_millis,
        command_to_chunk: Millis::of(to_chunk),
        command_to_motion: Millis::of(to_motion),
        observation_to_chunk: Millis::of(rate.latencies),
        stop_to_stopped: Millis::of(to_stop),
        control_rate_hz: rate.control_rate_hz,
        late_share: rate.late_share,
        chunks_per_sec: rate.chunks_per_sec,
        frames_per_sec: rate.frames_per_sec,
    })
}

struct Rate {
    latencies: Vec<f64>,
    control_rate_hz: f64,
    late_share: f64,
    chunks_per_sec: f64,
    frames_per_sec: f64,
}

struct Bench {
    viewer: ViewerClient,
    robot_id: String,
    mode: Mode,
}

impl Bench {
    async fn wait<T>(
        &mut self,
        what: &'static str,
        mut wanted: impl FnMut(ToViewer) -> Option<T>,
    ) -> Result<T, LiveError> {
        let found = self
            .viewer
            .wait_for(what, PATIENCE, |message| match message {
                ToViewer::Error(error) if error.code != "no_success_test" => {
                    Some(Err(error.message))
                }
                other => wanted(other).map(Ok),
            });
        found.await?.map_err(LiveError::Refused)
    }

    async fn next_state(&mut self) -> Result<RobotState, LiveError> {
        self.wait("a state of the robot", |message| match message {
            ToViewer::State(state) => Some(state),
            _ => None,
        })
        .await
    }

    async fn status(
        &mut self,
        what: &'static str,
        wanted: impl Fn(&RobotStatus) -> bool,
    ) -> Result<RobotStatus, LiveError> {
        self.wait(what, |message| match message {
            ToViewer::Status(status) if wanted(&status) => Some(status),
            _ => None,
        })
        .await
    }

    /// A new scene, the arm at rest, and one of its own sentences to command.
    async fn fresh_scene(&mut self, seed: u64) -> Result<(), LiveError> {
        let reset = ResetRobot {
            robot_id: self.robot_id.clone(),
            scene: ResetScene { seed: Some(seed) },
            heard_beat: None,
        };
        self.viewer.send(&reset.into()).await?;
        self.wait("the new scene", |message| {
            // The sentences of a scene come with it.
            matches!(message, ToViewer::Details(_)).then_some(())
        })
        .await?;
        // What was on its way still shows the old scene.
        let until = Instant::now() + Duration::from_millis(400);
        while Instant::now() < until {
            self.next_state().await?;
        }
        Ok(())
    }

    async fn say(&mut self, text: &str) -> Result<(), LiveError> {
        let command = Command {
            robot_id: self.robot_id.clone(),
            text: text.to_owned(),
            mode: self.mode,
            heard_beat: None,
        };
        Ok(self.viewer.send(&command.into()).await?)
    }

    /// Milliseconds to the first chunk and to the first motion.
    async fn command(&mut self) -> Result<(f64, f64), LiveError> {
        let before = self.next_state().await?.state;
        let said_at = Instant::now();
        self.say("pick up the red cube").await?;
        let mut to_chunk = None;
        let mut to_motion = None;
        self.wait("a chunk and a motion", |message| {
            match message {
                ToViewer::Status(status) => {
                    to_chunk = status.command_to_chunk_millis.map(f64::from).or(to_chunk);
                }
                ToViewer::State(state) if to_motion.is_none() => {
                    let mut joints = state.state.iter().zip(&before);
                    if joints.any(|(now, before)| (now - before).abs() > MOTION) {
                        to_motion = Some(millis(said_at.elapsed()));
                    }
                }
                _ => {}
            }
            to_chunk.zip(to_motion)
        })
        .await
    }

    /// Milliseconds from the button to the robot's confirmation.
    async fn stop_and_release(&mut self) -> Result<f64, LiveError> {
        let pressed_at = Instant::now();
        let stop = StopRobot {
            robot_id: self.robot_id.clone(),
            press_id: 0,
        };
        self.viewer.send(&stop.into()).await?;
        self.status("the robot's halt", |status| status.stopped)
            .await?;
        let took = millis(pressed_at.elapsed());
        let release = ReleaseRobot {
            robot_id: self.robot_id.clone(),
            heard_beat: None,
            stop_number: None,
        };
        self.viewer.send(&release.into()).await?;
        self.status("the robot's release", |status| !status.stopped)
            .await?;
        Ok(took)
    }

    /// Lets the policy drive for a while and counts. The sentence is one that the simulator has no success
    /// test for, so that it does not end early.
    async fn drive(&mut self, duration: Duration) -> Result<Rate, LiveError> {
        self.say("push the red cube").await?;
        let first = self
            .status("the start", |s| s.command_to_chunk_millis.is_some())
            .await?;
        // Two reports apart from the start, so that both ends of the count are reports of the robot.
        let first = self.status("a report", |s| s.ticks > first.ticks).await?;
        let (mut frames, mut latencies) = (0_u32, Vec::new());
        let started_at = Instant::now();
        let last = self
            .wait("the end", |message| {
                match message {
                    ToViewer::Frame(_) => frames += 1,
                    ToViewer::Trace(trace) => latencies.push(trace.latency_micros as f64 / 1e3),
                    ToViewer::Status(status) if started_at.elapsed() >= duration => {
                        return Some(status);
                    }
                    _ => {}
                }
                None
            })
            .await?;
        let secs = started_at.elapsed().as_secs_f64();
        let ticks = last.ticks.saturating_sub(first.ticks) as f64;
        Ok(Rate {
            control_rate_hz: ticks / secs,
            late_share: last.late_ticks.saturating_sub(first.late_ticks) as f64 / ticks.max(1.0),
            chunks_per_sec: latencies.len() as f64 / secs,
            frames_per_sec: f64::from(frames) / secs,
            latencies,
        })
    }
}
