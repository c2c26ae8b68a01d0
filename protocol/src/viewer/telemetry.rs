//! The watched robot: its images, its numbers and its status.

use crate::bounded;
use crate::common::{Mode, TaskState, View};
use crate::frame::{FrameError, Message};
use crate::limits::{MAX_DIMS, MAX_FRAME_BYTES, MAX_NAME_BYTES, MAX_TEXT_BYTES};
use serde::{Deserialize, Serialize};

/// One view of the watched robot. Lossy: a slow viewer misses some, never gets an old one late.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ViewFrame {
    /// Id of the robot.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
    /// Observation that it belongs to.
    pub sequence: u64,
    /// Robot clock.
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

/// Numbers of the watched robot; lossy like the views.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RobotState {
    /// Id of the robot.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
    /// Observation that it belongs to.
    pub sequence: u64,
    /// Robot clock.
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

/// State of the subscribed robot. Never dropped: the newest one always arrives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RobotStatus {
    /// Id of the robot.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
    /// Whether it is connected.
    pub connected: bool,
    /// The instruction in force.
    #[serde(deserialize_with = "bounded::text::<MAX_TEXT_BYTES, _>")]
    pub instruction: String,
    /// Head in use.
    pub mode: Mode,
    /// The robot's success test.
    pub task: TaskState,
    /// Seconds on this task by the robot's clock.
    pub task_secs: f32,
    /// The robot holds because nothing valid arrived.
    pub holding: bool,
    /// A stop is latched in the studio.
    pub stop_requested: bool,
    /// The latched stop was written to the robot's connection.
    #[serde(default)]
    pub stop_delivered: bool,
    /// The robot itself confirmed that it stopped and latched.
    pub stopped: bool,
    /// Control ticks, late ones, clamped targets, refused chunks: see `RobotReport`.
    pub ticks: u64,
    /// See `RobotReport`.
    pub late_ticks: u64,
    /// See `RobotReport`.
    pub clamped: u64,
    /// See `RobotReport`.
    pub refused_chunks: u64,
    /// Milliseconds from the command's arrival to the first chunk's departure; absent before that.
    #[serde(default)]
    pub command_to_chunk_millis: Option<f32>,
    /// Number of the stop that is latched in the studio, for [`ReleaseRobot`](super::ReleaseRobot); absent while none is.
    /// Another press of an already stopped robot has another number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_number: Option<u64>,
}

impl Message for RobotStatus {
    const KIND: u8 = 0x36;
    const NAME: &'static str = "RobotStatus";
}
