//! Types shared by the robot and the viewer messages.

use crate::bounded;
use crate::frame::{FrameError, Message, invalid};
use crate::limits::{
    MAX_CODE_BYTES, MAX_ERROR_BYTES, MAX_FRAME_BYTES, MAX_IMAGE_SIDE, MAX_NAME_BYTES,
    MAX_TEXT_BYTES,
};
use serde::{Deserialize, Serialize};

/// Packing of the pixels of a [`View`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViewEncoding {
    /// Row-major `height x width x 3` bytes.
    Rgb8,
    /// A JPEG file.
    Jpeg,
    /// Row-major `height x width` little-endian u16, millimetres along the optical axis, 0 = no reading.
    DepthMillimetresU16,
    /// Row-major `height x width` bytes: 0 = no reading, 1..=255 from near to far over 0.2 m to 1.2 m (viewers only).
    DepthGray8,
}

/// One camera image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Camera name, as announced by the robot.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub name: String,
    /// Packing of `data`.
    pub encoding: ViewEncoding,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The pixels.
    #[serde(
        serialize_with = "serde_bytes::serialize",
        deserialize_with = "bounded::bytes::<MAX_FRAME_BYTES, _>"
    )]
    pub data: Vec<u8>,
}

impl View {
    /// Checks that the sizes are in range and agree with the number of bytes.
    ///
    /// # Errors
    /// [`FrameError::Invalid`] with the expected size.
    pub fn validate(&self, message: &'static str) -> Result<(), FrameError> {
        text(message, "view.name", &self.name)?;
        let (w, h) = (self.width, self.height);
        if w == 0 || h == 0 || w > MAX_IMAGE_SIDE || h > MAX_IMAGE_SIDE {
            return Err(invalid(
                message,
                "view.width",
                format!(
                    "{:?} is {w}x{h} pixels; sides must be 1 to {MAX_IMAGE_SIDE}",
                    self.name
                ),
            ));
        }
        let pixels = w as usize * h as usize;
        let expected = match self.encoding {
            ViewEncoding::Rgb8 => Some(pixels * 3),
            ViewEncoding::DepthMillimetresU16 => Some(pixels * 2),
            ViewEncoding::DepthGray8 => Some(pixels),
            ViewEncoding::Jpeg => None,
        };
        match expected {
            Some(expected) if expected != self.data.len() => Err(invalid(
                message,
                "view.data",
                format!(
                    "{:?} holds {} bytes, {w}x{h} {:?} needs {expected}",
                    self.name,
                    self.data.len(),
                    self.encoding
                ),
            )),
            None if self.data.is_empty() => Err(invalid(
                message,
                "view.data",
                format!("{:?} is an empty JPEG", self.name),
            )),
            _ => Ok(()),
        }
    }
}

/// A joint or gripper, in the order of state and action vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JointDescription {
    /// For example `shoulder_pan`.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub name: String,
    /// `deg`, `rad`, `m` or `percent`.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub unit: String,
    /// Lower limit in that unit. The robot itself clamps to it.
    pub min: f32,
    /// Upper limit in that unit.
    pub max: f32,
}

/// A camera of a robot, whose views its observations carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameraDescription {
    /// View name.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub name: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// True if observations carry a depth view named `<name>.depth` too.
    #[serde(default)]
    pub has_depth: bool,
}

/// Head of the policy that generates the chunk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Flow-matching action expert.
    #[default]
    Continuous,
    /// OpenFAST action tokens from the language model's head.
    Discrete,
}

/// One measured stage of an inference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// `preprocess`, `vision`, `prefill`, `flow`, `decode`, `postprocess`.
    #[serde(
        serialize_with = "bounded::shortened_text::<MAX_NAME_BYTES, _>",
        deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>"
    )]
    pub name: String,
    /// Wall time in microseconds.
    pub micros: u64,
}

/// State of the robot's task, by its own success test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// No instruction yet.
    Idle,
    /// The task is in progress.
    Running,
    /// The robot's own success test passed.
    Succeeded,
    /// The robot has no success test for this instruction. The policy executes it nevertheless.
    Unknown,
}

/// A refusal or failure, as text for a person. The sender closes the connection after it only if `fatal` is true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorMessage {
    /// Stable identifier for programs, for example `wrong_version`.
    #[serde(
        serialize_with = "bounded::shortened_text::<MAX_CODE_BYTES, _>",
        deserialize_with = "bounded::text::<MAX_CODE_BYTES, _>"
    )]
    pub code: String,
    /// The problem, where it is, and the remedy.
    #[serde(
        serialize_with = "bounded::shortened_text::<MAX_ERROR_BYTES, _>",
        deserialize_with = "bounded::text::<MAX_ERROR_BYTES, _>"
    )]
    pub message: String,
    /// True if the connection ends.
    pub fatal: bool,
}

impl Message for ErrorMessage {
    const KIND: u8 = 0x7f;
    const NAME: &'static str = "Error";
    const MAX_BYTES: usize = 8 << 10;
}

pub(crate) fn text(
    message: &'static str,
    field: &'static str,
    value: &str,
) -> Result<(), FrameError> {
    if value.len() > MAX_TEXT_BYTES {
        return Err(invalid(
            message,
            field,
            format!("{} bytes of text, at most {MAX_TEXT_BYTES}", value.len()),
        ));
    }
    Ok(())
}

pub(crate) fn name(
    message: &'static str,
    field: &'static str,
    value: &str,
) -> Result<(), FrameError> {
    if value.len() > MAX_NAME_BYTES {
        return Err(invalid(
            message,
            field,
            format!("a name of {} bytes, at most {MAX_NAME_BYTES}", value.len()),
        ));
    }
    Ok(())
}

pub(crate) fn finite(
    message: &'static str,
    field: &'static str,
    values: &[f32],
) -> Result<(), FrameError> {
    match values.iter().position(|v| !v.is_finite()) {
        Some(i) => Err(invalid(
            message,
            field,
            format!("value {i} is not a finite number"),
        )),
        None => Ok(()),
    }
}
