//! What lies between the products, on the CPU in one pass over memory.
//!
//! The CPU backend takes every exponential by a call of its own, and every step of a formula reads and writes all values
//! again. Here a formula is one loop, with an exponential that the compiler can compute several of at a time, over the
//! tensor's own memory. Other devices are given the same formulas as tensor operations.

use burn::tensor::{DType, Tensor, TensorData, activation};

use crate::chunks::each_chunk;
use crate::precision::is_cpu;

/// Values that one task takes at a time, about: few enough to stay near their core.
const TASK: usize = 1 << 13;
/// Kept side by side in sums and maxima.
const LANES: usize = 8;

/// GELU in its tanh form.
///
/// Computed as `x * sigmoid(2 u)`, `u = sqrt(2/pi) (x + 0.044715 x³)`, which equals `x/2 (1 + tanh u)` and needs no cube and
/// no tanh.
pub fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    const TWICE: f32 = 2.0 * 0.797_884_6;
    const CUBIC: f32 = TWICE * 0.044_715;
    let work = |values: &mut [f32]| {
        for x in values {
            *x /= 1.0 + exp(-*x * (*x * *x * CUBIC + TWICE));
        }
    };
    in_place(x, TASK, work, |x| {
        let inner = (x.clone().square() * CUBIC + TWICE) * x.clone();
        x * activation::sigmoid(inner)
    })
}

/// Of rows `[rows, 2 * half]`, `silu` of one half times the other, `[rows, half]`.
pub(crate) fn gated(both: Tensor<2>, is_first_gate: bool) -> Tensor<2> {
    let [rows, width] = both.dims();
    let half = width / 2;
    let device = both.device();
    let both = if is_cpu(&device) {
        let data = both.into_data();
        if let Ok(values) = data.as_slice::<f32>() {
            let mut out = vec![0.0; rows * half];
            let some = (TASK / width.max(1)).max(1);
            each_chunk(&mut out, some * half, |index, out| {
                let values = values.get(index * some * width..).unwrap_or_default();
                for (row, out) in values.chunks_exact(width).zip(out.chunks_exact_mut(half)) {
                    let (first, second) = row.split_at(half);
                    let (gates, ups) = if is_first_gate {
                        (first, second)
                    } else {
                        (second, first)
                    };
                    for ((out, gate), up) in out.iter_mut().zip(gates).zip(ups) {
                        *out = gate / (1.0 + exp(-gate)) * up;
                    }
                }
            });
            return Tensor::from_data(TensorData::new(out, [rows, half]), &device);
        }
        Tensor::from_data(data, &device)
    } else {
        both
    };
    let first = both.clone().narrow(1, 0, half);
    let second = both.narrow(1, half, half);
    let (gate, up) = if is_first_gate {
        (first, second)
    } else {
        (second, first)
    };
    activation::silu(gate) * up
}

/// Softmax over the last axis.
pub(crate) fn softmax(scores: Tensor<3>) -> Tensor<3> {
    let [_, _, columns] = scores.dims();
    let columns = columns.max(1);
    let run = (TASK / columns).max(1) * columns;
    let work = |values: &mut [f32]| values.chunks_exact_mut(columns).for_each(softmax_row);
    in_place(scores, run, work, |scores| activation::softmax(scores, 2))
}

fn softmax_row(row: &mut [f32]) {
    let mut most = [f32::NEG_INFINITY; LANES];
    let (runs, rest) = row.as_chunks::<LANES>();
    for run in runs {
        for (most, x) in most.iter_mut().zip(run) {
            *most = if *x > *most { *x } else { *most };
        }
    }
    let most = most
        .iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |a, b| a.max(*b));
    let mut sums = [0.0; LANES];
    let (runs, rest) = row.as_chunks_mut::<LANES>();
    for run in runs {
        for (sum, x) in sums.iter_mut().zip(run) {
            *x = exp(*x - most);
            *sum += *x;
        }
    }
    let mut sum: f32 = sums.iter().sum();
    for x in rest {
        *x = exp(*x - most);
        sum += *x;
    }
    let share = sum.recip();
    for x in row {
        *x *= share;
    }
}

