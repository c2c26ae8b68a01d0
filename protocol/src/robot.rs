//! Robot <-> studio: a robot connects, announces itself, streams observations and receives action chunks.

use crate::bounded;
use crate::common::{
    CameraDescription, ErrorMessage, JointDescription, TaskState, View, finite, name, text,
};
use crate::frame::{FrameError, Message, direction, invalid};
use crate::limits::{
    MAX_DIMS, MAX_EXAMPLES, MAX_FRAME_BYTES, MAX_NAME_BYTES, MAX_ROWS, MAX_TEXT_BYTES, MAX_VIEWS,
};
use serde::{Deserialize, Serialize};

/// Latest time of a robot's clock, in microseconds. It is beyond 100,000 years, and sums of times do not overflow.
pub const MAX_CLOCK_MICROS: u64 = 1 << 62;

/// First message of a robot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RobotHello {
    /// Display name, from which the studio derives the robot's id.
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
    /// True if the robot is simulated, so that nothing real moves.
    #[serde(default)]
    pub simulated: bool,
    /// Token of the previous welcome. With it, a robot takes its place back even while its old connection still counts as
    /// open.
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
                format!("more than {MAX_EXAMPLES} instructions"),
            ));
        }
        self.example_instructions
            .iter()
            .try_for_each(|s| text(Self::NAME, "example_instructions", s))
    }
}

/// Sensor readings of the robot. Sent at the robot's own rate, at least 5 times per second while it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Counts up by one per observation of this connection.
    pub sequence: u64,
    /// Time at which the state was read, by the robot's monotonic clock (us).
    pub captured_at_micros: u64,
    /// Proprioception, in the joints' order and units.
    #[serde(deserialize_with = "bounded::list::<_, MAX_DIMS, _>")]
    pub state: Vec<f32>,
    /// Last commanded target in the same order and units, for plots; empty if unknown.
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
                    "{} is not a valid time; expected microseconds of a monotonic clock, at most 2^62",
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

/// State of the robot, sent whenever it changes and at least once per second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RobotReport {
    /// Time of the report by the robot's monotonic clock (us).
    pub at_micros: u64,
    /// Instruction that `task` refers to.
    #[serde(deserialize_with = "bounded::text::<MAX_TEXT_BYTES, _>")]
    pub instruction: String,
    /// Result of the robot's own success test, if it has one.
    pub task: TaskState,
    /// Seconds since the instruction was given, by the robot's clock.
    pub task_secs: f32,
    /// True while the robot holds its position because no valid chunk arrived for 300 ms.
    pub holding: bool,
    /// True while a stop is latched: nothing moves until it is released.
    pub stopped: bool,
    /// Control ticks executed on this connection.
    pub ticks: u64,
    /// Ticks later than 1.5 control periods after the previous one.
    pub late_ticks: u64,
    /// Targets that were clamped to a joint or speed limit on this connection.
    pub clamped: u64,
    /// Chunks refused on this connection (stale, wrong size, not finite).
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
    /// Id of the robot, unique in this studio.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
    /// Name of the hosted policy.
    #[serde(
        serialize_with = "bounded::shortened_text::<MAX_TEXT_BYTES, _>",
        deserialize_with = "bounded::text::<MAX_TEXT_BYTES, _>"
    )]
    pub policy: String,
    /// Version of the studio, for logs.
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

/// Action chunk: targets for the next control ticks.
///
/// Row `k` is the target at `starts_at_micros + k / control_rate_hz`. Rows that are in the past when the chunk arrives are
/// skipped, not caught up. A robot executes a chunk only while its own clock is before `valid_until_micros`, and holds its
/// position when nothing valid arrived for 300 ms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionChunk {
    /// Counts up by one per chunk of this connection.
    pub chunk_id: u64,
    /// Sequence number of the observation that it was computed from.
    pub observation_sequence: u64,
    /// Time of row 0 by the robot's clock: the observation's `captured_at_micros` (us).
    pub starts_at_micros: u64,
    /// Time after which no row may be executed, by the robot's clock (us).
    pub valid_until_micros: u64,
    /// Number of rows (the horizon).
    pub rows: u32,
    /// Values per row.
    pub dims: u32,
    /// Absolute targets in the joints' units, row-major `[rows, dims]`.
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

/// The instruction in force from now on; an empty text means none.
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

/// Order to halt at once and latch: no chunk moves the robot until [`Release`].
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

/// Lifts a latched stop. The robot does not move until a chunk arrives that was computed from a later observation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {}

impl Message for Release {
    const KIND: u8 = 0x15;
    const NAME: &'static str = "Release";
}

/// Request for a new scene, for simulated robots only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResetScene {
    /// Seed of the scene; without it the robot uses its next one.
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
        /// The first message.
        Hello(RobotHello),
        /// Sensor readings.
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
        /// The answer to the hello.
        Welcome(RobotWelcome),
        /// Targets.
        Chunk(ActionChunk),
        /// The instruction in force.
        Instruction(Instruction),
        /// Order to halt and latch.
        Stop(Stop),
        /// Release of a latched stop.
        Release(Release),
        /// Request for a new scene.
        Reset(ResetScene),
        /// A refusal.
        Error(ErrorMessage),
    }
}
