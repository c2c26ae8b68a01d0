//! Scoring on the studio.

use super::{
    bench::*,
    http::{HttpAnswer, head},
    scorer_files::golden,
};
use policy_studio::{
    Limits,
    scorer::{Judge, Model, Scorer, ScorerFiles},
};
use protocol::{
    score::{
        CurveKind, CurvePoint, ScoreEvent, ScoreFrame, ScoreOutcome, ScoreReport, ScoreRequest,
    },
    worker::to_bytes,
};
use qwen3vl::LoadOptions;
use scoring::ClipJob;
use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};
use topreward::{
    Clip, Prefixes, Profile,
    scorer::{Request, ScorerOptions},
};
use vision::RgbImage;

const PATH: &str = "/api/scorer/score";

/// What is wrong with a request.
type Change<'a> = &'a dyn Fn(&mut ScoreRequest);

/// Does what the instruction says: `points 20` gives as many, 5 ms each; `panic` and `fail`.
#[derive(Default)]
struct Scripted {
    points: AtomicUsize,
    broken_off: AtomicUsize,
}

impl Judge for Scripted {
    fn device(&self) -> &str {
        "a script"
    }

    fn judge(
        &self,
        clip: ClipJob,
        emit: &mut dyn FnMut(ScoreEvent) -> ControlFlow<()>,
    ) -> ScoreOutcome {
        let ScoreRequest {
            job, instruction, ..
        } = clip.request().clone();
        let word = instruction.split(' ').next_back().unwrap();
        let points = match word {
            "panic" => panic!("as asked"),
            "fail" => {
                return ScoreOutcome::Failed {
                    reason: "as asked".to_owned(),
                };
            }
            number => number.parse().unwrap(),
        };
        let started = ScoreEvent::Started {
            job,
            device: self.device().to_owned(),
            curves: Vec::new(),
        };
        let mut flow = emit(started);
        for done in 1..=points {
            if flow.is_break() {
                self.broken_off.fetch_add(1, Ordering::SeqCst);
                return ScoreOutcome::Stopped;
            }
            std::thread::sleep(Duration::from_millis(5));
            self.points.fetch_add(1, Ordering::SeqCst);
            flow = emit(ScoreEvent::Points {
                job,
                points: Vec::new(),
                done,
                of: points,
                millis: 5.0,
            });
        }
        ScoreOutcome::Failed {
            reason: "to its end".to_owned(),
        }
    }
}

async fn scripted(limits: Limits) -> (TestStudio, Arc<Scripted>) {
    let judge = Arc::new(Scripted::default());
    let files = ScorerFiles::open_dir(&golden("tied")).unwrap();
    let scorer = Scorer::new(files, Some(judge.clone()));
    (TestStudio::with_scorer(Ok(scorer), limits).await, judge)
}

fn request(job: u64, instruction: &str) -> ScoreRequest {
    ScoreRequest {
        job,
        instruction: instruction.to_owned(),
        other_instruction: None,
        fps: 10.0,
        frames: Some(23),
        profile: "aligned".to_owned(),
        prefixes: "1,7,12,23".to_owned(),
    }
}

/// What `request` shows of its video, and one frame that it does not.
const SHOWN: [u32; 6] = [0, 3, 5, 10, 15, 20];

fn picture(index: u32) -> Vec<u8> {
    (0..60_u32)
        .flat_map(|y| (0..80_u32).map(move |x| (x, y)))
        .flat_map(|(x, y)| [x * 3 + 9 * index, y * 4, x * y + index].map(|value| value as u8))
        .collect()
}

fn frame(job: u64, index: u32) -> ScoreFrame {
    ScoreFrame {
        job,
        index,
        width: 80,
        height: 60,
        rgb: picture(index),
    }
}

fn framed(message: &impl serde::Serialize) -> Vec<u8> {
    let bytes = to_bytes(message).unwrap();
    let mut framed = (bytes.len() as u32).to_le_bytes().to_vec();
    framed.extend(bytes);
    framed
}

fn body(request: &ScoreRequest) -> Vec<u8> {
    let frames = SHOWN.map(|index| framed(&frame(request.job, index)));
    [vec![framed(request)], frames.to_vec()].concat().concat()
}

