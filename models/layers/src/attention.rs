//! Dot-product attention with grouped key and value heads.

use burn::tensor::{Tensor, activation};

/// Added to a score that must not count. Large enough that its exponential is exactly zero in
/// `f32` beside any real score, small enough that adding it never overflows.
pub const MASKED: f32 = -1e30;

/// Attention of every query head over its group's keys and values.
///
/// - `query`: `[heads, rows, head_dim]`, already multiplied by the scale of the scores.
/// - `key`, `value`: `[kv_heads, columns, head_dim]`; query head `h` reads key head
///   `h / (heads / kv_heads)`.
/// - `bias`: `[1 or heads, rows, columns]`, added to the scores ([`MASKED`] where a row may not
///   look).
///
/// Returns `[heads, rows, head_dim]`. The query heads of a group are stacked as extra rows of one
/// product, so keys and values are never repeated in memory.
pub fn attend(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    bias: Option<&Tensor<3>>,
) -> Tensor<3> {
    let [heads, rows, head_dim] = query.dims();
    let [kv_heads, columns, value_dim] = value.dims();
    let stacked = heads / kv_heads * rows;
    let grouped = heads != kv_heads;
    let query = if grouped {
        query.reshape([kv_heads, stacked, head_dim])
    } else {
        query
    };
    let mut scores = query.matmul(key.swap_dims(1, 2));
    if let Some(bias) = bias {
        scores = if grouped {
            (scores.reshape([heads, rows, columns]) + bias.clone())
                .reshape([kv_heads, stacked, columns])
        } else {
            scores + bias.clone()
        };
    }
    let mixed = activation::softmax(scores, 2).matmul(value);
    if grouped {
        mixed.reshape([heads, rows, value_dim])
    } else {
        mixed
    }
}
