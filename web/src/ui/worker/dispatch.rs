//! Messages of the compute worker: each is passed to the part of the page that it concerns.

use leptos::prelude::*;
use protocol::worker::{FromWorker, ToWorker};

use super::requests::{self, decode_next, decode_partially};
use crate::ui::score::{job, scorer_loading, start_job};
use crate::ui::settings;
use crate::ui::state::Studio;

/// Starts receiving the worker's messages.
pub(in crate::ui) fn start(studio: Studio) {
    studio
        .worker
        .listen(move |message| receive(studio, message));
}

fn receive(studio: Studio, message: FromWorker) {
    studio.compute.update(|compute| compute.apply(&message));
    match message {
        FromWorker::Started => {
            studio.worker.post(&ToWorker::Choose(settings::compute()));
            requests::load_tokenizer(studio);
            requests::load_depth_decoder(studio);
        }
        FromWorker::Devices(_) | FromWorker::Tokenizer(_) | FromWorker::DepthDecoder(_) => {}
        FromWorker::Drawn {
            request_id,
            outcome,
        } => studio
            .depth_images
            .update(|depth_images| depth_images.answered(request_id, outcome)),
        FromWorker::Decoded {
            request_id,
            outcome,
        } => {
            let decoded = studio
                .worker
                .decode
                .try_update_value(|decode| decode.answered(request_id));
            if let Some(number) = decoded.flatten() {
                studio
                    .decisions
                    .update(|decisions| decisions.decoded(number, outcome));
            }
        }
        FromWorker::PartiallyDecoded {
            request_id,
            outcome,
        } => studio
            .partial_decoder
            .update(|partial_decoder| partial_decoder.answered(request_id, outcome)),
        FromWorker::Encoded {
            request_id,
            outcome,
        } => studio.what_if.update(|what_if| {
            if let Some(what_if) = what_if {
                what_if.answered(request_id, outcome);
            }
        }),
        FromWorker::Timed(_) => {}
        FromWorker::Scorer(state) => start_job::on_scorer_state(studio, state),
        FromWorker::ScorersForgotten { problem } => scorer_loading::cache_deleted(studio, problem),
        FromWorker::Score(event) => job::on_event(studio, event),
    }
    // The decode in view goes before decodes that are only compared.
    decode_partially(studio);
    decode_next(studio);
    scorer_loading::pump(studio);
}
