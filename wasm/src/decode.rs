//! Action tokens decoded to an action chunk, and its difference from the chunk that the robot was sent.
//!
//! The byte-pair part runs in `openfast`, strictly. The inverse cosine transform is one matrix product on the chosen
//! device, so that every decision exercises the path to the GPU.

use burn_tensor::{Device, Tensor, TensorData};
use openfast::{FastTokenizer, Shape};
use protocol::viewer::{ActionDimension, TokensOrigin};
use protocol::worker::{Comparison, ComputeKind, DecodeRequest};

use crate::clock::now_millis;

/// `f32` rounding of the transform, relative to the largest value of the chunk: two orders above what
/// was measured on the CPU path and on WebGPU, four below one encoder step of a hobby servo.
const ROUNDING: f32 = 1e-5;

/// Error of a decode.
#[derive(Debug, thiserror::Error)]
pub enum DecodeFailure {
    /// The tokens are not the encoding of a chunk of that shape.
    #[error("the action tokens do not decode: {0}")]
    Tokens(#[from] openfast::DecodeError),
    /// The message contradicts itself.
    #[error("{field} has {got} values, a {rows}x{dims} chunk needs {want}")]
    Shape {
        /// Field of [`DecodeRequest`].
        field: &'static str,
        /// Number of values in it.
        got: usize,
        /// Number of values needed.
        want: usize,
        /// Rows of the chunk.
        rows: u32,
        /// Values per row.
        dims: u32,
    },
    /// The device failed.
    #[error("the result could not be read back: {reason}")]
    ReadBack {
        /// burn's message.
        reason: String,
    },
}

/// Decodes `request.tokens` on `device` and compares with the chunk in the request.
///
/// # Errors
/// [`DecodeFailure`]; a difference is not an error but part of the [`Comparison`].
pub async fn decode(
    request: &DecodeRequest,
    tokenizer: &FastTokenizer,
    device: &Device,
    kind: ComputeKind,
) -> Result<Comparison, DecodeFailure> {
    let started_millis = now_millis();
    let shape = checked_shape(request)?;
    let coefficients = tokenizer.coefficients(&request.tokens, shape)?;
    let scale = tokenizer.config().scale as f32;
    let basis = openfast::basis(shape.horizon);
    let decoded = transform(&coefficients, &basis, shape, scale, device).await?;
    let tolerance = tolerance(request, &basis, shape, scale);
    let (max_difference_in_robot_units, worst_dimension) = worst_action(&decoded, request, shape);
    Ok(Comparison {
        computed_on: kind,
        max_difference: max_difference(&decoded, &request.chunk_normalised),
        tolerance,
        max_difference_in_robot_units,
        worst_dimension,
        token_lengths: request
            .tokens
            .iter()
            .map(|&id| tokenizer.token_len(id).unwrap_or(0) as u32)
            .collect(),
        chunk_normalised: decoded,
        micros: ((now_millis() - started_millis) * 1e3).max(0.0) as u64,
    })
}

fn checked_shape(request: &DecodeRequest) -> Result<Shape, DecodeFailure> {
    let shape = Shape {
        horizon: request.rows as usize,
        dims: request.dims as usize,
    };
    let values = shape.values().unwrap_or(0);
    let lengths = [
        ("chunk_normalised", request.chunk_normalised.len(), values),
        ("actions", request.actions.len(), values),
        ("action", request.action.len(), shape.dims),
    ];
    for (field, got, want) in lengths {
        if got != want || values == 0 {
            return Err(DecodeFailure::Shape {
                field,
                got,
                want,
                rows: request.rows,
                dims: request.dims,
            });
        }
    }
    Ok(shape)
}

/// `transpose(basis) x coefficients / scale`, `[horizon, dims]`.
async fn transform(
    coefficients: &[i32],
    basis: &[f32],
    shape: Shape,
    scale: f32,
    device: &Device,
) -> Result<Vec<f32>, DecodeFailure> {
    let Shape { horizon, dims } = shape;
    let coefficients: Vec<f32> = coefficients.iter().map(|&c| c as f32 / scale).collect();
    let coefficients =
        Tensor::<2>::from_data(TensorData::new(coefficients, [horizon, dims]), device);
    let basis = Tensor::<2>::from_data(TensorData::new(basis.to_vec(), [horizon, horizon]), device);
    let read_back = |reason: String| DecodeFailure::ReadBack { reason };
    basis
        .transpose()
        .matmul(coefficients)
        .into_data_async()
        .await
        .map_err(|e| read_back(format!("{e:?}")))?
        .try_to_vec::<f32>()
        .map_err(|e| read_back(format!("{e:?}")))
}

/// Largest difference that counts as equal. Tokens that the policy generated decode to its chunk up to rounding.
/// Encoding a chunk rounds each coefficient by up to half a step, and every time step sums all of them.
fn tolerance(request: &DecodeRequest, basis: &[f32], shape: Shape, scale: f32) -> f32 {
    let largest = request
        .chunk_normalised
        .iter()
        .fold(1.0_f32, |most, value| most.max(value.abs()));
    let rounding = ROUNDING * largest;
    match request.origin {
        TokensOrigin::Generated => rounding,
        TokensOrigin::Encoded => {
            let mut sums = vec![0.0_f32; shape.horizon];
            for row in basis.chunks_exact(shape.horizon.max(1)) {
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += value.abs();
                }
            }
            let worst_sum = sums.into_iter().fold(0.0_f32, f32::max);
            rounding + 0.5 / scale * worst_sum
        }
    }
}

/// Largest absolute difference; infinite if a value is NaN or the lengths differ.
fn max_difference(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return f32::INFINITY;
    }
    a.iter()
        .zip(b)
        .map(|(a, b)| gap(*a, *b))
        .fold(0.0, f32::max)
}

