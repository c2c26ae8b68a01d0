//! An untrained depth decoder in the published layout: code `k` of `n` is drawn as depth `k / (n - 1)`, with bilinear
//! interpolation between cells.
//!
//! Two channels do all the work. One carries the depth, the other the constant one. Both are enlarged with bilinear
//! kernels, which fade towards the edge of the image, and the second channel compensates for that.

use std::io::Write as _;
use std::path::Path;

use field_files::write_whole;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::{SynthesizeError, io_error};
use crate::checkpoint::config::Config;

/// Number of doublings: a cell becomes 32 pixels wide, as in the published decoder.
const DOUBLINGS: usize = 5;
/// Residual blocks, as in the published decoder; they add nothing here.
const BLOCKS: usize = 2;
/// One dimension of the bilinear kernel of a doubling.
const BILINEAR: [f32; 4] = [0.25, 0.75, 0.75, 0.25];
/// Value that an image fades to at its edge.
const MIDDLE: f32 = 0.5;

struct Tensor {
    name: String,
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Tensor {
    fn zeros(name: String, shape: &[usize]) -> Self {
        Self {
            name,
            shape: shape.to_vec(),
            values: vec![0.0; shape.iter().product()],
        }
    }

    fn set(&mut self, index: usize, value: f32) {
        if let Some(place) = self.values.get_mut(index) {
            *place = value;
        }
    }
}

/// Writes the decoder of a configuration that reasons about depth. Its width follows that of the language model and is
/// the published one from 512 on.
pub(super) fn write(path: &Path, config: &Config) -> Result<(), SynthesizeError> {
    let channels = (config.text.hidden_size / 2)
        .next_power_of_two()
        .clamp(32, 256);
    let tensors = tensors(config.num_depth_tokens, 2 * channels, channels);
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|tensor| tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let invalid = |error: safetensors::SafeTensorError| {
        io_error(path)(std::io::Error::other(error.to_string()))
    };
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|(tensor, bytes)| {
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes)?;
            Ok((tensor.name.as_str(), view))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(invalid)?;
    let bytes = safetensors::serialize(views, None).map_err(invalid)?;
    write_whole(path, |file| file.write_all(&bytes)).map_err(io_error(path))
}

fn tensors(codes: usize, width: usize, channels: usize) -> Vec<Tensor> {
    let mut all = Vec::new();
    let mut codebook = Tensor::zeros("_vq_vae._embedding".to_owned(), &[codes, width]);
    for code in 0..codes {
        codebook.set(
            code * width,
            code as f32 / codes.saturating_sub(1).max(1) as f32,
        );
        codebook.set(code * width + 1, 1.0);
    }
    all.push(codebook);
    let bias = |name: &str, len: usize| Tensor::zeros(format!("{name}.bias"), &[len]);

    let mut entry = Tensor::zeros("decoder.0.weight".to_owned(), &[channels, width, 1, 1]);
    entry.set(0, 1.0);
    entry.set(width + 1, 1.0);
    all.extend([entry, bias("decoder.0", channels)]);

    let mut place = 2;
    for _ in 0..BLOCKS {
        for (part, size) in [(0, 3), (2, 3), (4, 1)] {
            let name = format!("decoder.{place}.net.{part}");
            let shape = [channels, channels, size, size];
            all.push(Tensor::zeros(format!("{name}.weight"), &shape));
            all.push(bias(&name, channels));
        }
        place += 1;
    }
    let mut inputs = channels;
    for doubling in 0..DOUBLINGS {
        let outputs = if doubling == 0 { inputs } else { inputs / 2 };
        let name = format!("decoder.{place}");
        let mut kernel = Tensor::zeros(format!("{name}.weight"), &[inputs, outputs, 4, 4]);
        for channel in 0..2 {
            let first = (channel * outputs + channel) * 16;
            for (row, down) in BILINEAR.iter().enumerate() {
                for (column, across) in BILINEAR.iter().enumerate() {
                    kernel.set(first + row * 4 + column, down * across);
                }
            }
        }
        all.extend([kernel, bias(&name, outputs)]);
        inputs = outputs;
        place += 2;
    }
    let name = format!("decoder.{place}");
    let mut exit = Tensor::zeros(format!("{name}.weight"), &[1, inputs, 1, 1]);
    exit.set(0, 1.0);
    exit.set(1, -MIDDLE);
    let mut offset = bias(&name, 1);
    offset.set(0, MIDDLE);
    all.extend([exit, offset]);
    all
}
