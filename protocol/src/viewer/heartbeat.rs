//! The studio's sign of life.

use crate::bounded;
use crate::frame::Message;
use crate::limits::{MAX_TEXT_BYTES, MAX_VIEWS};
use serde::{Deserialize, Serialize};

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
