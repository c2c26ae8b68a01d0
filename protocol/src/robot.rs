//! Robot <-> studio. The robot connects, announces itself, streams observations and receives chunks.

use crate::bounded;
use crate::common::{
    CameraDescription, ErrorMessage, JointDescription, TaskState, View, finite, name, text,
};
use crate::frame::{FrameError, Message, direction, invalid};
use crate::limits::{
    MAX_DIMS, MAX_EXAMPLES, MAX_FRAME_BYTES, MAX_NAME_BYTES, MAX_ROWS, MAX_TEXT_BYTES, MAX_VIEWS,
};
use serde::{Deserialize, Serialize};

/// Latest time of a robot's clock, in microseconds: beyond 100,000 years, so that times can be added.
pub const MAX_CLOCK_MICROS: u64 = 1 << 62;

/// First message of a robot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RobotHello {
    /// Display name; the studio makes it unique.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub name: String,
    /// Norm tag of the checkpoint for this embodiment.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub tag: String,
    /// Joints in the order of state and action vectors.
    #[serde(deserialize_with = "bounded::list::<_, MAX_DIMS, _>")]
    pub joints: Vec<JointDescription>,
    /// Cameras in the policy's order.
    #[serde(deserialize_with = "bounded::list::<_, MAX_VIEWS, _>")]
    pub cameras: Vec<CameraDescription>,
    /// Rate at which the robot consumes chunk rows.
    pub control_rate_hz: f32,
    /// Example instructions for this robot, offered by the page.
    #[serde(default)]
    #[serde(deserialize_with = "bounded::texts::<MAX_EXAMPLES, MAX_TEXT_BYTES, _>")]
    pub example_instructions: Vec<String>,
    /// Nothing real moves.
    #[serde(default)]
    pub simulated: bool,
    /// The token of the previous welcome, with which a robot takes its place back although the studio still counts its
    /// old connection as open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(deserialize_with = "bounded::optional_text::<MAX_NAME_BYTES, _>")]
    pub resume_token: Option<String>,
}

impl Message for RobotHello {
    const KIND: u8 = 0x01;
    const NAME: &'static str = "RobotHello";
    const MAX_BYTES: usize = 64 << 10;
    const MAX_VALUES: usize = 2 << 10;
    fn validate(&self) -> Result<(), FrameError> {
        name(Self::NAME, "name", &self.name)?;
        name(Self::NAME, "tag", &self.tag)?;
        name(
            Self::NAME,
            "resume_token",
            self.resume_token.as_deref().unwrap_or_default(),
        )?;
        if self.joints.is_empty() || self.joints.len() > MAX_DIMS {
            return Err(invalid(
                Self::NAME,
                "joints",
                format!("{} joints, expected 1 to {MAX_DIMS}", self.joints.len()),
            ));
        }
        for joint in &self.joints {
            name(Self::NAME, "joints.name", &joint.name)?;
            name(Self::NAME, "joints.unit", &joint.unit)?;
            if !(joint.min.is_finite() && joint.max.is_finite() && joint.min < joint.max) {
                return Err(invalid(
                    Self::NAME,
                    "joints.min",
                    format!(
                        "{:?} has limits {} to {}; min must be below max",
                        joint.name, joint.min, joint.max
                    ),
                ));
            }
        }
        if self.cameras.len() > MAX_VIEWS {
            return Err(invalid(
                Self::NAME,
                "cameras",
                format!("{} cameras, at most {MAX_VIEWS}", self.cameras.len()),
            ));
        }
        for camera in &self.cameras {
            name(Self::NAME, "cameras.name", &camera.name)?;
        }
        if !(self.control_rate_hz.is_finite() && (0.1..=1000.0).contains(&self.control_rate_hz)) {
            return Err(invalid(
                Self::NAME,
                "control_rate_hz",
                format!("{} Hz, expected 0.1 to 1000", self.control_rate_hz),
            ));
        }
        if self.example_instructions.len() > MAX_EXAMPLES {
            return Err(invalid(
                Self::NAME,
                "example_instructions",
                format!("more than {MAX_EXAMPLES} sentences"),
            ));
        }
        self.example_instructions
            .iter()
            .try_for_each(|s| text(Self::NAME, "example_instructions", s))
    }
}

