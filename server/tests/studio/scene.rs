//! Questions about a robot's camera images.

mod limits;

use super::support::*;
use molmoact2::{Files, FinishReason, Reply, TextCallback, Vlm};
use policies::{
    PolicyError,
    question_answerer::{Answerer, Model, QuestionAnswerer},
};
use protocol::{
    ToViewer, ViewEncoding,
    scene::{Answer, AnswerState, Ask, MarkShape, SceneAsked, StopAnswer},
};
use server::{Limits, client::ViewerClient};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use vision::RgbImage;

/// An answerer that repeats the words of the question, 5 ms each; the word `panic` panics and `fail` fails.
#[derive(Default)]
struct EchoAnswerer {
    /// Sizes of the images of each question.
    shown: Mutex<Vec<Vec<(usize, usize)>>>,
}

impl QuestionAnswerer for EchoAnswerer {
    fn name(&self) -> &str {
        "answerer"
    }

    fn answer(
        &self,
        question: &str,
        images: &[RgbImage],
        on_text: &mut TextCallback<'_>,
    ) -> Result<Reply, PolicyError> {
        let sizes: Vec<_> = images.iter().map(|i| (i.width(), i.height())).collect();
        self.shown.lock().unwrap().push(sizes.clone());
        let mut text = String::new();
        let mut ended = FinishReason::EndOfText;
        for word in question.split_inclusive(' ') {
            match word {
                "panic" => panic!("as asked"),
                "fail" => return Err(PolicyError::new("as asked")),
                _ => {}
            }
            std::thread::sleep(Duration::from_millis(5));
            if on_text(word).is_break() {
                ended = FinishReason::Stopped;
                break;
            }
            text.push_str(word);
        }
        let sizes: Vec<[usize; 2]> = sizes.iter().map(|(w, h)| [*w, *h]).collect();
        Ok(Reply {
            marks: molmoact2::grounding::parse(&text, &sizes),
            ids: vec![1; question.split(' ').count()],
            text,
            finish_reason: ended,
            prompt: String::new(),
            prompt_ids: Vec::new(),
            logits: None,
            stages: Vec::new(),
        })
    }
}

async fn studio() -> (TestStudio, Arc<EchoAnswerer>) {
    let answerer = Arc::new(EchoAnswerer::default());
    let policy = Ok(Box::new(Scripted::new()) as _);
    let studio =
        TestStudio::with_question_answerer(policy, Ok(answerer.clone()), Limits::default()).await;
    (studio, answerer)
}

async fn ask(viewer: &mut ViewerClient, question_id: u64, cameras: &[&str], question: &str) {
    let ask = Ask {
        robot_id: "arm".to_owned(),
        question_id,
        cameras: cameras.iter().map(|name| (*name).to_owned()).collect(),
        question: question.to_owned(),
    };
    viewer.send(&ask.into()).await.unwrap();
}

/// The robot's newest observation has arrived.
async fn wait_state(viewer: &mut ViewerClient) {
    viewer
        .wait_for("the robot's state", SOON, |message| {
            matches!(message, ToViewer::State(_)).then_some(())
        })
        .await
        .unwrap();
}

/// All messages about a question: its images, and its answers up to the last.
async fn read_answers(viewer: &mut ViewerClient, id: u64) -> (Option<SceneAsked>, Vec<Answer>) {
    let (mut scene, mut answers) = (None, Vec::new());
    viewer
        .wait_for("an answer", SOON, |message| match message {
            ToViewer::Scene(message) if message.question_id == id => {
                scene = Some(message);
                None
            }
            ToViewer::Answer(answer) if answer.question_id == id => {
                let over = !matches!(answer.state, AnswerState::Waiting | AnswerState::Writing);
                answers.push(answer);
                over.then_some(())
            }
            _ => None,
        })
        .await
        .unwrap();
    (scene, answers)
}

