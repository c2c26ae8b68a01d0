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
//! - [`fitting`]: whether a scorer fits into this tab, and in which precision.
//! - [`clock`]: time in a browser and in a test.
//! - `session`, `scope` (in the browser only): the message loop, time-outs and fetching; `fetching`, `kept`: a scorer's
//!   files, by range into files that the browser keeps.
//!
//! The networks, the tokenizer, the depth decoder and the scorer come from `layers`, `openfast`, `depth_decoder` and
//! `scoring`; this crate only wires them to a tab.

pub mod choose;
pub mod clock;
pub mod decode;
pub mod drawing;
pub mod fitting;
pub mod probe;
pub mod timing;
pub mod unfold;

#[cfg(target_family = "wasm")]
mod fetching;
#[cfg(target_family = "wasm")]
mod kept;
#[cfg(target_family = "wasm")]
mod scope;
#[cfg(target_family = "wasm")]
mod session;
