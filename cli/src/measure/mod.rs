//! Every number that the README quotes, measured here.
//!
//! - `policy`: inference per stage, each mode
//! - `processor`: time that a process has had a processor
//! - `pieces`: the tokenizer and the simulator
//! - `live`: a whole studio over the loopback (command to motion, control rate, stop)
//! - `robots`: several robots at one policy, answered together or one at a time
//! - `score`: the progress scorer, one reading of a video against one per prefix
//! - `stats`: medians

pub(crate) mod live;
pub(crate) mod pieces;
pub(crate) mod policy;
pub(crate) mod processor;
pub(crate) mod robots;
pub(crate) mod score;
pub(crate) mod stats;
