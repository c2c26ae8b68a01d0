//! Real-time chunking over a socket: a chunk begins with the rows of the active chunk that will still be executed.

use super::{
    recorder::{ROWS, Record, RecordedRequest, Recorder},
    support::*,
};
use molmoact2::Schedule;
use policies::chunking::Chunking;
use protocol::{
    Mode, ToRobot, ToViewer,
    robot::{ActionChunk, Observation},
    viewer::{Command, ReleaseRobot, StopRobot},
};
use server::Limits;
use std::time::{Duration, Instant};

const ROW_MICROS: u64 = 1_000_000 / 30;

fn real_time() -> Limits {
    Limits {
        chunking: Chunking::RealTime,
        ..Limits::default()
    }
}

/// A robot with a scripted clock that sends an observation every few rows.
struct Clocked {
    robot: Robot,
    started_at: Instant,
}

impl Clocked {
    async fn connect(studio: &TestStudio) -> Self {
        Self {
            robot: Robot::connect(studio, "arm").await,
            started_at: Instant::now(),
        }
    }

    /// Sends an observation three rows after the previous chunk, and further ones after long waits on a busy machine, until
    /// the next chunk arrives.
    async fn chunk(&mut self) -> ActionChunk {
        tokio::time::sleep(Duration::from_millis(100)).await;
        for _ in 0..50 {
            self.robot.sequence += 1;
            let captured = self.started_at.elapsed().as_micros() as u64;
            let observation = Observation {
                captured_at_micros: captured,
                ..observation(self.robot.sequence)
            };
            self.robot.send(observation).await;
            while let Some(message) = self.robot.try_next(Duration::from_millis(200)).await {
                if let ToRobot::Chunk(chunk) = message {
                    return chunk;
                }
            }
        }
        panic!("no chunk");
    }
}

/// The newest request to the policy.
fn last(record: &Record) -> RecordedRequest {
    record.lock().unwrap().last().unwrap().clone()
}

/// Two successive chunks of which the second continues the first, and the request for it.
async fn continued(
    robot: &mut Clocked,
    record: &Record,
) -> (ActionChunk, ActionChunk, RecordedRequest) {
    let mut before = robot.chunk().await;
    // On a busy machine the previous chunk may have run out, so that the robot holds.
    for _ in 0..20 {
        let next = robot.chunk().await;
        let request = last(record);
        if request.continuation.is_some() {
            return (before, next, request);
        }
        before = next;
    }
    panic!("no chunk continued the previous one");
}

/// The row of `before` at the time of the first row of `next`.
fn offset(before: &ActionChunk, next: &ActionChunk) -> usize {
    let micros = next.starts_at_micros - before.starts_at_micros;
    ((micros as f64) / (ROW_MICROS as f64)).round() as usize
}

#[tokio::test]
async fn a_chunk_begins_with_the_rows_that_will_have_been_executed() {
    let (policy, record, _) = Recorder::recording(Duration::from_millis(40));
    let studio = TestStudio::with(Ok(policy), real_time()).await;
    let mut robot = Clocked::connect(&studio).await;
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "go").await;
    let (before, next, request) = continued(&mut robot, &record).await;
    let continuation = request.continuation.unwrap();
    let (first, rows) = (offset(&before, &next), continuation.delay);
    // 40 ms at 30 Hz are two rows; one more is for the transport.
    assert!(rows >= 3, "{rows} rows");
    assert_eq!(continuation.schedule, Schedule::Linear);
    assert_eq!(continuation.left_over.len(), (ROWS - first) * 2);
    let left: Vec<f32> = continuation.left_over.iter().map(|v| v * 1000.0).collect();
    for (left, sent) in left.iter().zip(&before.actions[first * 2..]) {
        assert!((left - sent).abs() < 1e-2, "{left} {sent}");
    }
    assert_eq!(
        next.actions[..rows * 2],
        before.actions[first * 2..(first + rows) * 2],
        "the committed rows"
    );
    let own = next.actions[rows * 2];
    assert_eq!(own % 100.0, rows as f32, "then the policy's own");
    assert!(own > before.actions[0]);
    assert_eq!(next.rows as usize, ROWS);
    let committed = viewer
        .wait_for("the explanation", SOON, |message| match message {
            ToViewer::Trace(trace) if trace.chunk_id == next.chunk_id => Some(trace),
            _ => None,
        })
        .await
        .unwrap();
    assert_eq!(committed.committed_rows as usize, rows);
    assert_eq!(committed.actions, next.actions);
    let metrics = studio.get("/metrics", "").await;
    assert!(
        metrics.contains("policy_studio_committed_rows_count"),
        "{metrics}"
    );
}

