//! Answer to a stop.

use crate::bounded;
use crate::frame::Message;
use crate::limits::{MAX_NAME_BYTES, MAX_TEXT_BYTES};
use serde::{Deserialize, Serialize};

/// Most robots that one press stops, disconnected ones included.
pub const MAX_STOPPED: usize = 16 << 10;

/// A robot whose stop was latched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoppedRobot {
    /// Id of the robot.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
    /// True if the robot is connected and the stop is on its way. Otherwise the robot receives the stop when it connects.
    pub connected: bool,
}

/// Answer to [`StopRobot`](super::StopRobot) and [`StopAll`](super::StopAll) for the viewer that pressed, sent once the latch
/// is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopAccepted {
    /// Number of the press.
    pub press_id: u64,
    /// Robots that are stopped.
    #[serde(deserialize_with = "bounded::list::<_, MAX_STOPPED, _>")]
    pub robots: Vec<StoppedRobot>,
    /// Reason why the latch would not survive a restart of the studio; empty if it would. The robots are stopped either way.
    #[serde(default)]
    #[serde(
        serialize_with = "bounded::shortened_text::<MAX_TEXT_BYTES, _>",
        deserialize_with = "bounded::text::<MAX_TEXT_BYTES, _>"
    )]
    pub not_on_disk: String,
}

impl Message for StopAccepted {
    const KIND: u8 = 0x3a;
    const NAME: &'static str = "StopAccepted";
    const MAX_BYTES: usize = 8 << 20;
    const MAX_VALUES: usize = 128 << 10;
}
