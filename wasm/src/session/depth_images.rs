//! The session's depth decoder: downloaded once, loaded onto the device in use, and run on request.

use std::rc::Rc;

use depth_decoder::DepthDecoder;
use layers::device;
use protocol::worker::{ComputeKind, DecoderOutcome, DrawOutcome, DrawRequest};

use super::SharedSession;
use super::devices::{chosen_device, missing_reason, refuse, timed_out};
use crate::depth_image::{draw, open};
use crate::worker_scope::{fetch_bytes, with_timeout};

/// Time limit of one image; the published decoder takes a fraction of a second on a laptop's CPU.
const DRAW_MILLIS: i32 = 30_000;
const NO_DECODER: &str = "The policy's depth decoder is not loaded.";

/// The decoder's file, and the decoder on the device that used it last.
pub(super) struct LoadedDecoder {
    bytes: Rc<Vec<u8>>,
    placed: Option<(ComputeKind, Rc<DepthDecoder>)>,
}

/// Downloads the decoder's file and loads it once, so that a bad file is reported at once.
pub(super) async fn load(session: &SharedSession, url: &str) -> DecoderOutcome {
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
            session.borrow_mut().depth = Some(LoadedDecoder {
                bytes: Rc::new(bytes),
                placed: Some((ComputeKind::Cpu, Rc::new(decoder))),
            });
            outcome
        }
        Err(reason) => DecoderOutcome::Failed { reason },
    }
}

/// Decodes on the chosen device; a device that fails is refused, and the next best one is used.
pub(super) async fn answer(session: &SharedSession, request: &DrawRequest) -> DrawOutcome {
    let failed = |reason: String| DrawOutcome::Failed { reason };
    loop {
        let Some((kind, device)) = chosen_device(session) else {
            return failed(missing_reason(session, NO_DECODER));
        };
        let loaded = session.borrow().depth.as_ref().map(|loaded| {
            let placed = loaded.placed.clone().filter(|(placed, _)| *placed == kind);
            (loaded.bytes.clone(), placed)
        });
        let Some((bytes, placed)) = loaded else {
            return failed(NO_DECODER.to_owned());
        };
        let decoder = match placed {
            Some((_, decoder)) => decoder,
            None => match open(&bytes, &device) {
                Ok(decoder) => {
                    let decoder = Rc::new(decoder);
                    if let Some(loaded) = session.borrow_mut().depth.as_mut() {
                        loaded.placed = Some((kind, decoder.clone()));
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
            None => timed_out("a depth image", DRAW_MILLIS),
        };
        refuse(session, kind, why);
    }
}
