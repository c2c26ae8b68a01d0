//! The robots of a studio.

use crate::bounded;
use crate::common::{CameraDescription, JointDescription};
use crate::frame::Message;
use crate::limits::{
    MAX_DIMS, MAX_EXAMPLES, MAX_FRAME_BYTES, MAX_NAME_BYTES, MAX_TEXT_BYTES, MAX_VIEWS,
};
use serde::{Deserialize, Serialize};

/// Most robots of a list. A list of so many fits a frame even when every robot's hello has the largest size.
pub const MAX_ROBOTS: usize = 192;
/// Most warnings about one robot.
pub const MAX_WARNINGS: usize = 8;
/// Longest warning, in bytes.
pub const MAX_WARNING_BYTES: usize = 1000;

/// Entry of the robot list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RobotSummary {
    /// Unique id.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
    /// Display name.
    #[serde(
        serialize_with = "bounded::shortened_text::<MAX_NAME_BYTES, _>",
        deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>"
    )]
    pub name: String,
    /// Joints in vector order.
    #[serde(deserialize_with = "bounded::list::<_, MAX_DIMS, _>")]
    pub joints: Vec<JointDescription>,
    /// Cameras.
    #[serde(deserialize_with = "bounded::list::<_, MAX_VIEWS, _>")]
    pub cameras: Vec<CameraDescription>,
    /// Control rate.
    pub control_rate_hz: f32,
    /// Example instructions.
    #[serde(deserialize_with = "bounded::texts::<MAX_EXAMPLES, MAX_TEXT_BYTES, _>")]
    pub example_instructions: Vec<String>,
    /// Whether it is connected now.
    pub connected: bool,
    /// The robot said that nothing real moves.
    #[serde(default)]
    pub simulated: bool,
    /// Whether it continues when the viewer that commanded it is gone; otherwise it then holds.
    #[serde(default)]
    pub unattended: bool,
    /// Contradictions between its announcement and the policy, such as joints in radians under statistics in degrees.
    #[serde(default)]
    #[serde(
        serialize_with = "bounded::shortened_texts::<MAX_WARNINGS, MAX_WARNING_BYTES, _>",
        deserialize_with = "bounded::texts::<MAX_WARNINGS, MAX_WARNING_BYTES, _>"
    )]
    pub warnings: Vec<String>,
}

/// All robots of the studio; sent at the start and whenever the list changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RobotList {
    /// In order of arrival.
    #[serde(deserialize_with = "bounded::list::<_, MAX_ROBOTS, _>")]
    pub robots: Vec<RobotSummary>,
}

impl Message for RobotList {
    const KIND: u8 = 0x32;
    const NAME: &'static str = "RobotList";
    const MAX_BYTES: usize = MAX_FRAME_BYTES;
    const MAX_VALUES: usize = 1 << 20;
}
