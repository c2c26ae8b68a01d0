//! Action tokens reach viewers while the policy still generates them.

use super::support::*;
use policies::{ActRequest, Policy, PolicyError, PolicyInfo, PolicyOutput, TokenCallback};
use protocol::{
    Mode, ToViewer,
    viewer::{Command, TokensOrigin, TokensSoFar, Trace},
};
use server::Limits;
use std::time::{Duration, Instant};

/// A policy that generates the tokens 0, 1, 2, … with a pause after each: `go 5` pauses for 5 ms.
struct Writer {
    scripted: Scripted,
    info: PolicyInfo,
    tokens: u32,
}

impl Writer {
    fn new(tokens: u32) -> Self {
        let scripted = Scripted::new();
        let mut info = scripted.info().clone();
        info.modes = vec![Mode::Continuous, Mode::Discrete];
        Self {
            scripted,
            info,
            tokens,
        }
    }
}

impl Policy for Writer {
    fn info(&self) -> &PolicyInfo {
        &self.info
    }

    fn act(&mut self, request: &ActRequest<'_>) -> Result<PolicyOutput, PolicyError> {
        self.act_streaming(request, &mut |_| {})
    }

    fn act_streaming(
        &mut self,
        request: &ActRequest<'_>,
        on_tokens: &mut TokenCallback<'_>,
    ) -> Result<PolicyOutput, PolicyError> {
        let pause = request.instruction.split(' ').next_back().unwrap();
        let pause = Duration::from_millis(pause.parse().unwrap());
        let mut action_tokens = Vec::new();
        for token in 0..self.tokens {
            std::thread::sleep(pause);
            action_tokens.push(token);
            on_tokens(&action_tokens);
        }
        Ok(PolicyOutput {
            action_tokens,
            ..self.scripted.act(request)?
        })
    }
}

async fn studio(tokens: u32) -> TestStudio {
    TestStudio::with(Ok(Box::new(Writer::new(tokens))), Limits::default()).await
}

async fn write(viewer: &mut server::client::ViewerClient, text: &str) {
    let command = Command {
        robot_id: "arm".to_owned(),
        text: text.to_owned(),
        mode: Mode::Discrete,
        heard_beat: None,
    };
    viewer.send(&command.into()).await.unwrap();
}

/// Messages about the decision for `sequence`, up to its trace.
async fn read_decision(
    viewer: &mut server::client::ViewerClient,
    sequence: u64,
) -> (Vec<(Instant, TokensSoFar)>, Trace) {
    let mut so_far = Vec::new();
    let trace = viewer
        .wait_for("the decision", SOON, |message| match message {
            ToViewer::Tokens(tokens) if tokens.observation_sequence == sequence => {
                so_far.push((Instant::now(), tokens));
                None
            }
            ToViewer::Trace(trace) if trace.observation_sequence == sequence => Some(trace),
            _ => None,
        })
        .await
        .unwrap();
    (so_far, trace)
}

#[tokio::test]
async fn a_viewer_sees_the_tokens_grow_before_the_chunk_is_there() {
    let studio = studio(25).await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    wait_status(&mut viewer, |_| true).await;
    write(&mut viewer, "go 20").await;
    wait_status(&mut viewer, |status| status.instruction == "go 20").await;
    robot.observe().await;

    let (so_far, trace) = read_decision(&mut viewer, robot.sequence).await;
    assert_eq!(trace.tokens_origin, TokensOrigin::Generated);
    assert_eq!(trace.action_tokens, (0..25).collect::<Vec<_>>());
    // 25 tokens of 20 ms take half a second, which has 15 periods of 30 Hz.
    assert!((5..=15).contains(&so_far.len()), "{} times", so_far.len());
    let mut before = 0;
    for (_, update) in &so_far {
        assert_eq!(
            (update.rows, update.dims),
            (u32::try_from(ROWS).unwrap(), 2),
            "the shape of the chunk to come"
        );
        assert!(
            trace.action_tokens.starts_with(&update.tokens),
            "{:?}",
            update.tokens
        );
        assert!(update.tokens.len() > before, "each one holds more");
        before = update.tokens.len();
    }
    let first = so_far.first().unwrap().0;
    assert!(
        first.elapsed() > Duration::from_millis(200),
        "the first arrived long before the chunk"
    );
}

#[tokio::test]
async fn tokens_generated_at_once_are_sent_once() {
    let studio = studio(25).await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    write(&mut viewer, "go 0").await;
    robot.chunk().await;
    let (so_far, trace) = read_decision(&mut viewer, robot.sequence).await;
    assert_eq!((so_far.len(), trace.action_tokens.len()), (0, 25));
}

#[tokio::test]
async fn only_subscribers_of_a_robot_get_its_tokens() {
    let studio = studio(10).await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let _other = Robot::connect(&studio, "other").await;
    let mut viewer = studio.watcher("arm").await;
    let mut elsewhere = studio.watcher("other").await;
    write(&mut viewer, "go 20").await;
    robot.chunk().await;
    let heard = elsewhere
        .wait_for("nothing", Duration::from_millis(500), |message| {
            matches!(message, ToViewer::Tokens(_) | ToViewer::Trace(_)).then_some(())
        })
        .await;
    assert!(heard.is_err(), "{heard:?}");
}

#[tokio::test]
async fn a_viewer_that_does_not_read_does_not_slow_generation() {
    let studio = studio(10).await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let stalled: Vec<Socket> = {
        let mut sockets = Vec::new();
        for _ in 0..4 {
            sockets.push(super::viewers::stalled_viewer(&studio).await);
        }
        sockets
    };
    let mut viewer = studio.watcher("arm").await;
    write(&mut viewer, "go 5").await;
    let started = Instant::now();
    for _ in 0..8 {
        robot.chunk().await;
    }
    // Eight chunks of 50 ms, requested at most every 200 ms.
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    drop(stalled);
}
