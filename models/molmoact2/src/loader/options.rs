//! Options of loading a checkpoint.

use layers::{Precision, Progress};

use crate::checkpoint::calibration::Calibration;

/// How a policy is loaded.
#[derive(Clone, Default)]
pub struct LoadOptions<'a> {
    /// What the large matrices are kept in.
    pub precision: Precision,
    /// How the robot counts its joints, if otherwise than the checkpoint.
    pub calibration: Option<Calibration>,
    /// Told the bytes of the weights read so far and of all of them, every few megabytes.
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