/// Sensor readings of the robot. Sent at the robot's own rate, at least 5 times a second while running.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Counts up by one per observation of this connection.
    pub sequence: u64,
    /// The robot's own monotonic clock when the state was read.
    pub captured_at_micros: u64,
    /// Proprioception, in the joints' order and units.
    #[serde(deserialize_with = "bounded::list::<_, MAX_DIMS, _>")]
    pub state: Vec<f32>,
    /// Last commanded target in the same order and units, for the time line.
    #[serde(default)]
    #[serde(deserialize_with = "bounded::list::<_, MAX_DIMS, _>")]
    pub commanded: Vec<f32>,
    /// Colour views in camera order, then depth views; may be empty for a state-only observation.
    #[serde(deserialize_with = "bounded::list::<_, { 2 * MAX_VIEWS }, _>")]
    pub views: Vec<View>,
}

impl Message for Observation {
    const KIND: u8 = 0x02;
    const NAME: &'static str = "Observation";
    const MAX_BYTES: usize = MAX_FRAME_BYTES;
    fn validate(&self) -> Result<(), FrameError> {
        if self.captured_at_micros > MAX_CLOCK_MICROS {
            return Err(invalid(
                Self::NAME,
                "captured_at_micros",
                format!(
                    "{} is no time of a clock; microseconds that count up, at most 2^62",
                    self.captured_at_micros
                ),
            ));
        }
        if self.state.is_empty() || self.state.len() > MAX_DIMS {
            return Err(invalid(
                Self::NAME,
                "state",
                format!("{} values, expected 1 to {MAX_DIMS}", self.state.len()),
            ));
        }
        finite(Self::NAME, "state", &self.state)?;
        if !self.commanded.is_empty() && self.commanded.len() != self.state.len() {
            return Err(invalid(
                Self::NAME,
                "commanded",
                format!(
                    "{} values, state has {}",
                    self.commanded.len(),
                    self.state.len()
                ),
            ));
        }
        finite(Self::NAME, "commanded", &self.commanded)?;
        if self.views.len() > 2 * MAX_VIEWS {
            return Err(invalid(
                Self::NAME,
                "views",
                format!("{} views, at most {}", self.views.len(), 2 * MAX_VIEWS),
            ));
        }
        self.views.iter().try_for_each(|v| v.validate(Self::NAME))
    }
}

/// State of the robot, sent whenever something in it changes and at least once a second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RobotReport {
    /// The robot's own monotonic clock.
    pub at_micros: u64,
    /// The instruction that `task` is about.
    #[serde(deserialize_with = "bounded::text::<MAX_TEXT_BYTES, _>")]
    pub instruction: String,
    /// The robot's own success test, where it has one.
    pub task: TaskState,
    /// Seconds since the instruction was given, by the robot's clock.
    pub task_secs: f32,
    /// The robot holds its position because no valid chunk came for 300 ms.
    pub holding: bool,
    /// The stop is latched: nothing moves until it is released.
    pub stopped: bool,
    /// Control ticks executed since the connection.
    pub ticks: u64,
    /// Ticks that came later than 1.5 control periods after the one before.
    pub late_ticks: u64,
    /// Targets that were clamped to a joint or speed limit since the connection.
    pub clamped: u64,
    /// Chunks refused since the connection (stale, wrong size, not finite).
    pub refused_chunks: u64,
    /// Reason of the last refusal, as text.
    #[serde(default)]
    #[serde(deserialize_with = "bounded::text::<MAX_TEXT_BYTES, _>")]
    pub last_refusal: String,
}

impl Message for RobotReport {
    const KIND: u8 = 0x03;
    const NAME: &'static str = "RobotReport";
    const MAX_BYTES: usize = 16 << 10;
    fn validate(&self) -> Result<(), FrameError> {
        text(Self::NAME, "instruction", &self.instruction)?;
        text(Self::NAME, "last_refusal", &self.last_refusal)?;
        finite(Self::NAME, "task_secs", &[self.task_secs])
    }
}

/// The studio's answer to [`RobotHello`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RobotWelcome {
    /// Unique in this studio; viewers name the robot by it.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
    /// The policy that will drive it.
    #[serde(
        serialize_with = "bounded::shortened_text::<MAX_TEXT_BYTES, _>",
        deserialize_with = "bounded::text::<MAX_TEXT_BYTES, _>"
    )]
    pub policy: String,
    /// The studio's version, for logs.
    #[serde(
        serialize_with = "bounded::shortened_text::<MAX_NAME_BYTES, _>",
        deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>"
    )]
    pub studio_version: String,
    /// Token for the hello of the next connection. Secret: its holder can take the robot's place.
    #[serde(default)]
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub resume_token: String,
}

