//! Heads, taken apart for attention and put side by side again.
//!
//! On the CPU each is one pass over memory, with the norm and the rotation of a head on the way; other devices are given
//! the same as tensor operations.

use burn_tensor::{DType, Tensor, TensorData};

use crate::norm::rms_normalize;
use crate::parallel::for_each_chunk;
use crate::pointwise::root_mean_square;
use crate::precision::is_cpu;
use crate::rotary::Rotary;

/// Layout of queries, keys and values in a row of a projection: one head after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QkvHeads {
    /// Of queries.
    pub heads: usize,
    /// Of keys, and as many of values.
    pub kv_heads: usize,
    /// Values of a head.
    pub head_dim: usize,
}

/// RMS normalisation of every query and key by itself.
#[derive(Debug, Clone)]
pub struct HeadNorm {
    /// `[1, heads + kv_heads, head_dim]`: of queries, times the scale of the scores, then of keys.
    pub weight: Tensor<3>,
    /// Added to the mean square.
    pub eps: f64,
}

impl QkvHeads {
    /// Queries, keys and values of the rows of `sequences` sequences of equal length,
    /// `[sequences * tokens, (heads + 2 kv_heads) * head_dim]`: normalised if there is a norm, rotated, queries multiplied by
    /// `scale`. Each `[sequences * its heads, tokens, head_dim]`.
    ///
    /// `rotary` has a position for every row.
    pub fn split(
        &self,
        rows: Tensor<2>,
        sequences: usize,
        norm: Option<&HeadNorm>,
        rotary: &Rotary,
        scale: f32,
    ) -> [Tensor<3>; 3] {
        let Self {
            heads,
            kv_heads,
            head_dim,
        } = *self;
        let device = rows.device();
        let [count, _] = rows.dims();
        if is_cpu(&device)
            && rows.dtype() == DType::F32
            && let Some(table) = rotary.on_host(count, head_dim)
        {
            let data = rows.into_data();
            let weight = norm.map(|norm| norm.weight.clone().into_data());
            let weight = weight
                .as_ref()
                .map(|weight| weight.as_slice::<f32>().unwrap_or_default());
            let eps = norm.map_or(0.0, |norm| norm.eps as f32);
            let values = data.as_slice::<f32>().unwrap_or_default();
            let from = ProjectionRows {
                values,
                width: (heads + 2 * kv_heads) * head_dim,
                head_dim,
                sequences,
                tokens: count / sequences.max(1),
            };
            let turn = |head: usize, row: usize, out: &mut [f32]| {
                if let Some(weight) = weight {
                    let share = root_mean_square(out, eps).recip();
                    let weight = weight.get(head * head_dim..).unwrap_or_default();
                    for (x, weight) in out.iter_mut().zip(weight) {
                        *x = *x * share * *weight;
                    }
                }
                table.turn(row, out);
            };
            let query = from.take(0, heads, |head, row, out| {
                turn(head, row, out);
                out.iter_mut().for_each(|x| *x *= scale);
            });
            let key = from.take(heads, kv_heads, turn);
            let value = from.take(heads + kv_heads, kv_heads, |_, _, _| {});
            return [(heads, query), (kv_heads, key), (kv_heads, value)].map(|(heads, values)| {
                let shape = [sequences * heads, from.tokens, head_dim];
                Tensor::from_data(TensorData::new(values, shape), &device)
            });
        }
        let all = rows.reshape([count, heads + 2 * kv_heads, head_dim]);
        let mut placed = all.clone().narrow(1, 0, heads + kv_heads);
        if let Some(norm) = norm {
            placed = rms_normalize(placed, norm.eps) * norm.weight.clone();
        }
        let placed = rotary.apply(placed);
        let mut query = placed.clone().narrow(1, 0, heads);
        if scale != 1.0 {
            query = query * scale;
        }
        let key = placed.narrow(1, heads, kv_heads);
        let value = all.narrow(1, heads + kv_heads, kv_heads);
        [query, key, value].map(|x| split_heads(x, sequences))
    }
}

/// The rows of a projection in the memory of this process.
struct ProjectionRows<'a> {
    values: &'a [f32],
    /// Of a row.
    width: usize,
    head_dim: usize,
    sequences: usize,
    /// Of a sequence.
    tokens: usize,
}

impl ProjectionRows<'_> {
    /// Heads `first .. first + count` in front, each after `work`, which is given the number of the head among all, the row,
    /// and the head's values.
    fn take(
        &self,
        first: usize,
        count: usize,
        work: impl Fn(usize, usize, &mut [f32]) + Sync,
    ) -> Vec<f32> {
        let size = self.tokens * self.head_dim;
        let mut all = vec![0.0; self.sequences * count * size];
        for_each_chunk(&mut all, size, |index, out| {
            let (sequence, head) = (index / count.max(1), first + index % count.max(1));
            let rows = sequence * self.tokens..;
            for (row, out) in rows.zip(out.chunks_exact_mut(self.head_dim)) {
                let start = row * self.width + head * self.head_dim;
                if let Some(values) = self.values.get(start..start + self.head_dim) {
                    out.copy_from_slice(values);
                    work(head, row, out);
                }
            }
        });
        all
    }
}

