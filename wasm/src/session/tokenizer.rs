//! The session's action tokenizer: loading, decoding, encoding, timing.

use openfast::FastTokenizer;
use protocol::worker::{
    CodecRun, DecodeOutcome, DecodeRequest, PartialDecodeOutcome, TimeOutcome, TokenizerOutcome,
};

use super::SharedSession;
use super::devices::{chosen_device, missing_reason, refuse, timed_out};
use crate::codec_timing::time_codec;
use crate::decode::{DecodeFailure, decode};
use crate::worker_scope::{fetch_bytes, with_timeout, yield_to_event_loop};

/// Time limit of a decode; on a software adapter it takes well below a second once its shaders are compiled.
const DECODE_MILLIS: i32 = 15_000;
const NO_TOKENIZER: &str = "The policy's action tokenizer is not loaded.";

/// Runs `work` with the tokenizer. No device is involved: the transform of one chunk takes microseconds on the CPU.
pub(super) fn with_tokenizer(
    session: &SharedSession,
    work: impl FnOnce(&FastTokenizer) -> PartialDecodeOutcome,
) -> PartialDecodeOutcome {
    match &session.borrow().tokenizer {
        Some(tokenizer) => work(tokenizer),
        None => PartialDecodeOutcome::Failed {
            reason: NO_TOKENIZER.to_owned(),
        },
    }
}

pub(super) async fn time_all(session: &SharedSession, runs: Vec<CodecRun>) -> TimeOutcome {
    let Some(tokenizer) = session.borrow().tokenizer.clone() else {
        return TimeOutcome::Failed {
            reason: NO_TOKENIZER.to_owned(),
        };
    };
    let mut timings = Vec::with_capacity(runs.len());
    for run in runs {
        yield_to_event_loop().await;
        match time_codec(run, &tokenizer) {
            Ok(timing) => timings.push(timing),
            Err(reason) => return TimeOutcome::Failed { reason },
        }
    }
    TimeOutcome::Timed(timings)
}

pub(super) async fn load(
    session: &SharedSession,
    tokenizer_url: &str,
    config_url: &str,
) -> TokenizerOutcome {
    session.borrow_mut().tokenizer = None;
    match fetch_tokenizer(tokenizer_url, config_url).await {
        Ok(tokenizer) => {
            let vocabulary = tokenizer.vocab_size() as u32;
            session.borrow_mut().tokenizer = Some(tokenizer);
            TokenizerOutcome::Ready { vocabulary }
        }
        Err(reason) => TokenizerOutcome::Failed { reason },
    }
}

async fn fetch_tokenizer(tokenizer_url: &str, config_url: &str) -> Result<FastTokenizer, String> {
    let tokenizer = fetch_bytes(tokenizer_url).await?;
    let config = fetch_bytes(config_url).await?;
    FastTokenizer::from_bytes(&tokenizer, &config)
        .map_err(|error| format!("the policy's action tokenizer cannot be read: {error}"))
}

pub(super) async fn answer(session: &SharedSession, request: &DecodeRequest) -> DecodeOutcome {
    loop {
        let tokenizer = session.borrow().tokenizer.clone();
        let Some((tokenizer, (kind, device))) = tokenizer.zip(chosen_device(session)) else {
            return DecodeOutcome::Failed {
                reason: missing_reason(session, NO_TOKENIZER),
            };
        };
        let failure =
            match with_timeout(DECODE_MILLIS, decode(request, &tokenizer, &device, kind)).await {
                Some(Ok(comparison)) => return DecodeOutcome::Compared(comparison),
                Some(Err(failure @ DecodeFailure::ReadBack { .. })) => failure.to_string(),
                Some(Err(failure)) => {
                    return DecodeOutcome::Failed {
                        reason: failure.to_string(),
                    };
                }
                None => timed_out("a decode", DECODE_MILLIS),
            };
        // The device failed, not the decode of the tokens: it is refused, and the next best one is used.
        refuse(session, kind, failure);
    }
}