#[tokio::test]
async fn an_answer_streams_with_its_image_and_marks() {
    let (studio, answerer) = studio().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    robot.observe().await;
    wait_state(&mut viewer).await;
    let seen = robot.sequence;
    let prefix = "look ".repeat(30);
    let question = format!("{prefix}<points coords=\"1 1 500 250\">cup</points> there");
    let asked_at = Instant::now();
    ask(&mut viewer, 7, &["eye"], &question).await;
    // A later observation does not change the question.
    let (scene, answers) = read_answers(&mut viewer, 7).await;
    let scene = scene.unwrap();
    assert_eq!((scene.sequence, scene.robot_id.as_str()), (seen, "arm"));
    assert_eq!(scene.views.len(), 1);
    assert_eq!(scene.views[0].encoding, ViewEncoding::Jpeg);
    let (width, height) = (scene.views[0].width, scene.views[0].height);
    assert_eq!(
        answerer.shown.lock().unwrap()[0],
        [(width as usize, height as usize)]
    );
    // 33 words of 5 ms arrive in several updates of at most 30 Hz, plus waiting, the first and the last.
    let most = 3 + asked_at.elapsed().as_millis() / 33;
    assert!(
        (3..=most).contains(&(answers.len() as u128)),
        "{}",
        answers.len()
    );
    let last = answers.last().unwrap();
    assert!(
        answers
            .iter()
            .all(|answer| last.text.starts_with(&answer.text))
    );
    assert_eq!(last.state, AnswerState::Done);
    assert_eq!(last.text, question);
    assert_eq!(last.plain, format!("{prefix}cup there"));
    assert_eq!(last.tokens, question.split(' ').count() as u32);
    assert_eq!(last.marks.len(), 1);
    let mark = &last.marks[0];
    assert_eq!(
        (mark.view.as_str(), mark.label.as_str(), mark.id, mark.group),
        ("eye", "cup", 1, 0)
    );
    let MarkShape::Point { x, y } = mark.shape else {
        panic!("{mark:?}");
    };
    assert!((x - width as f32 / 2.0).abs() < 1e-3 && (y - height as f32 / 4.0).abs() < 1e-3);
    studio.stop().await;
}

#[tokio::test]
async fn an_answer_can_be_stopped_and_a_new_question_ends_the_previous_one() {
    let (studio, _) = studio().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    robot.observe().await;
    wait_state(&mut viewer).await;
    let long = "word ".repeat(350);
    ask(&mut viewer, 1, &["eye"], &long).await;
    viewer_reads(&mut viewer, 1).await;
    viewer
        .send(&StopAnswer { question_id: 9 }.into())
        .await
        .unwrap();
    viewer
        .send(&StopAnswer { question_id: 1 }.into())
        .await
        .unwrap();
    let (_, answers) = read_answers(&mut viewer, 1).await;
    let last = answers.last().unwrap();
    assert_eq!(last.state, AnswerState::Stopped);
    assert!(last.text.len() < long.len());

    ask(&mut viewer, 2, &["eye"], &long).await;
    ask(&mut viewer, 3, &["eye"], "and now").await;
    let (_, answers) = read_answers(&mut viewer, 3).await;
    assert_eq!(answers.last().unwrap().text, "and now");
    studio.stop().await;
}

