//! Viewer <-> studio: questions about a robot's camera images.
//!
//! Questions never move the robot: they are answered by a separate model or beside the policy, from the images that the
//! robot sent last. These are sent back first, so that the answer is shown with the images that it is about.

use crate::bounded;
use crate::common::{Stage, View, name, text};
use crate::frame::{FrameError, Message, invalid};
use crate::limits::{
    MAX_ERROR_BYTES, MAX_FRAME_BYTES, MAX_LONG_TEXT_BYTES, MAX_NAME_BYTES, MAX_STAGES,
    MAX_TEXT_BYTES, MAX_VIEWS,
};
use serde::{Deserialize, Serialize};

/// Most marks of one answer.
pub const MAX_MARKS: usize = 512;

/// A question. A viewer has one at a time: a new one ends the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Robot whose images the question is about.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
    /// Chosen by the viewer; the answer carries it.
    pub question_id: u64,
    /// Colour views to show the model, in this order, 1 to 8.
    #[serde(deserialize_with = "bounded::texts::<MAX_VIEWS, MAX_NAME_BYTES, _>")]
    pub cameras: Vec<String>,
    /// The question.
    #[serde(deserialize_with = "bounded::text::<MAX_TEXT_BYTES, _>")]
    pub question: String,
}

impl Message for Ask {
    const KIND: u8 = 0x27;
    const NAME: &'static str = "Ask";
    const MAX_BYTES: usize = 32 << 10;
    fn validate(&self) -> Result<(), FrameError> {
        name(Self::NAME, "robot_id", &self.robot_id)?;
        text(Self::NAME, "question", &self.question)?;
        for (place, camera) in self.cameras.iter().enumerate() {
            name(Self::NAME, "cameras", camera)?;
            // The model would read the same image again, at the same cost.
            if self.cameras.iter().take(place).any(|other| other == camera) {
                return Err(invalid(
                    Self::NAME,
                    "cameras",
                    format!("{camera:?} is named twice"),
                ));
            }
        }
        if (1..=MAX_VIEWS).contains(&self.cameras.len()) {
            Ok(())
        } else {
            Err(invalid(
                Self::NAME,
                "cameras",
                format!("{} are named; 1 to {MAX_VIEWS} can be", self.cameras.len()),
            ))
        }
    }
}

/// Ends an answer that is being written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopAnswer {
    /// The question; nothing happens if it is not the one at hand.
    pub question_id: u64,
}

impl Message for StopAnswer {
    const KIND: u8 = 0x28;
    const NAME: &'static str = "StopAnswer";
}

/// Availability of the question answerer; one of the two fields is present.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answerer {
    /// Name of the model.
    #[serde(default)]
    #[serde(
        serialize_with = "bounded::shortened_optional_text::<MAX_TEXT_BYTES, _>",
        deserialize_with = "bounded::optional_text::<MAX_TEXT_BYTES, _>"
    )]
    pub model: Option<String>,
    /// Reason why questions are unavailable and the remedy, as text.
    #[serde(default)]
    #[serde(
        serialize_with = "bounded::shortened_optional_text::<MAX_ERROR_BYTES, _>",
        deserialize_with = "bounded::optional_text::<MAX_ERROR_BYTES, _>"
    )]
    pub unavailable: Option<String>,
}

/// The images that a question is about, as the model reads them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SceneAsked {
    /// The question.
    pub question_id: u64,
    /// Id of the robot.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
    /// Observation that the images belong to.
    pub sequence: u64,
    /// Capture time by the robot's clock (us).
    pub captured_at_micros: u64,
    /// In the order of the question (`Jpeg`).
    #[serde(deserialize_with = "bounded::list::<_, MAX_VIEWS, _>")]
    pub views: Vec<View>,
}

impl Message for SceneAsked {
    const KIND: u8 = 0x38;
    const NAME: &'static str = "SceneAsked";
    const MAX_BYTES: usize = MAX_FRAME_BYTES;
    fn validate(&self) -> Result<(), FrameError> {
        self.views
            .iter()
            .try_for_each(|view| view.validate(Self::NAME))
    }
}

/// State of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerState {
    /// Queued behind `ahead` other questions.
    Waiting,
    /// More will come.
    Writing,
    /// The answer is complete.
    Done,
    /// A limit was reached before the end of the answer.
    CutOff,
    /// The viewer ended it, by a newer question for example.
    Stopped,
    /// The answer failed, wholly or midway; `error` has the reason.
    Failed,
}

/// A shape that the answer marks, in pixels of its view.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkShape {
    /// A place.
    Point {
        /// From the left edge.
        x: f32,
        /// From the top edge.
        y: f32,
    },
    /// A rectangle.
    Box {
        /// From the left edge to its left.
        left: f32,
        /// From the top edge to its top.
        top: f32,
        /// From the left edge to its right.
        right: f32,
        /// From the top edge to its bottom.
        bottom: f32,
    },
}

/// One mark of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SceneMark {
    /// The view that it is in.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub view: String,
    /// The model's label for it; may be empty.
    #[serde(
        serialize_with = "bounded::shortened_text::<MAX_NAME_BYTES, _>",
        deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>"
    )]
    pub label: String,
    /// The model's number for it.
    pub id: u32,
    /// Marks of one piece of markup have the same group, counted from 0.
    pub group: u32,
    /// Its shape and place.
    pub shape: MarkShape,
}

/// An answer so far. Each one holds everything, so the newest is enough.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The question.
    pub question_id: u64,
    /// Its state.
    pub state: AnswerState,
    /// While `Waiting`: questions before this one, that being answered included.
    pub ahead: u32,
    /// The generated text.
    #[serde(
        serialize_with = "bounded::shortened_text::<MAX_LONG_TEXT_BYTES, _>",
        deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>"
    )]
    pub text: String,
    /// With its markup replaced by what it marks.
    #[serde(
        serialize_with = "bounded::shortened_text::<MAX_LONG_TEXT_BYTES, _>",
        deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>"
    )]
    pub plain: String,
    /// Points and boxes in it.
    #[serde(deserialize_with = "bounded::list::<_, MAX_MARKS, _>")]
    pub marks: Vec<SceneMark>,
    /// Tokens of the answer; 0 while it is written.
    pub tokens: u32,
    /// Reason of the failure; else empty.
    #[serde(
        serialize_with = "bounded::shortened_text::<MAX_ERROR_BYTES, _>",
        deserialize_with = "bounded::text::<MAX_ERROR_BYTES, _>"
    )]
    pub error: String,
    /// Time per stage, at the end.
    #[serde(deserialize_with = "bounded::list::<_, MAX_STAGES, _>")]
    pub stages: Vec<Stage>,
}

impl Message for Answer {
    const KIND: u8 = 0x39;
    const NAME: &'static str = "Answer";
    const MAX_BYTES: usize = 1 << 20;
    const MAX_VALUES: usize = 16 << 10;
}
