//! A scripted policy for a robot of two joints.

use policies::{ActRequest, Policy, PolicyError, PolicyInfo, PolicyOutput, TagInfo};
use protocol::{Mode, Stage, viewer::ActionDimension};
use std::time::Duration;

/// Norm tag of the policy and of [`hello`](super::hello).
pub const TAG: &str = "two_joints";
/// Rows of every chunk.
pub const ROWS: usize = 10;

/// A policy whose rows repeat the number at the end of the instruction for both joints: `go 5` gives rows of 5.0. `break`
/// fails, `crash` panics, `nan` gives no finite number and `slow` takes 400 ms.
pub struct Scripted {
    info: PolicyInfo,
}

impl Scripted {
    pub fn new() -> Self {
        let dimension = |name: &str| ActionDimension {
            name: name.to_owned(),
            low: -100.0,
            high: 100.0,
            normalised: true,
        };
        Self {
            info: PolicyInfo {
                name: "scripted".to_owned(),
                parameters: 0,
                device: "none".to_owned(),
                modes: vec![Mode::Continuous],
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
        }
    }
}

impl Policy for Scripted {
    fn info(&self) -> &PolicyInfo {
        &self.info
    }

    fn act(&mut self, request: &ActRequest<'_>) -> Result<PolicyOutput, PolicyError> {
        let word = request.instruction.split(' ').next_back().unwrap();
        let target = match word {
            "break" => return Err(PolicyError::new("told to break")),
            "crash" => panic!("told to crash"),
            "nan" => f32::NAN,
            "slow" => {
                std::thread::sleep(Duration::from_millis(400));
                1.0
            }
            number => number.parse().unwrap(),
        };
        Ok(PolicyOutput {
            rows: ROWS,
            dims: 2,
            actions: vec![target; ROWS * 2],
            chunk_normalised: vec![target / 100.0; ROWS * 2],
            prompt: format!("<|im_start|> {}", request.instruction),
            prompt_tokens: 3,
            action_tokens: Vec::new(),
            depth: None,
            stages: vec![Stage {
                name: "flow".to_owned(),
                micros: 1,
            }],
        })
    }
}
