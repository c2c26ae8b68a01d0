//! Decodes an incomplete stream of action tokens: the coefficients of each token, and the best chunk that they give.
//!
//! Low frequencies come first, so the chunk is coarse at first and gains detail. Coefficients that have not arrived are
//! zero. The transform runs in `openfast`, in microseconds; [`decode`](crate::decode) compares complete streams with the
//! chunk that the robot was sent.

use openfast::{DecodeError, FastTokenizer, PartialChunk, Shape};
use protocol::viewer::ActionDimension;
use protocol::worker::{
    EncodeRequest, PartialDecode, PartialDecodeOutcome, PartialDecodeRequest, StreamFault,
};

use crate::decode::in_robot_units;

/// Decodes `request.tokens` up to the first fault.
pub fn decode_partial(
    request: &PartialDecodeRequest,
    tokenizer: &FastTokenizer,
) -> PartialDecodeOutcome {
    let shape = shape_of(request.rows, request.dims);
    read(
        &request.tokens,
        request.ended,
        shape,
        &request.action,
        tokenizer,
    )
    .map_or_else(
        |reason| PartialDecodeOutcome::Failed { reason },
        PartialDecodeOutcome::Decoded,
    )
}

/// Encodes `request.chunk_normalised` with the nearest coefficients of the vocabulary and decodes the tokens again.
pub fn encode(request: &EncodeRequest, tokenizer: &FastTokenizer) -> PartialDecodeOutcome {
    let shape = shape_of(request.rows, request.dims);
    tokenizer
        .encode_nearest(&request.chunk_normalised, shape)
        .map_err(|error| error.to_string())
        .and_then(|encoded| read(&encoded.ids, true, shape, &request.action, tokenizer))
        .map_or_else(
            |reason| PartialDecodeOutcome::Failed { reason },
            PartialDecodeOutcome::Decoded,
        )
}

fn shape_of(rows: u32, dims: u32) -> Shape {
    Shape {
        horizon: rows as usize,
        dims: dims as usize,
    }
}

fn read(
    tokens: &[u32],
    ended: bool,
    shape: Shape,
    action: &[ActionDimension],
    tokenizer: &FastTokenizer,
) -> Result<PartialDecode, String> {
    if action.len() != shape.dims {
        return Err(format!(
            "the policy describes {} action dimensions, a {shape} chunk has {}",
            action.len(),
            shape.dims
        ));
    }
    let (readable, partial, mut fault) = readable(tokens, shape, tokenizer)?;
    if ended
        && fault.is_none()
        && let Err(error) = tokenizer.coefficients(tokens, shape)
    {
        fault = Some(StreamFault {
            position: None,
            reason: error.to_string(),
        });
    }
    let actions = partial
        .chunk
        .iter()
        .zip(action.iter().cycle())
        .map(|(value, dimension)| in_robot_units(*value, dimension))
        .collect();
    Ok(PartialDecode {
        tokens: tokens.to_vec(),
        rows: shape.horizon as u32,
        dims: shape.dims as u32,
        token_lengths: readable
            .iter()
            .map(|&id| tokenizer.token_len(id).unwrap_or(0) as u32)
            .collect(),
        coefficients: partial.coefficients,
        known: partial.known as u32,
        chunk_normalised: partial.chunk,
        actions,
        fault,
    })
}

/// The longest valid prefix, its decode, and the fault that ends it.
fn readable<'a>(
    tokens: &'a [u32],
    shape: Shape,
    tokenizer: &FastTokenizer,
) -> Result<(&'a [u32], PartialChunk, Option<StreamFault>), String> {
    let mut readable = tokens;
    let mut fault = None;
    loop {
        let error = match tokenizer.decode_partial(readable, shape) {
            Ok(partial) => return Ok((readable, partial, fault)),
            Err(error) => error,
        };
        let position = position_of(&error, readable, shape, tokenizer);
        let Some((position, before)) =
            position.and_then(|position| Some((position, readable.get(..position)?)))
        else {
            return Err(error.to_string());
        };
        readable = before;
        fault = Some(StreamFault {
            position: Some(position as u32),
            reason: fault_reason(&error),
        });
    }
}

/// Position of the first invalid token.
fn position_of(
    error: &DecodeError,
    tokens: &[u32],
    shape: Shape,
    tokenizer: &FastTokenizer,
) -> Option<usize> {
    match error {
        DecodeError::UnknownId { position, .. }
        | DecodeError::UnreachableId { position, .. }
        | DecodeError::BrokenCharacter { position, .. } => Some(*position),
        DecodeError::WrongCount { .. } => {
            let want = shape.values()?;
            let mut begun = 0;
            tokens.iter().position(|&id| {
                begun += tokenizer.token_len(id).unwrap_or(0);
                begun > want
            })
        }
        DecodeError::BadShape(_)
        | DecodeError::UnfinishedCharacter
        | DecodeError::OutOfRange { .. } => None,
    }
}

