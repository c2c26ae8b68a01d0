//! Pointwise operations between matrix products; on the CPU in one pass over memory.
//!
//! The CPU backend calls a function per exponential, and every step of a formula reads and writes all values
//! again. Here a formula is one loop, with an exponential that the compiler can vectorize, over the
//! tensor's own memory. Other devices are given the same formulas as tensor operations.

use burn_tensor::{DType, Tensor, TensorData, activation, module};

use crate::parallel::for_each_chunk;
use crate::precision::is_cpu;

/// Values that one task takes at a time, about: few enough to stay near their core.
pub(crate) const TASK: usize = 1 << 13;
/// Kept side by side in sums and maxima.
pub(crate) const LANES: usize = 8;

/// GELU in its tanh form.
///
/// Computed as `x * sigmoid(2 u)`, `u = sqrt(2/pi) (x + 0.044715 x³)`, which equals `x/2 (1 + tanh u)` and needs no cube and
/// no tanh.
pub fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    const TWICE: f32 = 2.0 * 0.797_884_6;
    const CUBIC: f32 = TWICE * 0.044_715;
    in_place(
        x,
        TASK,
        #[inline(always)]
        |values: &mut [f32]| {
            for x in values {
                *x /= 1.0 + exp(-*x * (*x * *x * CUBIC + TWICE));
            }
        },
        |x| {
            let inner = (x.clone().square() * CUBIC + TWICE) * x.clone();
            x * activation::sigmoid(inner)
        },
    )
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
            for_each_chunk(
                &mut out,
                some * half,
                #[inline(always)]
                |index, out| {
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
                },
            );
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

/// GELU in its exact form, `x` times the normal distribution's share below it.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    in_place(
        x,
        TASK,
        #[inline(always)]
        |values: &mut [f32]| {
            for x in values {
                let away = x.abs();
                // A product would make NaN of 0 times infinity.
                let tail = if away < 13.0 {
                    away * upper_tail(away)
                } else {
                    0.0
                };
                let most = if *x > 0.0 { *x } else { 0.0 };
                *x = if x.is_nan() { *x } else { most - tail };
            }
        },
        activation::gelu,
    )
}

/// The share of the normal distribution above `z`, which is not below 0, within 2e-7 of it: a polynomial in `1 / (1 + c z)`
/// times `e^(-z²/2)`, fitted to the ratio of the two for `z` up to 13.
#[inline(always)]
fn upper_tail(z: f32) -> f32 {
    let t = (1.0 + 0.23 * z).recip();
    let mut p = -0.078_366_65;
    for c in [
        0.289_901_74,
        -0.277_013_07,
        0.300_122_5,
        -0.031_923_495,
        0.119_056_09,
        0.085_890_64,
        0.092_358_715,
        -2.646_900_7e-5,
    ] {
        p = p * t + c;
    }
    p * exp(-0.5 * z * z)
}
/// `sqrt(mean(x²) + eps)`.
#[inline(always)]
pub(crate) fn root_mean_square(values: &[f32], eps: f32) -> f32 {
    (sum(values, |x| x * x) / values.len() as f32 + eps).sqrt()
}

/// `x / sqrt(mean(x²) + eps)` over the last axis, times a weight for each of its values if there are any.
pub(crate) fn rms_norm<const D: usize>(
    x: Tensor<D>,
    weight: Option<&Tensor<2>>,
    eps: f64,
) -> Tensor<D> {
    let width = x.dims().last().copied().unwrap_or(1).max(1);
    let host = host_weight(&x, weight.cloned());
    in_place(
        x,
        whole_rows(width),
        #[inline(always)]
        |values: &mut [f32]| {
            for row in values.chunks_exact_mut(width) {
                let share = root_mean_square(row, eps as f32).recip();
                match &host {
                    Some(weight) => {
                        for (x, weight) in row.iter_mut().zip(weight) {
                            *x = *x * share * weight;
                        }
                    }
                    None => row.iter_mut().for_each(|x| *x *= share),
                }
            }
        },
        |x| {
            let mean_square = x.clone().square().mean_dim(D - 1);
            let x = x * (mean_square + eps).sqrt().recip();
            match weight {
                Some(weight) => {
                    let mut shape = [1; D];
                    if let Some(last) = shape.last_mut() {
                        *last = width;
                    }
                    x * weight.clone().reshape(shape)
                }
                None => x,
            }
        },
    )
}

