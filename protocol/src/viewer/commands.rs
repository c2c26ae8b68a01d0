//! Messages of a viewer: its hello, subscriptions and commands.

use crate::bounded;
use crate::common::{Mode, name, text};
use crate::frame::{FrameError, Message};
use crate::limits::{MAX_NAME_BYTES, MAX_TEXT_BYTES};
use crate::robot::ResetScene;
use serde::{Deserialize, Serialize};

/// First message of a viewer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewerHello {
    /// Software and version, for the log.
    #[serde(deserialize_with = "bounded::text::<MAX_TEXT_BYTES, _>")]
    pub client: String,
}

impl Message for ViewerHello {
    const KIND: u8 = 0x21;
    const NAME: &'static str = "ViewerHello";
    fn validate(&self) -> Result<(), FrameError> {
        text(Self::NAME, "client", &self.client)
    }
}

/// Subscribes to one robot, and ends the previous subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Robot to watch.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
}

impl Message for Watch {
    const KIND: u8 = 0x22;
    const NAME: &'static str = "Watch";
    fn validate(&self) -> Result<(), FrameError> {
        name(Self::NAME, "robot_id", &self.robot_id)
    }
}

/// An instruction for a robot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Robot to command.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
    /// The instruction; empty ends the current one and lets the robot hold.
    #[serde(deserialize_with = "bounded::text::<MAX_TEXT_BYTES, _>")]
    pub text: String,
    /// Head of the policy to use.
    pub mode: Mode,
    /// Number of the newest [`Heartbeat`](super::Heartbeat) that the viewer had received when the instruction was given. With
    /// it the studio recognizes a command that a failed link has delayed. Without it nothing is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_beat: Option<u64>,
}

impl Message for Command {
    const KIND: u8 = 0x23;
    const NAME: &'static str = "Command";
    fn validate(&self) -> Result<(), FrameError> {
        name(Self::NAME, "robot_id", &self.robot_id)?;
        text(Self::NAME, "text", &self.text)
    }
}

/// Stops a robot at once and latches the stop. Repeated until [`StopAccepted`](super::StopAccepted) echoes its `press_id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRobot {
    /// Robot to stop.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
    /// Number of the press, chosen by the viewer. A press that arrives twice stops once.
    #[serde(default)]
    pub press_id: u64,
}

impl Message for StopRobot {
    const KIND: u8 = 0x24;
    const NAME: &'static str = "StopRobot";
    fn validate(&self) -> Result<(), FrameError> {
        name(Self::NAME, "robot_id", &self.robot_id)
    }
}

/// Stops every robot of the studio, connected or not, and latches the stops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopAll {
    /// As in [`StopRobot`].
    #[serde(default)]
    pub press_id: u64,
}

impl Message for StopAll {
    const KIND: u8 = 0x29;
    const NAME: &'static str = "StopAll";
}

/// Lifts a latched stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRobot {
    /// Robot to release.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
    /// As in [`Command`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_beat: Option<u64>,
    /// Number of the stop to lift, from [`RobotStatus::stop_number`](super::RobotStatus::stop_number). A release of an older
    /// stop than the latched one is refused. Without it, `heard_beat` decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_number: Option<u64>,
}

impl Message for ReleaseRobot {
    const KIND: u8 = 0x25;
    const NAME: &'static str = "ReleaseRobot";
    fn validate(&self) -> Result<(), FrameError> {
        name(Self::NAME, "robot_id", &self.robot_id)
    }
}

/// Request to a simulated robot for a new scene.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResetRobot {
    /// Robot to reset.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
    /// The requested scene.
    #[serde(default)]
    pub scene: ResetScene,
    /// As in [`Command`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_beat: Option<u64>,
}

impl Message for ResetRobot {
    const KIND: u8 = 0x26;
    const NAME: &'static str = "ResetRobot";
    fn validate(&self) -> Result<(), FrameError> {
        name(Self::NAME, "robot_id", &self.robot_id)
    }
}
