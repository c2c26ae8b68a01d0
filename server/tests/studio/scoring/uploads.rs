//! Videos that are sent slowly do not delay others.

use super::super::{http::head, support::*};
use super::requests::{PATH, body, events, failure, request, scripted};
use server::Limits;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

/// Begins to send a video, then stalls.
async fn begin(studio: &TestStudio, bytes: usize) -> TcpStream {
    let video = body(&request(1, "points 1"));
    let length = format!("Content-Length: {}\r\n", 1 << 30);
    let mut socket = TcpStream::connect(&studio.address).await.unwrap();
    let head = head("POST", PATH, &length);
    socket
        .write_all(&[head.as_bytes(), &video[..bytes]].concat())
        .await
        .unwrap();
    socket
}

#[tokio::test]
async fn slow_uploads_do_not_keep_others_out() {
    let limits = Limits {
        max_scorings: 8,
        ..Limits::default()
    };
    let (studio, _) = scripted(limits).await;
    let mut slow_sockets = Vec::new();
    for _ in 0..40 {
        slow_sockets.push(begin(&studio, 200).await);
        sleep(Duration::from_millis(20)).await;
    }
    sleep(Duration::from_millis(300)).await;
    for drip in &mut slow_sockets {
        drip.write_all(b"x").await.ok();
    }
    for job in 0..10 {
        let answer = studio.post(PATH, &body(&request(job, "points 1"))).await;
        assert_eq!(failure(&events(&answer)), "to its end");
    }
}

#[tokio::test]
async fn a_slow_upload_gets_a_timeout_error() {
    let (studio, _) = scripted(quick()).await;
    let started = Instant::now();
    let mut socket = begin(&studio, 300).await;
    let mut answer = Vec::new();
    let drip = async {
        loop {
            socket.write_all(b"x").await.ok();
            match timeout(Duration::from_millis(100), socket.read_buf(&mut answer)).await {
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(_)) if answer.ends_with(b"video\n") => break,
                _ => {}
            }
        }
    };
    timeout(SOON, drip).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("of the body arrived in 0.9 s"), "{answer}");
    assert!(started.elapsed() < Duration::from_secs(5));
}
