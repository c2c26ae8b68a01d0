//! Every number that the README quotes, measured here.
//!
//! - `policy`: inference per stage, each mode
//! - `processor`: time that a process has had a processor
//! - `pieces`: the tokenizer and the simulator
//! - `live`: a whole studio over the loopback (command to motion, control rate, stop)
//! - `robots`: several robots at one policy, answered together or one at a time
//! - `score`: the progress scorer, one reading of a video against one per prefix
//! - `stats`: medians

pub mod live;
pub mod pieces;
pub mod policy;
pub mod processor;
pub mod robots;
pub mod score;
pub mod stats;
