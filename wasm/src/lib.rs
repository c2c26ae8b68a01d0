//! The browser's compute worker: everything in the tab that takes time, off the page's own thread.
//!
//! A Web Worker loads this module (`static/worker.js`), which then speaks
//! [`protocol::worker`] with the page:
//!
//! - [`probe`]: opens the CPU path and WebGPU, holds each against the numerical self-test of `layers`
//!   and times a matrix product. Drivers and browsers have been seen to compute wrong products without
//!   an error, so nothing is computed for a visitor on a device that did not pass.
//! - [`choose`]: which of the devices to use, and why, in words.
//! - [`decode`]: OpenFAST ids to a normalised action chunk, beside the chunk that the robot was sent.
//! - [`drawing`]: depth codes to a picture.
//! - [`unfold`]: a stream of ids as far as it has come, to draw while it arrives; a chunk encoded on trial.
//! - [`timing`]: how long the codec takes in this tab.
//! - [`clock`]: time in a browser and in a test.
//! - `session`, `scope` (in the browser only): the message loop, time-outs and fetching.
//!
//! The networks, the tokenizer and the depth decoder come from `layers`, `openfast` and `depth_decoder`; this crate only wires them to a tab.

pub mod choose;
pub mod clock;
pub mod decode;
pub mod drawing;
pub mod probe;
pub mod timing;
pub mod unfold;

#[cfg(target_family = "wasm")]
mod scope;
#[cfg(target_family = "wasm")]
mod session;
