//! The 30 Hz control loop: takes messages, commands a target, steps the physics and reports.

use super::{
    Shared, SimConfig,
    cameras::Snapshot,
    hello::hello,
    player::{ChunkPlayer, Motion},
};
use crate::peer_log::PeerLog;
use protocol::{
    ErrorMessage, Message, TaskState, ToRobot,
    robot::{RobotHello, RobotReport},
};
use sim::{CONTROL_RATE_HZ, DOF, JointVector, Status, Task, TaskMonitor, World};
use std::{
    sync::{Arc, atomic::Ordering, mpsc::SyncSender},
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::mpsc::Sender;

const PERIOD: Duration = Duration::from_nanos(1_000_000_000 / CONTROL_RATE_HZ as u64);
/// A tick that starts later than this after the previous one counts as late.
const LATE_AFTER: Duration = Duration::from_nanos(1_500_000_000 / CONTROL_RATE_HZ as u64);
/// A delay below this is caught up, so that simulated time follows the clock; after a longer one (a suspended laptop) the
/// loop restarts from now.
const CATCH_UP: Duration = Duration::from_millis(200);
/// Interval at which an unchanged report is repeated.
const REPORT_PERIOD_MICROS: u64 = 500_000;

/// Starts the thread; it ends when `shared.ended` is set.
pub(super) fn spawn(
    config: &SimConfig,
    shared: Arc<Shared>,
    snapshots: SyncSender<Snapshot>,
    reports: Sender<Vec<u8>>,
) -> std::io::Result<JoinHandle<()>> {
    let mut control = ControlLoop::new(config, shared, snapshots, reports);
    std::thread::Builder::new()
        .name("sim-control".to_owned())
        .spawn(move || control.run())
}

struct ControlLoop {
    name: String,
    /// Rate-limited: repeated stops cause a few lines only.
    log: PeerLog,
    shared: Arc<Shared>,
    snapshots: SyncSender<Snapshot>,
    reports: Sender<Vec<u8>>,
    ticks_per_observation: u64,
    world: World,
    player: ChunkPlayer,
    connection: u64,
    sequence: u64,
    /// Ticks until the next observation.
    observe_in: u64,
    instruction: String,
    instructed_at_micros: u64,
    task: TaskState,
    task_secs: f32,
    monitor: Option<TaskMonitor>,
    /// Target while the arm holds.
    hold_at: Option<JointVector>,
    commanded: JointVector,
    ticks: u64,
    late_ticks: u64,
    clamped: u64,
    refused_chunks: u64,
    last_refusal: String,
    reported: Option<RobotReport>,
    /// Frame that did not fit into the channel yet.
    unsent: Option<Vec<u8>>,
}

impl ControlLoop {
    fn new(
        config: &SimConfig,
        shared: Arc<Shared>,
        snapshots: SyncSender<Snapshot>,
        reports: Sender<Vec<u8>>,
    ) -> Self {
        let world = World::new(config.seed);
        Self {
            name: config.name.clone(),
            log: PeerLog::default(),
            shared,
            snapshots,
            reports,
            ticks_per_observation: config.ticks_per_observation.max(1),
            commanded: world.state(),
            world,
            player: ChunkPlayer::new(DOF, f64::from(CONTROL_RATE_HZ)),
            connection: 0,
            sequence: 0,
            observe_in: 0,
            instruction: String::new(),
            instructed_at_micros: 0,
            task: TaskState::Idle,
            task_secs: 0.0,
            monitor: None,
            hold_at: None,
            ticks: 0,
            late_ticks: 0,
            clamped: 0,
            refused_chunks: 0,
            last_refusal: String::new(),
            reported: None,
            unsent: None,
        }
    }

    fn run(&mut self) {
        let mut due = Instant::now();
        let mut last_tick: Option<Instant> = None;
        while !self.shared.has_ended() {
            let now = Instant::now();
            if let Some(wait) = due.checked_duration_since(now) {
                std::thread::sleep(wait);
            } else if now.duration_since(due) > CATCH_UP {
                due = now;
            }
            due += PERIOD;
            let began = Instant::now();
            if last_tick.is_some_and(|last| began.duration_since(last) > LATE_AFTER) {
                self.late_ticks += 1;
            }
            last_tick = Some(began);
            self.tick();
        }
    }

    fn tick(&mut self) {
        self.follow_connection();
        while let Some(message) = self.shared.inbox.take() {
            self.handle(message);
        }
        let now_micros = self.shared.now_micros();
        if self.observe_in == 0 {
            self.observe_in = self.ticks_per_observation;
            if self.connection > 0 {
                self.observe(now_micros);
            }
        }
        self.observe_in -= 1;
        let holding = self.command(now_micros);
        let report = self.world.step(&self.commanded);
        self.ticks += 1;
        self.clamped += u64::from(report.clamped());
        self.update_task(now_micros);
        if self.connection > 0 {
            self.report(now_micros, holding);
        }
    }

    /// Resets the counters for a new connection and ends the task of a lost one. A latched stop survives both.
    fn follow_connection(&mut self) {
        let connection = self.shared.connection.load(Ordering::Acquire);
        if connection == self.connection {
            return;
        }
        self.connection = connection;
        self.player.forget();
        self.instruct(String::new());
        self.sequence = 0;
        self.ticks = 0;
        self.late_ticks = 0;
        self.clamped = 0;
        self.refused_chunks = 0;
        self.last_refusal.clear();
        self.reported = None;
        self.unsent = None;
        if connection > 0 {
            // The scene may have changed since the hello was prepared.
            let hello = RobotHello {
                resume_token: self.shared.resume_token(),
                ..hello(&self.name, &self.world)
            };
            self.send(&hello);
        }
    }

    fn handle(&mut self, message: ToRobot) {
        let now_micros = self.shared.now_micros();
        match message {
            ToRobot::Chunk(chunk) => {
                if let Err(refusal) = self.player.offer(now_micros, chunk) {
                    self.refused_chunks += 1;
                    self.last_refusal = refusal.to_string();
                }
            }
            ToRobot::Stop(stop) => {
                self.log
                    .say(&format_args!("{} stops", self.name), &stop.reason);
                self.player.stop();
                self.hold_at = None;
            }
            ToRobot::Release(_) => {
                self.player.release(now_micros);
                self.observe_in = 0;
            }
            ToRobot::Instruction(instruction) => {
                // A new instruction does not halt the arm in the middle of a motion: its first chunk takes over
                // within 300 ms, or the arm holds. An empty instruction halts it at once.
                if instruction.text.is_empty() {
                    self.player.forget();
                }
                // The first chunk needs an observation, so the robot sends one without delay.
                self.observe_in = 0;
                self.instruct(instruction.text);
            }
            ToRobot::Reset(reset) => {
                let seed = reset
                    .seed
                    .unwrap_or_else(|| self.world.seed().wrapping_add(1));
                self.world = World::new(seed);
                self.commanded = self.world.state();
                self.hold_at = None;
                self.player.forget();
                self.instruct(String::new());
                let hello = hello(&self.name, &self.world);
                self.send(&hello);
            }
            ToRobot::Welcome(welcome) => {
                tracing::info!(
                    "{} is registered as {:?}, policy {}",
                    self.name,
                    welcome.robot_id,
                    welcome.policy
                );
            }
            ToRobot::Error(error) => {
                self.log.say(
                    &format_args!("the studio reports to {}", self.name),
                    &error.message,
                );
            }
        }
    }

    fn instruct(&mut self, text: String) {
        self.instructed_at_micros = self.shared.now_micros();
        self.task_secs = 0.0;
        self.monitor = None;
        self.task = if text.is_empty() {
            TaskState::Idle
        } else {
            match Task::parse(&text, &self.world) {
                Ok(task) => {
                    self.monitor = Some(TaskMonitor::new(&task, &self.world));
                    TaskState::Running
                }
                Err(why) => {
                    self.send(&ErrorMessage {
                        code: "no_success_test".to_owned(),
                        message: format!(
                            "the simulator has no success test for this instruction: {why}"
                        ),
                        fatal: false,
                    });
                    TaskState::Unknown
                }
            }
        };
        self.instruction = text;
    }

    fn observe(&mut self, captured_at_micros: u64) {
        self.sequence += 1;
        let snapshot = Snapshot {
            world: self.world.clone(),
            sequence: self.sequence,
            captured_at_micros,
            commanded: self.commanded.to_vec(),
        };
        // A full channel means that rendering does not keep up; the next snapshot is fresher anyway.
        self.snapshots.try_send(snapshot).ok();
    }

    /// Chooses the target of this tick. Returns `true` if the robot holds for lack of a chunk.
    fn command(&mut self, now_micros: u64) -> bool {
        let target = match self.player.motion(now_micros) {
            Motion::Follow(row) => JointVector::try_from(row).ok(),
            Motion::Hold => None,
        };
        match target {
            Some(target) => {
                self.hold_at = None;
                self.commanded = target;
                false
            }
            None => {
                // The measured state, not the commanded one: the servos lag behind their target.
                let here = self.world.state();
                self.commanded = *self.hold_at.get_or_insert(here);
                true
            }
        }
    }

    fn update_task(&mut self, now_micros: u64) {
        if self.task == TaskState::Running || self.task == TaskState::Unknown {
            let micros = now_micros.saturating_sub(self.instructed_at_micros);
            self.task_secs = micros as f32 * 1e-6;
        }
        if self.task == TaskState::Running
            && let Some(monitor) = &mut self.monitor
            && monitor.update(&self.world) == Status::Succeeded
        {
            self.task = TaskState::Succeeded;
        }
    }

    fn report(&mut self, at_micros: u64, holding: bool) {
        if let Some(frame) = self.unsent.take()
            && let Err(full) = self.reports.try_send(frame)
        {
            self.unsent = Some(full.into_inner());
            return;
        }
        let report = RobotReport {
            at_micros,
            instruction: self.instruction.clone(),
            task: self.task,
            task_secs: self.task_secs,
            holding,
            stopped: self.player.is_stopped(),
            ticks: self.ticks,
            late_ticks: self.late_ticks,
            clamped: self.clamped,
            refused_chunks: self.refused_chunks,
            last_refusal: self.last_refusal.clone(),
        };
        let is_due = self.reported.as_ref().is_none_or(|last| {
            at_micros.saturating_sub(last.at_micros) >= REPORT_PERIOD_MICROS
                || last.instruction != report.instruction
                || last.task != report.task
                || last.holding != report.holding
                || last.stopped != report.stopped
        });
        if is_due {
            self.send(&report);
            self.reported = Some(report);
        }
    }

    fn send<M: Message>(&mut self, message: &M) {
        if self.connection == 0 {
            return;
        }
        match protocol::encode(message) {
            Ok(frame) => {
                if let Err(full) = self.reports.try_send(frame) {
                    self.unsent = Some(full.into_inner());
                }
            }
            Err(error) => tracing::error!("{}: a message was dropped: {error}", self.name),
        }
    }
}
