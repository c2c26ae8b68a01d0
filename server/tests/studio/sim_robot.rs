//! The built-in robot against a real studio.

use super::support::*;
use policies::{ActRequest, Policy, PolicyError, PolicyInfo, PolicyOutput, TagInfo};
use protocol::{
    Mode, TaskState, ToViewer, ViewEncoding,
    robot::ResetScene,
    viewer::{ActionDimension, ReleaseRobot, ResetRobot, StopRobot},
};
use server::{
    Limits,
    sim_robot::{self, SimConfig, TAG as SIM_TAG},
};
use sim::{Expert, Task, World};
use std::{collections::BTreeSet, time::Duration};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const HORIZON: usize = 30;

/// A policy that solves the task in a mirror of the robot's scene, from the seed and the joint state.
struct MirrorExpert {
    info: PolicyInfo,
    world: World,
    expert: Expert,
    task: Option<(String, Task)>,
}

impl MirrorExpert {
    fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let action = world.joints().iter().map(|joint| ActionDimension {
            name: joint.name.to_owned(),
            low: joint.min,
            high: joint.max,
            normalised: true,
        });
        Self {
            info: PolicyInfo {
                name: "mirror".to_owned(),
                parameters: 0,
                device: "none".to_owned(),
                modes: vec![Mode::Continuous],
                tags: vec![TagInfo {
                    tag: SIM_TAG.to_owned(),
                    cameras: vec!["overview".to_owned(), "wrist".to_owned()],
                    state_dim: sim::DOF,
                    action: action.collect(),
                    mean_action: vec![0.0; sim::DOF],
                    horizon: HORIZON,
                    n_action_steps: HORIZON,
                }],
                tokenizer: None,
                depth: None,
            },
            world,
            expert: Expert::new(),
            task: None,
        }
    }
}

impl Policy for MirrorExpert {
    fn info(&self) -> &PolicyInfo {
        &self.info
    }

    fn act(&mut self, request: &ActRequest<'_>) -> Result<PolicyOutput, PolicyError> {
        assert_eq!(
            (request.images[0].width(), request.images[0].height()),
            (320, 240)
        );
        if self
            .task
            .as_ref()
            .is_none_or(|(instruction, _)| instruction != request.instruction)
        {
            let task = Task::parse(request.instruction, &self.world)
                .map_err(|error| PolicyError::new(error.to_string()))?;
            self.task = Some((request.instruction.to_owned(), task));
        }
        let (_, task) = self.task.as_ref().unwrap();
        // Reaching moves no cube, so the mirror needs only the arm's state.
        let state = sim::JointVector::try_from(request.state).unwrap();
        for _ in 0..60 {
            self.world.step(&state);
        }
        let rows = self.expert.chunk(&self.world, task, HORIZON);
        Ok(PolicyOutput {
            rows: rows.len(),
            dims: sim::DOF,
            actions: rows.iter().flatten().copied().collect(),
            chunk_normalised: vec![0.0; rows.len() * sim::DOF],
            prompt: request.instruction.to_owned(),
            prompt_tokens: 1,
            action_tokens: Vec::new(),
            depth: None,
            stages: Vec::new(),
        })
    }
}

struct Running {
    studio: TestStudio,
    stop: CancellationToken,
    robot: JoinHandle<()>,
}

