//! Memory of the binary while peers try to fill it. One peer, known or not, takes less than 64 MiB.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod studio;

use futures_util::StreamExt as _;
use protocol::{
    ErrorMessage, FromRobot, FromViewer, View, ViewEncoding,
    robot::Observation,
    scene::Ask,
    viewer::{StopRobot, Watch},
};
use std::time::Duration;
use studio::{MIB, Studio, announced, hello, put, raw};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn stops_with_huge_ids_from_a_viewer_that_does_not_read() {
    let studio = Studio::start().await;
    let mut viewer = studio.viewer().await;
    let mut frame = b"PS\x01\x24\x82\xa8robot_id\xdb".to_vec();
    frame.extend((15 * MIB as u32).to_be_bytes());
    frame.extend(vec![b'x'; 15 * MIB]);
    frame.extend(b"\xa8press_id\x01");
    for _ in 0..70 {
        if !put(&mut viewer, frame.clone()).await {
            break;
        }
    }
    // Ids of the maximum length.
    let mut viewer = studio.viewer().await;
    for press_id in 0..5_000 {
        let stop = StopRobot {
            robot_id: "x".repeat(256),
            press_id,
        };
        if !put(&mut viewer, FromViewer::from(stop).encode().unwrap()).await {
            break;
        }
    }
    studio.is_bounded("70 stops with ids of 15 MiB").await;
}

#[tokio::test]
async fn questions_about_an_unknown_robot_from_a_viewer_that_does_not_read() {
    let studio = Studio::start().await;
    let mut viewer = studio.viewer().await;
    for question_id in 0..60_000 {
        let ask = Ask {
            robot_id: "nobody".to_owned(),
            question_id,
            cameras: vec!["eye".to_owned()],
            question: "q".repeat(1000),
        };
        if !put(&mut viewer, FromViewer::from(ask).encode().unwrap()).await {
            break;
        }
    }
    studio.is_bounded("60,000 questions").await;
}

#[tokio::test]
async fn unfinished_messages_before_any_hello() {
    let studio = Studio::start().await;
    let mut sockets = Vec::new();
    let begin = [announced(15 * MIB as u64), vec![0; 14 * MIB]].concat();
    for number in 0..60 {
        let path = ["/ws/robot", "/ws/viewer"][number % 2];
        let mut socket = studio.dial(path).await;
        raw(&mut socket, &begin).await;
        sockets.push(socket);
    }
    // Smaller ones, within the limit before the hello.
    for _ in 0..200 {
        let mut socket = studio.dial("/ws/robot").await;
        raw(
            &mut socket,
            &[announced(60 << 10), vec![0; 59 << 10]].concat(),
        )
        .await;
        sockets.push(socket);
    }
    studio.is_bounded("60 unfinished messages of 15 MiB").await;
}

#[tokio::test]
async fn announced_messages_without_content() {
    let studio = Studio::start().await;
    let mut sockets = Vec::new();
    for _ in 0..300 {
        let mut socket = studio.dial("/ws/robot").await;
        raw(&mut socket, &announced(16 * MIB as u64)).await;
        sockets.push(socket);
    }
    studio.is_bounded("300 announcements of 16 MiB").await;
    drop(sockets);
    sleep(Duration::from_secs(2)).await;
    let remaining = studio.memory("VmRSS").saturating_sub(studio.rss);
    assert!(remaining < 16 * MIB, "{} MiB remain", remaining / MIB);
}

#[tokio::test]
async fn huge_errors_of_a_robot() {
    let studio = Studio::start().await;
    let mut robot = studio.robot("arm").await;
    let mut viewer = studio.viewer().await;
    let watch = Watch {
        robot_id: "arm".to_owned(),
    };
    put(&mut viewer, FromViewer::from(watch).encode().unwrap()).await;
    for _ in 0..19 {
        let mut frame = b"PS\x01\x7f\x83\xa4code\xa1x\xa5fatal\xc2\xa7message\xdb".to_vec();
        frame.extend((10 * MIB as u32).to_be_bytes());
        frame.extend(vec![b'x'; 10 * MIB]);
        put(&mut robot, frame).await;
    }
    for _ in 0..20_000 {
        let error = ErrorMessage {
            code: "x".to_owned(),
            message: "y".repeat(4000),
            fatal: false,
        };
        if !put(&mut robot, FromRobot::from(error).encode().unwrap()).await {
            break;
        }
    }
    studio.is_bounded("errors of 10 MiB").await;
}

