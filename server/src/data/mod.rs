//! The data folder: the state of a studio that outlives a run.
//!
//! - [`folder`]: the folder, which one studio owns at a time
//! - `latches`: stops, one file per latched robot in `stops/`
//! - `events`: stops and releases in `events.jsonl`, commands in `commands.jsonl`, with the viewers that gave them
//!
//! One thread per kind of file writes, so that a slow disk never delays a stop on its way to a robot. Each of these threads
//! is a part of the studio's health.

pub(crate) mod events;
pub mod folder;
pub(crate) mod latches;

pub use folder::{DataError, DataFolder, default_folder};
