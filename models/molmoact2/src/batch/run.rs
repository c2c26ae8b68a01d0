//! Several robots' questions at once.
//!
//! All images of a batch go through the vision tower together. Then requests that can share every pass, that is
//! those of one mode, one horizon and one number of flow steps, make a group: their prompts are read together,
//! each at its own positions, and their answers written together. What differs within a group is the robot, the
//! length of the prompt, the number of images, the noise, the running chunk and the action dimensions.

use std::num::NonZeroUsize;

use burn::tensor::Tensor;

use crate::action::{ActOptions, Action, Observation};
use crate::batch::answer::Answer;
use crate::clock::StageClock;
use crate::error::ActError;
use crate::heads::token_head::Decoding;
use crate::input::images::ImageBatch;
use crate::mode::Mode;
use crate::policy::{Policy, Ready};

/// One robot's question.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What it sees and is asked to do.
    pub observation: Observation<'a>,
    /// How to answer.
    pub options: &'a ActOptions,
}

/// Who is told the FAST ids so far of a request, by its place in the batch, after every action token.
pub type BatchTokenCallback<'a> = dyn FnMut(usize, &[u32]) + Send + 'a;

/// A request after preprocessing.
pub(crate) struct Row<'a> {
    /// Its place among the requests.
    pub(crate) place: usize,
    pub(crate) options: &'a ActOptions,
    pub(crate) ready: Ready<'a>,
}

/// Rows that are answered in the same passes, and the features of the images of each.
struct Group<'a> {
    rows: Vec<Row<'a>>,
    features: Vec<Tensor<2>>,
}

/// What requests must have in common to be answered in the same passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    mode: Mode,
    horizon: usize,
    flow_steps: usize,
    decoding: Decoding,
    thinks: bool,
    dumps: bool,
}

impl Key {
    fn of(row: &Row<'_>) -> Self {
        let options = row.options;
        // What a mode does not use keeps nobody apart.
        let (flow_steps, decoding) = match options.mode {
            Mode::Continuous => (options.flow_steps, Decoding::default()),
            Mode::Discrete => (0, options.decoding),
        };
        Self {
            mode: options.mode,
            horizon: row.ready.rows.horizon,
            flow_steps,
            decoding,
            thinks: row.ready.plan.is_some(),
            dumps: options.dumps,
        }
    }
}

