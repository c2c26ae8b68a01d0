#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use protocol::score::{CurveHeading, ScoreCurve};

fn request(frames: Option<u32>) -> ScoreRequest {
    ScoreRequest {
        job: 0,
        instruction: "open the drawer".to_owned(),
        other_instruction: None,
        fps: 2.0,
        frames,
        profile: "aligned".to_owned(),
        prefixes: "15".to_owned(),
    }
}

fn heading(kind: CurveKind) -> CurveHeading {
    CurveHeading {
        kind,
        instruction: "open the drawer".to_owned(),
    }
}

fn started(job: u64) -> ScoreEvent {
    ScoreEvent::Started {
        job,
        device: "wasm CPU".to_owned(),
        curves: vec![heading(CurveKind::Instruction), heading(CurveKind::Frozen)],
    }
}

fn points(job: u64, length: u32, values: &[f64], done: u32, of: u32) -> ScoreEvent {
    let point = |(curve, value): (usize, &f64)| CurvePoint {
        curve: curve as u32,
        length,
        log_prob: *value,
        false_log_prob: -0.1,
    };
    ScoreEvent::Points {
        job,
        points: values.iter().enumerate().map(point).collect(),
        done,
        of,
        millis: 100.0,
    }
}

fn ended(job: u64, outcome: ScoreOutcome) -> ScoreEvent {
    ScoreEvent::Ended { job, outcome }
}

#[test]
fn points_grow_in_the_order_of_their_prefixes_and_only_of_the_newest_job() {
    let mut score_job = ScoreJob::default();
    let first = score_job.begin(request(Some(40)), Some(4)).job;
    let second = score_job.begin(request(Some(40)), Some(4)).job;
    assert_ne!(first, second);
    score_job.on_event(started(first), 0.0);
    assert!(score_job.curves().is_empty());
    score_job.on_event(started(second), 0.0);
    score_job.on_event(points(second, 20, &[-2.0, -3.0], 1, 4), 100.0);
    score_job.on_event(points(second, 10, &[-4.0], 2, 4), 200.0);
    score_job.on_event(points(second, 20, &[-1.0], 3, 4), 300.0);
    score_job.on_event(points(first, 30, &[-1.0], 3, 4), 300.0);
    // A curve that was not announced, and a value that is not a number.
    score_job.on_event(points(second, 40, &[f64::NAN, -3.0, -9.0], 3, 4), 300.0);
    let own = score_job.curve(CurveKind::Instruction).unwrap();
    assert_eq!(own.points, [(10, -4.0), (20, -1.0)]);
    assert_eq!(score_job.lengths(), [10, 20, 40]);
    assert_eq!(own.progress(), [0.0, 1.0]);
    assert_eq!(own.voc(), Some(1.0));
    assert_eq!(own.success_score(), Some(-2.5));
    assert!(
        score_job.text().starts_with("3 of 4 points"),
        "{}",
        score_job.text()
    );
}

#[test]
fn the_time_left_follows_the_pace() {
    let mut score_job = ScoreJob::default();
    let job = score_job.begin(request(Some(40)), Some(4)).job;
    assert_eq!(score_job.text(), "Reading the video: 0 of 4 frames");
    score_job.sent_frame(job);
    score_job.sent_frame(job + 1);
    assert_eq!(score_job.share(), Some(0.25));
    score_job.on_event(started(job), 0.0);
    for step in 1..=4 {
        score_job.on_event(
            points(job, step * 10, &[-1.0], step, 24),
            f64::from(step) * 500.0,
        );
    }
    assert_eq!(score_job.left_secs(), Some(10.0));
    assert_eq!(score_job.share(), Some(4.0 / 24.0));
    assert_eq!(score_job.text(), "4 of 24 points, about 10 s left");
    assert_eq!(format::span(125.2), "2 min 5 s");
    assert_eq!(format::span(0.44), "0.4 s");
}

#[test]
fn the_position_in_the_queue_is_shown_until_the_job_begins() {
    let mut score_job = ScoreJob::default();
    let job = score_job.begin(request(Some(40)), Some(1)).job;
    score_job.sent_frame(job);
    score_job.close(job);
    for (ahead, expected) in [
        (2, "2 other videos are scored first"),
        (1, "One other video is scored first"),
    ] {
        score_job.on_event(ScoreEvent::Waiting { job, ahead }, 0.0);
        assert_eq!(score_job.text(), expected);
    }
    score_job.on_event(started(job), 1.0);
    assert_eq!(score_job.text(), "Encoding the first frames…");
}

