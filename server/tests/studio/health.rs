//! Parts that hang or crash are reported, and a studio ends in spite of them.

use super::support::*;
use molmoact2::{Reply, TextCallback};
use policies::{
    ActRequest, Policy, PolicyError, PolicyInfo, PolicyOutput, chunking::Chunking,
    question_answerer::QuestionAnswerer,
};
use protocol::{
    ToViewer,
    scene::{AnswerState, Ask},
};
use server::Limits;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use vision::RgbImage;

/// A policy's hang, until it is released.
#[derive(Clone, Default)]
struct Hanging(Arc<AtomicBool>);

impl Hanging {
    fn hang(&self) {
        while !self.0.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn release(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Panics with something that panics once more when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("once more");
    }
}

/// [`Scripted`] that hangs on the instruction `hang` and panics with a [`Bomb`] on `explode`.
struct Moody {
    scripted: Scripted,
    hanging: Hanging,
}

impl Policy for Moody {
    fn info(&self) -> &PolicyInfo {
        self.scripted.info()
    }

    fn act(&mut self, request: &ActRequest<'_>) -> Result<PolicyOutput, PolicyError> {
        match request.instruction {
            "hang" => {
                self.hanging.hang();
                Err(PolicyError::new("it hung"))
            }
            "explode" => std::panic::panic_any(Bomb),
            _ => self.scripted.act(request),
        }
    }
}

async fn moody() -> (TestStudio, Hanging) {
    let hanging = Hanging::default();
    let actor = Moody {
        scripted: Scripted::new(),
        hanging: hanging.clone(),
    };
    // A viewer that waits for another message answers no pings, so silence must be allowed.
    let limits = Limits {
        chunking: Chunking::Plain,
        ..Limits::default()
    };
    let studio = TestStudio::with(Ok(Box::new(actor)), limits).await;
    (studio, hanging)
}

/// The body of `/healthz` once it has this status.
async fn health(studio: &TestStudio, status: &str) -> String {
    let until = Instant::now() + SOON;
    loop {
        let answer = studio.get("/healthz", "").await;
        if answer.starts_with(&format!("HTTP/1.1 {status}")) {
            let (_, body) = answer.split_once("\r\n\r\n").unwrap();
            return body.to_owned();
        }
        assert!(Instant::now() < until, "{answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sends observations without waiting for replies.
async fn keep_observing(robot: &mut Robot, times: usize) {
    for _ in 0..times {
        robot.observe().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn healthz_reports_a_policy_that_hangs_until_it_continues() {
    let (studio, hanging) = moody().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "go 5").await;
    robot.chunk().await;
    assert_eq!(health(&studio, "200").await, "ok\n");
    command(&mut viewer, "arm", "hang").await;
    wait_status(&mut viewer, |status| status.instruction == "hang").await;
    let asked_at = Instant::now();
    keep_observing(&mut robot, 3).await;
    let body = health(&studio, "503").await;
    eprintln!("reported after {:?}: {body}", asked_at.elapsed());
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let problem = &body["problems"][0];
    assert_eq!(
        (problem["part"].as_str(), problem["state"].as_str()),
        (Some("the policy"), Some("busy"))
    );
    let message = problem["message"].as_str().unwrap();
    assert!(message.contains("computing a chunk for"), "{message}");
    assert!(problem["for_secs"].as_f64().unwrap() > 1.0);
    assert!(problem["since_unix_secs"].as_u64().unwrap() > 1_700_000_000);
    hanging.release();
    health(&studio, "200").await;
    command(&mut viewer, "arm", "go 3").await;
    wait_status(&mut viewer, |status| status.instruction == "go 3").await;
    assert_eq!(robot.chunk().await.actions[0], 3.0);
    studio.stop().await;
}

#[tokio::test]
async fn healthz_reports_a_policy_that_hangs_on_its_first_request() {
    let (studio, hanging) = moody().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "hang").await;
    wait_status(&mut viewer, |status| status.instruction == "hang").await;
    keep_observing(&mut robot, 3).await;
    let body = health(&studio, "503").await;
    assert!(body.contains("it is the first time"), "{body}");
    hanging.release();
    health(&studio, "200").await;
}

#[tokio::test]
async fn a_studio_whose_policy_hangs_still_ends() {
    let (studio, _hanging) = moody().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "hang").await;
    wait_status(&mut viewer, |status| status.instruction == "hang").await;
    keep_observing(&mut robot, 5).await;
    let asked_at = Instant::now();
    studio.stop().await;
    eprintln!("ended after {:?}", asked_at.elapsed());
}

#[tokio::test]
async fn a_panic_of_a_policy_costs_one_chunk() {
    let (studio, _) = moody().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    command(&mut viewer, "arm", "explode").await;
    wait_status(&mut viewer, |status| status.instruction == "explode").await;
    keep_observing(&mut robot, 5).await;
    assert_eq!(wait_error(&mut viewer).await.code, "inference_failed");
    assert_eq!(health(&studio, "200").await, "ok\n");
    command(&mut viewer, "arm", "go 4").await;
    wait_status(&mut viewer, |status| status.instruction == "go 4").await;
    assert_eq!(robot.chunk().await.actions[0], 4.0);
}

/// Writes one piece of an answer, then hangs.
struct Stuck(Hanging);

impl QuestionAnswerer for Stuck {
    fn name(&self) -> &str {
        "stuck"
    }

    fn answer(
        &self,
        _question: &str,
        _images: &[RgbImage],
        on_text: &mut TextCallback<'_>,
    ) -> Result<Reply, PolicyError> {
        let _ = on_text("the red ");
        self.0.hang();
        Err(PolicyError::new("it hung"))
    }
}

#[tokio::test]
async fn a_model_that_hangs_in_an_answer_is_reported_and_abandoned() {
    let hanging = Hanging::default();
    let question_answerer: Arc<dyn QuestionAnswerer> = Arc::new(Stuck(hanging.clone()));
    let studio = TestStudio::with_question_answerer(
        Ok(Box::new(Scripted::new())),
        Ok(question_answerer),
        Limits::default(),
    )
    .await;
    let mut robot = Robot::connect(&studio, "arm").await;
    robot.observe().await;
    let mut viewer = studio.watcher("arm").await;
    let ask = |question_id| Ask {
        question_id,
        robot_id: "arm".to_owned(),
        question: "what is it?".to_owned(),
        cameras: vec!["eye".to_owned()],
    };
    let mut question_id = 0;
    // The first image may not have arrived yet.
    loop {
        question_id += 1;
        viewer.send(&ask(question_id).into()).await.unwrap();
        let state = viewer
            .wait_for("an answer", SOON, |message| match message {
                ToViewer::Answer(answer) if answer.question_id == question_id => match answer.state
                {
                    AnswerState::Waiting => None,
                    state => Some(state),
                },
                _ => None,
            })
            .await
            .unwrap();
        if state == AnswerState::Writing {
            break;
        }
    }
    let body = health(&studio, "503").await;
    assert!(body.contains("the model that answers questions"), "{body}");
    assert!(!body.contains("the policy"), "{body}");
    studio.stop().await;
}
