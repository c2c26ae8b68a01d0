//! Robot in Rust without hardware: six joints that follow the studio's chunks by the rules of `README.md`.
//!
//! Run `policy-studio serve`, then `cargo run -p protocol --example robot [ws://HOST:PORT/ws/robot]`. The robot appears on
//! the page: an instruction moves it, and a stop halts it. `robot.py` in this folder is the same in Python.

use std::error::Error;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use protocol::common::{CameraDescription, JointDescription, TaskState, View, ViewEncoding};
use protocol::robot::{ActionChunk, Observation, RobotHello, RobotReport, ToRobot};
use tungstenite::{Message, WebSocket, stream::MaybeTlsStream};

/// Name, unit, lower and upper limit, in the order of the norm tag `policy_studio_sim`.
const JOINTS: [(&str, &str, f32, f32); 6] = [
    ("shoulder_pan", "deg", -110.0, 110.0),
    ("shoulder_lift", "deg", -100.0, 100.0),
    ("elbow_flex", "deg", -97.0, 97.0),
    ("wrist_flex", "deg", -100.0, 115.0),
    ("wrist_roll", "deg", -160.0, 160.0),
    ("gripper", "percent", 0.0, 100.0),
];
/// Position at the start [the joints' units].
const HOME: [f32; 6] = [0.0, 0.0, 0.0, 60.0, 0.0, 50.0];
/// Largest change of a joint per tick: 150 of its units per second.
const MAX_STEP: f32 = 5.0;
const CAMERAS: [&str; 2] = ["overview", "wrist"];
const WIDTH: u32 = 160;
const HEIGHT: u32 = 120;

const RATE_HZ: f32 = 30.0;
const TICK: Duration = Duration::from_micros(33_333);
/// Ten observations per second; the protocol requires five.
const TICKS_PER_OBSERVATION: u64 = 3;
const REPORT_EVERY: Duration = Duration::from_secs(1);
const HOLD_AFTER_MICROS: u64 = 300_000;

/// State of the robot.
struct Robot {
    clock: Instant,
    /// Position of the joints, which is also the last target, because this robot has no lag [the joints' units].
    position: [f32; 6],
    /// Time of arrival (us) and the running chunk.
    chunk: Option<(u64, ActionChunk)>,
    /// Time of the last release; chunks that start earlier are refused (us).
    released_micros: u64,
    instructed_micros: u64,
    sequence: u64,
    report: RobotReport,
    resume_token: Option<String>,
}

impl Robot {
    fn new() -> Self {
        Self {
            clock: Instant::now(),
            position: HOME,
            chunk: None,
            released_micros: 0,
            instructed_micros: 0,
            sequence: 0,
            report: RobotReport {
                at_micros: 0,
                instruction: String::new(),
                task: TaskState::Idle,
                task_secs: 0.0,
                holding: true,
                stopped: false,
                ticks: 0,
                late_ticks: 0,
                clamped: 0,
                refused_chunks: 0,
                last_refusal: String::new(),
            },
            resume_token: None,
        }
    }

