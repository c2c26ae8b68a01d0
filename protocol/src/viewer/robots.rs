//! The robots of a studio: a short entry for each, and the details of one.

use crate::bounded::{self, shortened};
use crate::common::{CameraDescription, JointDescription};
use crate::frame::Message;
use crate::limits::{MAX_DIMS, MAX_EXAMPLES, MAX_NAME_BYTES, MAX_TEXT_BYTES, MAX_VIEWS};
use serde::{Deserialize, Serialize, Serializer};

/// Most robots of a list, those that left included.
pub const MAX_ROBOTS: usize = 192;
/// Most warnings about one robot.
pub const MAX_WARNINGS: usize = 8;
/// Longest warning, in bytes.
pub const MAX_WARNING_BYTES: usize = 1000;

/// Entry of the robot list. A robot cannot make any of its fields long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct RobotSummary {
    /// Unique id.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
    /// Display name; written shortened to [`MAX_NAME_BYTES`].
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub name: String,
    /// True while the robot is connected.
    pub connected: bool,
    /// True if the robot announced that it is simulated.
    #[serde(default)]
    pub simulated: bool,
    /// True if the robot continues after the viewer that commanded it has left; otherwise it holds.
    #[serde(default)]
    pub unattended: bool,
    /// True while a stop is latched in the studio.
    #[serde(default)]
    pub stop_requested: bool,
    /// End of its last connection, in seconds since 1970 by the studio's clock; absent while the robot is connected.
    #[serde(default)]
    pub left_unix_secs: Option<u64>,
}

/// A [`RobotSummary`] on the wire. Viewers from before [`RobotDetails`] require the fields that moved there, so they are
/// written empty.
#[derive(Serialize)]
struct WrittenSummary<'a> {
    robot_id: &'a str,
    name: &'a str,
    joints: [(); 0],
    cameras: [(); 0],
    control_rate_hz: f32,
    example_instructions: [(); 0],
    connected: bool,
    simulated: bool,
    unattended: bool,
    stop_requested: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_unix_secs: Option<u64>,
}

impl Serialize for RobotSummary {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        WrittenSummary {
            robot_id: &self.robot_id,
            name: &shortened(&self.name, MAX_NAME_BYTES),
            joints: [],
            cameras: [],
            control_rate_hz: 0.0,
            example_instructions: [],
            connected: self.connected,
            simulated: self.simulated,
            unattended: self.unattended,
            stop_requested: self.stop_requested,
            left_unix_secs: self.left_unix_secs,
        }
        .serialize(to)
    }
}

/// All robots of the studio, sent behind the welcome and within two seconds after a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RobotList {
    /// Entries in order of arrival.
    #[serde(deserialize_with = "bounded::list::<_, MAX_ROBOTS, _>")]
    pub robots: Vec<RobotSummary>,
}

impl Message for RobotList {
    const KIND: u8 = 0x32;
    const NAME: &'static str = "RobotList";
    const MAX_BYTES: usize = 256 << 10;
    const MAX_VALUES: usize = 8 << 10;
}

/// A new or changed entry, sent before the next [`RobotList`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RobotChanged {
    /// The current entry.
    pub robot: RobotSummary,
}

impl Message for RobotChanged {
    const KIND: u8 = 0x3d;
    const NAME: &'static str = "RobotChanged";
}

/// The announcement of the watched robot and its contradictions to the policy, sent behind [`Watch`](super::Watch) and
/// whenever they change. A robot that left has none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RobotDetails {
    /// Id of the robot.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
    /// Joints in vector order.
    #[serde(deserialize_with = "bounded::list::<_, MAX_DIMS, _>")]
    pub joints: Vec<JointDescription>,
    /// Cameras.
    #[serde(deserialize_with = "bounded::list::<_, MAX_VIEWS, _>")]
    pub cameras: Vec<CameraDescription>,
    /// Rate at which the robot consumes chunk rows.
    pub control_rate_hz: f32,
    /// Example instructions.
    #[serde(deserialize_with = "bounded::texts::<MAX_EXAMPLES, MAX_TEXT_BYTES, _>")]
    pub example_instructions: Vec<String>,
    /// Contradictions between its announcement and the policy, such as joints in radians under statistics in degrees.
    #[serde(default)]
    #[serde(
        serialize_with = "bounded::shortened_texts::<MAX_WARNINGS, MAX_WARNING_BYTES, _>",
        deserialize_with = "bounded::texts::<MAX_WARNINGS, MAX_WARNING_BYTES, _>"
    )]
    pub warnings: Vec<String>,
}

impl Message for RobotDetails {
    const KIND: u8 = 0x3c;
    const NAME: &'static str = "RobotDetails";
    /// Enough for the largest hello and all warnings.
    const MAX_BYTES: usize = 80 << 10;
    const MAX_VALUES: usize = 4 << 10;
}
