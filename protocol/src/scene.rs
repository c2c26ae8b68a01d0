//! Viewer <-> studio: questions about a robot's camera images.
//!
//! Questions never move the robot. A separate model or the policy's own language model answers them, from the images that
//! the robot sent last. These images are sent back first, so that the answer is shown with its images.

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
    /// Names of the color views for the model, in this order, 1 to 8.
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
        for (index, camera) in self.cameras.iter().enumerate() {
            name(Self::NAME, "cameras", camera)?;
            // The model would read the same image again, at the same cost.
            if self.cameras.iter().take(index).any(|other| other == camera) {
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
                format!("{} cameras, expected 1 to {MAX_VIEWS}", self.cameras.len()),
            ))
        }
    }
}

/// Ends an answer that is being generated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopAnswer {
    /// Id of the question. Nothing happens if it is not the current one.
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

/// Images of a question, as the model reads them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SceneAsked {
    /// Id of the question.
    pub question_id: u64,
    /// Id of the robot.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub robot_id: String,
    /// Sequence number of their observation.
    pub sequence: u64,
    /// Capture time by the robot's clock (us).
    pub captured_at_micros: u64,
    /// The images, in the order of the question (`Jpeg`).
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
    /// The answer is being generated.
    Writing,
    /// The answer is complete.
    Done,
    /// A limit was reached before the end of the answer.
    CutOff,
    /// The viewer ended it, for example by a newer question.
    Stopped,
    /// The answer failed, at the beginning or midway; `error` has the reason.
    Failed,
}

/// Shape of a mark, in pixels of its view, from the top left corner.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkShape {
    /// A point.
    Point {
        /// Distance from the left edge of the view.
        x: f32,
        /// Distance from the top edge of the view.
        y: f32,
    },
    /// A rectangle.
    Box {
        /// Its left side, from the left edge of the view.
        left: f32,
        /// Its top side, from the top edge of the view.
        top: f32,
        /// Its right side, from the left edge of the view.
        right: f32,
        /// Its bottom side, from the top edge of the view.
        bottom: f32,
    },
}

/// One mark of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SceneMark {
    /// Name of the view that it is in.
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
    /// Number of its piece of markup in the answer, from 0; all marks of one piece share it.
    pub group: u32,
    /// Its shape and position.
    pub shape: MarkShape,
}

/// An answer so far. Each message is complete, so the newest one suffices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Id of the question.
    pub question_id: u64,
    /// State of the answer.
    pub state: AnswerState,
    /// While `Waiting`: number of questions before this one, the running one included.
    pub ahead: u32,
    /// The generated text.
    #[serde(
        serialize_with = "bounded::shortened_text::<MAX_LONG_TEXT_BYTES, _>",
        deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>"
    )]
    pub text: String,
    /// The text with each piece of markup replaced by its label.
    #[serde(
        serialize_with = "bounded::shortened_text::<MAX_LONG_TEXT_BYTES, _>",
        deserialize_with = "bounded::text::<MAX_LONG_TEXT_BYTES, _>"
    )]
    pub plain: String,
    /// Points and boxes in it.
    #[serde(deserialize_with = "bounded::list::<_, MAX_MARKS, _>")]
    pub marks: Vec<SceneMark>,
    /// Number of tokens of the answer; 0 while it is being generated.
    pub tokens: u32,
    /// Reason of the failure; otherwise empty.
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
