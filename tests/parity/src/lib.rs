//! The networks against the goldens of `tests/goldens`, stage by stage, on whatever device is given: the CPU natively,
//! CPU and WebGPU in a browser.
//!
//! - [`files`]: a case's files, from a folder or fetched by a page, and which cases there are
//! - [`golden`]: the reference's numbers in them
//! - [`findings`]: what was compared, how far off it is, how far off it may be
//! - [`inputs`]: token ids, patches and windows, exactly
//! - [`network`]: each stage fed the reference's own input, so that an error belongs to the stage that shows it
//! - [`act`]: frames, state and a sentence to robot units, in both modes, and chunks that continue a running one
//! - [`think`]: reasoning about depth, call by call
//! - [`ask`]: questions to a plain vision-language model
//! - [`score`]: videos and what may follow a question about them
//! - [`compare`](mod@compare): all that applies to a case
//! - `browser` (there only): the same for a Web Worker
//!
//! Nothing here blocks on a device, so that all of it runs in a browser. Tolerances are absolute or relative to the
//! largest expected value of a stage, for `f32`. It is a test program in the shape of a library, so its errors are
//! sentences.

pub mod act;
pub mod ask;
pub mod compare;
pub mod files;
pub mod findings;
pub mod golden;
pub mod inputs;
pub mod network;
pub mod score;
pub mod think;

#[cfg(target_family = "wasm")]
mod browser;

pub use compare::compare;
pub use files::{CASES, Family, GoldenFiles};
pub use findings::{Finding, Findings, Measure};
