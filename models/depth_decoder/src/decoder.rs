//! The network, and where its tensors are.

use std::path::Path;

use burn_tensor::module::{conv_transpose2d, conv2d};
use burn_tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn_tensor::{Device, Tensor, TensorData, activation};
use field_files::Limit;
use layers::{Checkpoint, Weights};

use crate::depth_image::DepthImage;
use crate::error::DepthDecoderError;

const CODEBOOK: &str = "_vq_vae._embedding";

/// A convolution's tensors.
#[derive(Debug)]
struct Kernel {
    weight: Tensor<4>,
    bias: Tensor<1>,
}

impl Kernel {
    fn same(&self, x: Tensor<4>, padding: usize) -> Tensor<4> {
        let options = ConvOptions::new([1, 1], [padding, padding], [1, 1], 1);
        conv2d(x, self.weight.clone(), Some(self.bias.clone()), options)
    }

    fn doubled(&self, x: Tensor<4>) -> Tensor<4> {
        let options = ConvTransposeOptions::new([2, 2], [1, 1], [0, 0], [1, 1], 1);
        conv_transpose2d(x, self.weight.clone(), Some(self.bias.clone()), options)
    }
}

/// The decoder on a device.
#[derive(Debug)]
pub struct DepthDecoder {
    codebook: Tensor<2>,
    entry: Kernel,
    residual: Vec<[Kernel; 3]>,
    doublings: Vec<Kernel>,
    exit: Kernel,
    device: Device,
}

impl DepthDecoder {
    /// Reads a safetensors file.
    ///
    /// # Errors
    /// [`DepthDecoderError`] with the tensor that is missing or of another shape.
    pub fn open(file: &Path, device: &Device) -> Result<Self, DepthDecoderError> {
        let bytes = field_files::read(file, Limit::SMALL_WEIGHTS)?;
        Self::from_bytes(bytes, device)
    }

    /// Reads the contents of a safetensors file.
    ///
    /// # Errors
    /// [`DepthDecoderError`] with the tensor that is missing or of another shape.
    pub fn from_bytes(bytes: Vec<u8>, device: &Device) -> Result<Self, DepthDecoderError> {
        let file = (crate::FILE_NAME.to_owned(), bytes.into());
        Self::load(&Checkpoint::from_memory([file])?, device)
    }

    /// Puts the decoder's tensors on `device`.
    ///
    /// # Errors
    /// [`DepthDecoderError`] with the tensor that is missing or of another shape.
    pub fn load(checkpoint: &Checkpoint, device: &Device) -> Result<Self, DepthDecoderError> {
        let reader = KernelReader {
            checkpoint,
            weights: Weights::new(checkpoint, "", device),
        };
        let [codes, width] = reader.dims(CODEBOOK, "a codebook of [codes, width] is needed")?;
        let codebook = reader.weights.matrix(CODEBOOK, [codes, width])?;
        let entry = reader.kernel("decoder.0", width, 1, KernelLayout::Across)?;
        let mut channels = entry.outputs;
        let mut place = 2;
        let mut residual = Vec::new();
        while reader.has(&format!("decoder.{place}.net.0")) {
            let part = |index: usize, size| {
                let name = format!("decoder.{place}.net.{index}");
                reader.kernel(&name, channels, size, KernelLayout::Across)
            };
            residual.push([part(0, 3)?.kernel, part(2, 3)?.kernel, part(4, 1)?.kernel]);
            place += 1;
        }
        let mut doublings = Vec::new();
        // The last one is 1x1.
        while reader.has(&format!("decoder.{}", place + 2)) {
            let name = format!("decoder.{place}");
            let doubling = reader.kernel(&name, channels, 4, KernelLayout::Doubling)?;
            channels = doubling.outputs;
            doublings.push(doubling.kernel);
            place += 2;
        }
        let exit = reader.kernel(
            &format!("decoder.{place}"),
            channels,
            1,
            KernelLayout::Across,
        )?;
        if exit.outputs != 1 {
            return Err(DepthDecoderError::Layout {
                name: format!("decoder.{place}.weight"),
                shape: exit.kernel.weight.dims().to_vec(),
                want: "the last convolution has one output channel",
            });
        }
        Ok(Self {
            codebook,
            entry: entry.kernel,
            residual,
            doublings,
            exit: exit.kernel,
            device: device.clone(),
        })
    }

    /// Number of codes.
    pub fn codes(&self) -> usize {
        let [codes, _] = self.codebook.dims();
        codes
    }

    /// Pixels along one side of a cell.
    pub fn cell_pixels(&self) -> usize {
        1 << self.doublings.len()
    }

