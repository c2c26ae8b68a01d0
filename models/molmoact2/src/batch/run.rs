//! Groups of prepared requests, each run through its head.
//!
//! All images of a batch go through the vision tower together. Then requests that can share every pass, that is
//! those of one mode, one horizon and one number of flow steps, make a group: their prompts are read together, each
//! at its own positions, and their answers are written together. The robot, the length of the prompt, the number of
//! images, the noise, the running chunk and the action dimensions may differ within a group.

use burn_tensor::Tensor;

use crate::action::Action;
use crate::batch::model::Model;
use crate::batch::prepared::{BatchTokenCallback, HeadOutputs, PreparedRequest};
use crate::batch::{continuous, discrete};
use crate::clock::StageClock;
use crate::error::ActError;
use crate::heads::token_head::Decoding;
use crate::input::images::ImageBatch;
use crate::mode::Mode;
use crate::network::Network;

/// Requests that are answered in the same passes, and the image features of each.
struct Group<'a> {
    requests: Vec<PreparedRequest<'a>>,
    features: Vec<Tensor<2>>,
}

/// The properties that requests must share to be answered in the same passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct GroupKey {
    mode: Mode,
    horizon: usize,
    flow_steps: usize,
    decoding: Decoding,
    thinks: bool,
    dumps: bool,
}

impl GroupKey {
    fn of(request: &PreparedRequest<'_>) -> Self {
        let options = request.options;
        // Options that a mode does not use do not separate requests.
        let (flow_steps, decoding) = match options.mode {
            Mode::Continuous => (options.flow_steps, Decoding::default()),
            Mode::Discrete => (0, options.decoding),
        };
        Self {
            mode: options.mode,
            horizon: request.rows.horizon,
            flow_steps,
            decoding,
            thinks: request.depth_plan.is_some(),
            dumps: options.dumps,
        }
    }
}

/// Answers prepared requests, in any order, each with the index of its request. `clock` has measured preprocessing.
pub(crate) async fn answer(
    model: &Model,
    mut requests: Vec<PreparedRequest<'_>>,
    mut clock: StageClock<'_>,
    on_tokens: &mut BatchTokenCallback<'_>,
) -> Vec<(usize, Result<Action, ActError>)> {
    let features = encode_images(&model.network, &mut requests);
    clock.end("vision");
    let stages = clock.finish();
    let mut groups = groups(requests, features, model.config.image_patch_id);
    let mut answers = Vec::new();
    while let Some(group) = groups.pop() {
        let mut clock = StageClock::after(model.network.device(), &stages);
        match run_head(model, &group, &mut clock, on_tokens).await {
            Ok(outputs) => answers.extend(group.finish(outputs, clock)),
            // One request can make its whole group fail, so each is tried again alone.
            Err(_) if group.requests.len() > 1 => groups.extend(group.split()),
            Err(error) => answers.extend(group.finish(vec![Err(error)], clock)),
        }
    }
    answers
}

async fn run_head(
    model: &Model,
    group: &Group<'_>,
    clock: &mut StageClock<'_>,
    on_tokens: &mut BatchTokenCallback<'_>,
) -> Result<HeadOutputs, ActError> {
    let features = Tensor::cat(group.features.clone(), 0);
    let requests = group.requests.as_slice();
    let mode = requests.first().map(|request| request.options.mode);
    match mode.unwrap_or_default() {
        Mode::Continuous => continuous::run(model, requests, features, clock).await,
        Mode::Discrete => discrete::run(model, requests, features, clock, on_tokens).await,
    }
}

/// Image features of all requests, `[image tokens, hidden]`; takes their images.
fn encode_images(network: &Network, requests: &mut [PreparedRequest<'_>]) -> Option<Tensor<2>> {
    let batches = requests.iter_mut().map(|request| request.images.take());
    let mut all: Option<ImageBatch> = None;
    for batch in batches.flatten() {
        match &mut all {
            Some(all) => all.append(batch),
            None => all = Some(batch),
        }
    }
    all.map(|all| network.encode_batch(all))
}

/// The requests sorted into groups, the first to be answered last in the list.
fn groups<'a>(
    requests: Vec<PreparedRequest<'a>>,
    features: Option<Tensor<2>>,
    image_patch_id: u32,
) -> Vec<Group<'a>> {
    let Some(features) = features else {
        return Vec::new();
    };
    let mut first = 0;
    let mut groups: Vec<(GroupKey, Group<'a>)> = Vec::new();
    for request in requests {
        let ids = request.prompt.ids.iter();
        let tokens = ids.filter(|&&id| id == image_patch_id).count();
        let own = features.clone().narrow(0, first, tokens);
        first += tokens;
        let key = GroupKey::of(&request);
        match groups.iter_mut().find(|(other, _)| *other == key) {
            Some((_, group)) => {
                group.requests.push(request);
                group.features.push(own);
            }
            None => groups.push((
                key,
                Group {
                    requests: vec![request],
                    features: vec![own],
                },
            )),
        }
    }
    groups.into_iter().rev().map(|(_, group)| group).collect()
}

impl Group<'_> {
    /// Each request as a group by itself, the first last.
    fn split(self) -> impl Iterator<Item = Self> {
        let requests = self.requests.into_iter().zip(self.features).rev();
        requests.map(|(request, features)| Self {
            requests: vec![request],
            features: vec![features],
        })
    }

    /// The answers, each with the index of its request.
    fn finish(
        self,
        outputs: HeadOutputs,
        mut clock: StageClock<'_>,
    ) -> Vec<(usize, Result<Action, ActError>)> {
        let requests = self.requests.into_iter().zip(outputs);
        let mut finished: Vec<_> = requests
            .map(|(request, output)| {
                let index = request.index;
                (index, output.and_then(|output| request.into_action(output)))
            })
            .collect();
        clock.end("postprocess");
        let stages = clock.finish();
        for action in finished.iter_mut().filter_map(|(_, a)| a.as_mut().ok()) {
            action.stages.clone_from(&stages);
        }
        finished
    }
}
