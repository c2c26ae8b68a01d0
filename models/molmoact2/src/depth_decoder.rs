//! Depth codes as a picture: the decoder of the VQ-VAE that the codes come from.
//!
//! Not needed for acting; it shows people what the model had in mind. The layout is that of the published
//! `vae-final.pt` (the depth VQ-VAE of "All in Tokens", arXiv 2301.02229), read from the tensors' shapes:
//!
//! | tensors | what |
//! |---|---|
//! | `_vq_vae._embedding` | codebook, `[codes, width]` |
//! | `decoder.0` | 1x1 convolution, then ReLU |
//! | `decoder.2`, `decoder.3`, … `.net.{0,2,4}` | residual blocks: 3x3, ReLU, 3x3, ReLU, 1x1, added to the input |
//! | `decoder.{4, 6, …}` | transposed 4x4 convolutions of stride 2, each followed by ReLU and doubling the picture |
//! | `decoder.{last}` | 1x1 convolution to one channel |
//!
//! The published one has 128 codes of width 512, two blocks of 256 channels and five doublings: 10x10 codes become
//! 320x320 pixels. Its encoder and the running means of its training are ignored. A `.pt` file is a pickle, which is a
//! program; `convert_depth_decoder.py` beside this crate turns it into safetensors without running it.

use std::path::Path;

use burn::tensor::module::{conv_transpose2d, conv2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Device, Tensor, activation};
use layers::{Checkpoint, CheckpointError, Weights};

use crate::connector::index_tensor;
use crate::discrete::read;
use crate::error::ActError;

const CODEBOOK: &str = "_vq_vae._embedding";

