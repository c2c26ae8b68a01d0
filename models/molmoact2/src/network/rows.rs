//! Rows of a matrix, selected by index.

use burn_tensor::{Device, Int, Tensor, TensorData};

/// Row indices on the device.
pub(crate) fn index_tensor(rows: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let count = rows.len();
    Tensor::from_data(TensorData::new(rows, [count]), device)
}

/// The rows `kept` of a matrix, in that order.
pub(crate) fn rows_of(rows: Tensor<2>, kept: &[usize]) -> Tensor<2> {
    let [count, _] = rows.dims();
    if kept.iter().copied().eq(0..count) {
        return rows;
    }
    let device = rows.device();
    rows.select(
        0,
        index_tensor(kept.iter().map(|&row| row as i32).collect(), &device),
    )
}
