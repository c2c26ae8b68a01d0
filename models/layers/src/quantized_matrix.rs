//! Weight matrices in fewer bits, in the memory of this process.
//!
//! A matrix has one row per output, as checkpoints store it, so that it can be filled row by row while the file is
//! read. A product widens it to `f32`: for a handful of input rows one output at a time, which reads each weight once
//! and keeps nothing; for more rows a tile of outputs at a time, which is then multiplied as any matrix.

use burn_tensor::{Device, Tensor, TensorData};
use half::{bf16, f16, slice::HalfFloatSliceExt as _};

use crate::parallel::for_each_heavy_chunk;
use crate::precision::{INT4_BLOCK, Precision};

/// Values in a widened tile: large enough to keep the product busy, small enough to stay near the cores.
const TILE: usize = 1 << 21;
/// Up to this many input rows, outputs are computed one at a time.
const FEW_ROWS: usize = 4;
/// Outputs that one task computes at a time.
const CHUNK: usize = 32;
/// Sums kept side by side in a dot product.
const LANES: usize = 16;

/// Bytes of a block of four-bit values.
const HALF_BLOCK: usize = INT4_BLOCK / 2;

/// A matrix `[outputs, inputs]` in a precision below `f32`.
#[derive(Debug)]
pub struct QuantizedMatrix {
    inputs: usize,
    outputs: usize,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Bf16(Vec<bf16>),
    F16(Vec<f16>),
    Int8 {
        values: Vec<i8>,
        factors: Vec<f32>,
    },
    /// Per block, value `i` in the low and value `i + 16` in the high half of byte `i`, 8 standing for zero.
    Int4 {
        values: Vec<[u8; HALF_BLOCK]>,
        factors: Vec<f16>,
    },
}

impl QuantizedMatrix {
    /// An empty matrix that will hold `outputs` rows; `None` for [`Precision::F32`].
    pub fn with_capacity(precision: Precision, outputs: usize, inputs: usize) -> Option<Self> {
        let count = outputs * inputs;
        let values = match precision {
            Precision::F32 => return None,
            Precision::Bf16 => Values::Bf16(Vec::with_capacity(count)),
            Precision::F16 => Values::F16(Vec::with_capacity(count)),
            Precision::Int8 => Values::Int8 {
                values: Vec::with_capacity(count),
                factors: Vec::with_capacity(outputs),
            },
            Precision::Int4 => {
                let blocks = outputs * inputs.div_ceil(INT4_BLOCK);
                Values::Int4 {
                    values: Vec::with_capacity(blocks),
                    factors: Vec::with_capacity(blocks),
                }
            }
        };
        Some(Self {
            inputs,
            outputs: 0,
            values,
        })
    }

    /// Appends whole rows.
    pub fn push_rows(&mut self, rows: &[f32]) {
        let inputs = self.inputs.max(1);
        self.outputs += rows.len() / inputs;
        match &mut self.values {
            Values::Bf16(values) => values.extend(rows.iter().map(|&x| bf16::from_f32(x))),
            Values::F16(values) => {
                let first = values.len();
                values.resize(first + rows.len(), f16::ZERO);
                if let Some(new) = values.get_mut(first..) {
                    new.convert_from_f32_slice(rows);
                }
            }
            Values::Int8 { values, factors } => {
                for row in rows.chunks_exact(inputs) {
                    let largest = row.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
                    let factor = largest / 127.0;
                    factors.push(factor);
                    let inverse = if factor > 0.0 { factor.recip() } else { 0.0 };
                    values.extend(row.iter().map(|x| (x * inverse).round() as i8));
                }
            }
            Values::Int4 { values, factors } => {
                for row in rows.chunks_exact(inputs) {
                    for block in row.chunks(INT4_BLOCK) {
                        let (packed, factor) = pack_block(block);
                        values.push(packed);
                        factors.push(factor);
                    }
                }
            }
        }
    }

