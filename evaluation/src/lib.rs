//! Evaluation: success rates of policies, progress reports of scorers, and the scores that are kept.
//!
//! - [`success`]: closed-loop episodes in the simulator, with controls that a good number must beat
//! - [`progress`]: a progress scorer on simulated episodes with a known end
//! - [`scores`]: videos and data sets for the progress scorer, and the files of their curves
//! - `workers`: episodes shared between threads

pub mod progress;
pub mod scores;
pub mod success;
mod workers;
