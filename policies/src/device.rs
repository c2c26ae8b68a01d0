//! The choice of a device for the policy: a GPU that passed the self-test, else the CPU.

use super::probe::{self, Gpu, Verdict};
use layers::{Check, Device};
use serde::Serialize;
use std::{path::Path, time::Duration};

/// The requested device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wanted {
    /// The best device that passes the self-test.
    #[default]
    Auto,
    /// The CPU backend, without probing any adapter.
    Cpu,
    /// This GPU, or an error.
    Gpu(Gpu),
}

/// A device that was probed and must not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Adapter and interface.
    pub name: String,
    /// Reason of the refusal.
    pub reason: String,
}

/// The chosen device.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// `cpu`, `wgpu` or `cuda`.
    pub kind: &'static str,
    /// Name of the processor or the adapter.
    pub name: String,
    /// Device of the tensors.
    pub device: Device,
    /// Devices that were refused before it.
    pub refused: Vec<Refused>,
    /// Self-test of the chosen device; empty for the CPU, whose self-test is one of the project's tests.
    pub self_test: Vec<Check>,
}

impl Chosen {
    /// Kind and name for people: `cpu (Name of the processor, 8 threads)`.
    pub fn words(&self) -> String {
        format!("{} ({})", self.kind, self.name)
    }
}

/// The requested GPU cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the device {wanted} cannot be used: {name}: {reason}; choose auto or cpu")]
pub struct NotUsable {
    /// Name on the command line.
    pub wanted: &'static str,
    /// Adapter and interface.
    pub name: String,
    /// Reason of the refusal.
    pub reason: String,
}

/// Chooses a device. Adapters are probed in child processes of the program `exe`, each for at most `time_limit`.
///
/// # Errors
/// [`NotUsable`] if a GPU was requested by name and is absent or refused.
pub fn choose(wanted: Wanted, exe: &Path, time_limit: Duration) -> Result<Chosen, NotUsable> {
    let candidates: &[Gpu] = match wanted {
        Wanted::Cpu => &[],
        Wanted::Gpu(Gpu::Wgpu) => &[Gpu::Wgpu],
        Wanted::Gpu(Gpu::Cuda) => &[Gpu::Cuda],
        Wanted::Auto if cfg!(feature = "cuda") => &[Gpu::Cuda, Gpu::Wgpu],
        Wanted::Auto => &[Gpu::Wgpu],
    };
    let mut refused = Vec::new();
    for gpu in candidates.iter().copied() {
        let (name, reason) = match probe::probe(exe, gpu, false, time_limit) {
            Verdict::Good { name, checks } => match probe::open(gpu) {
                Ok(opened) => {
                    return Ok(Chosen {
                        kind: gpu.name(),
                        name,
                        device: opened.device,
                        refused,
                        self_test: checks,
                    });
                }
                Err(reason) => (name, reason),
            },
            Verdict::Refused { name, reason, .. } => (name, reason),
            Verdict::Absent { reason } => {
                if wanted == Wanted::Auto {
                    tracing::debug!("no {} adapter: {reason}", gpu.name());
                    continue;
                }
                (format!("{} adapter", gpu.name()), reason)
            }
        };
        if wanted != Wanted::Auto {
            return Err(NotUsable {
                wanted: gpu.name(),
                name,
                reason,
            });
        }
        refused.push(Refused { name, reason });
    }
    Ok(Chosen {
        kind: "cpu",
        name: cpu_name(),
        device: layers::device::cpu(),
        refused,
        self_test: Vec::new(),
    })
}

fn cpu_name() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let model = std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|info| {
            let line = info.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        })
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    format!("{model}, {threads} threads")
}
