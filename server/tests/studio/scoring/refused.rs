//! Bodies that are not a valid job.

use super::super::{
    http::{HttpAnswer, head},
    support::*,
};
use super::requests::{PATH, body, events, failure, frame, framed, request, scripted};
use protocol::score::{ScoreFrame, ScoreRequest};
use server::Limits;
use std::sync::atomic::Ordering;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// A change that makes a request invalid.
type Change<'a> = &'a dyn Fn(&mut ScoreRequest);

#[tokio::test]
async fn a_body_may_arrive_in_pieces_of_any_size() {
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
async fn invalid_bodies_are_refused_with_the_reason() {
    let (studio, backend) = scripted(Limits::default()).await;
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
            "message 1 of the body is announced with 4294967295 bytes",
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
            // Planning this would take minutes and gigabytes.
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
    assert_eq!(backend.points.load(Ordering::SeqCst), 0);
    // None of them keeps a slot.
    let answer = studio.post(PATH, &body(&good)).await;
    assert_eq!(failure(&events(&answer)), "to its end");
}

#[tokio::test]
async fn a_body_that_stalls_is_abandoned() {
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