impl Policy {
    /// Answers any number of requests, at most `at_once` of them (0 counts as 1) in one pass through the
    /// network, waiting for the device. Memory for images, prompts and chunks grows with that number.
    ///
    /// The answers come in the order of the requests, each what [`Policy::act`] gives for it alone up to the
    /// rounding of `f32`; one that fails does not touch the others. The [`Action::stages`] are times of the
    /// whole batch.
    pub fn act_batch(
        &self,
        requests: &[Request<'_>],
        at_once: usize,
    ) -> Vec<Result<Action, ActError>> {
        self.act_batch_streaming(requests, at_once, &mut |_, _| {})
    }

    /// Like [`Policy::act_batch`], and in discrete mode calls `written` with a request's place and its FAST ids
    /// so far after each of its action tokens, as [`Policy::act_streaming`] does.
    pub fn act_batch_streaming(
        &self,
        requests: &[Request<'_>],
        at_once: usize,
        written: &mut BatchTokenCallback<'_>,
    ) -> Vec<Result<Action, ActError>> {
        layers::wait(self.act_batch_async(requests, at_once, written))
    }

    /// Like [`Policy::act_batch_streaming`], without blocking the thread on the device.
    pub async fn act_batch_async(
        &self,
        requests: &[Request<'_>],
        at_once: usize,
        written: &mut BatchTokenCallback<'_>,
    ) -> Vec<Result<Action, ActError>> {
        let at_once = NonZeroUsize::new(at_once)
            .unwrap_or(NonZeroUsize::MIN)
            .get();
        let mut answers = Vec::with_capacity(requests.len());
        for part in requests.chunks(at_once) {
            let first = answers.len();
            let mut told = |place: usize, ids: &[u32]| written(first + place, ids);
            answers.extend(self.answer_together(part, &mut told).await);
        }
        answers
    }

    /// One batch, whatever its size.
    async fn answer_together(
        &self,
        requests: &[Request<'_>],
        written: &mut BatchTokenCallback<'_>,
    ) -> Vec<Result<Action, ActError>> {
        let mut clock = StageClock::start(self.network.device());
        let mut answers: Vec<Result<Action, ActError>> = Vec::with_capacity(requests.len());
        let mut rows = Vec::with_capacity(requests.len());
        for (place, request) in requests.iter().enumerate() {
            answers.push(Err(match self.prepare(request) {
                Ok(ready) => {
                    rows.push(Row {
                        place,
                        options: request.options,
                        ready,
                    });
                    ActError::no_answer()
                }
                Err(error) => error,
            }));
        }
        clock.end("preprocess");
        let features = self.see_all(&mut rows);
        clock.end("vision");
        let stages = clock.finish();
        let mut groups = self.groups(rows, features);
        while let Some(group) = groups.pop() {
            let mut clock = StageClock::after(self.network.device(), &stages);
            let finished = match self.heads(&group, &mut clock, written).await {
                Ok(given) => group.finish(given, clock),
                // What stops a whole group may be the fault of one row, so each has another try alone.
                Err(_) if group.rows.len() > 1 => {
                    groups.extend(group.apart());
                    continue;
                }
                Err(error) => group.finish(vec![Err(error)], clock),
            };
            for (place, answer) in finished {
                if let Some(slot) = answers.get_mut(place) {
                    *slot = answer;
                }
            }
        }
        answers
    }

    async fn heads(
        &self,
        group: &Group<'_>,
        clock: &mut StageClock<'_>,
        written: &mut BatchTokenCallback<'_>,
    ) -> Result<Vec<Result<Answer, ActError>>, ActError> {
        let features = Tensor::cat(group.features.clone(), 0);
        let rows = group.rows.as_slice();
        match rows.first().map(|row| row.options.mode).unwrap_or_default() {
            Mode::Continuous => self.flow(rows, features, clock).await,
            Mode::Discrete => self.decode(rows, features, clock, written).await,
        }
    }

    /// Image features of all rows, `[image tokens, hidden]`; takes their images.
    fn see_all(&self, rows: &mut [Row<'_>]) -> Option<Tensor<2>> {
        let batches = rows.iter_mut().map(|row| row.ready.images.take());
        let mut all: Option<ImageBatch> = None;
        for batch in batches.flatten() {
            match &mut all {
                Some(all) => all.append(batch),
                None => all = Some(batch),
            }
        }
        all.map(|all| self.see(all))
    }

    /// The rows sorted into groups, the first to be answered last in the list.
    fn groups<'a>(&self, rows: Vec<Row<'a>>, features: Option<Tensor<2>>) -> Vec<Group<'a>> {
        let Some(features) = features else {
            return Vec::new();
        };
        let mut first = 0;
        let mut groups: Vec<(Key, Group<'a>)> = Vec::new();
        for row in rows {
            let ids = row.ready.prompt.ids.iter();
            let tokens = ids.filter(|&&id| id == self.config.image_patch_id).count();
            let of_row = features.clone().narrow(0, first, tokens);
            first += tokens;
            let key = Key::of(&row);
            match groups.iter_mut().find(|(other, _)| *other == key) {
                Some((_, group)) => {
                    group.rows.push(row);
                    group.features.push(of_row);
                }
                None => groups.push((
                    key,
                    Group {
                        rows: vec![row],
                        features: vec![of_row],
                    },
                )),
            }
        }
        groups.into_iter().rev().map(|(_, group)| group).collect()
    }
}

impl<'a> Group<'a> {
    /// Each row as a group of its own, the first last.
    fn apart(self) -> impl Iterator<Item = Self> {
        let rows = self.rows.into_iter().zip(self.features).rev();
        rows.map(|(row, features)| Self {
            rows: vec![row],
            features: vec![features],
        })
    }

    /// From what the heads gave to the answers, by the place of each among the requests.
    fn finish(
        self,
        answers: Vec<Result<Answer, ActError>>,
        mut clock: StageClock<'_>,
    ) -> Vec<(usize, Result<Action, ActError>)> {
        let rows = self.rows.into_iter().zip(answers);
        let mut finished: Vec<_> = rows
            .map(|(row, answer)| {
                let action = answer.and_then(|answer| row.ready.finish(answer));
                (row.place, action)
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
