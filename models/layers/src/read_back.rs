//! Values of a tensor, fetched from its device.

use burn_tensor::{FloatDType, Tensor};

/// A result could not be fetched from the device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the result could not be read back from the device: {reason}")]
pub struct ReadBackError {
    /// Message of the backend.
    pub reason: String,
}

/// The values of `tensor`, row-major. A future everywhere, because a browser cannot block.
///
/// # Errors
/// [`ReadBackError`].
pub async fn read_back<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, ReadBackError> {
    let data = tensor
        .cast(FloatDType::F32)
        .into_data_async()
        .await
        .map_err(|error| ReadBackError {
            reason: format!("{error:?}"),
        })?;
    data.try_into_vec::<f32>().map_err(|error| ReadBackError {
        reason: format!("{error:?}"),
    })
}
