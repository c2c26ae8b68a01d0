//! The data folder: what a studio keeps between two runs.
//!
//! - [`folder`]: the folder, which one studio owns at a time
//! - `latches`: stops, one file per latched robot in `stops/`
//! - `events`: stops and releases in `events.jsonl`, commands in `commands.jsonl`, with who gave them
//!
//! Everything is written by one thread per kind of file, so that a slow disk never delays a stop on its way to a robot.
//! Each of those threads is a part of the studio's health.

pub(crate) mod events;
pub mod folder;
pub(crate) mod latches;

pub use folder::{DataError, DataFolder, default_folder};
