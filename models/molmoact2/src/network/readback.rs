//! Values of tensors, read back from the device without blocking the thread.

use burn_tensor::{Int, Tensor};

use crate::error::ActError;

/// Reads the values of a tensor back to the host.
pub(crate) async fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, ActError> {
    let failed = |reason: String| ActError::ReadBack { reason };
    let data = tensor
        .into_data_async()
        .await
        .map_err(|error| failed(format!("{error:?}")))?;
    data.as_slice::<f32>()
        .map(<[f32]>::to_vec)
        .map_err(|error| failed(format!("{error:?}")))
}

/// Reads several vectors of indices back to the host at once, one after the other.
pub(crate) async fn read_indices(indices: Vec<Tensor<1, Int>>) -> Result<Vec<u32>, ActError> {
    if indices.is_empty() {
        return Ok(Vec::new());
    }
    let failed = |reason: String| ActError::ReadBack { reason };
    let data = Tensor::cat(indices, 0)
        .into_data_async()
        .await
        .map_err(|error| failed(format!("{error:?}")))?;
    data.convert::<i64>()
        .as_slice::<i64>()
        .map_err(|error| failed(format!("{error:?}")))?
        .iter()
        .map(|&index| u32::try_from(index).map_err(|error| failed(error.to_string())))
        .collect()
}
