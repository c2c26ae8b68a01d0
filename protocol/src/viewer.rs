//! Viewer <-> studio. Viewers subscribe and command; most of what they receive is lossy and always the newest.

use crate::bounded;
use crate::common::{
    CameraDescription, ErrorMessage, JointDescription, Mode, Stage, TaskState, View, name, text,
};
use crate::depth::{DepthDescription, DepthReasoning};
use crate::frame::{FrameError, Message, direction};
use crate::limits::{
    MAX_DIMS, MAX_EXAMPLES, MAX_FRAME_BYTES, MAX_LONG_TEXT_BYTES, MAX_NAME_BYTES, MAX_ROWS,
    MAX_STAGES, MAX_TEXT_BYTES, MAX_TOKENS, MAX_VIEWS,
};
use crate::robot::ResetScene;
use crate::scene::{Answer, Answerer, Ask, SceneAsked, StopAnswer};
use serde::{Deserialize, Serialize};

/// Most robots of a list. A list of so many fits a frame even when every robot's hello has the largest size.
pub const MAX_ROBOTS: usize = 192;
/// Most robots that one press stops, those of earlier days included.
pub const MAX_STOPPED: usize = 16 << 10;
/// Most warnings about one robot.
pub const MAX_WARNINGS: usize = 8;
/// Longest warning, in bytes.
pub const MAX_WARNING_BYTES: usize = 1000;

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

/// Subscribes to one robot (and leaves the one watched before).
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
    /// The newest [`Heartbeat`] that the viewer had heard when this was given, by which the studio knows one that a dead
    /// link kept for later. Absent from clients that do not say.
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

/// Stops a robot at once and latches. Sent again until [`StopAccepted`] echoes its `press_id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRobot {
    /// Robot to stop.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
    /// Chosen by the viewer, one number per press; a press that arrives twice stops once.
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

/// Stops every robot of the studio, connected or not, and latches.
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
    /// The stop that is to be lifted: [`RobotStatus::stop_number`], as the viewer was shown it. A release that names an
    /// older one than that in force is refused. Absent from clients that do not say.
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

/// One action dimension as the checkpoint's norm_stats describe it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionDimension {
    /// For example `gripper`.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub name: String,
    /// Robot-unit value of normalised -1.
    pub low: f32,
    /// Robot-unit value of normalised +1.
    pub high: f32,
    /// Whether the normalisation applies; otherwise values pass through.
    pub normalised: bool,
}

/// The policy that the studio hosts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyDescription {
    /// Checkpoint name.
    #[serde(
        serialize_with = "bounded::shortened_text::<MAX_TEXT_BYTES, _>",
        deserialize_with = "bounded::text::<MAX_TEXT_BYTES, _>"
    )]
    pub name: String,
    /// Parameter count.
    pub parameters: u64,
    /// Description of the device that it runs on.
    #[serde(
        serialize_with = "bounded::shortened_text::<MAX_TEXT_BYTES, _>",
        deserialize_with = "bounded::text::<MAX_TEXT_BYTES, _>"
    )]
    pub device: String,
    /// Rows of a chunk.
    pub horizon: u32,
    /// Modes that the checkpoint was trained for.
    #[serde(deserialize_with = "bounded::list::<_, MAX_VIEWS, _>")]
    pub modes: Vec<Mode>,
    /// Dimensions of an action.
    #[serde(deserialize_with = "bounded::list::<_, MAX_DIMS, _>")]
    pub action: Vec<ActionDimension>,
    /// Whether `/api/policy/openfast/{tokenizer.json,processor_config.json}` are there to be fetched.
    pub has_tokenizer: bool,
    /// Its depth reasoning; absent for one without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<DepthDescription>,
}

/// The studio's answer to [`ViewerHello`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ViewerWelcome {
    /// The studio's version.
    #[serde(
        serialize_with = "bounded::shortened_text::<MAX_NAME_BYTES, _>",
        deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>"
    )]
    pub studio_version: String,
    /// The hosted policy.
    pub policy: PolicyDescription,
    /// Availability of the question answerer.
    #[serde(default)]
    pub answerer: Answerer,
}

impl Message for ViewerWelcome {
    const KIND: u8 = 0x31;
    const NAME: &'static str = "ViewerWelcome";
    const MAX_BYTES: usize = 256 << 10;
}

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

/// Origin of the tokens of a [`Trace`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokensOrigin {
    /// Generated by the policy's discrete head; decoding them gives exactly the chunk.
    Generated,
    /// The flow-matching chunk was encoded for transport; decoding them gives the chunk up to quantisation.
    Encoded,
}

