//! A policy that records its calls.

use policies::{
    ActRequest, Policy, PolicyError, PolicyInfo, PolicyOutput, molmoact2_policy::MolmoAct2Policy,
};
use std::sync::{Arc, Mutex};
use vision::RgbImage;

/// A call of the policy: its inputs, and the outputs that identify it.
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

/// A policy that forwards to another and records the calls.
pub(crate) struct Recorder {
    inner: MolmoAct2Policy,
    calls: Calls,
}

impl Recorder {
    pub(crate) fn new(inner: MolmoAct2Policy) -> (Self, Calls) {
        let calls = Calls::default();
        let recorder = Self {
            inner,
            calls: calls.clone(),
        };
        (recorder, calls)
    }
}

impl Policy for Recorder {
    fn info(&self) -> &PolicyInfo {
        self.inner.info()
    }

    fn act(&mut self, request: &ActRequest<'_>) -> Result<PolicyOutput, PolicyError> {
        let output = self.inner.act(request)?;
        let depth = output.depth.as_ref().unwrap();
        self.calls.lock().unwrap().push(Call {
            images: request.images.to_vec(),
            state: request.state.to_vec(),
            instruction: request.instruction.to_owned(),
            seed: request.seed,
            codes: depth.codes.clone(),
            actions: output.actions.clone(),
        });
        Ok(output)
    }
}