/// Moves the heads of `sequences` sequences of equal length in front: `[sequences * tokens, heads, head_dim]` to
/// `[sequences * heads, tokens, head_dim]`.
pub fn split_heads(x: Tensor<3>, sequences: usize) -> Tensor<3> {
    let [rows, heads, head_dim] = x.dims();
    if sequences == 1 {
        return x.swap_dims(0, 1);
    }
    let tokens = rows / sequences;
    x.reshape([sequences, tokens, heads, head_dim])
        .swap_dims(1, 2)
        .reshape([sequences * heads, tokens, head_dim])
}

/// The inverse of [`split_heads`], the heads of a token side by side: `[sequences * heads, tokens, head_dim]` to
/// `[sequences * tokens, heads * head_dim]`.
pub fn merge_heads(x: Tensor<3>, sequences: usize) -> Tensor<2> {
    let [folded, tokens, head_dim] = x.dims();
    let heads = folded / sequences;
    let (rows, width) = (sequences * tokens, heads * head_dim);
    let device = x.device();
    if is_cpu(&device) && x.dtype() == DType::F32 {
        let data = x.into_data();
        let values = data.as_slice::<f32>().unwrap_or_default();
        let mut all = vec![0.0; rows * width];
        for_each_chunk(&mut all, tokens * width, |sequence, out| {
            for (token, out) in out.chunks_exact_mut(width.max(1)).enumerate() {
                for (head, out) in out.chunks_exact_mut(head_dim.max(1)).enumerate() {
                    let start = ((sequence * heads + head) * tokens + token) * head_dim;
                    if let Some(values) = values.get(start..start + head_dim) {
                        out.copy_from_slice(values);
                    }
                }
            }
        });
        return Tensor::from_data(TensorData::new(all, [rows, width]), &device);
    }
    x.reshape([sequences, heads, tokens, head_dim])
        .swap_dims(1, 2)
        .reshape([rows, width])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends where it fails")]
mod tests {
    use super::*;
    use crate::pointwise::tests::{assert_near, noise, values};
    use burn_tensor::Device;

    fn some<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
        let count = shape.iter().product();
        Tensor::from_data(TensorData::new(noise(count, 2.0), shape), device)
    }

    /// As tensor operations, whatever the device.
    fn by_steps(
        layout: QkvHeads,
        rows: Tensor<2>,
        sequences: usize,
        norm: Option<&HeadNorm>,
        rotary: &Rotary,
        scale: f32,
    ) -> [Tensor<3>; 3] {
        let [count, _] = rows.dims();
        let (heads, kv_heads) = (layout.heads, layout.kv_heads);
        let all = rows.reshape([count, heads + 2 * kv_heads, layout.head_dim]);
        let mut placed = all.clone().narrow(1, 0, heads + kv_heads);
        if let Some(norm) = norm {
            let mean_square = placed.clone().square().mean_dim(2);
            placed = placed * (mean_square + norm.eps).sqrt().recip() * norm.weight.clone();
        }
        let placed = rotary.apply(placed);
        [
            split_heads(placed.clone().narrow(1, 0, heads) * scale, sequences),
            split_heads(placed.narrow(1, heads, kv_heads), sequences),
            split_heads(all.narrow(1, heads + kv_heads, kv_heads), sequences),
        ]
    }

    #[test]
    fn heads_are_taken_apart_and_put_back() {
        let device = crate::device::cpu();
        for (heads, kv_heads, head_dim, sequences, tokens) in
            [(4, 2, 8, 1, 5), (3, 3, 6, 4, 7), (8, 1, 32, 2, 1)]
        {
            let layout = QkvHeads {
                heads,
                kv_heads,
                head_dim,
            };
            let count = sequences * tokens;
            let rows = some([count, (heads + 2 * kv_heads) * head_dim], &device);
            let angles = noise(count * head_dim / 2, 3.0);
            let rotary = Rotary::from_angles(&angles, head_dim / 2, &device);
            let norm = HeadNorm {
                weight: some([1, heads + kv_heads, head_dim], &device),
                eps: 1e-6,
            };
            for norm in [None, Some(&norm)] {
                let found = layout.split(rows.clone(), sequences, norm, &rotary, 0.3);
                let wanted = by_steps(layout, rows.clone(), sequences, norm, &rotary, 0.3);
                for (found, wanted) in found.into_iter().zip(wanted) {
                    assert_eq!(found.dims(), wanted.dims());
                    assert_near(&values(found), &values(wanted));
                }
            }
            let x = some([count, heads, head_dim], &device);
            let back = merge_heads(split_heads(x.clone(), sequences), sequences);
            assert_eq!(values(back), values(x));
        }
    }
}