/// `(x - mean) / sqrt(variance + eps)` over the last axis, times weight, plus bias (`[width]` each).
pub(crate) fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: &Tensor<1>,
    bias: &Tensor<1>,
    eps: f64,
) -> Tensor<D> {
    let width = x.dims().last().copied().unwrap_or(1).max(1);
    let affine = host_weight(&x, Some(weight.clone())).zip(host_weight(&x, Some(bias.clone())));
    in_place(
        x,
        whole_rows(width),
        #[inline(always)]
        |values: &mut [f32]| {
            let (weight, bias) = affine.as_ref().map_or((&[][..], &[][..]), |(w, b)| (w, b));
            for row in values.chunks_exact_mut(width) {
                let mean = sum(row, |x| x) / width as f32;
                let variance = sum(row, |x| (x - mean) * (x - mean)) / width as f32;
                let share = (variance + eps as f32).sqrt().recip();
                for ((x, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
                    *x = (*x - mean) * share * weight + bias;
                }
            }
        },
        |x| module::layer_norm(x, weight.clone(), Some(bias.clone()), eps),
    )
}

/// Values of as many whole rows as one task takes.
fn whole_rows(width: usize) -> usize {
    (TASK / width).max(1) * width
}

/// A weight in the memory of this process, if `x` is there too.
fn host_weight<const D: usize, const W: usize>(
    x: &Tensor<D>,
    weight: Option<Tensor<W>>,
) -> Option<Vec<f32>> {
    if !is_cpu(&x.device()) {
        return None;
    }
    weight?.into_data().try_into_vec().ok()
}

/// The sum of `term` over values, several of them at a time.
#[inline(always)]
fn sum(values: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    let (runs, rest) = values.as_chunks::<LANES>();
    for run in runs {
        for (sum, x) in sums.iter_mut().zip(run) {
            *sum += term(*x);
        }
    }
    let rest: f32 = rest.iter().map(|x| term(*x)).sum();
    sums.iter().sum::<f32>() + rest
}

/// Lets `work` change the tensor's own values, in runs of `size`. Where they are not in the memory of this process or not
/// `f32`, `otherwise` gives the result.
pub(crate) fn in_place<const D: usize>(
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
    let Ok(values) = data.as_mut_slice::<f32>() else {
        return otherwise(Tensor::from_data(data, &device));
    };
    for_each_chunk(
        values,
        size,
        #[inline(always)]
        |_, run| work(run),
    );
    Tensor::from_data(data, &device)
}

/// `e^x` within 2e-7 of it, as Cephes computes it: a power of two times a polynomial. Exactly zero below where normal
/// numbers end, the largest powers above 88 stay at `e^88`, and NaN stays NaN.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
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
pub(crate) mod tests {
    use super::*;

    pub(crate) fn noise(count: usize, size: f32) -> Vec<f32> {
        let mut state = 1u64;
        let mut draw = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            size * ((state >> 40) as f32 / 8_388_608.0 - 1.0)
        };
        (0..count).map(|_| draw()).collect()
    }

    pub(crate) fn assert_near(found: &[f32], wanted: &[f32]) {
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(wanted) {
            assert!(
                (found - wanted).abs() <= 3e-7 * (1.0 + wanted.abs()),
                "{found} {wanted}"
            );
        }
    }

    pub(crate) fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
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
        for x in [-87.1, -1000.0, -1e30, f32::NEG_INFINITY] {
            assert_eq!(exp(x), 0.0, "{x}");
        }
        for x in [88.5, 1e30, f32::INFINITY] {
            assert!(exp(x) >= 1e38, "{x}");
        }
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn gelu_and_gates_are_the_backends() {
        let device = crate::device::cpu();
        let x = Tensor::<2>::from_data(TensorData::new(noise(40_000, 9.0), [100, 400]), &device);
        let inner = (x.clone().square() * 0.044_715 + 1.0) * x.clone() * 0.797_884_560_802_865_4;
        let wanted = x.clone() * (inner.tanh() + 1.0) * 0.5;
        assert_near(&values(gelu_tanh(x.clone())), &values(wanted));
        assert_near(
            &values(gelu(x.clone())),
            &values(activation::gelu(x.clone())),
        );
        let ends = Tensor::<1>::from_data(
            [f32::INFINITY, f32::NEG_INFINITY, -1e30, 0.0, 1e30],
            &device,
        );
        assert_eq!(values(gelu(ends)), [f32::INFINITY, 0.0, 0.0, 0.0, 1e30]);
        let lost = values(gelu(Tensor::<1>::from_data([f32::NAN], &device)));
        assert!(lost.iter().all(|x| x.is_nan()));
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
    #[test]
    fn norms_are_their_formulas() {
        let device = crate::device::cpu();
        for (rows, width) in [(1, 1), (3, 7), (50, 128), (2, 1031)] {
            let x = noise(rows * width, 3.0);
            let x = Tensor::<2>::from_data(TensorData::new(x, [rows, width]), &device) + 1.5;
            let some = |seed: f32| {
                Tensor::<1>::from_data(TensorData::new(noise(width, seed), [width]), &device)
            };
            let (weight, bias) = (some(1.0), some(2.0));
            let mean_square = x.clone().square().mean_dim(1);
            let wanted = x.clone() / (mean_square + 1e-5).sqrt();
            assert_near(
                &values(rms_norm(x.clone(), None, 1e-5)),
                &values(wanted.clone()),
            );
            let row = weight.clone().reshape([1, width]);
            let found = rms_norm(x.clone(), Some(&row), 1e-5);
            assert_near(&values(found), &values(wanted * row));

            let centered = x.clone() - x.clone().mean_dim(1);
            let variance = centered.clone().square().mean_dim(1);
            let wanted = centered / (variance + 1e-5).sqrt() * weight.clone().reshape([1, width])
                + bias.clone().reshape([1, width]);
            let found = layer_norm(x, &weight, &bias, 1e-5);
            for (found, wanted) in values(found).iter().zip(values(wanted)) {
                assert!(
                    (found - wanted).abs() < 2e-6 * (1.0 + wanted.abs()),
                    "{found} {wanted}"
                );
            }
        }
    }
}
