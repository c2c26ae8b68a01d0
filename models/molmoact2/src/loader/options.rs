//! Options of loading a checkpoint.

use layers::{Precision, Progress};

use crate::checkpoint::calibration::Calibration;

/// Options of loading a checkpoint.
#[derive(Clone, Default)]
pub struct LoadOptions<'a> {
    /// Precision of the large matrices.
    pub precision: Precision,
    /// Joint signs and zero offsets of the robot, if they differ from the checkpoint's.
    pub calibration: Option<Calibration>,
    /// Callback that gets the bytes of weights read so far and in total, every few megabytes.
    pub progress: Option<Progress<'a>>,
}

impl std::fmt::Debug for LoadOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadOptions")
            .field("precision", &self.precision)
            .field("calibration", &self.calibration)
            .finish_non_exhaustive()
    }
}
