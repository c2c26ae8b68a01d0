//! End-to-end test: an instruction moves the simulated robot until its task succeeds, with the shipped policy, a real
//! studio, real sockets and real time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use policies::{
    Policy,
    molmoact2_policy::{MolmoAct2Policy, PolicyOptions, Source},
    question_answerer::unavailable,
};
use protocol::{
    Mode, TaskState, ToViewer,
    robot::ResetScene,
    viewer::{Command, ResetRobot, Watch},
};
use server::{
    Config, Limits,
    client::ViewerClient,
    serve,
    sim_robot::{self, SimConfig},
};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const ROBOT: &str = "sim";
const SOON: Duration = Duration::from_secs(20);
/// Simulated time is real time here; the evaluation gives every episode ten seconds.
const EPISODE: Duration = Duration::from_secs(15);
/// Scenes outside of the policy's training data. It does not solve all of them (`policy-studio eval` gives the rate), and
/// reacts more slowly on a busy machine.
const SCENES: [u64; 4] = [600_000_001, 600_000_002, 600_000_003, 600_000_004];
const ENOUGH: usize = 2;

async fn fresh_scene(viewer: &mut ViewerClient, seed: u64) -> Vec<String> {
    let reset = ResetRobot {
        robot_id: ROBOT.to_owned(),
        scene: ResetScene { seed: Some(seed) },
        heard_beat: None,
    };
    viewer.send(&reset.into()).await.unwrap();
    let scene = sim::World::new(seed);
    let color = scene.colors()[0].name();
    viewer
        .wait_for("the scene's instructions", SOON, |message| match message {
            ToViewer::Details(details) => {
                let instructions = details.example_instructions;
                let is_new = instructions
                    .iter()
                    .any(|instruction| instruction.contains(color));
                is_new.then_some(instructions)
            }
            _ => None,
        })
        .await
        .unwrap()
}

/// True if the instruction's task succeeds in time.
async fn succeeds(viewer: &mut ViewerClient, instruction: &str) -> bool {
    let command = Command {
        robot_id: ROBOT.to_owned(),
        text: instruction.to_owned(),
        mode: Mode::Continuous,
        heard_beat: None,
    };
    viewer.send(&command.into()).await.unwrap();
    viewer
        .wait_for("success", EPISODE, |message| match message {
            ToViewer::Status(status) => (status.instruction == instruction
                && status.task == TaskState::Succeeded)
                .then_some(()),
            _ => None,
        })
        .await
        .is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_policy_follows_instructions() {
    let device = layers::device::cpu();
    let policy: Box<dyn Policy> = Box::new(
        MolmoAct2Policy::load(&Source::Nano, &PolicyOptions::default(), &device, "cpu").unwrap(),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let stop = CancellationToken::new();
    let config = Config {
        policy: Ok(policy),
        question_answerer: unavailable("The nano policy"),
        scorer: server::scorer_service::unavailable("The test"),
        recordings: Default::default(),
        data: None,
        limits: Limits::default(),
    };
    let studio = tokio::spawn(serve(listener, config, stop.clone().cancelled_owned()));
    let robot = tokio::spawn(sim_robot::run(
        SimConfig::new(format!("http://{address}"), ROBOT, 1),
        stop.clone(),
    ));

    let mut viewer = ViewerClient::connect(&address, "test").await.unwrap();
    viewer
        .wait_for("the robot", SOON, |message| match message {
            ToViewer::Robots(list) => (!list.robots.is_empty()).then_some(()),
            _ => None,
        })
        .await
        .unwrap();
    let watch = Watch {
        robot_id: ROBOT.to_owned(),
    };
    viewer.send(&watch.into()).await.unwrap();

    let mut succeeded = 0;
    for (attempt, seed) in SCENES.into_iter().enumerate() {
        let instructions = fresh_scene(&mut viewer, seed).await;
        // The instructions are ordered by task family; this takes one of each in turn.
        let instruction = &instructions[attempt * 2 % instructions.len()];
        let done = succeeds(&mut viewer, instruction).await;
        println!(
            "scene {seed}: {instruction:?}: {}",
            if done { "done" } else { "not done" }
        );
        succeeded += usize::from(done);
        if succeeded >= ENOUGH {
            break;
        }
    }
    stop.cancel();
    robot.await.unwrap().unwrap();
    studio.await.unwrap().unwrap();
    assert!(
        succeeded >= ENOUGH,
        "{succeeded} of {} tasks succeeded",
        SCENES.len()
    );
}
