//! Inference times per stage, of any policy: on pictures of the simulated robot, whatever its cameras are called.

use super::stats::{Millis, millis};
use policies::{ActRequest, Policy, PolicyError, PolicyEvent, PolicyInfo};
use protocol::Mode;
use serde::Serialize;
use sim::{Camera, Task, TaskFamily, World};
use std::{collections::BTreeMap, time::Instant};
use vision::RgbImage;

/// Calls before those that are counted.
const WARM_UP: usize = 2;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InferencePlan<'a> {
    /// The robot.
    pub(crate) tag: &'a str,
    /// The head.
    pub(crate) mode: Mode,
    /// Whether the robot is the same in every call, so that a policy which remembers what it saw can use it. The picture
    /// never changes.
    pub(crate) remembered: bool,
    /// Calls that are counted.
    pub(crate) repeats: usize,
    /// Numbers of robots that are also asked for together.
    pub(crate) batches: &'a [usize],
}

/// Times of one mode.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct InferenceTimes {
    /// The robot.
    pub(crate) tag: String,
    /// Its pictures.
    pub(crate) images: usize,
    /// The whole call.
    pub(crate) total: Millis,
    /// Each stage, by name.
    pub(crate) stages: BTreeMap<String, Millis>,
    /// The whole call of so many robots together, divided by their number.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) per_chunk_of_batch: BTreeMap<usize, Millis>,
    /// Action tokens written (discrete mode).
    pub(crate) action_tokens: usize,
    /// Tokens of the prompt, image tokens included.
    pub(crate) prompt_tokens: usize,
}

/// What the policy is shown.
struct Scene {
    images: Vec<RgbImage>,
    state: Vec<f32>,
    instruction: String,
}

impl Scene {
    /// A state that the simulator does not have is all zeros, and a camera that it does not have is one that it has.
    fn of(info: &PolicyInfo, tag: &str) -> Result<Self, PolicyError> {
        let tag = info
            .tag(tag)
            .ok_or_else(|| PolicyError::new(format!("the policy has no norm tag {tag:?}")))?;
        let world = World::new(1);
        let any = Camera::ALL.into_iter().cycle();
        // A robot whose statistics name no cameras takes any number of pictures.
        let unnamed = [String::new()];
        let names = if tag.cameras.is_empty() {
            unnamed.as_slice()
        } else {
            &tag.cameras
        };
        let images = names
            .iter()
            .zip(any)
            .map(|(name, any)| {
                let named = Camera::ALL.into_iter().find(|camera| camera.name() == name);
                let picture = sim::render(&world, named.unwrap_or(any));
                RgbImage::new(picture.width, picture.height, picture.rgb)
                    .map_err(|error| PolicyError::new(error.to_string()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let state = Some(world.state()).filter(|state| state.len() == tag.state_dim);
        let instruction = Task::options(TaskFamily::PickUp, &world)
            .first()
            .map(Task::canonical)
            .unwrap_or_default();
        Ok(Self {
            images,
            state: state.map_or_else(|| vec![0.0; tag.state_dim], |state| state.to_vec()),
            instruction,
        })
    }

    fn request<'a>(&'a self, plan: &'a InferencePlan<'_>, robot: usize) -> ActRequest<'a> {
        ActRequest {
            robot: robot as u64,
            tag: plan.tag,
            images: &self.images,
            state: &self.state,
            instruction: &self.instruction,
            mode: plan.mode,
            seed: 0,
            continuation: None,
        }
    }
}

/// Times what `plan` says, calling `done` after every call.
///
/// # Errors
/// Whatever the policy fails with.
pub(crate) fn measure(
    actor: &mut dyn Policy,
    plan: &InferencePlan<'_>,
    done: &dyn Fn(),
) -> Result<InferenceTimes, PolicyError> {
    let scene = Scene::of(actor.info(), plan.tag)?;
    let mut times = InferenceTimes {
        tag: plan.tag.to_owned(),
        images: scene.images.len(),
        ..InferenceTimes::default()
    };
    let mut totals = Vec::new();
    let mut stages: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    // Robots never heard of: what a policy remembers of the same picture is not what a robot sees.
    let mut robots = 0..;
    let mut robot = || {
        let next = robots.next().unwrap_or_default();
        if plan.remembered { 0 } else { next }
    };
    for run in 0..plan.repeats + WARM_UP {
        let started = Instant::now();
        let acted = actor.act(&scene.request(plan, robot()))?;
        let total = millis(started.elapsed());
        done();
        if run < WARM_UP {
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
    for &count in plan.batches {
        let mut per_chunk = Vec::new();
        for run in 0..plan.repeats + WARM_UP {
            let requests: Vec<ActRequest<'_>> = (0..count)
                .map(|place| {
                    let robot = robot();
                    scene.request(plan, if plan.remembered { place } else { robot })
                })
                .collect();
            let mut failed = None;
            let started = Instant::now();
            actor.act_batch(&requests, &mut |_, news| {
                if let PolicyEvent::Done(Err(error)) = news {
                    failed = Some(error);
                }
            });
            let total = millis(started.elapsed());
            if let Some(error) = failed {
                return Err(error);
            }
            done();
            if run >= WARM_UP {
                per_chunk.push(total / count.max(1) as f64);
            }
        }
        times
            .per_chunk_of_batch
            .insert(count, Millis::of(per_chunk));
    }
    Ok(times)
}