#[tokio::test]
async fn after_a_stop_nothing_is_continued() {
    let (policy, record, _) = Recorder::recording(Duration::ZERO);
    let studio = TestStudio::with(Ok(policy), real_time()).await;
    let mut robot = Clocked::connect(&studio).await;
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "go").await;
    continued(&mut robot, &record).await;
    let robot_id = || "arm".to_owned();
    let stop = StopRobot {
        robot_id: robot_id(),
        press_id: 0,
    };
    viewer.send(&stop.into()).await.unwrap();
    while !matches!(robot.robot.next().await, ToRobot::Stop(_)) {}
    let release = ReleaseRobot {
        robot_id: robot_id(),
        heard_beat: None,
        stop_number: None,
    };
    viewer.send(&release.into()).await.unwrap();
    while !matches!(robot.robot.next().await, ToRobot::Release(_)) {}
    command(&mut viewer, "arm", "go").await;
    let recorded = record.lock().unwrap().len();
    let chunk = robot.chunk().await;
    assert!(record.lock().unwrap()[recorded].continuation.is_none());
    assert_eq!(chunk.actions[0] % 100.0, 0.0);
}

#[tokio::test]
async fn a_new_instruction_keeps_only_the_committed_rows() {
    let (policy, record, _) = Recorder::recording(Duration::ZERO);
    let studio = TestStudio::with(Ok(policy), real_time()).await;
    let mut robot = Clocked::connect(&studio).await;
    let mut viewer = studio.watcher("arm").await;
    // On a busy machine the chunk may have run out, so that no rows are committed: try again.
    for turn in 0..20 {
        command(&mut viewer, "arm", &format!("go {turn}")).await;
        continued(&mut robot, &record).await;
        let other = format!("turn back {turn}");
        command(&mut viewer, "arm", &other).await;
        let before = record.lock().unwrap().len();
        let mut chunk = robot.chunk().await;
        // A chunk for the old instruction may still arrive.
        while last(&record).instruction != other {
            chunk = robot.chunk().await;
        }
        let first = record.lock().unwrap()[before..]
            .iter()
            .find(|request| request.instruction == other)
            .cloned();
        if let Some(continuation) = first.and_then(|first| first.continuation) {
            assert_eq!(continuation.schedule, Schedule::Zeros);
            assert!(continuation.delay >= 1 && !chunk.actions.is_empty());
            // Without an instruction there is no motion to continue.
            command(&mut viewer, "arm", "").await;
            wait_status(&mut viewer, |status| status.instruction.is_empty()).await;
            command(&mut viewer, "arm", "once more").await;
            wait_status(&mut viewer, |status| status.instruction == "once more").await;
            let before = record.lock().unwrap().len();
            robot.chunk().await;
            assert!(record.lock().unwrap()[before].continuation.is_none());
            return;
        }
    }
    panic!("the new instruction never continued the old chunk");
}

#[tokio::test]
async fn plain_chunking_and_the_discrete_head_continue_nothing() {
    for (chunking, mode) in [
        (Chunking::Plain, Mode::Continuous),
        (Chunking::RealTime, Mode::Discrete),
    ] {
        let (policy, record, _) = Recorder::recording(Duration::ZERO);
        let limits = Limits {
            chunking,
            ..Limits::default()
        };
        let studio = TestStudio::with(Ok(policy), limits).await;
        let mut robot = Clocked::connect(&studio).await;
        let mut viewer = studio.watcher("arm").await;
        let go = Command {
            robot_id: "arm".to_owned(),
            text: "go".to_owned(),
            mode,
            heard_beat: None,
        };
        viewer.send(&go.into()).await.unwrap();
        for _ in 0..4 {
            let chunk = robot.chunk().await;
            assert_eq!(chunk.actions[0] % 100.0, 0.0);
        }
        assert!(
            record
                .lock()
                .unwrap()
                .iter()
                .all(|request| request.continuation.is_none())
        );
    }
}
