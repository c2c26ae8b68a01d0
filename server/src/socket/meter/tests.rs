#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use tokio::io::AsyncReadExt as _;

/// A masked frame as a client sends it.
fn frame(first: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = announced(first, content.len() as u64);
    bytes.extend_from_slice(content);
    bytes
}

fn announced(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..126 => bytes.push(0x80 | u8::try_from(length).unwrap()),
        126..65536 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes
}

const BINARY: u8 = 0x82;
const PING: u8 = 0x89;
const ANY: Rate = Rate {
    bytes_at_once: 1 << 30,
    bytes_per_sec: 1 << 30,
    bytes_per_frame: 0,
};

/// Reads bytes that arrive in pieces of one size.
async fn read(pieces: usize, bytes: &[u8], limit: usize) -> (Vec<u8>, io::Result<()>) {
    let (mut client, server) = tokio::io::duplex(pieces);
    let sent = bytes.to_vec();
    tokio::spawn(async move {
        tokio::io::AsyncWriteExt::write_all(&mut client, &sent)
            .await
            .ok();
    });
    let mut meter = Meter::new(server, limit, ANY);
    let mut got = Vec::new();
    loop {
        match meter.read_buf(&mut got).await {
            Ok(0) => return (got, Ok(())),
            Ok(_) => {}
            Err(error) => return (got, Err(error)),
        }
    }
}

#[tokio::test]
async fn frames_within_the_limit_pass_unchanged_in_pieces_of_any_size() {
    let bytes = [
        frame(BINARY, &[7; 5]),
        frame(PING, b"x"),
        frame(BINARY, &[8; 300]),
        frame(0x02, &[9; 100]),
        frame(PING, b""),
        frame(0x80, &[9; 200]),
    ]
    .concat();
    for pieces in [1, 2, 3, 7, 64, 4096] {
        let (got, end) = read(pieces, &bytes, 300).await;
        assert!(end.is_ok(), "{pieces}: {end:?}");
        assert_eq!(got, bytes, "{pieces}");
    }
}

#[tokio::test]
async fn a_message_that_is_too_long_is_refused_at_its_header() {
    for (tail, expected) in [
        (announced(BINARY, 301), "301 bytes is too long, at most 300"),
        (announced(BINARY, u64::MAX), "too long"),
        (
            [frame(0x02, &[0; 200]), announced(0x80, 101)].concat(),
            "301 bytes is too long",
        ),
    ] {
        for pieces in [1, 5, 4096] {
            let bytes = [frame(BINARY, &[1; 9]), tail.clone(), vec![0; 64]].concat();
            let (_, end) = read(pieces, &bytes, 300).await;
            let reason = end.unwrap_err().to_string();
            assert!(reason.contains(expected), "{pieces}: {reason}");
        }
    }
}

#[tokio::test]
async fn a_message_in_one_packet_with_the_hello_has_the_limit_after_the_hello() {
    let hello = frame(BINARY, &[1; 20]);
    let image = frame(BINARY, &[2; 1000]);
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let both = [hello.clone(), image].concat();
    tokio::io::AsyncWriteExt::write_all(&mut client, &both)
        .await
        .unwrap();
    drop(client);
    let mut meter = Meter::new(server, 100, ANY);
    let mut got = Vec::new();
    meter.read_buf(&mut got).await.unwrap();
    assert_eq!(got, hello);
    meter.raise(2000);
    meter.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, both);
    assert!(meter.unfinished_since().is_none());
}

#[tokio::test]
async fn pings_and_fragments_are_counted() {
    let pings = frame(PING, b"x").repeat(100);
    let (got, end) = read(4096, &pings, 300).await;
    assert!(end.unwrap_err().to_string().contains("pings"));
    assert!(got.len() <= 65 * 7, "{}", got.len());
    let fragments = [frame(0x02, b""), frame(0x00, b"").repeat(5000)].concat();
    let (_, end) = read(4096, &fragments, 300).await;
    assert!(end.unwrap_err().to_string().contains("fragments"));
}

#[tokio::test]
async fn a_message_counts_as_unfinished_until_its_last_byte() {
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let mut meter = Meter::new(server, 1000, ANY);
    let bytes = [
        frame(0x02, &[1; 10]),
        frame(PING, b""),
        frame(0x80, &[1; 9]),
    ]
    .concat();
    let mut got = Vec::new();
    for byte in &bytes {
        tokio::io::AsyncWriteExt::write_all(&mut client, &[*byte])
            .await
            .unwrap();
        meter.read_buf(&mut got).await.unwrap();
        let begun = got.len() >= 6;
        assert_eq!(
            meter.unfinished_since().is_some(),
            begun && got.len() < bytes.len(),
            "{} bytes",
            got.len()
        );
    }
}

#[tokio::test]
async fn a_peer_over_its_rate_is_read_completely_but_later_and_receives_stops_meanwhile() {
    const RATE: Rate = Rate {
        bytes_at_once: 10_000,
        bytes_per_sec: 100_000,
        bytes_per_frame: 0,
    };
    let (mut robot, studio) = tokio::io::duplex(1 << 16);
    let mut meter = Meter::new(studio, 5_000, RATE);
    let sent: Vec<u8> = (0..10_u8)
        .flat_map(|number| frame(BINARY, &[number; 5_000]))
        .collect();
    tokio::io::AsyncWriteExt::write_all(&mut robot, &sent)
        .await
        .unwrap();
    let begun_at = Instant::now();
    let mut got = Vec::new();
    let mut piece = [0; 1_000];
    while !meter.was_paused() {
        let read = futures_util::poll!(std::pin::pin!(meter.read(&mut piece)));
        match read {
            Poll::Ready(read) => got.extend_from_slice(&piece[..read.unwrap()]),
            Poll::Pending => assert!(got.len() >= 10_000, "{}", got.len()),
        }
    }
    assert!(got.len() < sent.len());
    // Nothing is read, and a stop is written.
    tokio::io::AsyncWriteExt::write_all(&mut meter, b"stop")
        .await
        .unwrap();
    let mut received = [0; 4];
    robot.read_exact(&mut received).await.unwrap();
    assert_eq!(&received, b"stop");
    drop(robot);
    loop {
        match meter.read(&mut piece).await.unwrap() {
            0 => break,
            bytes => got.extend_from_slice(&piece[..bytes]),
        }
    }
    assert_eq!(got, sent);
    // The lower bound follows from the rate: 40,000 bytes beyond the burst.
    assert!(begun_at.elapsed() >= Duration::from_millis(380));
}
