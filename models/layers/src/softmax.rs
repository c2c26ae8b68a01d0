//! Softmax over scores of attention that may lie in several tensors.

use burn_tensor::{DType, Tensor, TensorData, activation};

use crate::parallel::for_each_chunk;
use crate::pointwise::{LANES, TASK, exp};
use crate::precision::is_cpu;

/// Added to a score that must not count. Large enough that its exponential is exactly zero in
/// `f32` beside any real score, small enough that adding it never overflows.
pub const MASK_VALUE: f32 = -1e30;

/// Scores of some columns.
pub(crate) struct Scores<'a> {
    /// `[kv_heads, heads / kv_heads * rows, columns]`: the query heads of a group under each other.
    pub(crate) scores: Tensor<3>,
    /// `[parts, rows or 1, columns]`, added to them; `parts` divides `heads`.
    pub(crate) bias: Option<&'a Tensor<3>>,
}

/// Softmax over the columns of all parts together, side by side: `[kv_heads, heads / kv_heads * rows, all columns]`.
/// There is at least one part.
pub(crate) fn softmax(mut parts: Vec<Scores<'_>>, heads: usize) -> Tensor<3> {
    let is_near =
        |part: &Scores<'_>| is_cpu(&part.scores.device()) && part.scores.dtype() == DType::F32;
    if !parts.iter().all(is_near) {
        let biased = parts.into_iter().map(|part| part.biased(heads)).collect();
        return activation::softmax(Tensor::cat(biased, 2), 2);
    }
    match parts.len() {
        1 => parts.pop().map(|only| alone(only, heads)),
        _ => None,
    }
    .unwrap_or_else(|| joined(parts, heads))
}

impl Scores<'_> {
    fn biased(self, heads: usize) -> Tensor<3> {
        let Self { scores, bias } = self;
        let Some(bias) = bias else {
            return scores;
        };
        let [kv_heads, stacked, columns] = scores.dims();
        let [parts, of_rows, _] = bias.dims();
        if heads == kv_heads && (parts == 1 || parts == heads) {
            return scores + bias.clone();
        }
        let rows = kv_heads * stacked / heads.max(1);
        let bias = bias.clone().reshape([parts, 1, of_rows, columns]);
        (scores.reshape([parts, heads / parts, rows, columns]) + bias)
            .reshape([kv_heads, stacked, columns])
    }
}

/// On the CPU: scores are biased and turned into shares where they are.
fn alone(part: Scores<'_>, heads: usize) -> Tensor<3> {
    let [kv_heads, stacked, columns] = part.scores.dims();
    let device = part.scores.device();
    let bias = part
        .bias
        .map(|bias| Bias::new(bias, heads, kv_heads * stacked));
    let columns = columns.max(1);
    let some = (TASK / columns).max(1);
    // Nothing is copied unless something else reads the tensor too.
    let mut scores = part.scores.into_data();
    let values = scores.as_mut_slice::<f32>().unwrap_or_default();
    for_each_chunk(
        values,
        some * columns,
        #[inline(always)]
        |index, run| {
            for (at, row) in run.chunks_exact_mut(columns).enumerate() {
                if let Some(bias) = &bias {
                    let bias = bias.of(index * some + at, columns);
                    row.iter_mut().zip(bias).for_each(|(x, bias)| *x += bias);
                }
                softmax_row(row);
            }
        },
    );
    Tensor::from_data(scores, &device)
}

/// On the CPU: scores are brought together, biased and turned into shares in one pass.
fn joined(parts: Vec<Scores<'_>>, heads: usize) -> Tensor<3> {
    let device = crate::device::cpu();
    let [kv_heads, stacked, _] = parts.first().map_or([0; 3], |first| first.scores.dims());
    let sources: Vec<(usize, TensorData, Option<Bias>)> = parts
        .into_iter()
        .map(|Scores { scores, bias }| {
            let [_, _, columns] = scores.dims();
            let bias = bias.map(|bias| Bias::new(bias, heads, kv_heads * stacked));
            (columns, scores.into_data(), bias)
        })
        .collect();
    let width: usize = sources.iter().map(|(columns, ..)| columns).sum();
    let mut all = vec![0.0; kv_heads * stacked * width];
    let some = (TASK / width.max(1)).max(1);
    for_each_chunk(
        &mut all,
        some * width,
        #[inline(always)]
        |index, run| {
            for (at, row) in run.chunks_exact_mut(width.max(1)).enumerate() {
                let at = index * some + at;
                let mut rest = &mut *row;
                for (columns, scores, bias) in &sources {
                    let (own, after) = rest.split_at_mut((*columns).min(rest.len()));
                    let scores = table_row(scores, at, *columns);
                    match bias {
                        Some(bias) => {
                            let bias = bias.of(at, *columns);
                            for ((out, score), bias) in own.iter_mut().zip(scores).zip(bias) {
                                *out = score + bias;
                            }
                        }
                        None => own.copy_from_slice(scores),
                    }
                    rest = after;
                }
                softmax_row(row);
            }
        },
    );
    Tensor::from_data(TensorData::new(all, [kv_heads, stacked, width]), &device)
}