/// Lets `work` change the tensor's own values, in runs of `size`. Where they are not in the memory of this process or not
/// `f32`, `otherwise` gives the result.
fn in_place<const D: usize>(
    x: Tensor<D>,
    size: usize,
    work: impl Fn(&mut [f32]) + Sync,
    otherwise: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Tensor<D> {
    let device = x.device();
    if !is_cpu(&device) || x.dtype() != DType::F32 {
        return otherwise(x);
    }
    // Nothing is copied unless something else reads the tensor too.
    let mut data = x.into_data();
    let is_done = data
        .as_mut_slice::<f32>()
        .map(|values| each_chunk(values, size, |_, run| work(run)))
        .is_ok();
    let x = Tensor::from_data(data, &device);
    if is_done { x } else { otherwise(x) }
}

/// `e^x` within 2e-7 of it, as Cephes computes it: a power of two times a polynomial. Exactly zero below where normal
/// numbers end, the largest powers above 88 stay at `e^88`, and NaN stays NaN.
#[inline]
fn exp(x: f32) -> f32 {
    const LOWEST: f32 = -87.0;
    const HIGHEST: f32 = 88.0;
    // Added and subtracted, it rounds to a whole number, which meanwhile stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let bounded = if x < HIGHEST { x } else { HIGHEST };
    let bounded = if bounded > LOWEST { bounded } else { LOWEST };
    let shifted = bounded * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let [high, low] = LN_2;
    let r = bounded - whole * high - whole * low;
    let mut p = 1.987_569_1e-4;
    for c in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        0.166_666_66,
        0.5,
    ] {
        p = p * r + c;
    }
    let near_one = p * r * r + r + 1.0;
    let power = f32::from_bits(near_one.to_bits().wrapping_add(shifted.to_bits() << 23));
    let power = if x < LOWEST { 0.0 } else { power };
    if x.is_nan() { x } else { power }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends where it fails")]
mod tests {
    use super::*;
    use crate::attention::MASKED;

    fn noise(count: usize, size: f32) -> Vec<f32> {
        let mut state = 1u64;
        let mut draw = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            size * ((state >> 40) as f32 / 8_388_608.0 - 1.0)
        };
        (0..count).map(|_| draw()).collect()
    }

    fn assert_near(found: &[f32], wanted: &[f32]) {
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(wanted) {
            assert!(
                (found - wanted).abs() <= 3e-7 * (1.0 + wanted.abs()),
                "{found} {wanted}"
            );
        }
    }

    fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn the_exponential_is_near_and_ends_where_numbers_end() {
        for step in 0..2_000_000 {
            let x = -87.0 + step as f32 * (175.0 / 2e6);
            let wanted = f64::from(x).exp();
            let off = (f64::from(exp(x)) - wanted).abs() / wanted;
            assert!(off < 2e-7, "{x}: {off}");
        }
        assert_eq!(exp(0.0), 1.0);
        for x in [-87.1, -1000.0, MASKED, f32::NEG_INFINITY] {
            assert_eq!(exp(x), 0.0, "{x}");
        }
        for x in [88.5, 1e30, f32::INFINITY] {
            assert!(exp(x) >= 1e38, "{x}");
        }
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn softmax_is_the_backends() {
        let device = crate::device::cpu();
        for [parts, rows, columns] in [[1, 1, 1], [2, 3, 7], [3, 5, 8], [2, 70, 333]] {
            let mut scores = noise(parts * rows * columns, 20.0);
            for x in scores.iter_mut().skip(1).step_by(5) {
                *x += MASKED;
            }
            let data = TensorData::new(scores, [parts, rows, columns]);
            let scores = Tensor::<3>::from_data(data, &device);
            let wanted = activation::softmax(scores.clone(), 2);
            // What else reads the scores must not see them change.
            let before = values(scores.clone());
            let found = softmax(scores.clone());
            assert_eq!(values(scores), before);
            assert_near(&values(found), &values(wanted));
        }
        let lost = softmax(Tensor::from_data([[[1.0, f32::NAN, 2.0]]], &device));
        assert!(values(lost).iter().all(|x| x.is_nan()));
    }

    #[test]
    fn gelu_and_gates_are_the_backends() {
        let device = crate::device::cpu();
        let x = Tensor::<2>::from_data(TensorData::new(noise(40_000, 9.0), [100, 400]), &device);
        let inner = (x.clone().square() * 0.044_715 + 1.0) * x.clone() * 0.797_884_560_802_865_4;
        let wanted = x.clone() * (inner.tanh() + 1.0) * 0.5;
        assert_near(&values(gelu_tanh(x.clone())), &values(wanted));
        // A part of a tensor is not its whole memory.
        let part = x.clone().narrow(1, 3, 20);
        let wanted = values(gelu_tanh(x.clone()).narrow(1, 3, 20));
        assert_near(&values(gelu_tanh(part)), &wanted);

        let (first, second) = (x.clone().narrow(1, 0, 200), x.clone().narrow(1, 200, 200));
        let wanted = activation::silu(first.clone()) * second.clone();
        assert_near(&values(gated(x.clone(), true)), &values(wanted));
        let wanted = activation::silu(second) * first;
        assert_near(&values(gated(x, false)), &values(wanted));
    }
}