    /// Rows held so far.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Columns.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        let bytes = match &self.values {
            Values::Bf16(values) => values.len() * 2,
            Values::F16(values) => values.len() * 2,
            Values::Int8 { values, factors } => values.len() + factors.len() * 4,
            Values::Int4 { values, factors } => values.len() * HALF_BLOCK + factors.len() * 2,
        };
        bytes as u64
    }

    /// Writes row `row` as `f32` into `into`, `inputs` values long.
    fn widen(&self, row: usize, into: &mut [f32]) {
        let from = row * self.inputs;
        let to = from + self.inputs;
        match &self.values {
            Values::Bf16(values) => {
                let row = values.get(from..to).unwrap_or_default();
                for (slot, value) in into.iter_mut().zip(row) {
                    *slot = f32::from_bits(u32::from(value.to_bits()) << 16);
                }
            }
            Values::F16(values) => {
                let row = values.get(from..to).unwrap_or_default();
                for (slot, value) in into.iter_mut().zip(row) {
                    *slot = widened(*value);
                }
            }
            Values::Int8 { values, factors } => {
                let factor = factors.get(row).copied().unwrap_or_default();
                let row = values.get(from..to).unwrap_or_default();
                for (slot, &value) in into.iter_mut().zip(row) {
                    *slot = f32::from(value) * factor;
                }
            }
            Values::Int4 { values, factors } => {
                let blocks = self.inputs.div_ceil(INT4_BLOCK);
                let mine = row * blocks..(row + 1) * blocks;
                let values = values.get(mine.clone()).unwrap_or_default();
                let factors = factors.get(mine).unwrap_or_default();
                for ((block, factor), into) in
                    values.iter().zip(factors).zip(into.chunks_mut(INT4_BLOCK))
                {
                    unpack_block(block, factor.to_f32(), into);
                }
            }
        }
    }

    /// Rows `rows` as `f32`, `[rows.len(), inputs]`.
    pub fn rows(&self, rows: &[usize], device: &Device) -> Tensor<2> {
        let mut values = vec![0.0; rows.len() * self.inputs];
        for (&row, into) in rows.iter().zip(values.chunks_mut(self.inputs.max(1))) {
            self.widen(row, into);
        }
        Tensor::from_data(TensorData::new(values, [rows.len(), self.inputs]), device)
    }

    /// Outputs `first .. first + count` as a matrix `[inputs, count]`.
    pub fn tile(&self, first: usize, count: usize, device: &Device) -> Tensor<2> {
        let mut values = vec![0.0; count * self.inputs];
        let stripe = self.inputs.max(1) * CHUNK;
        for_each_heavy_chunk(&mut values, stripe, |index, stripe| {
            for (row, into) in stripe.chunks_mut(self.inputs.max(1)).enumerate() {
                self.widen(first + index * CHUNK + row, into);
            }
        });
        Tensor::<2>::from_data(TensorData::new(values, [count, self.inputs]), device).transpose()
    }

    /// `x` (`[rows, inputs]`) times outputs `first .. first + count`: `[rows, count]`.
    pub fn multiply(&self, x: &Tensor<2>, first: usize, count: usize) -> Tensor<2> {
        let [rows, _] = x.dims();
        let device = x.device();
        if rows <= FEW_ROWS
            && let Ok(values) = x.clone().into_data().as_slice::<f32>()
        {
            return self.multiply_few(values, rows, first, count, &device);
        }
        let tile = (TILE / self.inputs.max(1)).next_multiple_of(CHUNK);
        let pieces: Vec<Tensor<2>> = (first..first + count)
            .step_by(tile)
            .map(|start| {
                let len = tile.min(first + count - start);
                x.clone().matmul(self.tile(start, len, &device))
            })
            .collect();
        Tensor::cat(pieces, 1)
    }

    fn multiply_few(
        &self,
        x: &[f32],
        rows: usize,
        first: usize,
        count: usize,
        device: &Device,
    ) -> Tensor<2> {
        // One stretch of `rows` values per output, turned around at the end.
        let mut products = vec![0.0; count * rows];
        for_each_heavy_chunk(&mut products, rows.max(1) * CHUNK, |index, products| {
            let mut weights = vec![0.0; self.inputs];
            for (output, products) in products.chunks_mut(rows.max(1)).enumerate() {
                self.widen(first + index * CHUNK + output, &mut weights);
                for (product, x) in products.iter_mut().zip(x.chunks(self.inputs.max(1))) {
                    *product = dot(&weights, x);
                }
            }
        });
        Tensor::<2>::from_data(TensorData::new(products, [count, rows]), device).transpose()
    }
}