fn gap(a: f32, b: f32) -> f32 {
    let gap = (a - b).abs();
    if gap.is_nan() { f32::INFINITY } else { gap }
}

/// Largest difference in robot units, and its dimension.
fn worst_action(decoded: &[f32], request: &DecodeRequest, shape: Shape) -> (f32, u32) {
    let rows = decoded
        .chunks_exact(shape.dims)
        .zip(request.actions.chunks_exact(shape.dims));
    let mut worst = (0.0_f32, 0_u32);
    for (decoded, sent) in rows {
        for (index, ((value, sent), dimension)) in
            decoded.iter().zip(sent).zip(&request.action).enumerate()
        {
            let difference = gap(in_robot_units(*value, dimension), *sent);
            if difference > worst.0 {
                worst = (difference, index as u32);
            }
        }
    }
    worst
}

/// The reference's unnormalization: clip first; a dimension outside of the mask keeps the clipped value.
pub(crate) fn in_robot_units(normalised: f32, dimension: &ActionDimension) -> f32 {
    let clipped = normalised.clamp(-1.0, 1.0);
    if !dimension.normalised {
        return clipped;
    }
    (clipped + 1.0) * (dimension.high - dimension.low) / 2.0 + dimension.low
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    /// The tokenizer of a golden checkpoint, fitted by the reference.
    fn tokenizer() -> FastTokenizer {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/goldens/molmoact2/two_cameras/checkpoint/openfast"
        );
        FastTokenizer::from_dir(folder.as_ref()).unwrap()
    }

    const SHAPE: Shape = Shape {
        horizon: 10,
        dims: 6,
    };

    /// A smooth chunk, and its tokens.
    fn request(tokenizer: &FastTokenizer) -> DecodeRequest {
        let chunk: Vec<f32> = (0..SHAPE.horizon * SHAPE.dims)
            .map(|i| 0.6 * ((i / SHAPE.dims) as f32 * 0.2 + (i % SHAPE.dims) as f32).sin())
            .collect();
        let encoded = tokenizer.encode_nearest(&chunk, SHAPE).unwrap();
        let action = vec![
            ActionDimension {
                name: "joint".into(),
                low: -90.0,
                high: 90.0,
                normalised: true
            };
            SHAPE.dims
        ];
        DecodeRequest {
            request_id: 1,
            tokens: encoded.ids,
            origin: TokensOrigin::Encoded,
            rows: SHAPE.horizon as u32,
            dims: SHAPE.dims as u32,
            actions: chunk
                .iter()
                .map(|v| in_robot_units(*v, &action[0]))
                .collect(),
            chunk_normalised: chunk,
            action,
        }
    }

    fn run(
        request: &DecodeRequest,
        tokenizer: &FastTokenizer,
    ) -> Result<Comparison, DecodeFailure> {
        layers::block_on(decode(
            request,
            tokenizer,
            &layers::device::cpu(),
            ComputeKind::Cpu,
        ))
    }

    #[test]
    fn tokens_of_the_policy_decode_to_its_chunk_but_for_rounding() {
        let tokenizer = tokenizer();
        let mut request = request(&tokenizer);
        request.chunk_normalised = tokenizer.decode(&request.tokens, SHAPE).unwrap();
        request.origin = TokensOrigin::Generated;
        let found = run(&request, &tokenizer).unwrap();
        assert!(
            found.is_equal(),
            "{} > {}",
            found.max_difference,
            found.tolerance
        );
        assert!(found.tolerance <= 2e-5);
        let lengths: u32 = found.token_lengths.iter().sum();
        assert_eq!(lengths as usize, SHAPE.horizon * SHAPE.dims);
    }

    #[test]
    fn an_encoded_chunk_is_equal_up_to_quantisation_only() {
        let tokenizer = tokenizer();
        let request = request(&tokenizer);
        let found = run(&request, &tokenizer).unwrap();
        assert!(
            found.max_difference > 1e-4,
            "quantisation must show: {}",
            found.max_difference
        );
        let generated = DecodeRequest {
            origin: TokensOrigin::Generated,
            ..request
        };
        assert!(!run(&generated, &tokenizer).unwrap().is_equal());
    }

    #[test]
    fn one_wrong_value_is_found_with_its_dimension() {
        let tokenizer = tokenizer();
        let mut request = request(&tokenizer);
        request.origin = TokensOrigin::Generated;
        request.chunk_normalised = tokenizer.decode(&request.tokens, SHAPE).unwrap();
        let action = request.action[0].clone();
        request.actions = request
            .chunk_normalised
            .iter()
            .map(|v| in_robot_units(*v, &action))
            .collect();
        request.chunk_normalised[7] += 0.01;
        request.actions[4 * SHAPE.dims + 2] += 3.0;
        let found = run(&request, &tokenizer).unwrap();
        assert!(!found.is_equal());
        assert!((found.max_difference - 0.01).abs() < 1e-4);
        assert_eq!(found.worst_dimension, 2);
        assert!((found.max_difference_in_robot_units - 3.0).abs() < 1e-3);
    }

    #[test]
    fn a_truncated_stream_and_a_wrong_length_are_reported() {
        let tokenizer = tokenizer();
        let mut cut = request(&tokenizer);
        cut.tokens.pop();
        assert!(
            run(&cut, &tokenizer)
                .unwrap_err()
                .to_string()
                .contains("do not decode")
        );
        let mut short = request(&tokenizer);
        short.actions.pop();
        assert!(
            run(&short, &tokenizer)
                .unwrap_err()
                .to_string()
                .contains("actions has 59 values")
        );
    }
}
