//! Frames: one WebSocket binary message is one frame, which is `b"PS"`, the version, the kind and a MessagePack map.
//!
//! MessagePack with named fields was chosen over a schema-bound format for two reasons. A client can be written in any
//! language with its usual library, and a new field does not break an older peer: unknown fields are ignored, and missing
//! optional ones take their default.

use crate::body_scan;
use crate::bounded::shortened;
use crate::limits::{MAX_FRAME_BYTES, MAX_LONG_TEXT_BYTES};
use serde::{Serialize, de::DeserializeOwned};

/// Version of the protocol in this crate. A frame of another version is refused with its number.
pub const VERSION: u8 = 1;

/// The first two bytes of every frame.
pub const MAGIC: [u8; 2] = *b"PS";

/// Length of the header before the MessagePack body.
pub const HEADER_BYTES: usize = 4;

/// Longest reason of a decoder, in bytes: it may quote what the peer wrote.
const MAX_REASON_BYTES: usize = 400;

/// A message type of the tables in `README.md`.
pub trait Message: Serialize + DeserializeOwned {
    /// Fourth byte of the frame.
    const KIND: u8;
    /// Its name in errors.
    const NAME: &'static str;
    /// Largest frame of this kind in bytes, header included. A larger one is refused before it is decoded.
    const MAX_BYTES: usize = 8 << 10;
    /// Most MessagePack values in its body, including keys and the values of unknown fields.
    const MAX_VALUES: usize = 1 << 10;

    /// Checks constraints beyond the types: equal lengths, finite numbers, sizes in range.
    ///
    /// # Errors
    /// [`FrameError::Invalid`] with the field and the expected value.
    fn validate(&self) -> Result<(), FrameError> {
        Ok(())
    }
}

/// Refusal of a frame. Every variant has the offending value, for the message to the peer.
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
    /// Larger than the limit of its kind.
    #[error(
        "{message}: a frame of {got} bytes, at most {limit} are accepted; send less data in it"
    )]
    TooLargeForKind {
        /// Message name.
        message: &'static str,
        /// Bytes in the frame.
        got: usize,
        /// [`Message::MAX_BYTES`] of the kind.
        limit: usize,
    },
    /// First two bytes other than [`MAGIC`].
    #[error(
        "frame starts with {got:02x?} instead of \"PS\"; this endpoint accepts the studio protocol only"
    )]
    BadMagic {
        /// The first two bytes.
        got: [u8; 2],
    },
    /// Another protocol version.
    #[error(
        "the peer has protocol version {got}, this side has version {VERSION}; update the older one"
    )]
    WrongVersion {
        /// The peer's version.
        got: u8,
    },
    /// A kind that is not expected in this direction.
    #[error("message kind 0x{got:02x} is not a message of {expected}")]
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
    /// The message could not be written. Only a bug or exhausted memory can cause this.
    #[error("{message}: cannot be encoded: {reason}")]
    Encode {
        /// Message name.
        message: &'static str,
        /// Message of the encoder.
        reason: String,
    },
}

impl FrameError {
    /// The [`code`](crate::ErrorMessage::code) of the error message that answers such a frame.
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

    /// True if further frames of the peer would be refused too, so that the connection should end.
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
/// [`FrameError::Invalid`] if the message violates a constraint, [`FrameError::TooLarge`] or
/// [`FrameError::TooLargeForKind`] if it exceeds a limit, [`FrameError::Encode`] if it cannot be written.
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
/// [`FrameError::TooLarge`], [`FrameError::Truncated`], [`FrameError::BadMagic`] or [`FrameError::WrongVersion`].
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
        // The decoder's reason may quote the input.
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

/// Declares the enum of the messages of one direction, with its codec.
macro_rules! direction {
    ($(#[$doc:meta])* $name:ident, $sender:literal, { $($(#[$vdoc:meta])* $variant:ident($ty:ty)),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $name { $($(#[$vdoc])* $variant($ty)),+ }

        impl $name {
            /// Decodes a message of this direction.
            ///
            /// # Errors
            /// See [`FrameError`](crate::FrameError). A kind of another direction is `UnexpectedKind`.
            pub fn decode(bytes: &[u8]) -> Result<Self, $crate::FrameError> {
                let (kind, body) = $crate::kind_of(bytes)?;
                match kind {
                    $(<$ty as $crate::Message>::KIND => $crate::frame::decode_body::<$ty>(body).map(Self::$variant),)+
                    got => Err($crate::FrameError::UnexpectedKind { got, expected: $sender }),
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
