//! Images that cost too much: refused with a reason, dropped in time, without delaying other robots.

use super::{
    flood::{Flood, framed},
    support::*,
};
use jpeg_encoder::{ColorType, Encoder};
use policies::{PolicyError, question_answerer::QuestionAnswerer};
use protocol::{
    ErrorMessage, TaskState, ToRobot, ToViewer, View, ViewEncoding,
    robot::Observation,
    scene::{AnswerState, Ask},
};
use server::{Limits, client::ViewerClient};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A grey JPEG.
fn jpeg(width: u16, height: u16, progressive_scans: Option<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 80);
    if let Some(scans) = progressive_scans {
        encoder.set_progressive_scans(scans);
    }
    let grey = vec![120; usize::from(width) * usize::from(height)];
    encoder
        .encode(&grey, width, height, ColorType::Luma)
        .unwrap();
    bytes
}

/// The same file with another size in its header.
fn with_size(mut jpeg: Vec<u8>, width: u16, height: u16) -> Vec<u8> {
    let frame = jpeg
        .windows(2)
        .position(|pair| pair[0] == 0xff && matches!(pair[1], 0xc0..=0xc2))
        .unwrap();
    jpeg[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    jpeg[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    jpeg
}

/// The same file with its scans repeated.
fn repeat_scans(jpeg: &[u8], times: usize) -> Vec<u8> {
    let at = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xda])
        .unwrap();
    let (head, scans) = jpeg.split_at(at);
    let mut bytes = head.to_vec();
    for _ in 0..times {
        bytes.extend_from_slice(&scans[..scans.len() - 2]);
    }
    bytes.extend_from_slice(&[0xff, 0xd9]);
    bytes
}

fn seeing(sequence: u64, encoding: ViewEncoding, size: (u32, u32), data: Vec<u8>) -> Observation {
    Observation {
        views: vec![View {
            name: "eye".to_owned(),
            encoding,
            width: size.0,
            height: size.1,
            data,
        }],
        ..observation(sequence)
    }
}

/// A robot with an instruction, and a viewer that watches it.
async fn driven(studio: &TestStudio, name: &str) -> (Robot, ViewerClient) {
    let robot = Robot::connect(studio, name).await;
    let mut viewer = studio.watcher(name).await;
    command(&mut viewer, name, "go 1").await;
    wait_status(&mut viewer, |status| status.instruction == "go 1").await;
    (robot, viewer)
}

async fn wait_code(viewer: &mut ViewerClient, code: &str) -> ErrorMessage {
    loop {
        let error = wait_error(viewer).await;
        if error.code == code {
            return error;
        }
    }
}