/// Trace of one decision, from the prompt to the actions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// Id of the robot.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
    /// The chunk that it explains.
    pub chunk_id: u64,
    /// Observation that it was computed from.
    pub observation_sequence: u64,
    /// The instruction as typed.
    #[serde(deserialize_with = "bounded::text::<MAX_TEXT_BYTES, _>")]
    pub instruction: String,
    /// Head that made it.
    pub mode: Mode,
    /// The prompt as text, image tokens folded.
    #[serde(
        serialize_with = "bounded::shortened_text::<MAX_LONG_TEXT_BYTES, _>",
        deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>"
    )]
    pub prompt: String,
    /// Number of prompt tokens, image tokens included.
    pub prompt_tokens: u32,
    /// OpenFAST ids (not VLM ids).
    #[serde(deserialize_with = "bounded::list::<_, MAX_TOKENS, _>")]
    pub action_tokens: Vec<u32>,
    /// Their origin.
    pub tokens_origin: TokensOrigin,
    /// Rows of the chunk.
    pub rows: u32,
    /// Values per row.
    pub dims: u32,
    /// Row-major `[rows, dims]`, normalised, as the policy computed it.
    #[serde(deserialize_with = "bounded::list::<_, { MAX_ROWS * MAX_DIMS }, _>")]
    pub chunk_normalised: Vec<f32>,
    /// Row-major `[rows, dims]` in robot units, as the robot was sent it.
    #[serde(deserialize_with = "bounded::list::<_, { MAX_ROWS * MAX_DIMS }, _>")]
    pub actions: Vec<f32>,
    /// Time per stage.
    #[serde(deserialize_with = "bounded::list::<_, MAX_STAGES, _>")]
    pub stages: Vec<Stage>,
    /// From the observation's arrival to the chunk's departure, waiting included.
    pub latency_micros: u64,
    /// Rows at the beginning that were taken over from the chunk before, because the robot was already
    /// executing them (real-time chunking); 0 for a chunk computed from its observation alone.
    #[serde(default)]
    pub committed_rows: u32,
    /// The depth map that was generated before the actions, by policies that reason about depth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<Box<DepthReasoning>>,
}

impl Message for Trace {
    const KIND: u8 = 0x35;
    const NAME: &'static str = "Trace";
    const MAX_BYTES: usize = MAX_FRAME_BYTES;
    const MAX_VALUES: usize = 256 << 10;
    fn validate(&self) -> Result<(), FrameError> {
        match &self.depth {
            Some(depth) => depth.validate(Self::NAME),
            None => Ok(()),
        }
    }
}

/// The action tokens of a decision that is still being generated, at most thirty times a second. Lossy: each
/// one holds all tokens so far, so a missed one loses nothing. A decision whose tokens take less than a
/// thirtieth of a second is reported by its [`Trace`] alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokensSoFar {
    /// Id of the robot.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
    /// Observation that the decision is computed from; its [`Trace`] names the same one. Not every stream
    /// ends in a trace: a decision that is superseded or stopped is never sent.
    pub observation_sequence: u64,
    /// OpenFAST ids from the first to the newest.
    #[serde(deserialize_with = "bounded::list::<_, MAX_TOKENS, _>")]
    pub tokens: Vec<u32>,
    /// Rows of the chunk that they will make.
    pub rows: u32,
    /// Values per row.
    pub dims: u32,
}

impl Message for TokensSoFar {
    const KIND: u8 = 0x37;
    const NAME: &'static str = "TokensSoFar";
    const MAX_BYTES: usize = 512 << 10;
    const MAX_VALUES: usize = 128 << 10;
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
    /// Number of the stop that is latched in the studio, for [`ReleaseRobot`]; absent while none is. Another press of an
    /// already stopped robot has another number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_number: Option<u64>,
}

impl Message for RobotStatus {
    const KIND: u8 = 0x36;
    const NAME: &'static str = "RobotStatus";
}

/// A robot whose stop was latched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoppedRobot {
    /// Id of the robot.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
    /// Whether it is connected, so that the stop is on its way; otherwise it meets the stop when it dials in.
    pub connected: bool,
}

/// The answer to [`StopRobot`] and [`StopAll`], to the viewer that pressed, once the latch is where a restart finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopAccepted {
    /// The press.
    pub press_id: u64,
    /// The robots that are latched by it.
    #[serde(deserialize_with = "bounded::list::<_, MAX_STOPPED, _>")]
    pub robots: Vec<StoppedRobot>,
    /// Reason why the latch would not survive a restart of the studio; empty when it does. The robots are stopped either way.
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

/// Sign of life of the studio, sent behind the welcome and every 500 ms. A viewer that misses it for a second reports a
/// dead link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Counts up by one per heartbeat of this connection.
    pub beat: u64,
    /// Parts of the studio that do not respond, one sentence each.
    #[serde(default)]
    #[serde(
        serialize_with = "bounded::shortened_texts::<MAX_VIEWS, MAX_TEXT_BYTES, _>",
        deserialize_with = "bounded::texts::<MAX_VIEWS, MAX_TEXT_BYTES, _>"
    )]
    pub problems: Vec<String>,
}

impl Message for Heartbeat {
    const KIND: u8 = 0x3b;
    const NAME: &'static str = "Heartbeat";
    const MAX_BYTES: usize = 32 << 10;
}

/// Echo of a [`Heartbeat`]. A browser answers pings even for a page that hangs, so a viewer that has sent one echo on a
/// connection is present by its echoes alone. A viewer that sends none is present by its pongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// [`Heartbeat::beat`] of the heartbeat that has arrived.
    pub beat: u64,
}

impl Message for Heard {
    const KIND: u8 = 0x2a;
    const NAME: &'static str = "Heard";
}

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
