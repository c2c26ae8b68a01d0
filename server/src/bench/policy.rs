//! Inference times per stage, on a picture and state of the simulated robot.

use super::stats::{Millis, millis};
use crate::policies::{ActRequest, Actor, ActorError};
use protocol::Mode;
use serde::Serialize;
use sim::{Camera, Task, TaskFamily, World};
use std::{collections::BTreeMap, time::Instant};
use vision::RgbImage;

/// Times of one mode.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct InferenceTimes {
    /// The whole call.
    pub total: Millis,
    /// Each stage, by name.
    pub stages: BTreeMap<String, Millis>,
    /// Action tokens written (discrete mode).
    pub action_tokens: usize,
    /// Tokens of the prompt, image tokens included.
    pub prompt_tokens: usize,
}

/// Times `n` calls after two that are not counted.
///
/// # Errors
/// Whatever the policy fails with.
pub fn measure(
    actor: &mut dyn Actor,
    tag: &str,
    mode: Mode,
    n: usize,
    done: &dyn Fn(),
) -> Result<InferenceTimes, ActorError> {
    let world = World::new(1);
    let cameras = actor
        .info()
        .tag(tag)
        .ok_or_else(|| ActorError::new(format!("the policy has no norm tag {tag:?}")))?
        .cameras
        .clone();
    let images = cameras
        .iter()
        .map(|name| {
            let camera = Camera::ALL
                .into_iter()
                .find(|camera| camera.name() == name)
                .ok_or_else(|| ActorError::new(format!("the simulator has no camera {name:?}")))?;
            let picture = world.render(camera);
            RgbImage::new(picture.width, picture.height, picture.rgb)
                .map_err(|error| ActorError::new(error.to_string()))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let instruction = Task::options(TaskFamily::PickUp, &world)
        .first()
        .map(Task::canonical)
        .unwrap_or_default();
    let state = world.state();
    let mut request = ActRequest {
        robot: 0,
        tag,
        images: &images,
        state: &state,
        instruction: &instruction,
        mode,
        seed: 0,
        continuation: None,
    };
    let mut totals = Vec::new();
    let mut stages: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut times = InferenceTimes::default();
    for run in 0..n + 2 {
        let started = Instant::now();
        // A robot never heard of: what a policy would remember of the same picture is not what a robot sees.
        request.robot = run as u64;
        let acted = actor.act(&request)?;
        let total = millis(started.elapsed());
        done();
        if run < 2 {
            continue;
        }
        totals.push(total);
        for stage in &acted.stages {
            stages
                .entry(stage.name.clone())
                .or_default()
                .push(stage.micros as f64 / 1e3);
        }
        times.action_tokens = acted.action_tokens.len();
        times.prompt_tokens = acted.prompt_tokens;
    }
    times.total = Millis::of(totals);
    times.stages = stages
        .into_iter()
        .map(|(name, measured)| (name, Millis::of(measured)))
        .collect();
    Ok(times)
}
