//! Jobs of several waiting robots run in one batch, and each robot gets its output.

use super::{
    recorder::{Record, RecordedRequest, Recorder},
    support::*,
};
use protocol::{ToRobot, robot::ActionChunk, viewer::StopRobot};
use server::{Limits, client::ViewerClient};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

struct Crowd {
    studio: TestStudio,
    robots: Vec<Robot>,
    /// The viewer of each robot.
    viewers: Vec<ViewerClient>,
    record: Record,
    go: Arc<AtomicBool>,
}

impl Crowd {
    /// A studio, a robot that keeps the policy busy until it is released, and others with these instructions that wait
    /// meanwhile, in this order.
    async fn gather(instructions: &[&str], max_batch: usize) -> Self {
        let (policy, record, go) = Recorder::recording(Duration::ZERO);
        let limits = Limits {
            max_batch,
            max_chunk_age: SOON,
            // These robots do not read while they wait.
            ping_every: SOON,
            ..Limits::default()
        };
        let studio = TestStudio::with(Ok(policy), limits).await;
        let mut busy = Robot::connect(&studio, "busy").await;
        let mut viewer = studio.watcher("busy").await;
        command(&mut viewer, "busy", "please wait").await;
        wait_status(&mut viewer, |status| status.instruction == "please wait").await;
        let (mut robots, mut viewers) = (Vec::new(), Vec::new());
        for (number, instruction) in instructions.iter().enumerate() {
            let name = format!("arm{number}");
            robots.push(Robot::connect(&studio, &name).await);
            let mut viewer = studio.watcher(&name).await;
            command(&mut viewer, &name, instruction).await;
            wait_status(&mut viewer, |status| status.instruction == *instruction).await;
            viewers.push(viewer);
        }
        busy.observe().await;
        while record.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for (number, robot) in robots.iter_mut().enumerate() {
            robot.observe().await;
            let seen = format!("policy_studio_observations_total {}", number + 2);
            while !studio.get("/metrics", "").await.contains(&seen) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // The counter increases a moment before the job is queued.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        robots.push(busy);
        Self {
            studio,
            robots,
            viewers,
            record,
            go,
        }
    }

    fn release(&self) {
        self.go.store(true, Ordering::Release);
    }

    /// All requests after the busy robot's.
    fn requests(&self) -> Vec<RecordedRequest> {
        self.record.lock().unwrap()[1..].to_vec()
    }
}

async fn next_chunk(robot: &mut Robot) -> ActionChunk {
    loop {
        if let ToRobot::Chunk(chunk) = robot.next().await {
            return chunk;
        }
    }
}

#[tokio::test]
async fn waiting_robots_are_batched_oldest_first() {
    let mut crowd = Crowd::gather(&["go 1", "go 2", "go 3"], 8).await;
    crowd.release();
    for number in 0..3 {
        let chunk = next_chunk(&mut crowd.robots[number]).await;
        // The robot that kept the policy busy got output 1.
        assert_eq!(chunk.actions[0], (number + 2) as f32 * 100.0);
    }
    let requests = crowd.requests();
    let instructions: Vec<&str> = requests
        .iter()
        .map(|request| request.instruction.as_str())
        .collect();
    assert_eq!(instructions, ["go 1", "go 2", "go 3"]);
    assert!(requests.iter().all(|request| request.together == 3));
    let metrics = crowd.studio.get("/metrics", "").await;
    assert!(
        metrics.contains("policy_studio_batch_size_sum 4"),
        "{metrics}"
    );
    assert!(
        metrics.contains("policy_studio_batch_size_count 2"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_batch_never_exceeds_its_limit() {
    let mut crowd = Crowd::gather(&["go 1", "go 2", "go 3"], 2).await;
    crowd.release();
    for robot in &mut crowd.robots[..3] {
        next_chunk(robot).await;
    }
    let together: Vec<usize> = crowd
        .requests()
        .iter()
        .map(|request| request.together)
        .collect();
    assert_eq!(together, [2, 2, 1]);
}

#[tokio::test]
async fn a_failing_or_crashing_job_does_not_affect_the_rest_of_its_batch() {
    let instructions = ["go 1", "please break", "please crash", "go 4"];
    let mut crowd = Crowd::gather(&instructions, 8).await;
    crowd.release();
    let first = next_chunk(&mut crowd.robots[0]).await;
    let last = next_chunk(&mut crowd.robots[3]).await;
    assert_eq!((first.actions[0], last.actions[0]), (200.0, 300.0));
    for (number, reason) in [(1, "told to break"), (2, "told to crash")] {
        let error = wait_error(&mut crowd.viewers[number]).await;
        assert_eq!(error.code, "inference_failed");
        assert!(error.message.contains(reason), "{}", error.message);
    }
    let metrics = crowd.studio.get("/metrics", "").await;
    assert!(
        metrics.contains("policy_studio_inference_failures_total 2"),
        "{metrics}"
    );
}

#[tokio::test]
async fn robots_that_stop_or_disconnect_while_waiting_are_skipped() {
    let mut crowd = Crowd::gather(&["go 1", "go 2", "go 3"], 8).await;
    let stop = StopRobot {
        robot_id: "arm0".to_owned(),
        press_id: 0,
    };
    crowd.viewers[0].send(&stop.into()).await.unwrap();
    wait_status(&mut crowd.viewers[0], |status| status.stop_requested).await;
    drop(crowd.robots.remove(1));
    wait_status(&mut crowd.viewers[1], |status| !status.connected).await;
    crowd.release();
    next_chunk(&mut crowd.robots[1]).await;
    let requests = crowd.requests();
    let instructions: Vec<&str> = requests
        .iter()
        .map(|request| request.instruction.as_str())
        .collect();
    assert_eq!(instructions, ["go 3"]);
    assert_eq!(requests[0].together, 1);
}
