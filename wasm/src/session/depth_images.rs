//! The session's depth decoder: fetched once, put on whichever device is in use, and asked for pictures.

use std::rc::Rc;

use depth_decoder::DepthDecoder;
use layers::device;
use protocol::worker::{ComputeKind, DecoderOutcome, DrawOutcome, DrawRequest};

use super::Shared;
use super::devices::{chosen_device, refuse, timed_out, what_is_missing};
use crate::depth_image::{draw, open};
use crate::worker_scope::{fetch_bytes, with_timeout};

/// One picture; the published decoder takes a fraction of a second on a laptop's CPU.
const DRAW_MILLIS: i32 = 30_000;
const NO_DECODER: &str = "The policy's depth decoder is not loaded.";

/// The decoder's file, and the decoder where it was needed last.
pub(super) struct Held {
    bytes: Rc<Vec<u8>>,
    placed: Option<(ComputeKind, Rc<DepthDecoder>)>,
}

/// Fetches the decoder's file and reads it once, so that a bad one is told at once.
pub(super) async fn load(session: &Shared, url: &str) -> DecoderOutcome {
    session.borrow_mut().depth = None;
    let read = async {
        let bytes = fetch_bytes(url).await?;
        let decoder = open(&bytes, &device::cpu()).map_err(|error| error.to_string())?;
        Ok::<_, String>((bytes, decoder))
    };
    match read.await {
        Ok((bytes, decoder)) => {
            let outcome = DecoderOutcome::Ready {
                codes: decoder.codes() as u32,
                cell_pixels: decoder.cell_pixels() as u32,
            };
            session.borrow_mut().depth = Some(Held {
                bytes: Rc::new(bytes),
                placed: Some((ComputeKind::Cpu, Rc::new(decoder))),
            });
            outcome
        }
        Err(reason) => DecoderOutcome::Failed { reason },
    }
}

/// Draws on the chosen device; a device that fails is refused, and the next best one tries.
pub(super) async fn answer(session: &Shared, request: &DrawRequest) -> DrawOutcome {
    let failed = |reason: String| DrawOutcome::Failed { reason };
    loop {
        let Some((kind, device)) = chosen_device(session) else {
            return failed(what_is_missing(session, NO_DECODER));
        };
        let held = session.borrow().depth.as_ref().map(|held| {
            let placed = held.placed.clone().filter(|(placed, _)| *placed == kind);
            (held.bytes.clone(), placed)
        });
        let Some((bytes, placed)) = held else {
            return failed(NO_DECODER.to_owned());
        };
        let decoder = match placed {
            Some((_, decoder)) => decoder,
            None => match open(&bytes, &device) {
                Ok(decoder) => {
                    let decoder = Rc::new(decoder);
                    if let Some(held) = session.borrow_mut().depth.as_mut() {
                        held.placed = Some((kind, decoder.clone()));
                    }
                    decoder
                }
                Err(error) => return failed(error.to_string()),
            },
        };
        let why = match with_timeout(DRAW_MILLIS, draw(request, &decoder, kind)).await {
            Some(Ok(drawing)) => return DrawOutcome::Drawn(drawing),
            Some(Err(failure)) if failure.is_device_error() => failure.to_string(),
            Some(Err(failure)) => return failed(failure.to_string()),
            None => timed_out("a depth picture", DRAW_MILLIS),
        };
        refuse(session, kind, why);
    }
}