#[tokio::test]
async fn an_image_that_costs_too_much_is_refused_and_the_robot_continues() {
    let studio = TestStudio::start().await;
    let (mut robot, mut viewer) = driven(&studio, "arm").await;
    let mislabelled = with_size(jpeg(32, 24, None), 12_000, 12_000);
    let bomb = repeat_scans(&jpeg(32, 24, Some(4)), 1000);
    let legal = with_size(jpeg(32, 24, None), 4096, 4096);
    for (size, data, reason) in [
        (
            (32, 24),
            mislabelled,
            "announced as 32x24, its JPEG is 12000x12000",
        ),
        ((32, 24), bomb, "scans"),
        ((4096, 4096), legal, "16.8 million pixels"),
    ] {
        let observed = seeing(1, ViewEncoding::Jpeg, size, data);
        robot.send(observed).await;
        // The first part that reads the image reports it: the policy or the encoder for viewers.
        let error = wait_error(&mut viewer).await;
        assert!(error.message.contains(reason), "{error:?}");
        assert_eq!(robot.chunk().await.actions[0], 1.0);
        // The next request to the policy is due a while after this one.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test]
async fn a_valid_jpeg_is_used() {
    let studio = TestStudio::start().await;
    let (mut robot, _viewer) = driven(&studio, "arm").await;
    for scans in [None, Some(4)] {
        robot
            .send(seeing(1, ViewEncoding::Jpeg, (32, 24), jpeg(32, 24, scans)))
            .await;
        loop {
            if let ToRobot::Chunk(chunk) = robot.next().await {
                assert_eq!(chunk.actions[0], 1.0);
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// An answerer that never answers.
struct Mute;

impl QuestionAnswerer for Mute {
    fn name(&self) -> &str {
        "mute"
    }

    fn answer(
        &self,
        _question: &str,
        _images: &[vision::RgbImage],
        _told: &mut molmoact2::TextCallback<'_>,
    ) -> Result<molmoact2::Reply, PolicyError> {
        Err(PolicyError::new("it says nothing"))
    }
}

#[tokio::test]
async fn images_of_a_robot_are_dropped_when_it_disconnects() {
    let question_answerer: Arc<dyn QuestionAnswerer> = Arc::new(Mute);
    let policy = Ok(Box::new(Scripted::new()) as _);
    let studio =
        TestStudio::with_question_answerer(policy, Ok(question_answerer), Limits::default()).await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    robot.observe().await;
    let mut question_id = 0;
    let mut ask = async |viewer: &mut ViewerClient| {
        question_id += 1;
        let ask = Ask {
            question_id,
            robot_id: "arm".to_owned(),
            question: "what is it?".to_owned(),
            cameras: vec!["eye".to_owned()],
        };
        viewer.send(&ask.into()).await.unwrap();
        viewer
            .wait_for("an end", SOON, |message| match message {
                ToViewer::Answer(answer) if answer.question_id == question_id => {
                    (answer.state == AnswerState::Failed).then_some(answer.error)
                }
                _ => None,
            })
            .await
            .unwrap()
    };
    while ask(&mut viewer).await != "it says nothing" {
        robot.observe().await;
    }
    drop(robot);
    wait_status(&mut viewer, |status| !status.connected).await;
    let error = ask(&mut viewer).await;
    assert_ne!(error, "it says nothing", "its image is still stored");
}

#[tokio::test]
async fn images_that_arrive_faster_than_they_are_used_are_counted_and_reported() {
    let studio = TestStudio::start().await;
    let (mut robot, mut viewer) = driven(&studio, "arm").await;
    // The policy takes a while for the small image; the large ones wait meanwhile.
    let data = vec![128; 2000 * 1900 * 3];
    let large = seeing(1, ViewEncoding::Rgb8, (2000, 1900), data);
    command(&mut viewer, "arm", "slow").await;
    wait_status(&mut viewer, |status| status.instruction == "slow").await;
    let mut over_budget = None;
    for _ in 0..40 {
        robot.send(large.clone()).await;
        let metrics = studio.get("/metrics", "").await;
        if !metrics.contains("observations_over_budget_total 0") {
            over_budget = Some(metrics);
            break;
        }
    }
    assert!(
        over_budget.is_some(),
        "11 MB each, and none was over budget"
    );
}

#[tokio::test]
async fn images_that_are_too_large_are_reported_and_the_joint_state_still_arrives() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    let data = vec![128; 4096 * 1300 * 3];
    let large = seeing(1, ViewEncoding::Rgb8, (4096, 1300), data);
    for _ in 0..6 {
        robot.send(large.clone()).await;
    }
    let error = wait_code(&mut viewer, "pictures_over_budget").await;
    assert!(error.message.contains("are too large"), "{error:?}");
    robot.send(observation(2)).await;
    viewer
        .wait_for("the numbers", SOON, |message| match message {
            ToViewer::State(state) if state.sequence == 2 => Some(()),
            _ => None,
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn an_image_that_fits_but_cannot_be_decoded_within_the_budget_is_reported() {
    let studio = TestStudio::start().await;
    let (mut robot, mut viewer) = driven(&studio, "arm").await;
    let data = vec![128; 2048 * 1780 * 3];
    robot
        .send(seeing(1, ViewEncoding::Rgb8, (2048, 1780), data))
        .await;
    let error = wait_code(&mut viewer, "inference_failed").await;
    assert!(error.message.contains("send smaller images"), "{error:?}");
}

#[tokio::test]
async fn an_image_that_is_too_large_for_viewers_is_reported() {
    let studio = TestStudio::start().await;
    let mut robot = Robot::connect(&studio, "arm").await;
    let mut viewer = studio.watcher("arm").await;
    wait_status(&mut viewer, |status| status.connected).await;
    let mut large = jpeg(32, 24, None);
    // A decoder ignores data after the end of a JPEG.
    large.resize(5 << 20, 0);
    robot
        .send(seeing(1, ViewEncoding::Jpeg, (32, 24), large))
        .await;
    let error = wait_code(&mut viewer, "bad_view").await;
    assert!(error.message.contains("too large to be shown"), "{error:?}");
}

/// Sends an observation captured `ago` on a clock that runs at the right rate.
async fn observe_at(robot: &mut Robot, started: Instant, ago: Duration) {
    let now = started.elapsed();
    robot.sequence += 1;
    let observed = Observation {
        captured_at_micros: 1_000_000_000 + now.saturating_sub(ago).as_micros() as u64,
        ..observation(robot.sequence)
    };
    robot.send(observed).await;
}

#[tokio::test]
async fn an_image_that_the_network_delayed_is_old() {
    let studio = TestStudio::start().await;
    let (mut robot, mut viewer) = driven(&studio, "arm").await;
    let started = Instant::now();
    tokio::time::sleep(Duration::from_millis(10)).await;
    for _ in 0..6 {
        observe_at(&mut robot, started, Duration::ZERO).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A pause of two seconds; the next image was captured at its beginning.
    while robot.try_next(Duration::from_millis(400)).await.is_some() {}
    tokio::time::sleep(Duration::from_secs(2)).await;
    observe_at(&mut robot, started, Duration::from_millis(1900)).await;
    let error = wait_code(&mut viewer, "no_chunk").await;
    assert!(error.message.contains("s late; chunks"), "{error:?}");
    assert!(robot.try_next(Duration::from_millis(300)).await.is_none());
    observe_at(&mut robot, started, Duration::ZERO).await;
    loop {
        if let ToRobot::Chunk(_) = robot.next().await {
            break;
        }
    }
}

#[tokio::test]
async fn an_impossible_capture_time_is_refused_and_no_chunk_counted() {
    let studio = TestStudio::start().await;
    let (mut robot, _viewer) = driven(&studio, "arm").await;
    // Encoded by hand, because the codec refuses to write it.
    let mut frame = protocol::encode(&observation(1)).unwrap();
    let key = b"captured_at_micros";
    let at = frame
        .windows(key.len())
        .position(|window| window == key)
        .unwrap()
        + key.len();
    // 1000 is cd 03 e8.
    assert_eq!(frame[at], 0xcd);
    frame.splice(at..at + 3, [0xcf].into_iter().chain([0xff; 8]));
    robot.send_bytes(frame).await;
    let error = loop {
        match robot.next().await {
            ToRobot::Error(error) => break error,
            ToRobot::Chunk(chunk) => panic!("{chunk:?}"),
            _ => {}
        }
    };
    assert_eq!((error.code.as_str(), error.fatal), ("invalid", false));
    assert!(error.message.contains("captured_at_micros"), "{error:?}");
    let metrics = studio.get("/metrics", "").await;
    assert!(
        metrics.contains("policy_studio_chunks_total 0"),
        "{metrics}"
    );
    assert_eq!(robot.chunk().await.actions[0], 1.0);
}

/// Chunks per second for a robot that sends observations at 30 Hz for this time.
async fn rate(robot: &mut Robot, time: Duration) -> f64 {
    let started = Instant::now();
    let mut chunks = 0;
    let mut ticks = tokio::time::interval(Duration::from_millis(33));
    while started.elapsed() < time {
        ticks.tick().await;
        robot.observe().await;
        while let Some(message) = robot.try_next(Duration::from_millis(1)).await {
            chunks += u32::from(matches!(message, ToRobot::Chunk(_)));
        }
    }
    f64::from(chunks) / started.elapsed().as_secs_f64()
}

/// A benchmark rather than a test: run with `--ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures for a minute"]
async fn chunk_rate_of_a_robot_beside_the_most_expensive_images() {
    const TIME: Duration = Duration::from_secs(4);
    let grey = |side: u16, scans| jpeg(side, side, scans);
    let seen = |encoding, size, data| {
        let frame = protocol::encode(&seeing(1, encoding, size, data)).unwrap();
        framed(&frame)
    };
    let huge = || with_size(grey(4096, None), 12_000, 12_000);
    let small = protocol::encode(&report("go 1", TaskState::Running)).unwrap();
    let worst = [
        (
            "grey JPEG 12000x12000 announced as 4096x4096",
            seen(ViewEncoding::Jpeg, (4096, 4096), huge()),
        ),
        (
            "grey JPEG 12000x12000 announced as 2000x2000",
            seen(ViewEncoding::Jpeg, (2000, 2000), huge()),
        ),
        (
            "progressive JPEG 4096x4096",
            seen(ViewEncoding::Jpeg, (4096, 4096), grey(4096, Some(10))),
        ),
        (
            "progressive JPEG 2828x2828",
            seen(ViewEncoding::Jpeg, (2828, 2828), grey(2828, Some(10))),
        ),
        (
            "JPEG 2828x2828, 64 scans",
            seen(
                ViewEncoding::Jpeg,
                (2828, 2828),
                repeat_scans(&grey(2828, Some(4)), 14),
            ),
        ),
        (
            "raw 4096x1300",
            seen(ViewEncoding::Rgb8, (4096, 1300), vec![128; 4096 * 1300 * 3]),
        ),
        ("reports", framed(&small).repeat(1000)),
    ];
    for (name, bytes) in worst {
        let studio = TestStudio::start().await;
        let (mut other, _watching) = driven(&studio, "other").await;
        rate(&mut other, TIME / 4).await;
        let alone = rate(&mut other, TIME).await;
        let (large, watching) = driven(&studio, "large").await;
        let flood = Flood::start(large.socket, bytes);
        let beside = rate(&mut other, TIME).await;
        let taken = flood.rate();
        drop((flood, watching));
        eprintln!(
            "{name}, {taken:.0} MiB/s: {alone:.2} chunks/s alone, {beside:.2} beside it, {:.0} %",
            beside / alone * 100.0
        );
    }
}