fn events(answer: &HttpAnswer) -> Vec<ScoreEvent> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    answer
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn failure(events: &[ScoreEvent]) -> &str {
    match events.last() {
        Some(ScoreEvent::Ended {
            outcome: ScoreOutcome::Failed { reason },
            ..
        }) => reason,
        other => panic!("{other:?}"),
    }
}

/// Sends a job and gives the connection as soon as the studio has begun to answer.
async fn begun(studio: &TestStudio, request: &ScoreRequest) -> (TcpStream, Vec<u8>) {
    let body = body(request);
    let length = format!("Content-Length: {}\r\n", body.len());
    let mut socket = TcpStream::connect(&studio.address).await.unwrap();
    let head = head("POST", PATH, &length);
    socket
        .write_all(&[head.as_bytes(), &body].concat())
        .await
        .unwrap();
    let mut answer = Vec::new();
    read_until(&mut socket, &mut answer, "{\"").await;
    (socket, answer)
}

async fn read_until(socket: &mut TcpStream, answer: &mut Vec<u8>, words: &str) {
    let wanted = async {
        while !String::from_utf8_lossy(answer).contains(words) {
            let read = socket.read_buf(answer).await.unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(answer));
        }
    };
    timeout(SOON, wanted)
        .await
        .unwrap_or_else(|_| panic!("no {words}"));
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < SOON, "{what}");
        sleep(Duration::from_millis(5)).await;
    }
}

