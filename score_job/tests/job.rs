//! A job returns the results of the scorer, emits every point, and refuses invalid requests and frames.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use protocol::score::{
    CurveKind, CurvePoint, ScoreEvent, ScoreFrame, ScoreOutcome, ScoreReport, ScoreRequest,
};
use qwen3vl::{LoadOptions, ModelFiles, Qwen3Vl};
use score_job::{ClipJob, JobError, Next, watch};
use std::{collections::VecDeque, ops::ControlFlow, path::Path, sync::Arc};
use topreward::{
    Clip, Prefixes, Profile,
    scorer::{Request, ScoredPoint, Scorer, ScorerOptions},
};
use vision::RgbImage;

fn model() -> Arc<Qwen3Vl> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/goldens/qwen3vl/tied_again/checkpoint");
    let files = ModelFiles::open_dir(&folder).unwrap();
    let device = layers::device::cpu();
    Arc::new(Qwen3Vl::load(&files, &device, &LoadOptions::default()).unwrap())
}

fn request(frames: Option<u32>, fps: f64) -> ScoreRequest {
    ScoreRequest {
        job: 9,
        instruction: " open the drawer ".into(),
        other_instruction: Some("close the box".into()),
        fps,
        frames,
        profile: "aligned".into(),
        prefixes: "4".into(),
    }
}

fn frame(index: u32) -> ScoreFrame {
    let (width, height) = (40, 32);
    let rgb = (0..width * height * 3)
        .map(|at| ((at * 7 + index * at) % 251) as u8)
        .collect();
    ScoreFrame {
        job: 9,
        index,
        width,
        height,
        rgb,
    }
}

fn image(index: u32) -> RgbImage {
    RgbImage::new(40, 32, frame(index).rgb).unwrap()
}

fn scored(outcome: ScoreOutcome) -> ScoreReport {
    match outcome {
        ScoreOutcome::Scored(report) => *report,
        other => panic!("{other:?}"),
    }
}

/// Points of one curve, in the order of their events.
fn emitted(events: &[ScoreEvent], curve: u32) -> Vec<(u32, f64)> {
    let points = events.iter().filter_map(|event| match event {
        ScoreEvent::Points { points, .. } => Some(points),
        _ => None,
    });
    points
        .flatten()
        .filter(|point| point.curve == curve)
        .map(
            |CurvePoint {
                 length, log_prob, ..
             }| (*length, *log_prob),
        )
        .collect()
}

#[test]
fn a_video_scores_as_the_scorer_scores_it() {
    let model = model();
    let mut job = ClipJob::open(request(Some(19), 6.0)).unwrap();
    assert_eq!(job.needed(), [0, 3, 6, 9, 12, 15, 18]);
    // In any order, and with one that is not needed.
    for index in [18, 3, 0, 15, 12, 9, 6, 1] {
        job.take(frame(index)).unwrap();
    }
    let mut events = Vec::new();
    let outcome = layers::block_on(job.score(&model, "tied_again", "CPU", &mut async |event| {
        events.push(event);
        ControlFlow::Continue(())
    }));
    let report = scored(outcome);
    let frames: Vec<RgbImage> = (0..19).map(image).collect();
    let prefixes = Prefixes::Spread(4);
    let whole = Request {
        clip: Clip::new(19, 6.0).unwrap(),
        prefixes: &prefixes,
        instruction: "open the drawer",
        other_task: Some("close the box"),
        description: None,
    };
    let scorer = Scorer::new(model, ScorerOptions::new(Profile::Aligned));
    let expected = layers::block_on(scorer.score(&frames, &whole, &mut async |_: ScoredPoint<
        '_,
    >| {
        ControlFlow::Continue(())
    }))
    .unwrap();
    assert_eq!(report.prefix_lengths, [1, 7, 13, 19]);
    let own = report.curve(CurveKind::Instruction).unwrap();
    assert_eq!(own.log_probs, expected.curve.log_probs);
    assert_eq!(own.voc, expected.curve.voc);
    assert_eq!(own.heading.instruction, "open the drawer");
    let frozen = report.curve(CurveKind::Frozen).unwrap();
    assert_eq!(frozen.log_probs, expected.static_log_probs);
    assert_eq!(frozen.voc, expected.static_voc);
    let negation = report.curve(CurveKind::Negation).unwrap();
    assert_eq!(negation.log_probs, expected.controls[0].curve.log_probs);
    let other = report.curve(CurveKind::OtherTask).unwrap();
    assert_eq!(other.heading.instruction, "close the box");
    // The emitted points are those of the report.
    assert!(matches!(&events[0], ScoreEvent::Started { curves, .. } if curves.len() == 4));
    for (curve, found) in (0..).zip(&report.curves) {
        let lengths = report.prefix_lengths.iter().copied();
        let expected: Vec<(u32, f64)> = lengths.zip(found.log_probs.iter().copied()).collect();
        assert_eq!(emitted(&events, curve), expected, "curve {curve}");
    }
    let last = events.last().unwrap();
    assert!(matches!(last, ScoreEvent::Points { done: 8, of: 8, .. }));
}

