//! Requests of the page to the compute worker.

use leptos::prelude::*;
use protocol::viewer::ActionDimension;
use protocol::worker::{
    CodecRun, ComputeKind, DecodeRequest, DrawRequest, EncodeRequest, PartialDecodeRequest,
    ToWorker,
};

use crate::compute::Compute;
use crate::latest::Latest;
use crate::partial_decode::PartialDecoder;
use crate::studio_url;
use crate::ui::settings;
use crate::ui::state::Studio;

/// Selects the viewer's compute device.
pub(crate) fn choose(studio: Studio, preference: Option<ComputeKind>) {
    settings::set_compute(preference);
    studio.worker.post(&ToWorker::Choose(preference));
}

/// Requests loading the policy's tokenizer, if there is one.
pub(crate) fn load_tokenizer(studio: Studio) {
    let has_tokenizer = studio
        .welcome
        .with_untracked(|welcome| welcome.as_ref().is_some_and(|w| w.policy.has_tokenizer));
    if let (true, Some(base)) = (has_tokenizer, settings::base()) {
        let file = |name: &str| studio_url::resolve(&base, &format!("api/policy/openfast/{name}"));
        studio.worker.post(&ToWorker::LoadTokenizer {
            tokenizer_url: file("tokenizer.json"),
            processor_config_url: file("processor_config.json"),
        });
    }
}

/// Requests loading the policy's depth decoder, if there is one.
pub(crate) fn load_depth_decoder(studio: Studio) {
    let has_decoder = studio.welcome.with_untracked(|welcome| {
        welcome
            .as_ref()
            .and_then(|w| w.policy.depth)
            .is_some_and(|depth| depth.has_decoder)
    });
    if let (true, Some(base)) = (has_decoder, settings::base()) {
        let url = studio_url::resolve(&base, "api/policy/depth_decoder.safetensors");
        studio.worker.post(&ToWorker::LoadDepthDecoder { url });
    }
}

/// Requests the image of depth codes, unless it is there or another request is in flight.
pub(crate) fn draw(studio: Studio, codes: &[u32], rows: u32, columns: u32) {
    let next = studio
        .depth_images
        .try_update_untracked(|depth_images| depth_images.next_request(codes))
        .flatten();
    if let Some(request_id) = next {
        let codes = codes.to_vec();
        studio.worker.post(&ToWorker::Draw(DrawRequest {
            request_id,
            codes,
            rows,
            columns,
        }));
    }
}

/// Requests the next decode of the stream in view.
pub(crate) fn decode_partially(studio: Studio) {
    if !studio.compute.with_untracked(Compute::has_tokenizer) {
        return;
    }
    let next = studio
        .partial_decoder
        .try_update_untracked(PartialDecoder::next_request)
        .flatten();
    if let Some(next) = next {
        let request = PartialDecodeRequest {
            request_id: next.id,
            tokens: next.tokens,
            ended: next.ended,
            rows: next.rows,
            dims: next.dims,
            action: action_dimensions(studio),
        };
        studio.worker.post(&ToWorker::DecodePartial(request));
    }
}

/// Requests the encoding of the newest edit.
pub(crate) fn encode_what_if(studio: Studio) {
    let request = studio
        .what_if
        .try_update_untracked(|what_if| {
            let what_if = what_if.as_mut()?;
            Some(EncodeRequest {
                request_id: what_if.next_request()?,
                chunk_normalised: what_if.chunk().to_vec(),
                rows: what_if.base().rows,
                dims: what_if.base().dims,
                action: action_dimensions(studio),
            })
        })
        .flatten();
    if let Some(request) = request {
        studio.worker.post(&ToWorker::Encode(request));
    }
}

/// The mapping of normalized values to robot units.
pub(crate) fn action_dimensions(studio: Studio) -> Vec<ActionDimension> {
    studio.welcome.with_untracked(|welcome| {
        welcome
            .as_ref()
            .map(|w| w.policy.action.clone())
            .unwrap_or_default()
    })
}

/// Requests a timing of the codec.
pub(crate) fn time_codec(studio: Studio, runs: Vec<CodecRun>) {
    studio.compute.update(|compute| compute.is_timing = true);
    studio.worker.post(&ToWorker::Time(runs));
}

/// Requests the decode of the next decision, one at a time: when the worker falls behind, older ones wait until they are
/// viewed.
pub(crate) fn decode_next(studio: Studio) {
    if !studio.worker.decode.with_value(Latest::is_free)
        || !studio.compute.with_untracked(Compute::can_decode)
    {
        return;
    }
    let Some(number) = studio
        .decisions
        .with_untracked(|decisions| decisions.to_decode().map(|decision| decision.number))
    else {
        return;
    };
    let sent = studio
        .worker
        .decode
        .try_update_value(|decode| decode.send(number));
    let Some(request_id) = sent.flatten() else {
        return;
    };
    let action = action_dimensions(studio);
    let request = studio.decisions.with_untracked(|decisions| {
        decisions
            .find(number)
            .map(|decision| DecodeRequest::of(&decision.trace, &action, request_id))
    });
    if let Some(request) = request {
        studio.worker.post(&ToWorker::Decode(request));
    }
}
