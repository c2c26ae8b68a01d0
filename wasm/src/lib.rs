//! The browser's compute worker: everything in the tab that takes time, on a thread of its own.
//!
//! A Web Worker loads this module (`static/worker.js`), which then speaks
//! [`protocol::worker`] with the page:
//!
//! - [`probe`]: opens the CPU path and WebGPU, runs the numerical self-test of `layers` on each and times a matrix
//!   product. Drivers and browsers have been seen to compute wrong products without an error, so nothing is computed
//!   for a viewer on a device that did not pass.
//! - [`device_choice`]: the device to use, and the reason as text.
//! - [`decode`]: action tokens to a normalized action chunk, compared with the chunk that the robot was sent.
//! - [`partial_decode`]: a stream of action tokens decoded while it arrives, and an edited chunk encoded.
//! - [`depth_image`]: depth codes to a depth image.
//! - [`codec_timing`]: timing of the action codec in this tab.
//! - [`scorer_fit`]: memory check of a scorer before its download, and its precision.
//! - [`clock`]: time in a browser and in a test.
//! - In the browser only: `session` (the message loop), `worker_scope` (time-outs, fetching, posting),
//!   `scorer_download` (a scorer's files, by range) and `opfs_cache` (files in the browser's private file system).
//!
//! The networks, the tokenizer, the depth decoder and the scorer come from `layers`, `openfast`, `depth_decoder` and
//! `score_job`; this crate only connects them to a tab.

pub mod clock;
pub mod codec_timing;
pub mod decode;
pub mod depth_image;
pub mod device_choice;
pub mod partial_decode;
pub mod probe;
pub mod scorer_fit;

#[cfg(target_family = "wasm")]
mod opfs_cache;
#[cfg(target_family = "wasm")]
mod scorer_download;
#[cfg(target_family = "wasm")]
mod session;
#[cfg(target_family = "wasm")]
mod worker_scope;
