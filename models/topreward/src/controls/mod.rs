//! Controls: questions whose curve must not rise.
//!
//! A model can answer by the number of images it was shown. On a frozen frame such a model scores almost as
//! well as on the episode itself, and only the control shows it.

#[cfg(feature = "scorer")]
mod frozen;
mod instructions;

#[cfg(feature = "scorer")]
pub use frozen::FrozenFirstFrame;
pub use instructions::{ControlInstruction, ControlKind, control_instructions};
