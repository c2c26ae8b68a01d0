//! Viewer <-> studio. Viewers subscribe and command; most of what they receive is lossy and always the newest.
//!
//! - `commands`: messages of a viewer
//! - `welcome`: the answer to its hello, with the hosted policy
//! - `robots`: the robots of a studio
//! - `telemetry`: images, numbers and status of the watched robot
//! - `decisions`: what the policy generates and decided
//! - `stops`: the answer to a stop
//! - `heartbeat`: the studio's sign of life, and its echo

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
        /// First message.
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
        /// New scene.
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
        /// Answer to hello.
        Welcome(ViewerWelcome),
        /// Robots.
        Robots(RobotList),
        /// A robot of which the entry changed.
        Robot(RobotChanged),
        /// The rest about the watched robot.
        Details(RobotDetails),
        /// An image.
        Frame(ViewFrame),
        /// Numbers.
        State(RobotState),
        /// A decision.
        Trace(Trace),
        /// State of a robot.
        Status(RobotStatus),
        /// A decision that is being generated.
        Tokens(TokensSoFar),
        /// The images that a question is about.
        Scene(SceneAsked),
        /// An answer so far.
        Answer(Answer),
        /// A stop is latched.
        StopAccepted(StopAccepted),
        /// Sign of life.
        Heartbeat(Heartbeat),
        /// A refusal.
        Error(ErrorMessage),
    }
}
