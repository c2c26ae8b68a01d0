//! A policy that keeps what it was asked.

use policies::{
    ActRequest, Policy, PolicyError, PolicyInfo, PolicyOutput, molmoact2_policy::MolmoAct2Policy,
};
use std::sync::{Arc, Mutex};
use vision::RgbImage;

/// What the policy was asked, and what tells the answer from others.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) images: Vec<RgbImage>,
    pub(crate) state: Vec<f32>,
    pub(crate) instruction: String,
    pub(crate) seed: u64,
    pub(crate) codes: Vec<u32>,
    pub(crate) actions: Vec<f32>,
}

/// All calls in order.
pub(crate) type Calls = Arc<Mutex<Vec<Call>>>;

/// A hosted policy between the studio and a notebook.
pub(crate) struct Recorder {
    hosted: MolmoAct2Policy,
    calls: Calls,
}

impl Recorder {
    pub(crate) fn new(hosted: MolmoAct2Policy) -> (Self, Calls) {
        let calls = Calls::default();
        let recorder = Self {
            hosted,
            calls: calls.clone(),
        };
        (recorder, calls)
    }
}

impl Policy for Recorder {
    fn info(&self) -> &PolicyInfo {
        self.hosted.info()
    }

    fn act(&mut self, request: &ActRequest<'_>) -> Result<PolicyOutput, PolicyError> {
        let acted = self.hosted.act(request)?;
        let depth = acted.depth.as_ref().unwrap();
        self.calls.lock().unwrap().push(Call {
            images: request.images.to_vec(),
            state: request.state.to_vec(),
            instruction: request.instruction.to_owned(),
            seed: request.seed,
            codes: depth.codes.clone(),
            actions: acted.actions.clone(),
        });
        Ok(acted)
    }
}