/// Exactly, and without a branch or a call, so that several are widened at a time on any processor.
#[inline]
fn widened(value: f16) -> f32 {
    /// 2^112, by which the exponent of an `f32` with the bits of an `f16` is too small.
    const RAISE: f32 = f32::from_bits(0x7780_0000);
    let bits = u32::from(value.to_bits());
    let magnitude = (f32::from_bits((bits & 0x7FFF) << 13) * RAISE).to_bits();
    // Infinities and NaN keep the exponent that says so.
    let special = u32::from(bits & 0x7C00 == 0x7C00).wrapping_neg() & 0x7F80_0000;
    f32::from_bits(magnitude | special | (bits & 0x8000) << 16)
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// Up to 32 values as four-bit ones and their factor. The value of largest magnitude becomes -8, the end with one step
/// more.
fn pack_block(block: &[f32]) -> ([u8; HALF_BLOCK], f16) {
    let largest = block.iter().copied().fold(
        0.0_f32,
        |most, x| if x.abs() > most.abs() { x } else { most },
    );
    let factor = f16::from_f32(largest / -8.0);
    let step = factor.to_f32();
    let inverse = if step == 0.0 { 0.0 } else { step.recip() };
    let code = |index: usize| {
        let value = block.get(index).copied().unwrap_or_default();
        (value * inverse).round().clamp(-8.0, 7.0) as i8 + 8
    };
    let packed = std::array::from_fn(|index| (code(index) | (code(index + HALF_BLOCK) << 4)) as u8);
    (packed, factor)
}

fn unpack_block(packed: &[u8; HALF_BLOCK], factor: f32, into: &mut [f32]) {
    let mut values = [0.0_f32; INT4_BLOCK];
    let (low, high) = values.split_at_mut(HALF_BLOCK);
    for ((low, high), byte) in low.iter_mut().zip(high).zip(packed) {
        *low = (f32::from(byte & 15) - 8.0) * factor;
        *high = (f32::from(byte >> 4) - 8.0) * factor;
    }
    for (slot, value) in into.iter_mut().zip(values) {
        *slot = value;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn wave(count: usize) -> Vec<f32> {
        (0..count)
            .map(|i| (i as f32 * 0.37).sin() * (1.0 + (i % 7) as f32))
            .collect()
    }

    fn product(x: &[f32], w: &[f32], rows: usize, inputs: usize, outputs: usize) -> Vec<f32> {
        let mut out = Vec::new();
        for row in 0..rows {
            for output in 0..outputs {
                let x = &x[row * inputs..(row + 1) * inputs];
                out.push(
                    x.iter()
                        .zip(&w[output * inputs..])
                        .map(|(a, b)| a * b)
                        .sum(),
                );
            }
        }
        out
    }

    #[test]
    fn every_f16_is_widened_exactly() {
        for bits in 0..=u16::MAX {
            let value = f16::from_bits(bits);
            let (got, want) = (widened(value), value.to_f32());
            assert!(
                got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(),
                "{bits:#x}: {got} {want}"
            );
        }
    }

    /// Odd sizes, one row and many, a part of the outputs: always what widening first and multiplying in `f32` gives,
    /// and near the exact product by what the format leaves of a weight.
    #[test]
    fn a_product_equals_that_of_the_widened_matrix() {
        let device = crate::device::cpu();
        for (precision, loss) in [
            (Precision::F16, 1e-3),
            (Precision::Bf16, 8e-3),
            (Precision::Int8, 2e-2),
            (Precision::Int4, 3e-1),
        ] {
            for (outputs, inputs) in [(3, 5), (70, 33), (130, 64)] {
                let weights = wave(outputs * inputs);
                let mut packed =
                    QuantizedMatrix::with_capacity(precision, outputs, inputs).unwrap();
                let (front, back) = weights.split_at(inputs);
                packed.push_rows(front);
                packed.push_rows(back);
                assert_eq!(packed.outputs(), outputs);
                assert_eq!(
                    packed.bytes(),
                    precision.matrix_bytes(outputs as u64, inputs as u64)
                );
                let all: Vec<usize> = (0..outputs).collect();
                let widened = packed.rows(&all, &device).into_data();
                let widened = widened.as_slice::<f32>().unwrap();
                for rows in [1, 4, 9] {
                    let x = wave(rows * inputs);
                    let tensor =
                        Tensor::<2>::from_data(TensorData::new(x.clone(), [rows, inputs]), &device);
                    let found = packed.multiply(&tensor, 1, outputs - 2).into_data();
                    let found = found.as_slice::<f32>().unwrap().to_vec();
                    let near = product(&x, &widened[inputs..], rows, inputs, outputs - 2);
                    let exact = product(&x, &weights[inputs..], rows, inputs, outputs - 2);
                    let scale: f32 = (inputs as f32).sqrt() * 16.0;
                    for ((found, near), exact) in found.iter().zip(near).zip(exact) {
                        assert!(
                            (found - near).abs() < 1e-5 * scale * 16.0,
                            "{precision}: {found} {near}"
                        );
                        assert!(
                            (found - exact).abs() < loss * scale,
                            "{precision}: {found} {exact}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_of_zeros_stays_zero() {
        let device = crate::device::cpu();
        for precision in [Precision::Int8, Precision::Int4, Precision::F16] {
            let mut packed = QuantizedMatrix::with_capacity(precision, 1, 40).unwrap();
            packed.push_rows(&[0.0; 40]);
            let data = packed.rows(&[0], &device).into_data();
            assert_eq!(data.as_slice::<f32>().unwrap(), [0.0; 40]);
        }
    }

    #[test]
    fn the_ends_of_a_block_come_back_exactly() {
        let mut block = [0.0; INT4_BLOCK];
        block[3] = 8.0;
        block[20] = -7.0;
        let (packed, factor) = pack_block(&block);
        let mut back = [0.0; INT4_BLOCK];
        unpack_block(&packed, factor.to_f32(), &mut back);
        assert_eq!(back, block);
    }
}
