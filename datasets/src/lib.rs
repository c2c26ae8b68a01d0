//! Readers of data sets, arrays and images. They do not trust the files that they read.
//!
//! - [`lerobot`]: LeRobot data sets, layouts v2.0, v2.1 and v3.0
//! - [`npy`]: NumPy's `.npy` files
//! - [`images`]: image files, decoded within bounds

pub mod images;
pub mod lerobot;
pub mod npy;