#[tokio::test]
async fn frames_of_many_small_values() {
    let studio = Studio::start().await;
    let mut robot = studio.robot("arm").await;
    for each in [&b"\xc0"[..], b"\x80", b"\x90", b"\x01"] {
        for field in [&b"\xa5views"[..], b"\xa5state", b"\xa7unknown"] {
            let count = 15 * MIB as u32;
            let mut frame = [b"PS\x01\x02\x81", field, b"\xdd"].concat();
            frame.extend(count.to_be_bytes());
            frame.extend(each.repeat(count as usize));
            if !put(&mut robot, frame).await {
                robot = studio.robot("arm").await;
            }
        }
    }
    let mut frame = b"PS\x01\x02\x81\xa7unknown".to_vec();
    frame.extend(vec![0x91; 15 * MIB]);
    put(&mut robot, frame).await;
    studio.is_bounded("16 million values in a frame").await;
}

/// The largest observation: one view of random colours.
fn largest_frame(sequence: u64, height: u32) -> Vec<u8> {
    const WIDTH: u32 = 4096;
    let numbers = (0..WIDTH * height * 3).map(|i| i.wrapping_mul(2_654_435_761) >> 24);
    let observation = Observation {
        sequence,
        captured_at_micros: sequence * 33_333,
        state: vec![0.0, 0.0],
        commanded: Vec::new(),
        views: vec![View {
            name: "eye".to_owned(),
            encoding: ViewEncoding::Rgb8,
            width: WIDTH,
            height,
            data: numbers.map(|number| number as u8).collect(),
        }],
    };
    FromRobot::from(observation).encode().unwrap()
}

/// Alternates frames of two sizes, to show a read buffer that grows for each, while a viewer watches.
async fn watched_robot(what: &str, heights: [u32; 2]) {
    let studio = Studio::start().await;
    let mut robot = studio.robot("arm").await;
    let mut viewer = studio.viewer().await;
    let watch = Watch {
        robot_id: "arm".to_owned(),
    };
    put(&mut viewer, FromViewer::from(watch).encode().unwrap()).await;
    let reading = tokio::spawn(async move { while let Some(Ok(_)) = viewer.next().await {} });
    let frames = heights.map(|height| largest_frame(1, height));
    for number in 0..16 {
        let frame = frames[number % 2].clone();
        assert!(put(&mut robot, frame).await, "{what}: the studio reads");
    }
    studio.is_bounded(what).await;
    reading.abort();
}

#[tokio::test]
async fn a_robot_with_the_largest_frames() {
    let largest = largest_frame(1, 1365).len();
    assert!(largest > protocol::MAX_FRAME_BYTES - (8 << 10));
    watched_robot("a robot with frames of 16 MiB", [1305, 1365]).await;
}

#[tokio::test]
async fn a_robot_with_the_largest_frames_whose_images_fit_the_budget() {
    watched_robot("a robot with frames of 11 MiB", [900, 935]).await;
}

#[tokio::test]
async fn unread_lists_of_many_robots() {
    let studio = Studio::start().await;
    let large = |name: &str| {
        let mut hello = hello(name);
        while FromRobot::from(hello.clone()).encode().is_ok() {
            hello.example_instructions.push("e".repeat(2000));
        }
        hello.example_instructions.pop();
        FromRobot::from(hello).encode().unwrap()
    };
    let mut robots = Vec::new();
    for number in 0..180 {
        let mut socket = studio.dial("/ws/robot").await;
        put(&mut socket, large(&format!("arm{number}"))).await;
        let greeted = timeout(Duration::from_secs(5), socket.next()).await;
        assert!(matches!(greeted, Ok(Some(Ok(_)))), "{greeted:?}");
        robots.push(socket);
        if robots.len() > 60 {
            robots.remove(0);
        }
    }
    let mut unread = Vec::new();
    for _ in 0..100 {
        let mut socket = TcpStream::connect(&studio.address).await.unwrap();
        let request = b"GET /api/robots HTTP/1.1\r\nHost: test\r\n\r\n";
        socket.write_all(request).await.unwrap();
        unread.push(socket);
    }
    sleep(Duration::from_secs(1)).await;
    studio.is_bounded("100 lists of 180 robots, unread").await;
}

#[tokio::test]
async fn more_idle_connections_than_file_descriptors() {
    let studio = Studio::start().await;
    let mut idle = Vec::new();
    // Up to the file descriptors of the test process; half of the connections send part of a header.
    for number in 0..1_500 {
        let Ok(mut socket) = TcpStream::connect(&studio.address).await else {
            break;
        };
        if number % 2 == 0 {
            socket.write_all(b"GET / HTTP/1.1\r\nX-").await.ok();
        }
        idle.push(socket);
    }
    assert!(idle.len() > 900, "{}", idle.len());
    for _ in 0..10 {
        studio.is_served().await;
    }
    let mut viewer = studio.viewer().await;
    let first = timeout(Duration::from_secs(5), viewer.next()).await;
    assert!(
        matches!(first, Ok(Some(Ok(Message::Binary(_))))),
        "{first:?}"
    );
    studio.is_bounded("1,500 idle connections").await;
}
