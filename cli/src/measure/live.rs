//! Benchmark of a complete studio over the loopback with one simulated robot, measured by one viewer.

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

/// Smallest change of a joint that counts as motion, in degrees or percent.
const MOTION: f32 = 0.5;
/// Time limit of every wait.
const WAIT_LIMIT: Duration = Duration::from_secs(20);

/// Results of a measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct LiveTimes {
    /// From the viewer's connection to its first image.
    pub(crate) first_frame_millis: f64,
    /// From the command's arrival at the studio to the departure of its first chunk.
    pub(crate) command_to_chunk: Millis,
    /// From sending the command to the first state that differs by more than half a degree. Joint
    /// states arrive at 10 Hz, so this is up to 100 ms more than the robot's own time.
    pub(crate) command_to_motion: Millis,
    /// From the arrival of an observation at the studio to the departure of its chunk.
    pub(crate) observation_to_chunk: Millis,
    /// From sending the stop to the robot's report that it is halted and latched.
    pub(crate) stop_to_stopped: Millis,
    /// Control ticks per second while the policy drove the robot.
    pub(crate) control_rate_hz: f64,
    /// Share of those ticks that started later than 1.5 periods after the previous one.
    pub(crate) late_share: f64,
    /// Chunks per second.
    pub(crate) chunks_per_sec: f64,
    /// Images per second that the viewer received.
    pub(crate) frames_per_sec: f64,
}

/// Settings of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LivePlan {
    /// Head of the policy.
    pub(crate) mode: Mode,
    /// Transition from one chunk to the next.
    pub(crate) chunking: Chunking,
    /// Number of commands and of stops.
    pub(crate) repeats: usize,
    /// Length of the control rate's measurement.
    pub(crate) duration: Duration,
}

/// Errors of the benchmark.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LiveError {
    /// The socket cannot be opened.
    #[error("cannot listen on the loopback: {0}")]
    Socket(#[from] std::io::Error),
    /// The viewer failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The studio failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The robot failed.
    #[error(transparent)]
    Sim(#[from] SimError),
    /// A task crashed.
    #[error("a part of the benchmark crashed: {0}")]
    Crash(#[from] tokio::task::JoinError),
    /// The studio answered with an error.
    #[error("the studio reports: {0}")]
    Refused(String),
}

/// Starts a studio with this policy and a simulated robot, measures, and stops both.
///
/// # Errors
/// [`LiveError`] when a part fails or nothing happens within 20 s.
pub(crate) async fn measure(
    policy: Box<dyn Policy>,
    plan: LivePlan,
) -> Result<LiveTimes, LiveError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let stop = CancellationToken::new();
    let config = Config {
        policy: Ok(policy),
        question_answerer: policies::question_answerer::unavailable("The benchmark"),
        scorer: server::scorer_service::unavailable("The benchmark"),
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
    let measured = observe(&address, plan).await;
    stop.cancel();
    robot.await??;
    studio.await??;
    measured
}

async fn observe(address: &str, plan: LivePlan) -> Result<LiveTimes, LiveError> {
    let connected_at = Instant::now();
    let mut viewer = ViewerClient::connect(address, "bench").await?;
    let robot_id = viewer
        .wait_for("a robot in the list", WAIT_LIMIT, |message| match message {
            ToViewer::Robots(list) => list.robots.first().map(|robot| robot.robot_id.clone()),
            _ => None,
        })
        .await?;
    let watched = Watch {
        robot_id: robot_id.clone(),
    };
    viewer.send(&watched.into()).await?;
    viewer
        .wait_for("an image", WAIT_LIMIT, |message| {
            matches!(message, ToViewer::Frame(_)).then_some(())
        })
        .await?;
    let first_frame_millis = millis(connected_at.elapsed());

    let mut session = Session {
        viewer,
        robot_id,
        mode: plan.mode,
    };
    let mut to_chunk = Vec::new();
    let mut to_motion = Vec::new();
    let mut to_stop = Vec::new();
    for repeat in 0..plan.repeats {
        session.reset_scene(1 + repeat as u64).await?;
        let (chunk, motion) = session.command().await?;
        to_chunk.push(chunk);
        to_motion.push(motion);
        to_stop.push(session.stop_and_release().await?);
    }
    session.reset_scene(1).await?;
    let rate = session.drive(plan.duration).await?;
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

struct Session {
    viewer: ViewerClient,
    robot_id: String,
    mode: Mode,
}

impl Session {
    async fn wait<T>(
        &mut self,
        what: &'static str,
        mut select: impl FnMut(ToViewer) -> Option<T>,
    ) -> Result<T, LiveError> {
        let found = self
            .viewer
            .wait_for(what, WAIT_LIMIT, |message| match message {
                ToViewer::Error(error) if error.code != "no_success_test" => {
                    Some(Err(error.message))
                }
                other => select(other).map(Ok),
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
        matches: impl Fn(&RobotStatus) -> bool,
    ) -> Result<RobotStatus, LiveError> {
        self.wait(what, |message| match message {
            ToViewer::Status(status) if matches(&status) => Some(status),
            _ => None,
        })
        .await
    }

    /// Resets the robot to a new scene with the arm at rest.
    async fn reset_scene(&mut self, seed: u64) -> Result<(), LiveError> {
        let reset = ResetRobot {
            robot_id: self.robot_id.clone(),
            scene: ResetScene { seed: Some(seed) },
            heard_beat: None,
        };
        self.viewer.send(&reset.into()).await?;
        self.wait("the new scene", |message| {
            // The details have the instructions of the new scene.
            matches!(message, ToViewer::Details(_)).then_some(())
        })
        .await?;
        // Messages in transit still show the old scene.
        let deadline = Instant::now() + Duration::from_millis(400);
        while Instant::now() < deadline {
            self.next_state().await?;
        }
        Ok(())
    }

    async fn send_instruction(&mut self, text: &str) -> Result<(), LiveError> {
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
        let sent_at = Instant::now();
        self.send_instruction("pick up the red cube").await?;
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
                        to_motion = Some(millis(sent_at.elapsed()));
                    }
                }
                _ => {}
            }
            to_chunk.zip(to_motion)
        })
        .await
    }

    /// Milliseconds from sending the stop to the robot's confirmation.
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

    /// Lets the policy drive for a while and measures rates. The simulator has no success test for the instruction, so the
    /// task does not end early.
    async fn drive(&mut self, duration: Duration) -> Result<Rate, LiveError> {
        self.send_instruction("push the red cube").await?;
        let first = self
            .status("the start", |s| s.command_to_chunk_millis.is_some())
            .await?;
        // The count begins and ends with a report of the robot.
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
