//! One WebSocket binary message = one frame: `b"PS"`, the version, the kind, then a MessagePack map.
//!
//! MessagePack with named fields was chosen over a schema-bound format so that a client can be written
//! in any language with its stock library, and so that a later minor addition (a new field) does not
//! break an older peer: unknown fields are ignored, missing optional ones take their default.

use crate::body_scan;
use crate::bounded::shortened;
use crate::limits::{MAX_FRAME_BYTES, MAX_LONG_TEXT_BYTES};
use serde::{Serialize, de::DeserializeOwned};

/// The wire version that this crate speaks. A peer of another version is refused with its number.
pub const VERSION: u8 = 1;

/// First two bytes of every frame.
pub const MAGIC: [u8; 2] = *b"PS";

/// Bytes before the MessagePack body.
pub const HEADER_BYTES: usize = 4;

/// Longest explanation of a decoder, in bytes: it can hold what the peer wrote.
const MAX_REASON_BYTES: usize = 400;

/// A message type with its place in the kind table of `README.md`.
pub trait Message: Serialize + DeserializeOwned {
    /// Fourth byte of the frame.
    const KIND: u8;
    /// Its name in errors.
    const NAME: &'static str;
    /// Largest frame of this kind, header included; known from the header, so a larger one is not decoded.
    const MAX_BYTES: usize = 8 << 10;
    /// Most MessagePack values in its body, keys and the values of unknown fields counted.
    const MAX_VALUES: usize = 1 << 10;

    /// Checks the constraints beyond the types: lengths that must agree, finite numbers, sizes in range.
    ///
    /// # Errors
    /// [`FrameError::Invalid`] naming the field and what was expected.
    fn validate(&self) -> Result<(), FrameError> {
        Ok(())
    }
}

/// Refusal of a frame. Every variant has the offending value, so that it can be shown to the peer.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrameError {
    /// Fewer bytes than a header.
    #[error("frame of {got} bytes is shorter than its {HEADER_BYTES}-byte header")]
    Truncated {
        /// Bytes in the frame.
        got: usize,
    },
    /// Larger than [`MAX_FRAME_BYTES`].
    #[error(
        "frame of {got} bytes exceeds the limit of {MAX_FRAME_BYTES} bytes; send smaller images"
    )]
    TooLarge {
        /// Bytes in the frame.
        got: usize,
    },
    /// Larger than its kind may be.
    #[error("{message}: a frame of {got} bytes, at most {limit} are taken; send less in it")]
    TooLargeForKind {
        /// Message name.
        message: &'static str,
        /// Bytes in the frame.
        got: usize,
        /// [`Message::MAX_BYTES`] of the kind.
        limit: usize,
    },
    /// Other first bytes than [`MAGIC`].
    #[error(
        "frame starts with {got:02x?} instead of \"PS\"; this endpoint speaks the studio protocol only"
    )]
    BadMagic {
        /// The first two bytes.
        got: [u8; 2],
    },
    /// Another protocol version.
    #[error(
        "peer speaks protocol version {got}, this side speaks version {VERSION}; update the older one"
    )]
    WrongVersion {
        /// The peer's version.
        got: u8,
    },
    /// A kind that is not expected in this direction.
    #[error("message kind 0x{got:02x} is not one that {expected} sends")]
    UnexpectedKind {
        /// The kind byte.
        got: u8,
        /// The sender.
        expected: &'static str,
    },
    /// The body is not the MessagePack map of that kind.
    #[error("{message}: body does not decode: {reason}")]
    BadBody {
        /// Message name.
        message: &'static str,
        /// Message of the decoder.
        reason: String,
    },
    /// A field's value is impossible.
    #[error("{message}.{field}: {reason}")]
    Invalid {
        /// Message name.
        message: &'static str,
        /// Field name.
        field: &'static str,
        /// The problem and the expected value.
        reason: String,
    },
    /// The value could not be written (only a bug or exhausted memory can cause this).
    #[error("{message}: cannot be encoded: {reason}")]
    Encode {
        /// Message name.
        message: &'static str,
        /// Message of the encoder.
        reason: String,
    },
}

impl FrameError {
    /// The `code` of the `Error` message that answers such a frame.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "truncated",
            Self::TooLarge { .. } => "too_large",
            Self::TooLargeForKind { .. } => "too_large_for_kind",
            Self::BadMagic { .. } => "bad_magic",
            Self::WrongVersion { .. } => "wrong_version",
            Self::UnexpectedKind { .. } => "unexpected_kind",
            Self::BadBody { .. } => "bad_body",
            Self::Invalid { .. } => "invalid",
            Self::Encode { .. } => "encode",
        }
    }

    /// Whether the peer will not do better with its next frame, so that the connection should end.
    pub fn is_fatal(&self) -> bool {
        matches!(
            self,
            Self::TooLarge { .. } | Self::BadMagic { .. } | Self::WrongVersion { .. }
        )
    }
}