/// The error without its position, which the page shows separately, counted from one.
fn fault_reason(error: &DecodeError) -> String {
    match error {
        DecodeError::UnknownId { id, vocabulary, .. } => {
            format!("The id {id} is not in this vocabulary, whose ids are below {vocabulary}")
        }
        DecodeError::UnreachableId { id, .. } => {
            format!("No encoder produces the id {id}")
        }
        DecodeError::BrokenCharacter { id, .. } => {
            format!("The id {id} does not continue the unfinished coefficient before it")
        }
        DecodeError::WrongCount { want, shape, .. } => {
            format!("It exceeds the {want} coefficients of a {shape} chunk")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
    use super::*;

    const SHAPE: Shape = Shape {
        horizon: 10,
        dims: 6,
    };

    /// The tokenizer of a golden checkpoint, fitted by the reference.
    fn tokenizer() -> FastTokenizer {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/goldens/molmoact2/two_cameras/checkpoint/openfast"
        );
        FastTokenizer::from_dir(folder.as_ref()).unwrap()
    }

    fn action() -> Vec<ActionDimension> {
        vec![
            ActionDimension {
                name: "joint".into(),
                low: -90.0,
                high: 90.0,
                normalised: true
            };
            SHAPE.dims
        ]
    }

    fn chunk() -> Vec<f32> {
        (0..SHAPE.horizon * SHAPE.dims)
            .map(|i| 0.6 * ((i / SHAPE.dims) as f32 * 0.2 + (i % SHAPE.dims) as f32).sin())
            .collect()
    }

    fn ask(tokens: &[u32], ended: bool) -> PartialDecodeRequest {
        PartialDecodeRequest {
            request_id: 1,
            tokens: tokens.to_vec(),
            ended,
            rows: SHAPE.horizon as u32,
            dims: SHAPE.dims as u32,
            action: action(),
        }
    }

    fn unfolded(outcome: PartialDecodeOutcome) -> PartialDecode {
        match outcome {
            PartialDecodeOutcome::Decoded(unfolded) => unfolded,
            PartialDecodeOutcome::Failed { reason } => panic!("{reason}"),
        }
    }

    #[test]
    fn every_token_adds_its_coefficients_and_the_last_gives_the_chunk() {
        let tokenizer = tokenizer();
        let ids = tokenizer.encode_nearest(&chunk(), SHAPE).unwrap().ids;
        let whole = tokenizer.coefficients(&ids, SHAPE).unwrap();
        let mut worst_before = f32::INFINITY;
        for count in 0..=ids.len() {
            let found = unfolded(decode_partial(
                &ask(&ids[..count], count == ids.len()),
                &tokenizer,
            ));
            assert_eq!(found.fault, None);
            assert_eq!(found.token_lengths.len(), count);
            let known = found.known as usize;
            assert_eq!(found.coefficients[..known], whole[..known]);
            assert!(found.coefficients[known..].iter().all(|c| *c == 0));
            if count == ids.len() {
                let decoded = tokenizer.decode(&ids, SHAPE).unwrap();
                assert_eq!(found.chunk_normalised, decoded);
                assert_eq!(found.actions[5], in_robot_units(decoded[5], &action()[5]));
            }
            // The transform is orthonormal: another right coefficient never takes the chunk further away.
            let distance: f32 = found
                .chunk_normalised
                .iter()
                .zip(tokenizer.decode(&ids, SHAPE).unwrap())
                .map(|(a, b)| (a - b) * (a - b))
                .sum();
            assert!(distance <= worst_before + 1e-6, "{count} tokens");
            worst_before = distance;
        }
    }

    #[test]
    fn an_invalid_stream_is_decoded_up_to_the_fault_and_the_token_is_named() {
        let tokenizer = tokenizer();
        let ids = tokenizer.encode_nearest(&chunk(), SHAPE).unwrap().ids;
        let mut wrong = ids.clone();
        wrong[2] = 60_000;
        let found = unfolded(decode_partial(&ask(&wrong, true), &tokenizer));
        let fault = found.fault.unwrap();
        assert_eq!(fault.position, Some(2));
        assert!(
            fault
                .reason
                .starts_with("The id 60000 is not in this vocabulary"),
            "{}",
            fault.reason
        );
        assert_eq!(found.token_lengths.len(), 2);
        let before = unfolded(decode_partial(&ask(&ids[..2], false), &tokenizer));
        assert_eq!(found.coefficients, before.coefficients);

        // Too many, with a wrong one behind them: the first fault counts.
        let mut long = [ids.clone(), ids.clone()].concat();
        long.push(60_000);
        let found = unfolded(decode_partial(&ask(&long, false), &tokenizer));
        assert_eq!(found.fault.unwrap().position, Some(ids.len() as u32));
        assert_eq!(found.known as usize, SHAPE.horizon * SHAPE.dims);
    }

    #[test]
    fn a_stream_that_ended_too_early_has_a_fault_and_an_open_one_does_not() {
        let tokenizer = tokenizer();
        let ids = tokenizer.encode_nearest(&chunk(), SHAPE).unwrap().ids;
        let cut = &ids[..ids.len() - 1];
        assert_eq!(
            unfolded(decode_partial(&ask(cut, false), &tokenizer)).fault,
            None
        );
        let fault = unfolded(decode_partial(&ask(cut, true), &tokenizer))
            .fault
            .unwrap();
        assert_eq!(fault.position, None);
        assert!(
            fault.reason.contains("stands for") || fault.reason.contains("inside a character"),
            "{}",
            fault.reason
        );
    }

    #[test]
    fn an_edited_chunk_survives_encoding() {
        let tokenizer = tokenizer();
        let mut request = EncodeRequest {
            request_id: 1,
            chunk_normalised: chunk(),
            rows: SHAPE.horizon as u32,
            dims: SHAPE.dims as u32,
            action: action(),
        };
        let found = unfolded(encode(&request, &tokenizer));
        assert_eq!(found.known as usize, SHAPE.horizon * SHAPE.dims);
        for (got, want) in found.chunk_normalised.iter().zip(&request.chunk_normalised) {
            assert!((got - want).abs() < 0.2, "{got} {want}");
        }
        request.chunk_normalised[3] = f32::NAN;
        assert!(matches!(
            encode(&request, &tokenizer),
            PartialDecodeOutcome::Failed { reason } if reason.contains("step 0, dimension 3")
        ));
        assert!(matches!(
            decode_partial(&PartialDecodeRequest { dims: 5, ..ask(&[], false) }, &tokenizer),
            PartialDecodeOutcome::Failed { reason } if reason.contains("describes 6")
        ));
    }
}
