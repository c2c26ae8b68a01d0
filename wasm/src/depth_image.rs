//! Depth codes decoded to a depth image, on the viewer's device.
//!
//! The decoder's weights stay in memory as bytes and are loaded onto a device when an image is requested: the viewer may
//! choose another device at any time, and a device may be refused.

use burn_tensor::Device;
use depth_decoder::{DepthDecoder, DepthDecoderError};
use protocol::worker::{ComputeKind, DepthDrawing, DrawRequest};

use crate::clock::now_millis;

/// Error of drawing a depth image.
#[derive(Debug, thiserror::Error)]
#[error("the depth codes cannot be drawn: {0}")]
pub struct DrawFailure(#[from] DepthDecoderError);

impl DrawFailure {
    /// True if the device failed, so that another one may succeed.
    pub fn is_device_error(&self) -> bool {
        matches!(self.0, DepthDecoderError::ReadBack { .. })
    }
}

/// Decodes the codes of a request with a decoder that is loaded on `kind`.
///
/// # Errors
/// [`DrawFailure`] for codes that the decoder does not know, for a grid that they do not fill, and when the device fails.
pub async fn draw(
    request: &DrawRequest,
    decoder: &DepthDecoder,
    kind: ComputeKind,
) -> Result<DepthDrawing, DrawFailure> {
    let started_millis = now_millis();
    let picture = decoder
        .decode_async(
            &request.codes,
            request.rows as usize,
            request.columns as usize,
        )
        .await?;
    Ok(DepthDrawing {
        computed_on: kind,
        width: picture.width as u32,
        height: picture.height as u32,
        values: picture
            .values
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect(),
        micros: ((now_millis() - started_millis) * 1e3).max(0.0) as u64,
    })
}

/// Loads a decoder onto a device.
///
/// # Errors
/// [`DrawFailure`] when the bytes are not a depth decoder.
pub fn open(bytes: &[u8], device: &Device) -> Result<DepthDecoder, DrawFailure> {
    Ok(DepthDecoder::from_bytes(bytes.to_vec(), device)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// `models/depth_decoder` compares with PyTorch's image of the same codes; this checks that the worker changes
    /// nothing on the way.
    #[test]
    fn a_drawing_is_what_the_decoder_draws() {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/goldens/depth_decoder/square.decoder.safetensors"
        );
        let decoder = open(&std::fs::read(file).unwrap(), &layers::device::cpu()).unwrap();
        let request = DrawRequest {
            request_id: 1,
            codes: vec![0, 11, 3, 4, 4, 9],
            rows: 2,
            columns: 3,
        };
        let drawing = layers::block_on(draw(&request, &decoder, ComputeKind::Cpu)).unwrap();
        let picture = decoder.decode(&request.codes, 2, 3).unwrap();
        assert_eq!((drawing.width, drawing.height), (24, 16));
        assert_eq!(drawing.floats(), picture.values);

        let failure = layers::block_on(draw(
            &DrawRequest {
                codes: vec![12; 6],
                ..request
            },
            &decoder,
            ComputeKind::Cpu,
        ))
        .unwrap_err();
        assert!(!failure.is_device_error());
        assert!(failure.to_string().contains("codes below 12"), "{failure}");
        assert!(open(b"nothing", &layers::device::cpu()).is_err());
    }
}
