//! Viewer <-> studio: viewers subscribe and command. Most messages to them are lossy, and the newest always arrives.
//!
//! - `commands`: messages of a viewer
//! - `welcome`: the answer to the hello, with the hosted policy
//! - `robots`: the robots of a studio
//! - `telemetry`: images, joint values and status of the watched robot
//! - `decisions`: decisions of the policy, during and after their generation
//! - `stops`: the answer to a stop
//! - `heartbeat`: the studio's heartbeat and its echo

mod commands;
mod decisions;
mod heartbeat;
mod robots;
mod stops;
mod telemetry;
mod welcome;

pub use commands::{Command, ReleaseRobot, ResetRobot, StopAll, StopRobot, ViewerHello, Watch};
pub use decisions::{TokensOrigin, TokensSoFar, Trace};
pub use heartbeat::{Heard, Heartbeat};
pub use robots::{
    MAX_ROBOTS, MAX_WARNING_BYTES, MAX_WARNINGS, RobotChanged, RobotDetails, RobotList,
    RobotSummary,
};
pub use stops::{MAX_STOPPED, StopAccepted, StoppedRobot};
pub use telemetry::{RobotState, RobotStatus, ViewFrame};
pub use welcome::{ActionDimension, PolicyDescription, ViewerWelcome};

use crate::common::ErrorMessage;
use crate::frame::direction;
use crate::scene::{Answer, Ask, SceneAsked, StopAnswer};

direction! {
    /// Messages of a viewer.
    FromViewer, "a viewer", {
        /// The first message.
        Hello(ViewerHello),
        /// Subscription to a robot.
        Watch(Watch),
        /// An instruction.
        Command(Command),
        /// Stop of one robot.
        Stop(StopRobot),
        /// Stop of all robots.
        StopAll(StopAll),
        /// Release of a stop.
        Release(ReleaseRobot),
        /// Request for a new scene.
        Reset(ResetRobot),
        /// A question about the scene.
        Ask(Ask),
        /// End of an answer.
        StopAnswer(StopAnswer),
        /// Echo of a heartbeat.
        Heard(Heard),
    }
}

direction! {
    /// Messages of the studio to a viewer.
    ToViewer, "the studio", {
        /// The answer to the hello.
        Welcome(ViewerWelcome),
        /// All robots.
        Robots(RobotList),
        /// A robot whose entry changed.
        Robot(RobotChanged),
        /// Details of the watched robot.
        Details(RobotDetails),
        /// An image.
        Frame(ViewFrame),
        /// Joint values.
        State(RobotState),
        /// A decision.
        Trace(Trace),
        /// State of the watched robot.
        Status(RobotStatus),
        /// A decision that is being generated.
        Tokens(TokensSoFar),
        /// The images of a question.
        Scene(SceneAsked),
        /// An answer so far.
        Answer(Answer),
        /// A stop that is latched.
        StopAccepted(StopAccepted),
        /// The studio's heartbeat.
        Heartbeat(Heartbeat),
        /// A refusal.
        Error(ErrorMessage),
    }
}
