//! Does the evaluation measure what it says? An oracle that follows the words must look good, and only where it should.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use evaluation::success::{EvaluationError, FIRST_UNSEEN_SEED, ModeName, Plan, evaluate};
use policies::{
    ActRequest, Policy, PolicyError, PolicyInfo, PolicyOutput, TagInfo, chunking::Chunking,
};
use protocol::{Mode, viewer::ActionDimension};
use sim::{Expert, JointVector, Task, TaskFamily, World};
use std::time::Duration;

const TAG: &str = "oracle";
const HORIZON: usize = 16;
const N_ACTION_STEPS: usize = 8;

/// Rebuilds the episode's world from its seed (the upper bits of the noise seed), replays its own actions in it, and asks the scripted expert.
/// It sees neither the score nor the scene's own task: only the sentence that it is told.
struct Oracle {
    info: PolicyInfo,
    world: World,
    task: Option<(u64, String, Task)>,
    last_rows: Vec<JointVector>,
}

impl Oracle {
    fn new() -> Self {
        let world = World::new(0);
        let action = world.joints().iter().map(|joint| ActionDimension {
            name: joint.name.to_owned(),
            low: joint.min,
            high: joint.max,
            normalised: true,
        });
        Self {
            info: PolicyInfo {
                name: "oracle".to_owned(),
                parameters: 0,
                device: "none".to_owned(),
                modes: vec![Mode::Continuous],
                tags: vec![TagInfo {
                    tag: TAG.to_owned(),
                    cameras: vec!["overview".to_owned()],
                    state_dim: sim::DOF,
                    action: action.collect(),
                    mean_action: vec![0.0, 0.0, 0.0, 0.0, 0.0, 50.0],
                    horizon: HORIZON,
                    n_action_steps: N_ACTION_STEPS,
                }],
                tokenizer: None,
                depth: None,
            },
            world,
            task: None,
            last_rows: Vec::new(),
        }
    }

    fn follow(&mut self, request: &ActRequest<'_>) -> Task {
        if let Some((seed, sentence, task)) = &self.task
            && *seed == request.seed >> 20
            && sentence == request.instruction
        {
            for row in &self.last_rows {
                self.world.step(row);
            }
            if self.world.state() == request.state {
                return *task;
            }
        }
        self.world = World::new(request.seed >> 20);
        assert_eq!(
            self.world.state(),
            request.state,
            "an episode starts as its seed says"
        );
        let task = Task::parse(request.instruction, &self.world).unwrap();
        self.task = Some((request.seed >> 20, request.instruction.to_owned(), task));
        task
    }
}

impl Policy for Oracle {
    fn info(&self) -> &PolicyInfo {
        &self.info
    }

    fn act(&mut self, request: &ActRequest<'_>) -> Result<PolicyOutput, PolicyError> {
        let task = self.follow(request);
        let rows = Expert::new().chunk(&self.world, &task, HORIZON);
        self.last_rows = rows.iter().take(N_ACTION_STEPS).copied().collect();
        Ok(PolicyOutput {
            rows: rows.len(),
            dims: sim::DOF,
            actions: rows.iter().flatten().copied().collect(),
            chunk_normalised: Vec::new(),
            prompt: String::new(),
            prompt_tokens: 0,
            action_tokens: Vec::new(),
            depth: None,
            stages: Vec::new(),
        })
    }
}

fn plan(episodes: u64) -> Plan {
    Plan {
        tag: TAG.to_owned(),
        modes: vec![ModeName::Continuous],
        families: TaskFamily::all().to_vec(),
        episodes,
        seed: FIRST_UNSEEN_SEED,
        controls: true,
        max_secs: 20.0,
        rows: None,
        chunking: Chunking::Plain,
        latency: Duration::ZERO,
        assumed_latency: None,
    }
}

fn oracles(n: usize) -> Vec<Box<dyn Policy>> {
    (0..n)
        .map(|_| Box::new(Oracle::new()) as Box<dyn Policy>)
        .collect()
}

#[test]
fn an_oracle_succeeds_and_fails_under_a_wrong_instruction() {
    let report = evaluate(&plan(5), &mut oracles(2), &|_| {}).unwrap();
    let rates = report.continuous.as_ref().unwrap();
    let mean = rates.values().map(|rate| rate.success_rate).sum::<f64>() / 4.0;
    assert!(mean >= 0.9, "{report}");
    assert!((report.mean - mean).abs() < 1e-9);
    let controls = report.controls.as_ref().unwrap();
    for family in TaskFamily::all() {
        let wrong = controls.wrong_instruction[family.name()];
        assert_eq!(wrong.episodes, 5);
        assert!(wrong.success_rate <= 0.2, "{}: {report}", family.name());
        assert!(
            wrong.told_task_rate.unwrap() >= 0.6,
            "{}: {report}",
            family.name()
        );
        assert_eq!(
            controls.mean_action[family.name()].success_rate,
            0.0,
            "{report}"
        );
    }
}

#[test]
fn the_same_seeds_give_the_same_rates_whatever_the_number_of_threads() {
    let short = Plan {
        max_secs: 4.0,
        ..plan(3)
    };
    let one = evaluate(&short, &mut oracles(1), &|_| {}).unwrap();
    let two = evaluate(&short, &mut oracles(2), &|_| {}).unwrap();
    assert_eq!(one, two);
}

#[test]
fn a_policy_for_another_robot_is_refused() {
    let other = Plan {
        tag: "octopus".to_owned(),
        ..plan(1)
    };
    let error = evaluate(&other, &mut oracles(1), &|_| {}).unwrap_err();
    assert!(matches!(error, EvaluationError::Unfit { .. }));
    assert!(error.to_string().contains("octopus"), "{error}");
    let discrete = Plan {
        modes: vec![ModeName::Discrete],
        ..plan(1)
    };
    let error = evaluate(&discrete, &mut oracles(1), &|_| {}).unwrap_err();
    assert!(error.to_string().contains("Discrete"), "{error}");
}