/// Why codes could not be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DepthDecoderError {
    /// The file.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The file could not be read.
    #[error("cannot read {file}: {source}")]
    Io {
        /// Path of the file.
        file: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The tensors are not those of a depth decoder.
    #[error("{name} has shape {shape:?}; {want}")]
    Layout {
        /// The tensor.
        name: String,
        /// Its shape, empty if it is not there.
        shape: Vec<usize>,
        /// What was expected.
        want: &'static str,
    },
    /// A code the codebook does not have.
    #[error("cell {cell} holds code {code}; the depth decoder has codes below {codes}")]
    BadCode {
        /// Which cell, from 0.
        cell: usize,
        /// The code.
        code: u32,
        /// How many codes there are.
        codes: usize,
    },
    /// The codes do not fill the grid.
    #[error("{codes} codes do not fill a grid of {rows}x{columns} cells")]
    WrongGrid {
        /// Codes given.
        codes: usize,
        /// Rows of cells.
        rows: usize,
        /// Cells of a row.
        columns: usize,
    },
    /// The picture could not be fetched from the device.
    #[error(transparent)]
    ReadBack(#[from] ActError),
}

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

/// A decoded depth map. Values are relative and grow towards the camera, as those it was trained on.
#[derive(Debug, Clone, PartialEq)]
pub struct DepthPicture {
    /// Pixels per row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `[height, width]`, row by row.
    pub values: Vec<f32>,
}

impl DepthPicture {
    /// Grey levels from 0 (the farthest point of this picture) to 255 (the nearest); 0 where all are equal.
    pub fn grey(&self) -> Vec<u8> {
        let least = self.values.iter().copied().fold(f32::INFINITY, f32::min);
        let most = self
            .values
            .iter()
            .copied()
            .fold(f32::NEG_INFINITY, f32::max);
        let range = (most - least).max(1e-8);
        self.values
            .iter()
            .map(|value| ((value - least) / range * 255.0 + 0.5).clamp(0.0, 255.0) as u8)
            .collect()
    }
}

impl DepthDecoder {
    /// Reads a safetensors file.
    ///
    /// # Errors
    /// [`DepthDecoderError`] with the tensor that is missing or of another shape.
    pub fn open(file: &Path, device: &Device) -> Result<Self, DepthDecoderError> {
        let bytes = std::fs::read(file).map_err(|source| DepthDecoderError::Io {
            file: file.display().to_string(),
            source,
        })?;
        let name = "depth_decoder.safetensors".to_owned();
        Self::load(&Checkpoint::from_memory([(name, bytes.into())])?, device)
    }

    /// Puts the decoder's tensors on `device`.
    ///
    /// # Errors
    /// [`DepthDecoderError`] with the tensor that is missing or of another shape.
    pub fn load(checkpoint: &Checkpoint, device: &Device) -> Result<Self, DepthDecoderError> {
        let reader = Reader {
            checkpoint,
            weights: Weights::new(checkpoint, "", device),
        };
        let [codes, width] = reader.dims(CODEBOOK, "a codebook of [codes, width] is needed")?;
        let codebook = reader.weights.matrix(CODEBOOK, [codes, width])?;
        let entry = reader.kernel("decoder.0", width, 1, Way::Across)?;
        let mut channels = entry.outputs;
        let mut place = 2;
        let mut residual = Vec::new();
        while reader.has(&format!("decoder.{place}.net.0")) {
            let part = |index: usize, size| {
                let name = format!("decoder.{place}.net.{index}");
                reader.kernel(&name, channels, size, Way::Across)
            };
            residual.push([part(0, 3)?.kernel, part(2, 3)?.kernel, part(4, 1)?.kernel]);
            place += 1;
        }
        let mut doublings = Vec::new();
        // The last one is 1x1.
        while reader.has(&format!("decoder.{}", place + 2)) {
            let name = format!("decoder.{place}");
            let doubling = reader.kernel(&name, channels, 4, Way::Doubling)?;
            channels = doubling.outputs;
            doublings.push(doubling.kernel);
            place += 2;
        }
        let exit = reader.kernel(&format!("decoder.{place}"), channels, 1, Way::Across)?;
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

    /// Draws `rows` x `columns` codes, waiting for the device.
    ///
    /// # Errors
    /// As [`DepthDecoder::draw_async`].
    pub fn draw(
        &self,
        codes: &[u32],
        rows: usize,
        columns: usize,
    ) -> Result<DepthPicture, DepthDecoderError> {
        layers::wait(self.draw_async(codes, rows, columns))
    }

    /// Draws `rows` x `columns` codes, given row by row.
    ///
    /// # Errors
    /// [`DepthDecoderError::WrongGrid`], [`DepthDecoderError::BadCode`].
    pub async fn draw_async(
        &self,
        codes: &[u32],
        rows: usize,
        columns: usize,
    ) -> Result<DepthPicture, DepthDecoderError> {
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
        let ids = codes.iter().map(|&code| code as i32).collect();
        let [_, width] = self.codebook.dims();
        // [cells, width] to [1, width, rows, columns].
        let x = self
            .codebook
            .clone()
            .select(0, index_tensor(ids, &self.device))
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
        Ok(DepthPicture {
            width,
            height,
            values: read(x).await?,
        })
    }
}

/// Which axis of a kernel counts its inputs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// `[outputs, inputs, size, size]`.
    Across,
    /// `[inputs, outputs, size, size]`.
    Doubling,
}

struct Read {
    kernel: Kernel,
    outputs: usize,
}

struct Reader<'a> {
    checkpoint: &'a Checkpoint,
    weights: Weights<'a>,
}

impl Reader<'_> {
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
        way: Way,
    ) -> Result<Read, DepthDecoderError> {
        let weight = format!("{name}.weight");
        let want = match way {
            Way::Across => "a convolution of [outputs, inputs, size, size] is needed there",
            Way::Doubling => "a transposed convolution of [inputs, outputs, 4, 4] is needed there",
        };
        let [first, second, _, _] = self.dims::<4>(&weight, want)?;
        let (outputs, shape) = match way {
            Way::Across => (first, [first, inputs, size, size]),
            Way::Doubling => (second, [inputs, second, size, size]),
        };
        let values = self.weights.values(&weight, &shape)?;
        let bias = self.weights.values(&format!("{name}.bias"), &[outputs])?;
        Ok(Read {
            kernel: Kernel {
                weight: self.weights.upload(values, shape),
                bias: self.weights.upload(bias, [outputs]),
            },
            outputs,
        })
    }
}
