//! The devices a network can run on.
//!
//! The choice between them is the caller's, who should make it by [`crate::self_test`]
//! and by measurement: a driver that exists is not a driver that computes, and a software GPU is
//! far slower than the CPU backend.

use burn_tensor::wgpu::{WgpuInitError, WgpuSetup};
use burn_tensor::{Device, DeviceKind};

/// The CPU of this machine, or of the browser's tab: burn's flex backend.
pub fn cpu() -> Device {
    Device::flex()
}

/// A GPU that was opened, and what it calls itself.
#[derive(Debug, Clone)]
pub struct Gpu {
    /// The device for tensors.
    pub device: Device,
    /// The adapter's own name, such as "NVIDIA H100 PCIe". Empty in browsers that hide it.
    pub name: String,
    /// The graphics interface in use, such as "vulkan" or "webgpu".
    pub interface: String,
    /// True if the adapter says of itself that it is software running on the CPU.
    pub software: bool,
}

impl Gpu {
    fn new(device: Device, setup: &WgpuSetup) -> Self {
        let info = setup.adapter.get_info();
        Self {
            device,
            software: info.device_type == burn_tensor::wgpu::wgpu::DeviceType::Cpu,
            name: info.name,
            interface: info.backend.to_string(),
        }
    }
}

/// No GPU could be opened.
#[derive(Debug, thiserror::Error)]
#[error("no usable GPU: {0}")]
pub struct NoGpu(#[from] WgpuInitError);

/// Opens the adapter `kind` names. Call it once per adapter and keep the device: it blocks while
/// the driver starts, and some drivers end the whole process here, so a server probes in a child
/// process first.
///
/// # Errors
/// [`NoGpu`] when there is no such adapter or it refuses to make a device.
#[cfg(not(target_family = "wasm"))]
pub fn gpu(kind: DeviceKind) -> Result<Gpu, NoGpu> {
    let (device, setup) = Device::wgpu_options().device_kind(kind).init_with_setup()?;
    Ok(Gpu::new(device, &setup))
}

/// Opens the adapter the platform prefers; blocks like [`gpu`].
///
/// # Errors
/// [`NoGpu`] when there is no adapter or it refuses to make a device.
#[cfg(not(target_family = "wasm"))]
pub fn default_gpu() -> Result<Gpu, NoGpu> {
    gpu(DeviceKind::DefaultDevice)
}

/// The first NVIDIA GPU through CUDA. Nothing is opened before the first tensor, and a missing
/// driver ends the process then: a server probes in a child process first.
#[cfg(feature = "cuda")]
pub fn cuda() -> Device {
    Device::cuda(0usize)
}

/// Opens the adapter the platform prefers, without blocking. In a browser this comes before the
/// first tensor.
///
/// # Errors
/// [`NoGpu`] when there is no adapter or it refuses to make a device.
pub async fn gpu_async() -> Result<Gpu, NoGpu> {
    let (device, setup) = Device::wgpu_options()
        .device_kind(DeviceKind::DefaultDevice)
        .init_with_setup_async()
        .await?;
    Ok(Gpu::new(device, &setup))
}
