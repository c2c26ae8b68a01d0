//! A typed sentence moves the simulated robot until its task succeeds: the shipped policy, a real studio, real
//! sockets, real time.
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
/// Scenes that the policy was not trained on. It does not solve every one (`policy-studio eval` says how many),
/// and a busy machine makes it slower to react.
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
    let colour = scene.colors()[0].name();
    viewer
        .wait_for("the scene's sentences", SOON, |message| match message {
            ToViewer::Details(details) => {
                let sentences = details.example_instructions;
                let here = sentences.iter().any(|sentence| sentence.contains(colour));
                here.then_some(sentences)
            }
            _ => None,
        })
        .await
        .unwrap()
}

/// Whether the sentence's task succeeds in time.
async fn succeeds(viewer: &mut ViewerClient, sentence: &str) -> bool {
    let command = Command {
        robot_id: ROBOT.to_owned(),
        text: sentence.to_owned(),
        mode: Mode::Continuous,
        heard_beat: None,
    };
    viewer.send(&command.into()).await.unwrap();
    viewer
        .wait_for("success", EPISODE, |message| match message {
            ToViewer::Status(status) => (status.instruction == sentence
                && status.task == TaskState::Succeeded)
                .then_some(()),
            _ => None,
        })
        .await
        .is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_policy_does_what_it_is_told() {
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
        let sentences = fresh_scene(&mut viewer, seed).await;
        // The sentences come family by family, so that this takes them in turn.
        let sentence = &sentences[attempt * 2 % sentences.len()];
        let done = succeeds(&mut viewer, sentence).await;
        println!(
            "scene {seed}: {sentence:?}: {}",
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
