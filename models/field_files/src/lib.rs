//! Files that others wrote, as they reach people, and files that others will read.
//!
//! A folder holds more than its format says: pointers of Git LFS in place of weights, web pages saved under the name of
//! a file, downloads that stopped half-way, JSON with a NaN in it, and files of a size that nobody meant to load. Every
//! reader of such a folder meets the same ones, so they are told here once:
//!
//! - [`Foreign`] says what a file is that is not what its name says, and what to do about it;
//! - [`open`] opens what is a file, and neither a device nor a pipe;
//! - [`read`], [`read_any`] and [`read_text`] read a whole file, up to a [`Limit`];
//! - [`json`] reads JSON as Python's `json` module writes and reads it, up to a number of values; [`read_json`],
//!   [`read_json_tree`] and [`read_json_lines`] do so from a file;
//! - [`is_there`] tells a missing file from one that may not be looked at;
//! - [`tokenizer_json`] holds a `tokenizer.json` against limits before a library unfolds it;
//! - [`folder`] tells data from what else lies in a folder, and an unfinished download from a missing file;
//! - [`write_whole`] writes a file such that nobody finds half of it.
//!
//! A crate of its own because the action tokenizer, the networks and the server all need it and have nothing else in
//! common. It depends on no platform: in a browser [`Foreign::of`] and [`json`] work on bytes.

pub mod folder;
mod foreign;
pub mod json;
mod limit;
mod read_json;
pub mod tokenizer_json;
mod write;

pub use foreign::Foreign;
pub use limit::{Limit, ReadError, is_there, open, read, read_any, read_text};
pub use read_json::{read_json, read_json_lines, read_json_tree};
pub use write::{sync_folder, write_whole};