#[test]
fn a_live_robot_scores_as_its_finished_video() {
    let model = model();
    let mut waiting: VecDeque<ScoreFrame> = (0..5).map(frame).collect();
    let mut events = Vec::new();
    let outcome = layers::block_on(watch(
        &request(None, 2.0),
        &model,
        "tied_again",
        "CPU",
        &mut async || waiting.pop_front().map_or(Next::Closed, Next::Frame),
        &mut async |event| {
            events.push(event);
            ControlFlow::Continue(())
        },
    ));
    let live = scored(outcome);
    assert_eq!(live.prefix_lengths, [1, 2, 3, 4, 5]);
    assert_eq!(emitted(&events, 0).len(), 5);
    assert_eq!(emitted(&events, 3).len(), 5);
    let mut whole = request(Some(5), 2.0);
    whole.prefixes = "all".into();
    let mut job = ClipJob::open(whole).unwrap();
    for index in 0..5 {
        job.take(frame(index)).unwrap();
    }
    let whole = scored(layers::block_on(job.score(
        &model,
        "tied_again",
        "CPU",
        &mut async |_| ControlFlow::Continue(()),
    )));
    for (live, whole) in live.curves.iter().zip(&whole.curves) {
        assert_eq!(live.heading, whole.heading);
        for (live, whole) in live.log_probs.iter().zip(&whole.log_probs) {
            assert!((live - whole).abs() <= 1e-5, "{live} {whole}");
        }
    }
}

#[test]
fn the_receiver_of_events_can_stop_the_job() {
    let model = model();
    for last in [1, 3] {
        let mut job = ClipJob::open(request(Some(19), 6.0)).unwrap();
        for index in job.needed().to_vec() {
            job.take(frame(u32::try_from(index).unwrap())).unwrap();
        }
        let mut count = 0;
        let outcome = layers::block_on(job.score(&model, "x", "CPU", &mut async |_| {
            count += 1;
            if count == last {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }));
        assert_eq!(outcome, ScoreOutcome::Stopped);
        assert_eq!(count, last);
    }
    let stopped = layers::block_on(watch(
        &request(None, 2.0),
        &model,
        "x",
        "CPU",
        &mut async || Next::Cancelled,
        &mut async |_| ControlFlow::Continue(()),
    ));
    assert_eq!(stopped, ScoreOutcome::Stopped);
}

#[test]
fn invalid_requests_are_refused() {
    let refused = |change: fn(&mut ScoreRequest)| {
        let mut request = request(Some(19), 6.0);
        change(&mut request);
        ClipJob::open(request).unwrap_err().to_string()
    };
    assert!(refused(|r| r.instruction = "  ".into()).contains("instruction has 0 bytes"));
    assert!(refused(|r| r.instruction = "x".repeat(5000)).contains("5000 bytes"));
    assert!(refused(|r| r.other_instruction = Some(String::new())).contains("other task"));
    assert!(refused(|r| r.frames = Some(0)).contains("0 frames"));
    assert!(refused(|r| r.frames = Some(u32::MAX)).contains("can have 1 to"));
    assert!(refused(|r| r.frames = None).contains("must be given"));
    assert!(refused(|r| r.fps = f64::NAN).contains("not a frame rate"));
    assert!(refused(|r| r.profile = "sharp".into()).contains("sharp"));
    assert!(refused(|r| r.prefixes = "20,".into()).contains("prefix of 20 frames"));
}

#[test]
fn invalid_frames_are_refused_with_their_number() {
    let mut job = ClipJob::open(request(Some(19), 6.0)).unwrap();
    let mut bad = |change: fn(&mut ScoreFrame)| {
        let mut frame = frame(3);
        change(&mut frame);
        job.take(frame).unwrap_err()
    };
    assert!(matches!(
        bad(|f| f.job = 4),
        JobError::OtherJob { got: 4, want: 9 }
    ));
    assert!(matches!(
        bad(|f| f.index = 19),
        JobError::NoSuchFrame { index: 19, .. }
    ));
    assert!(matches!(bad(|f| f.width = 0), JobError::BadFrame { .. }));
    assert!(matches!(bad(|f| f.width = 9000), JobError::BadFrame { .. }));
    // The first valid frame sets the size; a frame with too few bytes does not.
    assert!(matches!(
        bad(|f| f.rgb.truncate(9)),
        JobError::BadFrame { .. }
    ));
    job.take(frame(3)).unwrap();
    assert!(matches!(
        job.take(frame(3)),
        Err(JobError::Twice { index: 3 })
    ));
    let mut other = frame(6);
    (other.width, other.height) = (other.height, other.width);
    assert!(matches!(job.take(other), Err(JobError::BadFrame { .. })));
    let missing = layers::block_on(job.score(&model(), "x", "CPU", &mut async |_| {
        ControlFlow::Continue(())
    }));
    assert!(
        matches!(&missing, ScoreOutcome::Failed { reason } if reason.starts_with("6 frames") && reason.ends_with("frame 0")),
        "{missing:?}"
    );
    let out_of_turn = layers::block_on(watch(
        &request(None, 2.0),
        &model(),
        "x",
        "CPU",
        &mut async || Next::Frame(frame(1)),
        &mut async |_| ControlFlow::Continue(()),
    ));
    assert!(
        matches!(out_of_turn, ScoreOutcome::Failed { reason } if reason.contains("frame 0 was next"))
    );
}
