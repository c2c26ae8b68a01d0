//! Several robots that wait are asked for together, and each gets its own answer.

use super::{
    recorder::{Asked, Record, Recorder},
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
    /// Who watches each of them.
    viewers: Vec<ViewerClient>,
    record: Record,
    go: Arc<AtomicBool>,
}

impl Crowd {
    /// A studio, a robot that keeps the policy busy until it is let go, and others with these sentences that
    /// wait meanwhile, in this order.
    async fn gather(sentences: &[&str], max_batch: usize) -> Self {
        let (actor, record, go) = Recorder::asked(Duration::ZERO);
        let limits = Limits {
            max_batch,
            max_chunk_age: SOON,
            // These robots do not read while they wait.
            ping_every: SOON,
            ..Limits::default()
        };
        let studio = TestStudio::with(Ok(actor), limits).await;
        let mut busy = Robot::connect(&studio, "busy").await;
        let mut viewer = studio.watcher("busy").await;
        command(&mut viewer, "busy", "please wait").await;
        wait_status(&mut viewer, |status| status.instruction == "please wait").await;
        let (mut robots, mut viewers) = (Vec::new(), Vec::new());
        for (number, sentence) in sentences.iter().enumerate() {
            let name = format!("arm{number}");
            robots.push(Robot::connect(&studio, &name).await);
            let mut viewer = studio.watcher(&name).await;
            command(&mut viewer, &name, sentence).await;
            wait_status(&mut viewer, |status| status.instruction == *sentence).await;
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
            // The count comes a moment before the place in the queue.
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

    fn let_go(&self) {
        self.go.store(true, Ordering::Release);
    }

    /// Everything that was asked after the busy robot's question.
    fn asked(&self) -> Vec<Asked> {
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
async fn robots_that_wait_are_asked_for_together_the_oldest_first() {
    let mut crowd = Crowd::gather(&["go 1", "go 2", "go 3"], 8).await;
    crowd.let_go();
    for number in 0..3 {
        let chunk = next_chunk(&mut crowd.robots[number]).await;
        // The one that waited had answer 1.
        assert_eq!(chunk.actions[0], (number + 2) as f32 * 100.0);
    }
    let asked = crowd.asked();
    let words: Vec<&str> = asked
        .iter()
        .map(|asked| asked.instruction.as_str())
        .collect();
    assert_eq!(words, ["go 1", "go 2", "go 3"]);
    assert!(asked.iter().all(|asked| asked.together == 3));
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
async fn no_more_than_allowed_are_asked_for_together() {
    let mut crowd = Crowd::gather(&["go 1", "go 2", "go 3"], 2).await;
    crowd.let_go();
    for robot in &mut crowd.robots[..3] {
        next_chunk(robot).await;
    }
    let together: Vec<usize> = crowd.asked().iter().map(|asked| asked.together).collect();
    assert_eq!(together, [2, 2, 1]);
}

#[tokio::test]
async fn a_robot_whose_question_fails_or_crashes_costs_the_others_nothing() {
    let sentences = ["go 1", "please break", "please crash", "go 4"];
    let mut crowd = Crowd::gather(&sentences, 8).await;
    crowd.let_go();
    let first = next_chunk(&mut crowd.robots[0]).await;
    let last = next_chunk(&mut crowd.robots[3]).await;
    assert_eq!((first.actions[0], last.actions[0]), (200.0, 300.0));
    for (number, words) in [(1, "told to break"), (2, "told to crash")] {
        let error = wait_error(&mut crowd.viewers[number]).await;
        assert_eq!(error.code, "inference_failed");
        assert!(error.message.contains(words), "{}", error.message);
    }
    let metrics = crowd.studio.get("/metrics", "").await;
    assert!(
        metrics.contains("policy_studio_inference_failures_total 2"),
        "{metrics}"
    );
}

#[tokio::test]
async fn robots_that_stopped_or_left_while_they_waited_cost_nothing() {
    let mut crowd = Crowd::gather(&["go 1", "go 2", "go 3"], 8).await;
    let stop = StopRobot {
        robot_id: "arm0".to_owned(),
        press_id: 0,
    };
    crowd.viewers[0].send(&stop.into()).await.unwrap();
    wait_status(&mut crowd.viewers[0], |status| status.stop_requested).await;
    drop(crowd.robots.remove(1));
    wait_status(&mut crowd.viewers[1], |status| !status.connected).await;
    crowd.let_go();
    next_chunk(&mut crowd.robots[1]).await;
    let asked = crowd.asked();
    let words: Vec<&str> = asked
        .iter()
        .map(|asked| asked.instruction.as_str())
        .collect();
    assert_eq!(words, ["go 3"]);
    assert_eq!(asked[0].together, 1);
}