/// Values added to scores, in the memory of this process.
struct Bias {
    values: TensorData,
    /// Rows of scores of a head, and heads that share a part.
    rows: usize,
    sharing: usize,
    /// Rows of a part: those of a head, or one for all.
    of_rows: usize,
}

impl Bias {
    /// For `heads` heads that have `all_rows` rows of scores together.
    fn new(bias: &Tensor<3>, heads: usize, all_rows: usize) -> Self {
        let [parts, of_rows, _] = bias.dims();
        Self {
            values: bias.clone().into_data(),
            rows: (all_rows / heads.max(1)).max(1),
            sharing: (heads / parts.max(1)).max(1),
            of_rows,
        }
    }

    /// Values added to row `at` of all rows.
    fn of(&self, at: usize, columns: usize) -> &[f32] {
        let (head, row) = (at / self.rows, at % self.rows);
        let row = row.min(self.of_rows.saturating_sub(1));
        table_row(
            &self.values,
            head / self.sharing * self.of_rows + row,
            columns,
        )
    }
}

/// A row of a table of `columns` columns.
fn table_row(table: &TensorData, row: usize, columns: usize) -> &[f32] {
    let values = table.as_slice::<f32>().unwrap_or_default();
    values
        .get(row * columns..(row + 1) * columns)
        .unwrap_or_default()
}

#[inline(always)]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pointwise::tests::{assert_near, noise, values};

    fn plain(scores: Tensor<3>) -> Scores<'static> {
        Scores { scores, bias: None }
    }

    #[test]
    fn softmax_is_the_backends() {
        let device = crate::device::cpu();
        for [parts, rows, columns] in [[1, 1, 1], [2, 3, 7], [3, 5, 8], [2, 70, 333]] {
            let mut scores = noise(parts * rows * columns, 20.0);
            for x in scores.iter_mut().skip(1).step_by(5) {
                *x += MASK_VALUE;
            }
            let data = TensorData::new(scores, [parts, rows, columns]);
            let scores = Tensor::<3>::from_data(data, &device);
            let wanted = activation::softmax(scores.clone(), 2);
            // What else reads the scores must not see them change.
            let before = values(scores.clone());
            let found = softmax(vec![plain(scores.clone())], parts);
            assert_eq!(values(scores), before);
            assert_near(&values(found), &values(wanted));
        }
        let lost = Tensor::from_data([[[1.0, f32::NAN, 2.0]]], &device);
        let lost = softmax(vec![plain(lost)], 1);
        assert!(values(lost).iter().all(|x| x.is_nan()));
    }

    #[test]
    fn parts_with_their_biases_are_one_softmax() {
        let device = crate::device::cpu();
        let some = |shape: [usize; 3], size: f32| {
            Tensor::<3>::from_data(
                TensorData::new(noise(shape.iter().product(), size), shape),
                &device,
            )
        };
        for (kv_heads, group, rows, columns) in [
            (2, 2, 5, vec![7, 5]),
            (3, 1, 4, vec![9]),
            (1, 4, 1, vec![30, 1, 2]),
        ] {
            let heads = kv_heads * group;
            for (parts, of_rows) in [(1, rows), (heads, rows), (kv_heads, 1), (1, 1)] {
                let scores: Vec<_> = columns
                    .iter()
                    .map(|&columns| some([kv_heads, group * rows, columns], 5.0))
                    .collect();
                let biases: Vec<_> = columns
                    .iter()
                    .enumerate()
                    .map(|(at, &columns)| (at != 1).then(|| some([parts, of_rows, columns], 9.0)))
                    .collect();
                let put = |(scores, bias): (&Tensor<3>, &'_ Option<Tensor<3>>)| {
                    scores.clone().reshape([heads, rows, scores.dims()[2]])
                        + match bias {
                            Some(bias) => bias
                                .clone()
                                .reshape([parts, 1, of_rows, scores.dims()[2]])
                                .repeat_dim(1, heads / parts)
                                .reshape([heads, of_rows, scores.dims()[2]]),
                            None => Tensor::zeros([1, 1, 1], &device),
                        }
                };
                let all = scores.iter().zip(&biases).map(put).collect();
                let wanted = activation::softmax(Tensor::cat(all, 2), 2);
                let given = scores
                    .into_iter()
                    .zip(&biases)
                    .map(|(scores, bias)| Scores {
                        scores,
                        bias: bias.as_ref(),
                    })
                    .collect();
                assert_near(&values(softmax(given, heads)), &values(wanted));
            }
        }
    }
}
