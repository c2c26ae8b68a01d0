//! Presence of viewers. Pings alone do not show it, because a browser answers them for a page that hangs.

use super::support::*;
use policies::question_answerer::unavailable;
use protocol::{ToViewer, viewer::Heard};
use server::{Config, Limits, client::ViewerClient, scorer_service};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A little longer than a viewer may be silent.
const LONGER: Duration = Duration::from_secs(3);

/// A studio in which robots hold when their operator's viewer is gone.
async fn attended() -> TestStudio {
    TestStudio::of(Config {
        policy: Ok(Box::new(Scripted::new())),
        question_answerer: unavailable("The test"),
        scorer: scorer_service::unavailable("The test"),
        recordings: Default::default(),
        data: None,
        limits: Limits::default(),
    })
    .await
}

/// Reads for a while, so that pings are answered, and sends the echoes that `echo` returns for heartbeats.
async fn attend(
    viewer: &mut ViewerClient,
    within: Duration,
    mut echo: impl FnMut(u64) -> Option<u64>,
) {
    let until = Instant::now() + within;
    while let Ok(message) = timeout_at(until, viewer.next()).await {
        let ToViewer::Heartbeat(heartbeat) = message.unwrap() else {
            continue;
        };
        if let Some(beat) = echo(heartbeat.beat) {
            viewer.send(&Heard { beat }.into()).await.unwrap();
        }
    }
}

/// True if the robot is still driven after its viewer has behaved like this for a while.
async fn is_driven_after(
    robot: &mut Robot,
    operator: &mut ViewerClient,
    mut echo: impl FnMut(u64) -> Option<u64>,
) -> bool {
    let last = Duration::from_millis(500);
    tokio::join!(
        robot.chunks_within(LONGER),
        attend(operator, LONGER, &mut echo)
    );
    let (chunks, ()) = tokio::join!(robot.chunks_within(last), attend(operator, last, &mut echo));
    !chunks.is_empty()
}

#[tokio::test]
async fn a_page_that_hangs_is_gone_although_its_pings_are_answered() {
    let studio = attended().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut operator = studio.watcher("arm").await;
    command(&mut operator, "arm", "go 5").await;
    robot.chunk().await;
    assert!(
        is_driven_after(&mut robot, &mut operator, Some).await,
        "a page that echoes is present"
    );
    let mut other = studio.watcher("arm").await;
    assert!(
        !is_driven_after(&mut robot, &mut operator, |_| None).await,
        "a page that stopped echoing is not"
    );
    assert_eq!(wait_error(&mut other).await.code, "operator_gone");
    // It recovers, and may command again.
    attend(&mut operator, Duration::from_millis(600), Some).await;
    command(&mut operator, "arm", "go 6").await;
    assert_eq!(robot.chunk().await.actions[0], 6.0);
    assert!(is_driven_after(&mut robot, &mut operator, Some).await);
}

#[tokio::test]
async fn a_client_that_echoes_nothing_is_present_by_its_pongs() {
    let studio = attended().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut operator = studio.watcher("arm").await;
    command(&mut operator, "arm", "go 5").await;
    robot.chunk().await;
    assert!(is_driven_after(&mut robot, &mut operator, |_| None).await);
}

#[tokio::test]
async fn an_echo_of_an_old_heartbeat_does_not_count() {
    let studio = attended().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut operator = studio.watcher("arm").await;
    command(&mut operator, "arm", "go 5").await;
    robot.chunk().await;
    // As if a link delivered a message late that a page sent before it hung.
    assert!(!is_driven_after(&mut robot, &mut operator, |_| Some(0)).await);
}

#[tokio::test]
async fn an_instruction_of_an_absent_viewer_ends_too() {
    let studio = attended().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut operator = studio.watcher("arm").await;
    attend(&mut operator, Duration::from_millis(600), Some).await;
    attend(&mut operator, LONGER, |_| None).await;
    // It is absent before its instruction begins.
    command(&mut operator, "arm", "go 5").await;
    assert!(!is_driven_after(&mut robot, &mut operator, |_| None).await);
}

#[tokio::test]
async fn an_echo_without_a_heartbeat_is_refused() {
    let studio = attended().await;
    let mut viewer = studio.viewer().await;
    viewer.send(&Heard { beat: 1000 }.into()).await.unwrap();
    let error = wait_error(&mut viewer).await;
    assert_eq!((error.code.as_str(), error.fatal), ("unknown_beat", false));
    assert!(error.message.contains("1000"), "{error:?}");
}
