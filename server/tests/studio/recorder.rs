//! A policy that records its requests, and that answers each with different numbers.

use super::support::TAG;
use molmoact2::Continuation;
use policies::{
    ActRequest, EventSink, Policy, PolicyError, PolicyEvent, PolicyInfo, PolicyOutput, TagInfo,
};
use protocol::{Mode, viewer::ActionDimension};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// One second of a robot at 30 Hz.
pub const ROWS: usize = 30;

/// One request.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    pub instruction: String,
    pub continuation: Option<Continuation>,
    /// Requests in the same batch.
    pub together: usize,
}

/// Output number `n` has rows of `100 n + k`, and a thousandth of that normalized. The instruction `break` fails, `crash`
/// panics, and `wait` waits until it is released.
pub struct Recorder {
    info: PolicyInfo,
    record: Record,
    /// Releases requests that `wait`.
    go: Arc<AtomicBool>,
    takes: Duration,
    together: usize,
    answers: u16,
}

pub type Record = Arc<Mutex<Vec<RecordedRequest>>>;

impl Recorder {
    /// A policy that takes this long per request, the record of its requests, and the release of those that `wait`.
    pub fn recording(takes: Duration) -> (Box<dyn Policy>, Record, Arc<AtomicBool>) {
        let dimension = |name: &str| ActionDimension {
            name: name.to_owned(),
            low: -1000.0,
            high: 1000.0,
            normalised: true,
        };
        let record = Record::default();
        let go = Arc::new(AtomicBool::new(false));
        let recorder = Self {
            info: PolicyInfo {
                name: "recorder".to_owned(),
                parameters: 0,
                device: "none".to_owned(),
                modes: vec![Mode::Continuous, Mode::Discrete],
                tags: vec![TagInfo {
                    tag: TAG.to_owned(),
                    cameras: vec!["eye".to_owned()],
                    state_dim: 2,
                    action: vec![dimension("a"), dimension("b")],
                    mean_action: vec![0.0, 0.0],
                    horizon: ROWS,
                    n_action_steps: 1,
                }],
                tokenizer: None,
                depth: None,
            },
            record: record.clone(),
            go: go.clone(),
            takes,
            together: 1,
            answers: 0,
        };
        (Box::new(recorder), record, go)
    }
}

impl Policy for Recorder {
    fn info(&self) -> &PolicyInfo {
        &self.info
    }

    fn act(&mut self, request: &ActRequest<'_>) -> Result<PolicyOutput, PolicyError> {
        self.record.lock().unwrap().push(RecordedRequest {
            instruction: request.instruction.to_owned(),
            continuation: request.continuation.cloned(),
            together: self.together,
        });
        std::thread::sleep(self.takes);
        match request.instruction.split(' ').next_back() {
            Some("break") => return Err(PolicyError::new("told to break")),
            Some("crash") => panic!("told to crash"),
            Some("wait") => {
                while !self.go.load(Ordering::Acquire) {
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            _ => {}
        }
        self.answers += 1;
        let base = f32::from(self.answers) * 100.0;
        let actions: Vec<f32> = (0..ROWS as u16)
            .flat_map(|k| [base + f32::from(k); 2])
            .collect();
        Ok(PolicyOutput {
            rows: ROWS,
            dims: 2,
            chunk_normalised: actions.iter().map(|value| value / 1000.0).collect(),
            actions,
            prompt: request.instruction.to_owned(),
            prompt_tokens: 1,
            action_tokens: Vec::new(),
            depth: None,
            stages: Vec::new(),
        })
    }

    fn act_batch(&mut self, requests: &[ActRequest<'_>], events: &mut EventSink<'_>) {
        self.together = requests.len();
        for (index, request) in requests.iter().enumerate() {
            let output = self.act(request);
            events(index, PolicyEvent::Done(output));
        }
    }
}
