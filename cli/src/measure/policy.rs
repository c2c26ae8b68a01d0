//! Benchmark of inference per stage, for any policy, on images of the simulated robot.

use super::stats::{Millis, millis};
use policies::{ActRequest, Policy, PolicyError, PolicyEvent, PolicyInfo};
use protocol::Mode;
use serde::Serialize;
use sim::{Camera, Task, TaskFamily, World};
use std::{collections::BTreeMap, time::Instant};
use vision::RgbImage;

/// Calls before the measured ones.
const WARM_UP: usize = 2;

/// Settings of a measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InferencePlan<'a> {
    /// Norm tag of the robot.
    pub(crate) tag: &'a str,
    /// Action head.
    pub(crate) mode: Mode,
    /// True if every call is for the same robot, so that a policy with a cache per robot can use it. The images never
    /// change.
    pub(crate) same_robot: bool,
    /// Measured calls.
    pub(crate) repeats: usize,
    /// Batch sizes that are measured as well.
    pub(crate) batches: &'a [usize],
}

/// Times of one mode.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct InferenceTimes {
    /// Norm tag of the robot.
    pub(crate) tag: String,
    /// Number of its images.
    pub(crate) images: usize,
    /// Time of a call.
    pub(crate) total: Millis,
    /// Time of each stage, by name.
    pub(crate) stages: BTreeMap<String, Millis>,
    /// Time of a batched call divided by the batch size, by batch size.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) per_chunk_of_batch: BTreeMap<usize, Millis>,
    /// Number of generated action tokens (discrete mode).
    pub(crate) action_tokens: usize,
    /// Number of prompt tokens, image tokens included.
    pub(crate) prompt_tokens: usize,
}

/// Input of the policy.
struct Scene {
    images: Vec<RgbImage>,
    state: Vec<f32>,
    instruction: String,
}

impl Scene {
    /// An input for a robot. If its state differs from the simulator's the state is all zeros, and images of the simulator's
    /// cameras stand in for those of unknown cameras.
    fn of(info: &PolicyInfo, tag: &str) -> Result<Self, PolicyError> {
        let tag = info
            .tag(tag)
            .ok_or_else(|| PolicyError::new(format!("the policy has no norm tag {tag:?}")))?;
        let world = World::new(1);
        let any = Camera::ALL.into_iter().cycle();
        // A robot whose statistics name no cameras takes any number of images.
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
                let image = sim::render(&world, named.unwrap_or(any));
                RgbImage::new(image.width, image.height, image.rgb)
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

/// Measures a policy. Calls `done` after every call of it.
///
/// # Errors
/// The error of the policy.
pub(crate) fn measure(
    policy: &mut dyn Policy,
    plan: &InferencePlan<'_>,
    done: &dyn Fn(),
) -> Result<InferenceTimes, PolicyError> {
    let scene = Scene::of(policy.info(), plan.tag)?;
    let mut times = InferenceTimes {
        tag: plan.tag.to_owned(),
        images: scene.images.len(),
        ..InferenceTimes::default()
    };
    let mut totals = Vec::new();
    let mut stages: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    // Every call is for a new robot, because a cache for the same images would not be representative.
    let mut robots = 0..;
    let mut robot = || {
        let next = robots.next().unwrap_or_default();
        if plan.same_robot { 0 } else { next }
    };
    for run in 0..plan.repeats + WARM_UP {
        let started = Instant::now();
        let output = policy.act(&scene.request(plan, robot()))?;
        let total = millis(started.elapsed());
        done();
        if run < WARM_UP {
            continue;
        }
        totals.push(total);
        for stage in &output.stages {
            stages
                .entry(stage.name.clone())
                .or_default()
                .push(stage.micros as f64 / 1e3);
        }
        times.action_tokens = output.action_tokens.len();
        times.prompt_tokens = output.prompt_tokens;
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
                .map(|index| {
                    let robot = robot();
                    scene.request(plan, if plan.same_robot { index } else { robot })
                })
                .collect();
            let mut failed = None;
            let started = Instant::now();
            policy.act_batch(&requests, &mut |_, event| {
                if let PolicyEvent::Done(Err(error)) = event {
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
