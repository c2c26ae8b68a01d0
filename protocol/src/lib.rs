//! Wire protocol of Policy Studio: messages between robots, the studio and viewers, over WebSockets.
//!
//! Types and codecs only, without input and output, for native targets and wasm. `README.md` of this crate is the
//! specification of the wire for clients in other languages.
//!
//! - [`frame`]: the four-byte header, encoding, decoding and errors
//! - [`limits`]: upper bounds of all fields that a peer fills
//! - [`common`]: types shared by robot and viewer messages (views, joints, modes)
//! - [`depth`]: depth maps of policies that reason about depth
//! - [`robot`]: robot <-> studio
//! - [`viewer`]: viewer <-> studio
//! - [`episodes`]: recorded episodes
//! - [`scene`]: questions about a robot's camera images
//! - [`score`]: scoring of a video against an instruction, in the worker or on the studio
//! - [`worker`]: page <-> its compute worker, inside one browser tab
//!
//! # Example
//!
//! ```
//! use protocol::{FromRobot, robot::Observation};
//!
//! let observation = Observation {
//!     sequence: 1,
//!     captured_at_micros: 33_333,
//!     state: vec![10.0, -4.5],
//!     commanded: vec![10.0, -4.0],
//!     views: Vec::new(),
//! };
//! let frame = protocol::encode(&observation)?;
//! // "PS", the version and the kind; a MessagePack map follows.
//! assert_eq!(&frame[..4], b"PS\x01\x02");
//! assert_eq!(FromRobot::decode(&frame)?, FromRobot::from(observation.clone()));
//!
//! // An invalid message is refused on both sides; the error names the field and the value.
//! let broken = Observation {
//!     state: vec![f32::NAN, 0.0],
//!     ..observation
//! };
//! let error = protocol::encode(&broken).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "Observation.state: value 0 is not a finite number"
//! );
//! # Ok::<(), protocol::FrameError>(())
//! ```
//!
//! `examples/robot.rs` is a complete robot over a WebSocket, `examples/robot.py` the same in Python.

mod body_scan;
mod bounded;
pub mod common;
pub mod depth;
pub mod episodes;
pub mod frame;
pub mod limits;
pub mod robot;
pub mod scene;
pub mod score;
pub mod viewer;
pub mod worker;

pub use bounded::shortened;
pub use common::{
    CameraDescription, ErrorMessage, JointDescription, Mode, Stage, TaskState, View, ViewEncoding,
};
pub use frame::{FrameError, Message, VERSION, decode, encode, kind_of};
pub use limits::MAX_FRAME_BYTES;
pub use robot::{FromRobot, ToRobot};
pub use viewer::{FromViewer, ToViewer};
