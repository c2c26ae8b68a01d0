//! Benchmarks behind every figure in the README.
//!
//! - `policy`: inference per stage, each mode
//! - `processor`: CPU time of the process
//! - `pieces`: the tokenizer and the simulator
//! - `live`: a complete studio over the loopback (command to motion, control rate, stop)
//! - `robots`: several robots on one policy, batched or one at a time
//! - `score`: the progress scorer, one pass over a video against one per prefix
//! - `stats`: medians

pub(crate) mod live;
pub(crate) mod pieces;
pub(crate) mod policy;
pub(crate) mod processor;
pub(crate) mod robots;
pub(crate) mod score;
pub(crate) mod stats;
