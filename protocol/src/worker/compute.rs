//! Compute devices of the tab, and the results of probing them.

use serde::{Deserialize, Serialize};

/// Something in the tab that tensors can live on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComputeKind {
    /// burn-flex in wasm with 128-bit SIMD, on the worker's own thread.
    Cpu,
    /// burn-wgpu through the browser's WebGPU.
    Webgpu,
}

/// Every device of the tab, and the one in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComputeReport {
    /// In the order that they were tried.
    pub devices: Vec<ComputeDevice>,
    /// Device in use; `None` while testing, or when every device was refused.
    pub chosen: Option<ComputeKind>,
    /// Whether the visitor chose it.
    pub chosen_by_visitor: bool,
    /// Reason for the choice, as text.
    pub reason: String,
    /// Whether every device has been tried.
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
    /// Whether it may be used.
    pub verdict: Verdict,
    /// The self-test's operations, in order.
    pub checks: Vec<SelfTestCheck>,
    /// Square products timed after a warm-up, read-back included.
    pub products: Vec<TimedProduct>,
    /// Wall time of start, self-test and timing in milliseconds.
    pub probe_millis: f64,
}

/// Whether a device may compute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Still being tried.
    Testing,
    /// Measured to be far slower than another device, so its self-test waits until it is chosen; the reason.
    Postponed(String),
    /// The self-test passed.
    Passed,
    /// It exists and must not be used; the reason.
    Refused(String),
    /// It does not exist here; the reason.
    Unavailable(String),
}

/// One operation of the numerical self-test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelfTestCheck {
    /// Operation and size.
    pub name: String,
    /// Largest absolute difference from the known answer.
    pub max_error: f64,
    /// Largest that counts as right.
    pub tolerance: f64,
    /// Whether it was right.
    pub passed: bool,
}

/// One timed matrix product of two `size x size` matrices.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TimedProduct {
    /// Side of the matrices.
    pub size: u32,
    /// Median wall time in milliseconds, reading the result back included.
    pub millis: f64,
}

impl TimedProduct {
    /// Billions of multiplications and additions per second.
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
