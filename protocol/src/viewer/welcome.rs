//! Welcome of a viewer, with the hosted policy.

use crate::bounded;
use crate::common::Mode;
use crate::depth::DepthDescription;
use crate::frame::Message;
use crate::limits::{MAX_DIMS, MAX_NAME_BYTES, MAX_TEXT_BYTES, MAX_VIEWS};
use crate::scene::Answerer;
use serde::{Deserialize, Serialize};

/// One action dimension, from the checkpoint's `norm_stats`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionDimension {
    /// For example `gripper`.
    #[serde(deserialize_with = "bounded::text::<MAX_NAME_BYTES, _>")]
    pub name: String,
    /// Value of normalized -1 in robot units.
    pub low: f32,
    /// Value of normalized +1 in robot units.
    pub high: f32,
    /// True if the dimension is normalized; otherwise its values pass through unchanged.
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
    /// Device that it runs on.
    #[serde(
        serialize_with = "bounded::shortened_text::<MAX_TEXT_BYTES, _>",
        deserialize_with = "bounded::text::<MAX_TEXT_BYTES, _>"
    )]
    pub device: String,
    /// Number of rows of a chunk.
    pub horizon: u32,
    /// Modes that the checkpoint was trained for.
    #[serde(deserialize_with = "bounded::list::<_, MAX_VIEWS, _>")]
    pub modes: Vec<Mode>,
    /// Dimensions of an action.
    #[serde(deserialize_with = "bounded::list::<_, MAX_DIMS, _>")]
    pub action: Vec<ActionDimension>,
    /// True if `/api/policy/openfast/{tokenizer.json,processor_config.json}` can be fetched.
    pub has_tokenizer: bool,
    /// Its depth reasoning; absent for a policy without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<DepthDescription>,
}

/// The studio's answer to [`ViewerHello`](super::ViewerHello).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ViewerWelcome {
    /// Version of the studio.
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