/// The next reported number of questions ahead of this one.
async fn queue_position(viewer: &mut ViewerClient, id: u64) -> u32 {
    viewer
        .wait_for("its place", SOON, |message| match message {
            ToViewer::Answer(answer) if answer.question_id == id => {
                (answer.state == AnswerState::Waiting).then_some(answer.ahead)
            }
            _ => None,
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn questions_wait_in_a_queue_and_report_their_position() {
    let (studio, answerer) = studio().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let [mut first, mut second, mut third] = [
        studio.watcher("arm").await,
        studio.watcher("arm").await,
        studio.watcher("arm").await,
    ];
    robot.observe().await;
    wait_state(&mut first).await;
    let long = "word ".repeat(350);
    ask(&mut first, 1, &["eye"], &long).await;
    viewer_reads(&mut first, 1).await;
    // The same question number of another viewer: numbers are per viewer.
    ask(&mut second, 1, &["eye"], "me too").await;
    assert_eq!(queue_position(&mut second, 1).await, 1);
    ask(&mut third, 5, &["eye"], "and me").await;
    assert_eq!(queue_position(&mut third, 5).await, 2);
    // Stopping a waiting question moves the others up and is acknowledged at once.
    let stop = StopAnswer { question_id: 1 };
    second.send(&stop.into()).await.unwrap();
    let (_, answers) = read_answers(&mut second, 1).await;
    assert_eq!(answers.last().unwrap().state, AnswerState::Stopped);
    assert_eq!(queue_position(&mut third, 5).await, 1);
    // So does a disconnect; here of the viewer whose question is being answered.
    drop(first);
    let (_, answers) = read_answers(&mut third, 5).await;
    assert_eq!(answers.last().unwrap().text, "and me");
    assert_eq!(answerer.shown.lock().unwrap().len(), 2);
    studio.stop().await;
}

/// The answer has begun.
async fn viewer_reads(viewer: &mut ViewerClient, id: u64) {
    viewer
        .wait_for("some of the answer", SOON, |message| match message {
            ToViewer::Answer(answer) if answer.question_id == id => {
                (!answer.text.is_empty()).then_some(())
            }
            _ => None,
        })
        .await
        .unwrap();
}

/// A real model, with a checkpoint that always gives the same marks (`tests/goldens/molmo2/generate_pointing.py`): its text
/// is compared with the reference, and its marks with the numbers in the text.
#[tokio::test]
async fn a_model_answers_token_by_token_with_marks_inside_the_image() {
    let goldens = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/goldens/molmo2");
    let rows: Vec<serde_json::Value> =
        serde_json::from_slice(&std::fs::read(goldens.join("pointing/answers.json")).unwrap())
            .unwrap();
    let files = Files::open_dir(&goldens.join("pointing/checkpoint")).unwrap();
    let vlm = Vlm::load(&files, &layers::device::cpu()).unwrap();
    let model = Answerer {
        name: "pointing".to_owned(),
        model: Model::Vlm(Box::new(vlm)),
    };
    let policy = Ok(Box::new(Scripted::new()) as _);
    let studio =
        TestStudio::with_question_answerer(policy, Ok(Arc::new(model)), Limits::default()).await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    robot.observe().await;
    wait_state(&mut viewer).await;
    ask(
        &mut viewer,
        1,
        &["eye"],
        rows[0]["question"].as_str().unwrap(),
    )
    .await;
    let (scene, answers) = read_answers(&mut viewer, 1).await;
    let last = answers.last().unwrap();
    assert_eq!((last.state, &*last.error), (AnswerState::Done, ""));
    assert_eq!(last.text, rows[0]["text"].as_str().unwrap());
    assert_eq!(
        last.tokens as usize,
        rows[0]["new_ids"].as_array().unwrap().len()
    );
    assert!(!last.plain.contains("coords"), "{}", last.plain);
    let names: Vec<_> = last
        .stages
        .iter()
        .map(|stage| stage.name.as_str())
        .collect();
    assert_eq!(names, ["preprocess", "vision", "prefill", "decode"]);
    let view = &scene.unwrap().views[0];
    let (width, height) = (view.width as f32, view.height as f32);
    let near = |a: f32, b: f32| (a - b).abs() < 1e-3;
    let [first, second, frame] = last.marks.as_slice() else {
        panic!("{:?}", last.marks);
    };
    for (mark, id, across, down) in [(first, 1, 0.5, 0.5), (second, 2, 0.25, 0.7)] {
        assert_eq!((mark.id, &*mark.label, mark.group), (id, "two places", 0));
        let MarkShape::Point { x, y } = mark.shape else {
            panic!("{mark:?}");
        };
        assert!(
            near(x, across * width) && near(y, down * height),
            "{mark:?}"
        );
    }
    assert_eq!((&*frame.label, frame.group), ("part", 1));
    let MarkShape::Box {
        left,
        top,
        right,
        bottom,
    } = frame.shape
    else {
        panic!("{frame:?}");
    };
    assert!(near(left, 0.55 * width) && near(top, 0.2 * height));
    assert!(near(right, 0.9 * width) && near(bottom, 0.6 * height));
    studio.stop().await;
}

#[tokio::test]
async fn a_question_that_fails_has_a_reason_and_the_next_one_is_answered() {
    let (studio, _) = studio().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    let mut id = 0;
    let mut fails =
        async |viewer: &mut ViewerClient, camera: &str, question: &str, reason: &str| {
            id += 1;
            ask(viewer, id, &[camera], question).await;
            let (_, answers) = read_answers(viewer, id).await;
            let last = answers.last().unwrap();
            assert_eq!(last.state, AnswerState::Failed);
            assert!(last.error.contains(reason), "{}", last.error);
        };
    fails(&mut viewer, "eye", "anything", "no image yet").await;
    robot.observe().await;
    wait_state(&mut viewer).await;
    fails(&mut viewer, "cellar", "anything", "no view \"cellar\"").await;
    fails(&mut viewer, "eye", "please fail", "as asked").await;
    fails(&mut viewer, "eye", "please panic", "crashed").await;
    let nowhere = Ask {
        robot_id: "nobody".to_owned(),
        question_id: 98,
        cameras: vec!["eye".to_owned()],
        question: "anything".to_owned(),
    };
    viewer.send(&nowhere.into()).await.unwrap();
    let (_, answers) = read_answers(&mut viewer, 98).await;
    assert!(answers[0].error.contains("nobody"), "{}", answers[0].error);
    ask(&mut viewer, 99, &["eye"], "well?").await;
    let (_, answers) = read_answers(&mut viewer, 99).await;
    assert_eq!(answers.last().unwrap().text, "well?");
    studio.stop().await;
}

#[tokio::test]
async fn a_studio_without_an_answerer_says_what_to_load() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    robot.observe().await;
    ask(&mut viewer, 1, &["eye"], "anything").await;
    let (scene, answers) = read_answers(&mut viewer, 1).await;
    assert!(scene.is_none());
    assert!(
        answers[0].error.contains("--ask DIR"),
        "{}",
        answers[0].error
    );
    assert!(answers[0].error.contains("Molmo2-ER"));
    studio.stop().await;
}