async fn start(seed: u64) -> Running {
    let actor: Box<dyn Policy> = Box::new(MirrorExpert::new(seed));
    let studio = TestStudio::with(Ok(actor), Limits::default()).await;
    let stop = CancellationToken::new();
    let config = SimConfig::new(format!("http://{}", studio.address), "sim", seed);
    let robot = tokio::spawn({
        let stop = stop.clone();
        async move { sim_robot::run(config, stop).await.unwrap() }
    });
    for _ in 0..200 {
        if studio
            .get("/api/robots", "")
            .await
            .contains("\"connected\":true")
        {
            return Running {
                studio,
                stop,
                robot,
            };
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the simulated robot did not connect");
}

impl Running {
    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(SOON, self.robot)
            .await
            .unwrap()
            .unwrap();
        self.studio.stop().await;
    }
}

/// An instruction for the first cube of a scene.
fn reach(seed: u64) -> String {
    let colour = World::new(seed).colors()[0];
    format!("reach the {} cube", colour.name())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instruction_moves_the_robot_until_its_task_succeeds() {
    let running = start(3).await;
    let mut viewer = running.studio.watcher("sim").await;
    let instruction = reach(3);
    command(&mut viewer, "sim", &instruction).await;
    let status = viewer
        .wait_for(
            "success",
            Duration::from_secs(60),
            |message| match message {
                ToViewer::Status(status) if status.task == TaskState::Succeeded => Some(status),
                _ => None,
            },
        )
        .await
        .unwrap();
    assert_eq!(status.instruction, instruction);
    assert!(status.task_secs > 0.0);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_camera_views_and_a_depth_view_arrive() {
    let running = start(3).await;
    let mut viewer = running.studio.watcher("sim").await;
    let mut seen = BTreeSet::new();
    viewer
        .wait_for("all views", SOON, |message| {
            if let ToViewer::Frame(frame) = message {
                let depth = frame.view.encoding == ViewEncoding::DepthGray8;
                assert_eq!(frame.view.name.ends_with(".depth"), depth);
                seen.insert(frame.view.name);
            }
            (seen.len() == 3).then_some(())
        })
        .await
        .unwrap();
    assert!(seen.contains("overview") && seen.contains("wrist") && seen.contains("overview.depth"));
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_halts_the_robot_until_released() {
    let running = start(3).await;
    let mut viewer = running.studio.watcher("sim").await;
    command(&mut viewer, "sim", &reach(3)).await;
    wait_status(&mut viewer, |status| {
        status.command_to_chunk_millis.is_some()
    })
    .await;
    let stop = StopRobot {
        robot_id: "sim".to_owned(),
        press_id: 0,
    };
    viewer.send(&stop.into()).await.unwrap();
    wait_status(&mut viewer, |status| status.stopped).await;
    let state = async |viewer: &mut server::client::ViewerClient| {
        let wanted = |message| match message {
            ToViewer::State(state) => Some(state),
            _ => None,
        };
        viewer.wait_for("a state", SOON, wanted).await.unwrap()
    };
    // Messages in transit may still show motion.
    tokio::time::sleep(Duration::from_millis(300)).await;
    for _ in 0..5 {
        state(&mut viewer).await;
    }
    let before = state(&mut viewer).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut after = before.clone();
    while after.captured_at_micros < before.captured_at_micros + 400_000 {
        after = state(&mut viewer).await;
    }
    for (a, b) in before.state.iter().zip(&after.state) {
        assert!((a - b).abs() < 0.01, "{before:?} {after:?}");
    }
    let release = ReleaseRobot {
        robot_id: "sim".to_owned(),
        heard_beat: None,
        stop_number: None,
    };
    viewer.send(&release.into()).await.unwrap();
    wait_status(&mut viewer, |status| !status.stopped).await;
    command(&mut viewer, "sim", &reach(3)).await;
    wait_status(&mut viewer, |status| !status.holding).await;
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instruction_without_a_success_test_is_reported() {
    let running = start(3).await;
    let mut viewer = running.studio.watcher("sim").await;
    command(&mut viewer, "sim", "sing a song").await;
    // The scripted policy fails on it too, and its error may arrive first.
    viewer
        .wait_for("the robot's error", SOON, |message| match message {
            ToViewer::Error(error) => (error.code == "no_success_test").then_some(()),
            _ => None,
        })
        .await
        .unwrap();
    let status = wait_status(&mut viewer, |status| status.task == TaskState::Unknown).await;
    assert_eq!(status.instruction, "sing a song");
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_scene_changes_the_example_instructions() {
    let running = start(3).await;
    let mut viewer = running.studio.watcher("sim").await;
    let before = wait_details(&mut viewer, |_| true)
        .await
        .example_instructions;
    assert!(
        before
            .iter()
            .any(|instruction| instruction.starts_with("pick up")),
        "{before:?}"
    );
    let other = (4..100)
        .find(|seed| World::new(*seed).colors() != World::new(3).colors())
        .unwrap();
    let reset = ResetRobot {
        robot_id: "sim".to_owned(),
        scene: ResetScene { seed: Some(other) },
        heard_beat: None,
    };
    viewer.send(&reset.into()).await.unwrap();
    wait_details(&mut viewer, |details| {
        details.example_instructions != before
    })
    .await;
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_robot_reconnects_after_a_restart_of_the_studio() {
    let running = start(3).await;
    let Running {
        studio,
        stop,
        robot,
    } = running;
    let address = studio.address.clone();
    studio.stop().await;
    // The same port, a new studio.
    let listener = loop {
        match tokio::net::TcpListener::bind(&address).await {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    let config = server::Config {
        policy: Err("none".to_owned()),
        question_answerer: policies::question_answerer::unavailable("The test"),
        scorer: server::scorer_service::unavailable("The test"),
        recordings: Default::default(),
        data: None,
        limits: Limits::default(),
    };
    let second = tokio::spawn(server::serve(
        listener,
        config,
        stop.clone().cancelled_owned(),
    ));
    let mut viewer = server::client::ViewerClient::connect(&address, "test")
        .await
        .unwrap();
    viewer
        .wait_for("the robot", SOON, |message| match message {
            ToViewer::Robots(list) => list.robots.first().filter(|r| r.connected).map(|_| ()),
            _ => None,
        })
        .await
        .unwrap();
    stop.cancel();
    robot.await.unwrap();
    second.await.unwrap().unwrap();
}
