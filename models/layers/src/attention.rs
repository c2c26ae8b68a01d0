//! Dot-product attention with grouped key and value heads.

use burn_tensor::Tensor;

use crate::softmax::{Scores, softmax};

/// Attention of every query head over its group's keys and values.
///
/// - `query`: `[heads, rows, head_dim]`, already multiplied by the scale of the scores.
/// - `key`, `value`: `[kv_heads, columns, head_dim]`; query head `h` reads key head
///   `h / (heads / kv_heads)`.
/// - `bias`: `[parts, rows or 1, columns]`, added to the scores ([`MASK_VALUE`](crate::MASK_VALUE) where a row may not look). `parts`
///   divides `heads`: each part is for the heads of one sequence; a single part is for all.
///
/// Returns `[heads, rows, head_dim]`. The query heads of a group are stacked as extra rows of one
/// product, so keys and values are never repeated in memory.
pub fn attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    bias: Option<&Tensor<3>>,
) -> Tensor<3> {
    let [heads, rows, head_dim] = query.dims();
    let [kv_heads, _, value_dim] = value.dims();
    let stacked = heads / kv_heads * rows;
    let grouped = heads != kv_heads;
    let query = if grouped {
        query.reshape([kv_heads, stacked, head_dim])
    } else {
        query
    };
    let scores = query.matmul(key.swap_dims(1, 2));
    let mixed = softmax(vec![Scores { scores, bias }], heads).matmul(value);
    if grouped {
        mixed.reshape([heads, rows, value_dim])
    } else {
        mixed
    }
}

/// A run of columns (keys and values) that queries attend to.
#[derive(Debug, Clone)]
pub struct Columns {
    /// `[kv_heads, columns, head_dim]`, rotated.
    pub key: Tensor<3>,
    /// `[kv_heads, columns, head_dim]`.
    pub value: Tensor<3>,
    /// `[1 or heads, rows, columns]`, as in [`attention()`].
    pub bias: Option<Tensor<3>>,
}

/// [`attention()`] over several runs of columns as if they were one, without joining their keys and values in memory: a
/// long cache is read, never copied. Scores are joined, for one softmax over all.
pub fn attention_over(query: Tensor<3>, parts: &[Columns]) -> Tensor<3> {
    if let [only] = parts {
        return attention(
            query,
            only.key.clone(),
            only.value.clone(),
            only.bias.as_ref(),
        );
    }
    let [heads, rows, head_dim] = query.dims();
    let kv_heads = parts.first().map_or(heads, |part| {
        let [kv_heads, _, _] = part.key.dims();
        kv_heads
    });
    let stacked = heads / kv_heads * rows;
    let query = query.reshape([kv_heads, stacked, head_dim]);
    let scores = parts
        .iter()
        .map(|part| Scores {
            scores: query.clone().matmul(part.key.clone().swap_dims(1, 2)),
            bias: part.bias.as_ref(),
        })
        .collect();
    let shares = softmax(scores, heads);
    let mut first = 0;
    let mut mixed = None;
    for part in parts {
        let [_, columns, _] = part.value.dims();
        let share = shares.clone().narrow(2, first, columns);
        first += columns;
        let sum = share.matmul(part.value.clone());
        mixed = Some(match mixed {
            Some(mixed) => mixed + sum,
            None => sum,
        });
    }
    // Without any columns there is nothing to mix.
    mixed
        .unwrap_or_else(|| query.zeros_like())
        .reshape([heads, rows, head_dim])
}
