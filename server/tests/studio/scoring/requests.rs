//! A request for a score, its events, and a scripted scoring backend.

use super::super::{
    http::{HttpAnswer, head},
    scorer_files::golden,
    support::*,
};
use protocol::{
    score::{ScoreEvent, ScoreFrame, ScoreOutcome, ScoreReport, ScoreRequest},
    worker::to_bytes,
};
use score_job::ClipJob;
use server::{
    Limits,
    scorer_service::{Scorer, ScorerFiles, ScoringBackend},
};
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

pub(super) const PATH: &str = "/api/scorer/score";

/// A backend controlled by the instruction: `points 20` gives 20 points, 5 ms each; `panic` panics and `fail` fails.
#[derive(Default)]
pub(super) struct Scripted {
    pub(super) points: AtomicUsize,
    pub(super) broken_off: AtomicUsize,
}

impl ScoringBackend for Scripted {
    fn device(&self) -> &str {
        "a script"
    }

    fn score(
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

pub(super) async fn scripted(limits: Limits) -> (TestStudio, Arc<Scripted>) {
    let backend = Arc::new(Scripted::default());
    let files = ScorerFiles::open_dir(&golden("tied")).unwrap();
    let scorer = Scorer::new(files, Some(backend.clone()));
    (TestStudio::with_scorer(Ok(scorer), limits).await, backend)
}

pub(super) fn request(job: u64, instruction: &str) -> ScoreRequest {
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

/// Frames of the video that `request` scores.
pub(super) const SHOWN: [u32; 6] = [0, 3, 5, 10, 15, 20];

pub(super) fn pixels(index: u32) -> Vec<u8> {
    (0..60_u32)
        .flat_map(|y| (0..80_u32).map(move |x| (x, y)))
        .flat_map(|(x, y)| [x * 3 + 9 * index, y * 4, x * y + index].map(|value| value as u8))
        .collect()
}

pub(super) fn frame(job: u64, index: u32) -> ScoreFrame {
    ScoreFrame {
        job,
        index,
        width: 80,
        height: 60,
        rgb: pixels(index),
    }
}

pub(super) fn framed(message: &impl serde::Serialize) -> Vec<u8> {
    let bytes = to_bytes(message).unwrap();
    let mut framed = (bytes.len() as u32).to_le_bytes().to_vec();
    framed.extend(bytes);
    framed
}

pub(super) fn body(request: &ScoreRequest) -> Vec<u8> {
    let frames = SHOWN.map(|index| framed(&frame(request.job, index)));
    [vec![framed(request)], frames.to_vec()].concat().concat()
}

pub(super) fn events(answer: &HttpAnswer) -> Vec<ScoreEvent> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    answer
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

pub(super) fn failure(events: &[ScoreEvent]) -> &str {
    match events.last() {
        Some(ScoreEvent::Ended {
            outcome: ScoreOutcome::Failed { reason },
            ..
        }) => reason,
        other => panic!("{other:?}"),
    }
}

/// Sends a job and returns the connection once the response begins.
pub(super) async fn begun(studio: &TestStudio, request: &ScoreRequest) -> (TcpStream, Vec<u8>) {
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

pub(super) async fn read_until(socket: &mut TcpStream, answer: &mut Vec<u8>, text: &str) {
    let search = async {
        while !String::from_utf8_lossy(answer).contains(text) {
            let read = socket.read_buf(answer).await.unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(answer));
        }
    };
    timeout(SOON, search)
        .await
        .unwrap_or_else(|_| panic!("no {text}"));
}

pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < SOON, "{what}");
        sleep(Duration::from_millis(5)).await;
    }
}

pub(super) fn report(events: &[ScoreEvent]) -> &ScoreReport {
    match events.last() {
        Some(ScoreEvent::Ended {
            outcome: ScoreOutcome::Scored(report),
            ..
        }) => report,
        other => panic!("{other:?}"),
    }
}
