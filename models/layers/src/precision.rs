//! Number formats of weights.
//!
//! Only the large matrices (linear layers and embedding tables) are kept in fewer bits; norms, biases, position
//! embeddings and everything between the layers stay in `f32`, and so do softmax and the scores of attention.
//!
//! The place of computation depends on the device. The CPU backend stores `bf16` and `f16` tensors but converts
//! them whole on one thread for every product and rounds the result, and it keeps four-bit values in a byte each; so on
//! the CPU low-precision matrices stay in memory of ours ([`crate::quantized_matrix`]) and are widened to `f32` a tile at a time on
//! all cores. On a GPU `bf16` and `f16` matrices are tensors of that type, multiplied by activations rounded to it.

use burn_tensor::{DType, Device};

/// The format of the large weight matrices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Four bytes per weight.
    #[default]
    F32,
    /// Two bytes, the range of `f32`, 8 bits of precision.
    Bf16,
    /// Two bytes, up to 65504, 11 bits of precision.
    F16,
    /// One byte per weight and a factor per output.
    Int8,
    /// Four bits per weight and a factor per block of [`INT4_BLOCK`] inputs of an output.
    Int4,
}

/// Weights of one output that share a factor in [`Precision::Int4`].
pub const INT4_BLOCK: usize = 32;

/// A device cannot compute in a precision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{precision} is not available on this device: {reason}; available are {}", .available.join(", "))]
pub struct PrecisionError {
    /// The requested precision.
    pub precision: Precision,
    /// The reason.
    pub reason: String,
    /// The precisions that the device has.
    pub available: Vec<&'static str>,
}

impl Precision {
    /// All of them, the most exact first.
    pub const ALL: [Self; 5] = [Self::F32, Self::F16, Self::Bf16, Self::Int8, Self::Int4];

    /// As the command line spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Int8 => "int8",
            Self::Int4 => "int4",
        }
    }

    /// Precision for the parts of a network that lose most: eight bits instead of four, else the same.
    #[must_use]
    pub fn delicate(self) -> Self {
        match self {
            Self::Int4 => Self::Int8,
            other => other,
        }
    }

    /// Bytes a matrix of `outputs` by `inputs` takes.
    #[must_use]
    pub fn matrix_bytes(self, outputs: u64, inputs: u64) -> u64 {
        match self {
            Self::F32 => 4 * outputs * inputs,
            Self::Bf16 | Self::F16 => 2 * outputs * inputs,
            Self::Int8 => outputs * (inputs + 4),
            Self::Int4 => {
                let block = INT4_BLOCK as u64;
                outputs * inputs.div_ceil(block) * (block / 2 + 2)
            }
        }
    }

    /// True if `device` computes right in this precision.
    ///
    /// # Errors
    /// [`PrecisionError`] with those it does compute in.
    pub fn check(self, device: &Device) -> Result<(), PrecisionError> {
        self.refusal(device).map_or(Ok(()), |reason| {
            Err(PrecisionError {
                precision: self,
                reason,
                available: Self::ALL
                    .into_iter()
                    .filter(|precision| precision.refusal(device).is_none())
                    .map(Self::name)
                    .collect(),
            })
        })
    }

    fn refusal(self, device: &Device) -> Option<String> {
        if is_cpu(device) {
            return None;
        }
        match self {
            Self::F32 => None,
            Self::Bf16 | Self::F16 => {
                let missing = self
                    .dtype()
                    .is_some_and(|dtype| !device.supports_dtype(dtype));
                missing.then(|| format!("its driver has no {self} arithmetic"))
            }
            Self::Int8 | Self::Int4 => {
                Some("integer weights are computed on the CPU only".to_owned())
            }
        }
    }

    /// The type of tensors in this precision, if there is one.
    pub(crate) fn dtype(self) -> Option<DType> {
        match self {
            Self::F32 => Some(DType::F32),
            Self::Bf16 => Some(DType::BF16),
            Self::F16 => Some(DType::F16),
            Self::Int8 | Self::Int4 => None,
        }
    }
}

/// True if tensors of `device` live in this process's memory.
pub(crate) fn is_cpu(device: &Device) -> bool {
    *device == Device::flex()
}

impl std::str::FromStr for Precision {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|precision| precision.name() == word)
            .ok_or_else(|| {
                format!(
                    "no such precision; there are {}",
                    Self::ALL.map(Self::name).join(", ")
                )
            })
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