/// Writes one frame.
///
/// # Errors
/// [`FrameError::Invalid`] when the message contradicts itself, [`FrameError::TooLarge`] past the limit.
pub fn encode<M: Message>(message: &M) -> Result<Vec<u8>, FrameError> {
    message.validate()?;
    let mut bytes = vec![MAGIC[0], MAGIC[1], VERSION, M::KIND];
    let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
    message
        .serialize(&mut serializer)
        .map_err(|e| FrameError::Encode {
            message: M::NAME,
            reason: e.to_string(),
        })?;
    if bytes.len() > MAX_FRAME_BYTES {
        return Err(FrameError::TooLarge { got: bytes.len() });
    }
    check_size::<M>(bytes.len() - HEADER_BYTES)?;
    Ok(bytes)
}

fn check_size<M: Message>(body_bytes: usize) -> Result<(), FrameError> {
    let got = HEADER_BYTES + body_bytes;
    if got > M::MAX_BYTES {
        return Err(FrameError::TooLargeForKind {
            message: M::NAME,
            got,
            limit: M::MAX_BYTES,
        });
    }
    Ok(())
}

/// Checks the header and returns the kind and the body.
///
/// # Errors
/// Everything that can be wrong with a header, see [`FrameError`].
pub fn kind_of(bytes: &[u8]) -> Result<(u8, &[u8]), FrameError> {
    if bytes.len() > MAX_FRAME_BYTES {
        return Err(FrameError::TooLarge { got: bytes.len() });
    }
    let Some((header, body)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(FrameError::Truncated { got: bytes.len() });
    };
    let [m0, m1, version, kind] = *header;
    if [m0, m1] != MAGIC {
        return Err(FrameError::BadMagic { got: [m0, m1] });
    }
    if version != VERSION {
        return Err(FrameError::WrongVersion { got: version });
    }
    Ok((kind, body))
}

/// Reads one message of a known kind.
///
/// # Errors
/// Header errors, [`FrameError::UnexpectedKind`], [`FrameError::BadBody`] and [`FrameError::Invalid`].
pub fn decode<M: Message>(bytes: &[u8]) -> Result<M, FrameError> {
    let (kind, body) = kind_of(bytes)?;
    if kind != M::KIND {
        return Err(FrameError::UnexpectedKind {
            got: kind,
            expected: M::NAME,
        });
    }
    decode_body(body)
}

pub(crate) fn decode_body<M: Message>(body: &[u8]) -> Result<M, FrameError> {
    check_size::<M>(body.len())?;
    let bad = |reason: String| FrameError::BadBody {
        message: M::NAME,
        // The decoder's words may quote what it found.
        reason: shortened(&reason, MAX_REASON_BYTES),
    };
    body_scan::check(body, M::MAX_VALUES, MAX_LONG_TEXT_BYTES).map_err(bad)?;
    let message: M = rmp_serde::from_slice(body).map_err(|e| bad(e.to_string()))?;
    message.validate()?;
    Ok(message)
}

pub(crate) fn invalid(
    message: &'static str,
    field: &'static str,
    reason: impl Into<String>,
) -> FrameError {
    FrameError::Invalid {
        message,
        field,
        reason: reason.into(),
    }
}

/// Declares which messages a direction carries and how a frame becomes one of them.
macro_rules! direction {
    ($(#[$doc:meta])* $name:ident, $speaker:literal, { $($(#[$vdoc:meta])* $variant:ident($ty:ty)),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $name { $($(#[$vdoc])* $variant($ty)),+ }

        impl $name {
            /// Decodes a message of this direction.
            ///
            /// # Errors
            /// See [`FrameError`](crate::FrameError); a kind of another direction is `UnexpectedKind`.
            pub fn decode(bytes: &[u8]) -> Result<Self, $crate::FrameError> {
                let (kind, body) = $crate::kind_of(bytes)?;
                match kind {
                    $(<$ty as $crate::Message>::KIND => $crate::frame::decode_body::<$ty>(body).map(Self::$variant),)+
                    got => Err($crate::FrameError::UnexpectedKind { got, expected: $speaker }),
                }
            }

            /// Encodes the message as a frame.
            ///
            /// # Errors
            /// See [`encode`](crate::encode).
            pub fn encode(&self) -> Result<Vec<u8>, $crate::FrameError> {
                match self { $(Self::$variant(m) => $crate::encode(m)),+ }
            }
        }

        $(impl From<$ty> for $name { fn from(m: $ty) -> Self { Self::$variant(m) } })+
    };
}
pub(crate) use direction;
