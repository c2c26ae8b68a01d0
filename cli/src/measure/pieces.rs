//! Benchmarks of the parts around the network: tokenizer, simulator, image encoding for viewers.

use super::stats::{Millis, millis, time};
use openfast::{FastTokenizer, Shape};
use policies::TokenizerFiles;
use protocol::{View, ViewEncoding};
use serde::Serialize;
use server::images::view_encoding::for_viewers;
use sim::{Camera, Expert, Task, TaskFamily, World};
use std::time::Instant;

/// Tokenizer times for one chunk.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct TokenizerTimes {
    /// Chunk to ids.
    pub(crate) encode: Millis,
    /// Ids to chunk.
    pub(crate) decode: Millis,
    /// Number of ids of that chunk.
    pub(crate) tokens: usize,
}

/// Simulator times.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct SimTimes {
    /// One control tick of physics.
    pub(crate) step: Millis,
    /// Rendering of the overview image with depth.
    pub(crate) render_overview: Millis,
    /// Rendering of the wrist image.
    pub(crate) render_wrist: Millis,
    /// JPEG encoding of one image for viewers.
    pub(crate) jpeg: Millis,
}

/// Errors of the tokenizer benchmark.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenizerError {
    /// The tokenizer does not load.
    #[error(transparent)]
    Load(#[from] openfast::LoadError),
    /// The chunk cannot be encoded.
    #[error(transparent)]
    Encode(#[from] openfast::EncodeError),
    /// Its ids cannot be decoded.
    #[error(transparent)]
    Decode(#[from] openfast::DecodeError),
}

/// Times the tokenizer on a smooth chunk.
///
/// # Errors
/// [`TokenizerError`] if the tokenizer does not load or cannot encode the chunk.
pub(crate) fn tokenizer(
    files: &TokenizerFiles,
    shape: Shape,
    n: usize,
) -> Result<TokenizerTimes, TokenizerError> {
    let tokenizer = FastTokenizer::from_bytes(&files.tokenizer_json, &files.processor_config_json)?;
    let chunk: Vec<f32> = (0..shape.horizon)
        .flat_map(|k| (0..shape.dims).map(move |d| ((k as f32) * 0.1 + d as f32).sin() * 0.3))
        .collect();
    let ids = tokenizer.encode_nearest(&chunk, shape)?.ids;
    tokenizer.decode(&ids, shape)?;
    Ok(TokenizerTimes {
        encode: time(n, || tokenizer.encode_nearest(&chunk, shape)),
        decode: time(n, || tokenizer.decode(&ids, shape)),
        tokens: ids.len(),
    })
}

/// Times the simulator during a pick-up.
pub(crate) fn simulator(n: usize) -> SimTimes {
    let mut world = World::new(1);
    let tasks = Task::options(TaskFamily::PickUp, &world);
    let expert = Expert::new();
    let mut steps = Vec::with_capacity(n);
    for _ in 0..n {
        let target = tasks
            .first()
            .and_then(|task| expert.chunk(&world, task, 1).first().copied())
            .unwrap_or_else(|| world.state());
        let started = Instant::now();
        world.step(&target);
        steps.push(millis(started.elapsed()));
    }
    let image = sim::render(&world, Camera::Overview);
    let view = View {
        name: "overview".to_owned(),
        encoding: ViewEncoding::Rgb8,
        width: sim::WIDTH_PIXELS as u32,
        height: sim::HEIGHT_PIXELS as u32,
        data: image.rgb,
    };
    SimTimes {
        step: Millis::of(steps),
        render_overview: time(n, || sim::render(&world, Camera::Overview)),
        render_wrist: time(n, || sim::render(&world, Camera::Wrist)),
        jpeg: time(n, || for_viewers(&view)),
    }
}
