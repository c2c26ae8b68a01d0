//! Files of a checkpoint, each read by one module, in the published layout or in LeRobot's.
//!
//! Nothing here computes on tensors or knows the network's code.

pub(crate) mod calibration;
pub mod config;
pub(crate) mod description;
pub(crate) mod files;
pub(crate) mod lerobot;
pub mod norm_stats;
pub mod processor_config;
pub mod tensors;
pub(crate) mod unknown_keys;