fn report(events: &[ScoreEvent]) -> &ScoreReport {
    match events.last() {
        Some(ScoreEvent::Ended {
            outcome: ScoreOutcome::Scored(report),
            ..
        }) => report,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_studio_scores_as_the_command_line_does() {
    let files = ScorerFiles::open_dir(&golden("tied")).unwrap();
    let device = layers::device::cpu();
    let model = Arc::new(files.load(&device, &LoadOptions::default()).unwrap());
    let judge = Model {
        name: "checkpoint".to_owned(),
        device: "cpu (test)".to_owned(),
        model: model.clone(),
    };
    let scorer = Scorer::new(files, Some(Arc::new(judge)));
    assert_eq!(
        scorer.manifest().studio_device.as_deref(),
        Some("cpu (test)")
    );
    let studio = TestStudio::with_scorer(Ok(scorer), Limits::default()).await;
    let asked = ScoreRequest {
        other_instruction: Some("close the box".to_owned()),
        ..request(7, "open the drawer")
    };
    let events = events(&studio.post(PATH, &body(&asked)).await);
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

    // What was told on the way is what is in the report, point by point.
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
        .map(|index| RgbImage::new(80, 60, picture(index)).unwrap())
        .collect();
    let own = topreward::scorer::Scorer::new(model, ScorerOptions::new(Profile::Aligned));
    let request = Request {
        clip: Clip::new(23, 10.0).unwrap(),
        prefixes: &"1,7,12,23".parse::<Prefixes>().unwrap(),
        instruction: "open the drawer",
        other_task: Some("close the box"),
        description: None,
    };
    let score = layers::wait(own.score(&film, &request, &mut async |_| ControlFlow::Continue(())));
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
async fn a_body_may_come_in_pieces_of_any_size() {
    let (studio, _) = scripted(Limits::default()).await;
    let body = body(&request(1, "points 1"));
    let mut request = head("POST", PATH, "Transfer-Encoding: chunked\r\n").into_bytes();
    for piece in body.chunks(3_001) {
        request.extend(format!("{:x}\r\n", piece.len()).as_bytes());
        request.extend(piece);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    let answer = studio.send(&request).await;
    assert_eq!(failure(&events(&answer)), "to its end");
}

#[tokio::test]
async fn bodies_that_are_no_job_are_refused_in_words() {
    let (studio, judge) = scripted(Limits::default()).await;
    let good = request(1, "points 1");
    let changed = |change: &dyn Fn(&mut ScoreRequest)| {
        let mut request = good.clone();
        change(&mut request);
        framed(&request)
    };
    let with_frame = |change: &dyn Fn(&mut ScoreFrame)| {
        let mut frame = frame(1, 3);
        change(&mut frame);
        [framed(&good), framed(&frame)].concat()
    };
    let whole = body(&good);
    let huge = |first: u32| first.to_le_bytes().to_vec();
    let mut cases: Vec<(Vec<u8>, u16, &str)> = vec![
        (vec![], 400, "the body is empty"),
        (vec![1, 2], 400, "2 of the 4 bytes"),
        (whole[..40].to_vec(), 400, "the body ends after 36 of the"),
        (whole[..whole.len() - 1].to_vec(), 400, "of message 7"),
        ([whole.clone(), vec![9]].concat(), 400, "1 of the 4 bytes"),
        (
            huge(u32::MAX),
            413,
            "message 1 of the body is said to have 4294967295 bytes",
        ),
        ([framed(&good), huge(u32::MAX)].concat(), 413, "message 2"),
        (
            [framed(&good), huge(0)].concat(),
            400,
            "message 2 of the body is not a frame",
        ),
        (huge(0), 400, "message 1 of the body is not a request"),
        (
            framed(&frame(1, 0)),
            400,
            "message 1 of the body is not a request",
        ),
        (
            [framed(&good), framed(&good)].concat(),
            400,
            "message 2 of the body is not a frame",
        ),
        (b"{\"job\": 1}".to_vec(), 413, "message 1"),
        (
            framed(&good),
            400,
            "5 frames that are shown did not come, the first is frame 0",
        ),
        (with_frame(&|frame| frame.job = 2), 400, "a frame of job 2"),
        (
            with_frame(&|frame| frame.index = 23),
            400,
            "frame 23 came, but the video has 23",
        ),
        (
            with_frame(&|frame| (frame.index, frame.width) = (5, 0)),
            400,
            "0x60",
        ),
        (
            with_frame(&|frame| (frame.index, frame.height) = (5, 0)),
            400,
            "80x0",
        ),
        (
            with_frame(&|frame| (frame.index, frame.width) = (5, u32::MAX)),
            400,
            "8192",
        ),
        (
            with_frame(&|frame| (frame.index, frame.width) = (5, 81)),
            400,
            "81x60 with 14400 bytes",
        ),
        (
            with_frame(&|frame| {
                frame.index = 5;
                frame.rgb.pop();
            }),
            400,
            "14399 bytes",
        ),
        (
            [with_frame(&|f| f.index = 5), framed(&frame(1, 5))].concat(),
            400,
            "frame 5 came twice",
        ),
        (
            [
                with_frame(&|f| f.index = 5),
                framed(&ScoreFrame {
                    height: 30,
                    rgb: vec![0; 7200],
                    ..frame(1, 10)
                }),
            ]
            .concat(),
            400,
            "all frames of a video have one size",
        ),
    ];
    let requests: [(Change, &str); 15] = [
        (&|r| r.fps = f64::NAN, "not a frame rate"),
        (&|r| r.fps = 0.0, "not a frame rate"),
        (&|r| r.fps = -30.0, "not a frame rate"),
        (&|r| r.fps = f64::INFINITY, "not a frame rate"),
        (&|r| r.frames = Some(0), "0 frames"),
        (&|r| r.frames = Some(u32::MAX), "4294967295 frames"),
        (&|r| r.frames = None, "the number of frames must be given"),
        (&|r| r.profile = "newest".into(), "newest"),
        (&|r| r.prefixes = "some".into(), "some"),
        (&|r| r.prefixes = "1,24".into(), "the clip has 23"),
        (&|r| r.prefixes = ",".into(), "prefix"),
        (&|r| r.instruction = "  ".into(), "instruction has 0 bytes"),
        (
            &|r| r.instruction = "x".repeat(4_001),
            "instruction has 4001 bytes",
        ),
        (
            &|r| r.other_instruction = Some(String::new()),
            "other task's instruction has 0 bytes",
        ),
        (
            // Planned for minutes and gigabytes, if it were planned.
            &|r| (r.frames, r.fps, r.prefixes) = (Some(1 << 20), 2.0, "all".into()),
            "ask about fewer prefixes",
        ),
    ];
    for (change, reason) in requests {
        cases.push((changed(change), 400, reason));
    }
    for (body, status, reason) in cases {
        let answer = studio.post(PATH, &body).await;
        let said = answer.text();
        assert_eq!(answer.status, status, "{reason}: {said}");
        assert!(said.contains(reason), "{reason}: {said}");
        assert!(!said.contains("worker"), "{said}");
    }
    assert_eq!(judge.points.load(Ordering::SeqCst), 0);
    // Nothing of all that keeps anybody out.
    let answer = studio.post(PATH, &body(&good)).await;
    assert_eq!(failure(&events(&answer)), "to its end");
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let (studio, _) = scripted(Limits {
        max_scorings: 1,
        ..quick()
    })
    .await;
    let good = body(&request(1, "points 1"));
    let mut socket = TcpStream::connect(&studio.address).await.unwrap();
    let length = format!("Content-Length: {}\r\n", good.len());
    let head = head("POST", PATH, &length);
    socket
        .write_all(&[head.as_bytes(), &good[..100]].concat())
        .await
        .unwrap();
    let mut answer = Vec::new();
    timeout(SOON, socket.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    let answer = HttpAnswer::parse(&answer);
    assert_eq!(answer.status, 408, "{}", answer.text());
    assert_eq!(
        failure(&events(&studio.post(PATH, &good).await)),
        "to its end"
    );
}

#[tokio::test]
async fn leaving_stops_the_job() {
    let (studio, judge) = scripted(Limits::default()).await;
    let (socket, _) = begun(&studio, &request(1, "points 4000")).await;
    drop(socket);
    until("the job is broken off", || {
        judge.broken_off.load(Ordering::SeqCst) == 1
    })
    .await;
    assert!(judge.points.load(Ordering::SeqCst) < 4000);
    // The thread is free for the next.
    let answer = studio.post(PATH, &body(&request(2, "points 2"))).await;
    assert_eq!(failure(&events(&answer)), "to its end");
}

#[tokio::test]
async fn jobs_wait_in_line_and_know_their_place() {
    let limits = Limits {
        max_scorings: 3,
        ..Limits::default()
    };
    let (studio, judge) = scripted(limits).await;
    let (mut first, mut heard) = begun(&studio, &request(1, "points 300")).await;
    let (second, waiting) = begun(&studio, &request(2, "points 4000")).await;
    let waiting = String::from_utf8_lossy(&waiting).into_owned();
    assert!(
        waiting.contains(r#"{"waiting":{"job":2,"ahead":1}}"#),
        "{waiting}"
    );
    let (mut third, mut told) = begun(&studio, &request(3, "points 2")).await;
    assert!(String::from_utf8_lossy(&told).contains(r#"{"waiting":{"job":3,"ahead":2}}"#));
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
    // The second goes away while it waits; the third moves up at once.
    drop(second);
    read_until(&mut third, &mut told, r#"{"waiting":{"job":3,"ahead":1}}"#).await;
    timeout(SOON, first.read_to_end(&mut heard))
        .await
        .unwrap()
        .unwrap();
    timeout(SOON, third.read_to_end(&mut told))
        .await
        .unwrap()
        .unwrap();
    for (bytes, points) in [(heard, 300), (told, 2)] {
        let events = events(&HttpAnswer::parse(&bytes));
        assert_eq!(failure(&events), "to its end");
        let last = events.iter().rev().find_map(|event| match event {
            ScoreEvent::Points { done, of, .. } => Some((*done, *of)),
            _ => None,
        });
        assert_eq!(last, Some((points, points)));
    }
    assert_eq!(judge.points.load(Ordering::SeqCst), 302);
    let answer = studio.post(PATH, &body(&request(5, "points 1"))).await;
    assert_eq!(failure(&events(&answer)), "to its end");
}

#[tokio::test]
async fn one_that_fails_or_crashes_costs_nobody_else_anything() {
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
async fn a_studio_that_only_serves_the_files_says_how_it_would_score() {
    let files = ScorerFiles::open_dir(&golden("tied")).unwrap();
    let studio = TestStudio::with_scorer(Ok(Scorer::new(files, None)), Limits::default()).await;
    let answer = studio.post(PATH, &body(&request(1, "points 1"))).await;
    assert_eq!(answer.status, 409);
    assert!(answer.text().contains("--score-here"), "{}", answer.text());
}

#[tokio::test]
async fn stopping_the_studio_ends_a_job_with_words() {
    let (studio, judge) = scripted(Limits::default()).await;
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
    assert_eq!(judge.broken_off.load(Ordering::SeqCst), 1);
}
