//! Heartbeat of the studio and its echo.

use crate::bounded;
use crate::frame::Message;
use crate::limits::{MAX_TEXT_BYTES, MAX_VIEWS};
use serde::{Deserialize, Serialize};

/// Heartbeat of the studio, sent behind the welcome and then every 500 ms. A viewer that receives none for a second reports
/// a failed link.
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

/// Echo of a [`Heartbeat`]. A browser answers pings even for a page that hangs: from its first echo on, only echoes count as
/// presence of a viewer. For a viewer that sends none, pongs count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// [`Heartbeat::beat`] of the received heartbeat.
    pub beat: u64,
}

impl Message for Heard {
    const KIND: u8 = 0x2a;
    const NAME: &'static str = "Heard";
}