    /// Decodes `rows` x `columns` codes, blocking until the device has finished.
    ///
    /// # Errors
    /// As [`DepthDecoder::decode_async`].
    pub fn decode(
        &self,
        codes: &[u32],
        rows: usize,
        columns: usize,
    ) -> Result<DepthImage, DepthDecoderError> {
        layers::block_on(self.decode_async(codes, rows, columns))
    }

    /// Decodes `rows` x `columns` codes, given row by row, to an image with [`DepthDecoder::cell_pixels`] pixels per cell
    /// and side.
    ///
    /// # Errors
    /// [`DepthDecoderError::WrongGrid`], [`DepthDecoderError::BadCode`].
    pub async fn decode_async(
        &self,
        codes: &[u32],
        rows: usize,
        columns: usize,
    ) -> Result<DepthImage, DepthDecoderError> {
        if codes.is_empty() || rows.checked_mul(columns) != Some(codes.len()) {
            return Err(DepthDecoderError::WrongGrid {
                codes: codes.len(),
                rows,
                columns,
            });
        }
        let known = self.codes();
        if let Some((cell, &code)) = codes
            .iter()
            .enumerate()
            .find(|(_, code)| **code as usize >= known)
        {
            return Err(DepthDecoderError::BadCode {
                cell,
                code,
                codes: known,
            });
        }
        let ids: Vec<i32> = codes.iter().map(|&code| code as i32).collect();
        let [_, width] = self.codebook.dims();
        // [cells, width] to [1, width, rows, columns].
        let x = self
            .codebook
            .clone()
            .select(
                0,
                Tensor::from_data(TensorData::new(ids, [codes.len()]), &self.device),
            )
            .swap_dims(0, 1)
            .reshape([1, width, rows, columns]);
        let mut x = activation::relu(self.entry.same(x, 0));
        for [first, second, third] in &self.residual {
            let inner = activation::relu(first.same(x.clone(), 1));
            let inner = activation::relu(second.same(inner, 1));
            x = x + third.same(inner, 0);
        }
        for doubling in &self.doublings {
            x = activation::relu(doubling.doubled(x));
        }
        let x = self.exit.same(x, 0);
        let [_, _, height, width] = x.dims();
        Ok(DepthImage {
            width,
            height,
            values: read(x).await?,
        })
    }
}

/// Order of the first two axes of a kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KernelLayout {
    /// `[outputs, inputs, size, size]`.
    Across,
    /// `[inputs, outputs, size, size]`.
    Doubling,
}

struct LoadedKernel {
    kernel: Kernel,
    outputs: usize,
}

struct KernelReader<'a> {
    checkpoint: &'a Checkpoint,
    weights: Weights<'a>,
}

impl KernelReader<'_> {
    fn has(&self, name: &str) -> bool {
        self.weights.has(&format!("{name}.weight"))
    }

    fn dims<const D: usize>(
        &self,
        name: &str,
        want: &'static str,
    ) -> Result<[usize; D], DepthDecoderError> {
        let shape = self.checkpoint.shape(name).unwrap_or_default();
        shape.try_into().map_err(|_| DepthDecoderError::Layout {
            name: name.to_owned(),
            shape: shape.to_vec(),
            want,
        })
    }

    fn kernel(
        &self,
        name: &str,
        inputs: usize,
        size: usize,
        layout: KernelLayout,
    ) -> Result<LoadedKernel, DepthDecoderError> {
        let weight = format!("{name}.weight");
        let want = match layout {
            KernelLayout::Across => {
                "a convolution of [outputs, inputs, size, size] is needed there"
            }
            KernelLayout::Doubling => {
                "a transposed convolution of [inputs, outputs, 4, 4] is needed there"
            }
        };
        let [first, second, _, _] = self.dims::<4>(&weight, want)?;
        let (outputs, shape) = match layout {
            KernelLayout::Across => (first, [first, inputs, size, size]),
            KernelLayout::Doubling => (second, [inputs, second, size, size]),
        };
        let values = self.weights.values(&weight, &shape)?;
        let bias = self.weights.values(&format!("{name}.bias"), &[outputs])?;
        Ok(LoadedKernel {
            kernel: Kernel {
                weight: self.weights.upload(values, shape),
                bias: self.weights.upload(bias, [outputs]),
            },
            outputs,
        })
    }
}

async fn read(picture: Tensor<4>) -> Result<Vec<f32>, DepthDecoderError> {
    let failed = |reason: String| DepthDecoderError::ReadBack { reason };
    let data = picture
        .into_data_async()
        .await
        .map_err(|error| failed(format!("{error:?}")))?;
    data.as_slice::<f32>()
        .map(<[f32]>::to_vec)
        .map_err(|error| failed(format!("{error:?}")))
}