#[test]
fn the_report_replaces_the_points() {
    let mut score_job = ScoreJob::default();
    let job = score_job.begin(request(Some(4)), None).job;
    score_job.on_event(started(job), 0.0);
    let curve = |kind, log_probs: Vec<f64>| ScoreCurve {
        heading: heading(kind),
        false_log_probs: log_probs.clone(),
        progress: vec![0.0, 1.0],
        voc: Some(1.0),
        success_score: -1.5,
        log_probs,
    };
    let report = ScoreReport {
        scorer: "nano".to_owned(),
        profile: "aligned".to_owned(),
        fps: 2.0,
        frames: 4,
        prefix_lengths: vec![1, 4],
        curves: vec![
            curve(CurveKind::Instruction, vec![-2.0, -1.0]),
            curve(CurveKind::Frozen, vec![-2.0, -1.8]),
        ],
        millis: 1234.0,
    };
    score_job.on_event(
        ended(job, ScoreOutcome::Scored(Box::new(report.clone()))),
        9.0,
    );
    assert_eq!(score_job.state(), State::Done);
    assert_eq!(score_job.report(), Some(&report));
    assert_eq!(
        score_job.text(),
        "2 points in 1.2 s on wasm CPU, profile “aligned”."
    );
    assert_eq!(score_job.curves()[0].points, [(1, -2.0), (4, -1.0)]);
    // The frozen frame's curve is subtracted and removed.
    let above = score_job.drawn(true);
    assert_eq!(above.len(), 1);
    assert_eq!(above[0].points[0], (1, 0.0));
    assert!((above[0].points[1].1 - 0.8).abs() < 1e-12);
    assert_eq!(score_job.drawn(false).len(), 2);
    // Late events change nothing.
    score_job.on_event(points(job, 2, &[-9.0], 1, 1), 10.0);
    score_job.fail("gone");
    assert_eq!(score_job.lengths(), [1, 4]);
    assert_eq!(score_job.state(), State::Done);
}

#[test]
fn a_stop_waits_for_its_answer_and_not_for_ever() {
    let mut score_job = ScoreJob::default();
    assert_eq!(score_job.stop(), None);
    let job = score_job.begin(request(Some(4)), None).job;
    assert_eq!(score_job.stop(), Some(job));
    assert_eq!(score_job.stop(), None, "asked once");
    assert!(!score_job.is_running(job));
    score_job.on_event(ended(job, ScoreOutcome::Stopped), 1.0);
    assert_eq!(
        (score_job.state(), score_job.text().as_str()),
        (State::Stopped, "Stopped.")
    );
    assert!(!score_job.gave_up(job), "it answered");

    let job = score_job.begin(request(Some(4)), None).job;
    score_job.stop();
    assert!(!score_job.gave_up(job - 1));
    assert!(score_job.gave_up(job));
    assert_eq!(score_job.state(), State::Stopped);
    assert!(score_job.text().contains("restarted"));
}

#[test]
fn a_wait_for_the_scorer_ends_in_a_job_or_a_stop() {
    let mut score_job = ScoreJob::default();
    score_job.wait();
    assert_eq!(score_job.state(), State::Loading);
    assert_eq!(score_job.stop(), None);
    assert_eq!(score_job.state(), State::Stopped);
    score_job.wait();
    score_job.lost("the worker was restarted");
    assert_eq!(
        score_job.state(),
        State::Loading,
        "it waits for the next one"
    );
    score_job.forget_wait();
    assert_eq!(score_job.state(), State::Idle);
    let job = score_job.begin(request(None), None).job;
    assert!(score_job.is_live() && score_job.is_open() && score_job.is_running(job));
    score_job.refuse("no frames".to_owned());
    assert_eq!(
        (score_job.state(), score_job.text().as_str()),
        (State::Failed, "no frames")
    );
}

#[test]
fn a_watched_robot_has_no_end_until_it_is_closed() {
    let mut score_job = ScoreJob::default();
    let job = score_job.begin(request(None), None).job;
    score_job.on_event(started(job), 0.0);
    assert_eq!(score_job.text(), "Watching the robot: 0.0 s");
    for frame in 1..=3 {
        score_job.sent_frame(job);
        score_job.on_event(
            points(job, frame, &[-1.0], frame, 0),
            500.0 * f64::from(frame),
        );
    }
    assert_eq!(score_job.text(), "Watching the robot: 1.5 s");
    assert_eq!((score_job.share(), score_job.left_secs()), (None, None));
    for _ in 0..4 {
        score_job.sent_frame(job);
    }
    assert_eq!(
        score_job.text(),
        "Watching the robot: 3.5 s, the scorer is 2.0 s behind"
    );
    assert_eq!(score_job.behind(), 4);
    score_job.close(job);
    assert!(!score_job.is_open());
    score_job.on_event(points(job, 4, &[-1.0, -2.0], 4, 14), 3000.0);
    assert_eq!(score_job.text(), "4 of 14 points");
}
