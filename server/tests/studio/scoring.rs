//! Scoring on the studio.

mod refused;
mod requests;
mod uploads;

use super::{http::HttpAnswer, scorer_files::golden, support::*};
use protocol::score::{CurveKind, CurvePoint, ScoreEvent, ScoreOutcome, ScoreRequest};
use qwen3vl::LoadOptions;
use requests::{
    PATH, begun, body, events, failure, pixels, read_until, report, request, scripted, until,
};
use server::{
    Limits,
    scorer_service::{Model, Scorer, ScorerFiles},
};
use std::{
    ops::ControlFlow,
    sync::{Arc, atomic::Ordering},
};
use tokio::{io::AsyncReadExt as _, time::timeout};
use topreward::{
    Clip, Prefixes, Profile,
    scorer::{Request, ScorerOptions},
};
use vision::RgbImage;

#[tokio::test]
async fn the_studio_scores_as_the_command_line_does() {
    let files = ScorerFiles::open_dir(&golden("tied")).unwrap();
    let device = layers::device::cpu();
    let model = Arc::new(files.load(&device, &LoadOptions::default()).unwrap());
    let backend = Model {
        name: "checkpoint".to_owned(),
        device: "cpu (test)".to_owned(),
        model: model.clone(),
    };
    let scorer = Scorer::new(files, Some(Arc::new(backend)));
    assert_eq!(
        scorer.manifest().studio_device.as_deref(),
        Some("cpu (test)")
    );
    let studio = TestStudio::with_scorer(Ok(scorer), Limits::default()).await;
    let request = ScoreRequest {
        other_instruction: Some("close the box".to_owned()),
        ..request(7, "open the drawer")
    };
    let events = events(&studio.post(PATH, &body(&request)).await);
    assert!(events.iter().all(|event| event.job() == 7));
    let Some(ScoreEvent::Started { device, curves, .. }) = events.first() else {
        panic!("{events:?}");
    };
    assert_eq!(device, "cpu (test)");
    let kinds: Vec<CurveKind> = curves.iter().map(|heading| heading.kind).collect();
    assert_eq!(
        kinds,
        [
            CurveKind::Instruction,
            CurveKind::Negation,
            CurveKind::OtherTask,
            CurveKind::Frozen
        ]
    );
    let report = report(&events);
    assert_eq!(
        (report.scorer.as_str(), report.profile.as_str()),
        ("checkpoint", "aligned")
    );
    assert_eq!(
        (report.frames, report.prefix_lengths.as_slice()),
        (23, [1, 7, 12, 23].as_slice())
    );

    // The streamed points equal those of the report.
    let points: Vec<CurvePoint> = events
        .iter()
        .filter_map(|event| match event {
            ScoreEvent::Points { points, .. } => Some(points.clone()),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(points.len(), 4 * 4);
    for point in points {
        let place = report
            .prefix_lengths
            .iter()
            .position(|length| *length == point.length);
        let curve = &report.curves[point.curve as usize];
        assert_eq!(curve.log_probs[place.unwrap()], point.log_prob);
        assert_eq!(curve.false_log_probs[place.unwrap()], point.false_log_prob);
    }

    let film: Vec<RgbImage> = (0..23)
        .map(|index| RgbImage::new(80, 60, pixels(index)).unwrap())
        .collect();
    let own = topreward::scorer::Scorer::new(model, ScorerOptions::new(Profile::Aligned));
    let request = Request {
        clip: Clip::new(23, 10.0).unwrap(),
        prefixes: &"1,7,12,23".parse::<Prefixes>().unwrap(),
        instruction: "open the drawer",
        other_task: Some("close the box"),
        description: None,
    };
    let score =
        layers::block_on(own.score(&film, &request, &mut async |_| ControlFlow::Continue(())));
    let score = score.unwrap();
    let native = [
        &score.curve.log_probs,
        &score.controls[0].curve.log_probs,
        &score.controls[1].curve.log_probs,
        &score.static_log_probs,
    ];
    for (curve, native) in report.curves.iter().zip(native) {
        for (ours, theirs) in curve.log_probs.iter().zip(native) {
            assert!(
                (ours - theirs).abs() <= 1e-6,
                "{:?}: {ours} {theirs}",
                curve.heading
            );
        }
    }
    assert_eq!(report.curves[0].voc, score.curve.voc);
    studio.stop().await;
}

#[tokio::test]
async fn a_disconnect_stops_the_job() {
    let (studio, backend) = scripted(Limits::default()).await;
    let (socket, _) = begun(&studio, &request(1, "points 4000")).await;
    drop(socket);
    until("the job is broken off", || {
        backend.broken_off.load(Ordering::SeqCst) == 1
    })
    .await;
    assert!(backend.points.load(Ordering::SeqCst) < 4000);
    // The thread is free for the next.
    let answer = studio.post(PATH, &body(&request(2, "points 2"))).await;
    assert_eq!(failure(&events(&answer)), "to its end");
}

#[tokio::test]
async fn jobs_wait_in_a_queue_and_report_their_position() {
    let limits = Limits {
        max_scorings: 3,
        ..Limits::default()
    };
    let (studio, backend) = scripted(limits).await;
    let (mut first, mut heard) = begun(&studio, &request(1, "points 300")).await;
    let (second, waiting) = begun(&studio, &request(2, "points 4000")).await;
    let waiting = String::from_utf8_lossy(&waiting).into_owned();
    assert!(
        waiting.contains(r#"{"waiting":{"job":2,"ahead":1}}"#),
        "{waiting}"
    );
    let (mut third, mut received) = begun(&studio, &request(3, "points 2")).await;
    assert!(String::from_utf8_lossy(&received).contains(r#"{"waiting":{"job":3,"ahead":2}}"#));
    let full = studio.post(PATH, &body(&request(4, "points 1"))).await;
    assert_eq!(
        (full.status, full.header("retry-after")),
        (503, "5"),
        "{}",
        full.text()
    );
    assert!(
        full.text().contains("3 videos are being scored"),
        "{}",
        full.text()
    );
    // The second disconnects while it waits; the third moves up at once.
    drop(second);
    read_until(
        &mut third,
        &mut received,
        r#"{"waiting":{"job":3,"ahead":1}}"#,
    )
    .await;
    timeout(SOON, first.read_to_end(&mut heard))
        .await
        .unwrap()
        .unwrap();
    timeout(SOON, third.read_to_end(&mut received))
        .await
        .unwrap()
        .unwrap();
    for (bytes, points) in [(heard, 300), (received, 2)] {
        let events = events(&HttpAnswer::parse(&bytes));
        assert_eq!(failure(&events), "to its end");
        let last = events.iter().rev().find_map(|event| match event {
            ScoreEvent::Points { done, of, .. } => Some((*done, *of)),
            _ => None,
        });
        assert_eq!(last, Some((points, points)));
    }
    assert_eq!(backend.points.load(Ordering::SeqCst), 302);
    let answer = studio.post(PATH, &body(&request(5, "points 1"))).await;
    assert_eq!(failure(&events(&answer)), "to its end");
}

#[tokio::test]
async fn a_job_that_fails_or_crashes_does_not_affect_others() {
    let (studio, _) = scripted(Limits::default()).await;
    for (instruction, reason) in [
        ("please panic", "crashed on this video"),
        ("please fail", "as asked"),
        ("points 2", "to its end"),
    ] {
        let answer = studio.post(PATH, &body(&request(1, instruction))).await;
        let events = events(&answer);
        assert!(failure(&events).contains(reason), "{events:?}");
    }
}

#[tokio::test]
async fn a_studio_that_only_serves_files_says_how_to_score() {
    let files = ScorerFiles::open_dir(&golden("tied")).unwrap();
    let studio = TestStudio::with_scorer(Ok(Scorer::new(files, None)), Limits::default()).await;
    let answer = studio.post(PATH, &body(&request(1, "points 1"))).await;
    assert_eq!(answer.status, 409);
    assert!(answer.text().contains("--score-here"), "{}", answer.text());
}

#[tokio::test]
async fn stopping_the_studio_ends_a_job_with_an_event() {
    let (studio, backend) = scripted(Limits::default()).await;
    let (mut socket, mut heard) = begun(&studio, &request(1, "points 4000")).await;
    let (_waiting, _) = begun(&studio, &request(2, "points 4000")).await;
    studio.stop().await;
    timeout(SOON, socket.read_to_end(&mut heard))
        .await
        .unwrap()
        .unwrap();
    let events = events(&HttpAnswer::parse(&heard));
    assert!(matches!(
        events.last(),
        Some(ScoreEvent::Ended {
            outcome: ScoreOutcome::Stopped,
            ..
        })
    ));
    assert_eq!(backend.broken_off.load(Ordering::SeqCst), 1);
}
