//! Telemetry of the watched robot: images, joint values and status.

use crate::bounded;
use crate::common::{Mode, TaskState, View};
use crate::frame::{FrameError, Message};
use crate::limits::{MAX_DIMS, MAX_FRAME_BYTES, MAX_NAME_BYTES, MAX_TEXT_BYTES};
use serde::{Deserialize, Serialize};

/// One view of the watched robot. Lossy: a slow viewer misses some, but never receives an outdated one late.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ViewFrame {
    /// Id of the robot.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
    /// Sequence number of its observation.
    pub sequence: u64,
    /// Capture time by the robot's clock (us).
    pub captured_at_micros: u64,
    /// The image (`Jpeg` or `DepthGray8`).
    pub view: View,
}

impl Message for ViewFrame {
    const KIND: u8 = 0x33;
    const NAME: &'static str = "ViewFrame";
    const MAX_BYTES: usize = MAX_FRAME_BYTES;
    fn validate(&self) -> Result<(), FrameError> {
        self.view.validate(Self::NAME)
    }
}

/// Joint values of the watched robot; lossy like the views.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RobotState {
    /// Id of the robot.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
    /// Sequence number of its observation.
    pub sequence: u64,
    /// Capture time by the robot's clock (us).
    pub captured_at_micros: u64,
    /// Proprioception in joint order and units.
    #[serde(deserialize_with = "bounded::list::<_, MAX_DIMS, _>")]
    pub state: Vec<f32>,
    /// Commanded target in joint order and units; may be empty.
    #[serde(deserialize_with = "bounded::list::<_, MAX_DIMS, _>")]
    pub commanded: Vec<f32>,
}

impl Message for RobotState {
    const KIND: u8 = 0x34;
    const NAME: &'static str = "RobotState";
}

/// Status of the watched robot. Never dropped: the newest one always arrives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RobotStatus {
    /// Id of the robot.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
    /// True while the robot is connected.
    pub connected: bool,
    /// The instruction in force.
    #[serde(deserialize_with = "bounded::text::<MAX_TEXT_BYTES, _>")]
    pub instruction: String,
    /// Head in use.
    pub mode: Mode,
    /// Result of the robot's success test.
    pub task: TaskState,
    /// Seconds since the instruction was given, by the robot's clock.
    pub task_secs: f32,
    /// True while the robot holds because nothing valid arrived.
    pub holding: bool,
    /// True while a stop is latched in the studio.
    pub stop_requested: bool,
    /// True if the latched stop was written to the robot's connection.
    #[serde(default)]
    pub stop_delivered: bool,
    /// True if the robot itself confirmed that it stopped and latched.
    pub stopped: bool,
    /// Control ticks; see [`RobotReport`](crate::robot::RobotReport).
    pub ticks: u64,
    /// Late ticks; see [`RobotReport`](crate::robot::RobotReport).
    pub late_ticks: u64,
    /// Clamped targets; see [`RobotReport`](crate::robot::RobotReport).
    pub clamped: u64,
    /// Refused chunks; see [`RobotReport`](crate::robot::RobotReport).
    pub refused_chunks: u64,
    /// Milliseconds from the instruction's arrival to the first chunk's departure; absent before that.
    #[serde(default)]
    pub command_to_chunk_millis: Option<f32>,
    /// Number of the latched stop, for [`ReleaseRobot`](super::ReleaseRobot); absent while none is latched. A further press
    /// of a stopped robot has a new number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_number: Option<u64>,
}

impl Message for RobotStatus {
    const KIND: u8 = 0x36;
    const NAME: &'static str = "RobotStatus";
}
