//! Compute devices of the tab, and the results of probing them.

use serde::{Deserialize, Serialize};

/// Kind of a compute device in the tab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComputeKind {
    /// burn-flex in wasm with 128-bit SIMD, on the worker's own thread.
    Cpu,
    /// burn-wgpu through the browser's WebGPU.
    Webgpu,
}

/// All devices of the tab, and the one in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComputeReport {
    /// Devices in the order of their probes.
    pub devices: Vec<ComputeDevice>,
    /// Device in use; `None` during the probes, or if every device was refused.
    pub chosen: Option<ComputeKind>,
    /// True if the visitor chose it.
    pub chosen_by_visitor: bool,
    /// Reason for the choice, as text.
    pub reason: String,
    /// True once every device has been probed.
    pub settled: bool,
}

impl ComputeReport {
    /// The device in use.
    pub fn chosen_device(&self) -> Option<&ComputeDevice> {
        let chosen = self.chosen?;
        self.devices.iter().find(|device| device.kind == chosen)
    }
}

/// Results of probing one device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComputeDevice {
    /// Kind of the device.
    pub kind: ComputeKind,
    /// Name of the adapter, or of the CPU path.
    pub name: String,
    /// Result of the probe.
    pub verdict: Verdict,
    /// Operations of the self-test, in order.
    pub checks: Vec<SelfTestCheck>,
    /// Matrix products timed after a warm-up, read-back included.
    pub products: Vec<TimedProduct>,
    /// Wall time of start, self-test and timing in milliseconds.
    pub probe_millis: f64,
}

/// Result of the probe of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The probe runs.
    Testing,
    /// The device was measured to be far slower than another one, so its self-test waits until it is chosen; the reason.
    Postponed(String),
    /// The self-test passed.
    Passed,
    /// The device exists and must not be used; the reason.
    Refused(String),
    /// The device does not exist here; the reason.
    Unavailable(String),
}

/// One operation of the numerical self-test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelfTestCheck {
    /// Operation and size.
    pub name: String,
    /// Largest absolute difference from the known result.
    pub max_error: f64,
    /// Largest accepted difference.
    pub tolerance: f64,
    /// True if the difference is within the tolerance.
    pub passed: bool,
}

/// One timed matrix product of two `size x size` matrices.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TimedProduct {
    /// Side of the matrices.
    pub size: u32,
    /// Median wall time in milliseconds, read-back included.
    pub millis: f64,
}

impl TimedProduct {
    /// Throughput in billions of multiplications and additions per second.
    pub fn gflops(&self) -> f64 {
        let n = f64::from(self.size);
        2.0 * n * n * n / (self.millis.max(1e-6) * 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_512_product_in_nine_milliseconds_is_thirty_gflops() {
        let gflops = TimedProduct {
            size: 512,
            millis: 9.0,
        }
        .gflops();
        assert!((gflops - 29.8).abs() < 0.1, "{gflops}");
    }
}
