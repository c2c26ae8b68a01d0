//! Data sets and recorded arrays, read from files that come from anybody.
//!
//! - [`lerobot`]: LeRobot data sets, layouts v2.0, v2.1 and v3.0
//! - [`npy`]: NumPy's `.npy` files
//! - [`images`]: image files, decoded within bounds

pub mod images;
pub mod lerobot;
pub mod npy;