    fn now_micros(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Announcement of a new connection. It resets the counts; a latched stop survives it.
    fn hello(&mut self) -> RobotHello {
        let stopped = self.report.stopped;
        self.chunk = None;
        self.sequence = 0;
        self.report = Self::new().report;
        self.report.stopped = stopped;
        RobotHello {
            name: "rust-arm".to_owned(),
            tag: "policy_studio_sim".to_owned(),
            joints: JOINTS
                .map(|(name, unit, min, max)| JointDescription {
                    name: name.to_owned(),
                    unit: unit.to_owned(),
                    min,
                    max,
                })
                .to_vec(),
            cameras: CAMERAS
                .map(|name| CameraDescription {
                    name: name.to_owned(),
                    width: WIDTH,
                    height: HEIGHT,
                    has_depth: false,
                })
                .to_vec(),
            control_rate_hz: RATE_HZ,
            example_instructions: vec!["push the red cube to the left".to_owned()],
            simulated: true,
            resume_token: self.resume_token.clone(),
        }
    }

    fn observation(&mut self) -> Observation {
        self.sequence += 1;
        let shade = (self.position[0] + 128.0) as u8;
        let view = |name: &str| View {
            name: name.to_owned(),
            encoding: ViewEncoding::Rgb8,
            width: WIDTH,
            height: HEIGHT,
            data: vec![shade; (WIDTH * HEIGHT * 3) as usize],
        };
        Observation {
            sequence: self.sequence,
            captured_at_micros: self.now_micros(),
            state: self.position.to_vec(),
            commanded: self.position.to_vec(),
            views: CAMERAS.map(view).to_vec(),
        }
    }

    /// Reason not to execute a chunk that arrived at `now`. Values that are not finite were refused by the decoder.
    fn refusal(&self, now: u64, chunk: &ActionChunk) -> Option<String> {
        let running = self.chunk.as_ref().map(|(_, running)| running);
        if self.report.stopped {
            Some("a stop is latched".to_owned())
        } else if chunk.dims as usize != JOINTS.len() {
            Some(format!(
                "{} values per row for {} joints",
                chunk.dims,
                JOINTS.len()
            ))
        } else if now >= chunk.valid_until_micros {
            Some("stale: its validity has ended".to_owned())
        } else if chunk.starts_at_micros > now {
            Some("starts in the future; the times of a chunk are the robot's own".to_owned())
        } else if chunk.starts_at_micros < self.released_micros {
            Some("computed from an observation before the release".to_owned())
        } else if running.is_some_and(|running| chunk.starts_at_micros < running.starts_at_micros) {
            Some("older than the running chunk".to_owned())
        } else {
            None
        }
    }

    fn refuse(&mut self, reason: String) {
        println!("chunk refused: {reason}");
        self.report.refused_chunks += 1;
        self.report.last_refusal = reason;
    }

    fn receive(&mut self, frame: &[u8]) {
        let now = self.now_micros();
        match ToRobot::decode(frame) {
            Err(error) => self.refuse(error.to_string()),
            Ok(ToRobot::Welcome(welcome)) => {
                println!(
                    "welcome as {:?}, driven by {}",
                    welcome.robot_id, welcome.policy
                );
                self.resume_token = Some(welcome.resume_token);
            }
            Ok(ToRobot::Chunk(chunk)) => match self.refusal(now, &chunk) {
                Some(reason) => self.refuse(reason),
                None => self.chunk = Some((now, chunk)),
            },
            Ok(ToRobot::Instruction(instruction)) => {
                println!("instruction: {:?}", instruction.text);
                let idle = instruction.text.is_empty();
                if idle {
                    self.chunk = None;
                }
                // This robot has no success test.
                self.report.task = if idle {
                    TaskState::Idle
                } else {
                    TaskState::Unknown
                };
                self.report.instruction = instruction.text;
                self.instructed_micros = now;
            }
            Ok(ToRobot::Stop(stop)) => {
                println!("stop: {}", stop.reason);
                self.chunk = None;
                self.report.stopped = true;
            }
            Ok(ToRobot::Release(_)) => {
                println!("released");
                self.report.stopped = false;
                self.released_micros = now;
            }
            Ok(ToRobot::Reset(_)) => {
                self.chunk = None;
                self.position = HOME;
            }
            Ok(ToRobot::Error(error)) => println!("error from the studio: {}", error.message),
        }
    }

    /// Current target: the row with the nearest time, if there is one.
    fn target(&self, now: u64) -> Option<&[f32]> {
        let (arrived, chunk) = self.chunk.as_ref()?;
        if now >= chunk.valid_until_micros || now.saturating_sub(*arrived) > HOLD_AFTER_MICROS {
            return None;
        }
        let since_start_secs = now.saturating_sub(chunk.starts_at_micros) as f64 * 1e-6;
        let row = (since_start_secs * f64::from(RATE_HZ)).round() as usize;
        chunk.actions.chunks_exact(JOINTS.len()).nth(row)
    }

    /// One control tick.
    fn tick(&mut self) {
        let now = self.now_micros();
        let target = self.target(now).map(<[f32]>::to_vec);
        self.report.holding = target.is_none();
        for ((position, target), (_, _, min, max)) in self
            .position
            .iter_mut()
            .zip(target.unwrap_or_default())
            .zip(JOINTS)
        {
            let step = (target.clamp(min, max) - *position).clamp(-MAX_STEP, MAX_STEP);
            let reached = *position + step;
            self.report.clamped += u64::from((reached - target).abs() > 1e-3);
            *position = reached;
        }
        self.report.ticks += 1;
        self.report.at_micros = now;
        self.report.task_secs = now.saturating_sub(self.instructed_micros) as f32 * 1e-6;
    }

    /// Fields of the report whose change is reported at once.
    fn urgent_fields(&self) -> (String, bool, bool, u64) {
        let report = &self.report;
        (
            report.instruction.clone(),
            report.holding,
            report.stopped,
            report.refused_chunks,
        )
    }
}

type Socket = WebSocket<MaybeTlsStream<TcpStream>>;

fn send<M: protocol::Message>(socket: &mut Socket, message: &M) -> Result<(), Box<dyn Error>> {
    socket.send(Message::binary(protocol::encode(message)?))?;
    Ok(())
}

/// Runs one connection until it ends.
fn run_connection(robot: &mut Robot, url: &str) -> Result<(), Box<dyn Error>> {
    let (mut socket, _) = tungstenite::connect(url)?;
    if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
        // Reads return in time for the next tick, and a stop is received between two ticks.
        stream.set_read_timeout(Some(Duration::from_millis(2)))?;
    }
    send(&mut socket, &robot.hello())?;
    let mut due = Instant::now();
    let (mut reported, mut reported_at) = (None, due);
    loop {
        while Instant::now() < due {
            match socket.read() {
                Ok(Message::Binary(frame)) => robot.receive(&frame),
                Ok(Message::Close(_)) => return Err("the studio closed the connection".into()),
                // The library answers pings.
                Ok(_) => {}
                Err(tungstenite::Error::Io(error))
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error.into()),
            }
        }
        robot.report.late_ticks += u64::from(due.elapsed() > TICK / 2);
        due = (due + TICK).max(Instant::now());
        robot.tick();
        if robot.report.ticks.is_multiple_of(TICKS_PER_OBSERVATION) {
            send(&mut socket, &robot.observation())?;
        }
        let fields = Some(robot.urgent_fields());
        if fields != reported || reported_at.elapsed() > REPORT_EVERY {
            send(&mut socket, &robot.report)?;
            (reported, reported_at) = (fields, Instant::now());
        }
    }
}

fn main() {
    let url = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "ws://127.0.0.1:8080/ws/robot".to_owned());
    let mut robot = Robot::new();
    loop {
        if let Err(error) = run_connection(&mut robot, &url) {
            println!("{url}: {error}; the robot holds and connects again");
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}