impl Message for RobotWelcome {
    const KIND: u8 = 0x11;
    const NAME: &'static str = "RobotWelcome";
}

/// Targets for the coming control ticks.
///
/// Row `k` is for the time `starts_at_micros + k / control_rate_hz`: rows that are already past when the
/// chunk arrives are skipped, not caught up. A robot executes a chunk only while its own clock is before
/// `valid_until_micros`, and holds when nothing valid arrived for 300 ms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionChunk {
    /// Counts up by one per chunk of this connection.
    pub chunk_id: u64,
    /// The observation that it was computed from.
    pub observation_sequence: u64,
    /// Robot clock of row 0 (the observation's `captured_at_micros`).
    pub starts_at_micros: u64,
    /// Robot clock after which no row of it may be executed.
    pub valid_until_micros: u64,
    /// Number of rows.
    pub rows: u32,
    /// Values per row.
    pub dims: u32,
    /// Row-major `[rows, dims]`, absolute targets in the joints' units.
    #[serde(deserialize_with = "bounded::list::<_, { MAX_ROWS * MAX_DIMS }, _>")]
    pub actions: Vec<f32>,
}

impl Message for ActionChunk {
    const KIND: u8 = 0x12;
    const NAME: &'static str = "ActionChunk";
    const MAX_BYTES: usize = 256 << 10;
    const MAX_VALUES: usize = 32 << 10;
    fn validate(&self) -> Result<(), FrameError> {
        let (rows, dims) = (self.rows as usize, self.dims as usize);
        if rows == 0 || rows > MAX_ROWS || dims == 0 || dims > MAX_DIMS {
            return Err(invalid(
                Self::NAME,
                "rows",
                format!("{rows}x{dims}, expected 1x1 to {MAX_ROWS}x{MAX_DIMS}"),
            ));
        }
        if self.actions.len() != rows * dims {
            return Err(invalid(
                Self::NAME,
                "actions",
                format!(
                    "{} values, {rows}x{dims} needs {}",
                    self.actions.len(),
                    rows * dims
                ),
            ));
        }
        if self.valid_until_micros <= self.starts_at_micros {
            return Err(invalid(
                Self::NAME,
                "valid_until_micros",
                "not after starts_at_micros",
            ));
        }
        finite(Self::NAME, "actions", &self.actions)
    }
}

/// The instruction from now on; an empty text means none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instruction {
    /// The instruction as typed.
    #[serde(deserialize_with = "bounded::text::<MAX_TEXT_BYTES, _>")]
    pub text: String,
}

impl Message for Instruction {
    const KIND: u8 = 0x13;
    const NAME: &'static str = "Instruction";
    fn validate(&self) -> Result<(), FrameError> {
        text(Self::NAME, "text", &self.text)
    }
}

/// Halt at once and latch: no chunk moves the robot until [`Release`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Origin of the stop, as text.
    #[serde(
        serialize_with = "bounded::shortened_text::<MAX_TEXT_BYTES, _>",
        deserialize_with = "bounded::text::<MAX_TEXT_BYTES, _>"
    )]
    pub reason: String,
}

impl Message for Stop {
    const KIND: u8 = 0x14;
    const NAME: &'static str = "Stop";
}

/// Lifts a latched stop. The robot stays put until a chunk computed after this arrives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {}

impl Message for Release {
    const KIND: u8 = 0x15;
    const NAME: &'static str = "Release";
}

/// Request for a new scene; only simulated robots honor it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResetScene {
    /// Seed of the scene; the robot picks the next one when absent.
    #[serde(default)]
    pub seed: Option<u64>,
}

impl Message for ResetScene {
    const KIND: u8 = 0x16;
    const NAME: &'static str = "ResetScene";
}

direction! {
    /// Messages of a robot.
    FromRobot, "a robot", {
        /// First message.
        Hello(RobotHello),
        /// Sensors.
        Observation(Observation),
        /// Progress and safety state.
        Report(RobotReport),
        /// A failure of the robot.
        Error(ErrorMessage),
    }
}

direction! {
    /// Messages of the studio to a robot.
    ToRobot, "the studio", {
        /// Answer to hello.
        Welcome(RobotWelcome),
        /// Targets.
        Chunk(ActionChunk),
        /// The instruction.
        Instruction(Instruction),
        /// Halt and latch.
        Stop(Stop),
        /// Lift the latch.
        Release(Release),
        /// Fresh scene.
        Reset(ResetScene),
        /// A refusal.
        Error(ErrorMessage),
    }
}
