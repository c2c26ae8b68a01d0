#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::*;
use std::fs;

fn said(name: &str, bytes: &[u8]) -> Option<String> {
    let path = std::env::temp_dir().join(format!("container-{}-{name}", std::process::id()));
    fs::write(&path, bytes).unwrap();
    let said = shortfall(&path);
    fs::remove_file(path).unwrap();
    said
}

fn avi() -> Vec<u8> {
    let mut bytes = b"RIFF".to_vec();
    bytes.extend(404_u32.to_le_bytes());
    bytes.extend(b"AVI ");
    bytes.resize(412, 7);
    bytes
}

fn flv() -> Vec<u8> {
    let mut bytes = b"FLV\x01\x01\0\0\0\x09\0\0\0\0".to_vec();
    for _ in 0..3 {
        bytes.extend([9, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend([1; 60]);
        bytes.extend(71_u32.to_be_bytes());
    }
    bytes
}

fn ogg() -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..3 {
        bytes.extend(b"OggS");
        bytes.extend([0; 22]);
        bytes.extend([2, 255, 45]);
        bytes.extend([7; 300]);
    }
    bytes
}

fn gif() -> Vec<u8> {
    let mut bytes = b"GIF89a\x02\0\x02\0\x80\0\0".to_vec();
    bytes.extend([0; 6]);
    // A comment, two pictures, one of them with colours of its own, and the end.
    bytes.extend(b"\x21\xfe\x05words\0");
    bytes.extend(b"\x2c\0\0\0\0\x02\0\x02\0\0\x02\x02\x84\x51\0");
    bytes.extend(b"\x2c\0\0\0\0\x02\0\x02\0\x80\x3b\x3b\x3b\x3b\x3b\x3b\x02\x02\x84\x51\0");
    bytes.push(0x3b);
    bytes
}

/// A Matroska file as it is written into a pipe: its outer parts have no length.
fn live() -> Vec<u8> {
    let mut bytes = b"\x1a\x45\xdf\xa3\x84abcd".to_vec();
    bytes.extend(b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff");
    bytes.extend(b"\x1f\x43\xb6\x75\xff");
    for _ in 0..3 {
        bytes.extend(b"\xa3\x40\x50");
        bytes.extend([5; 0x50]);
    }
    bytes
}

fn fragmented() -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, length) in [
        (b"ftyp", 16_u32),
        (b"moov", 50),
        (b"moof", 30),
        (b"mdat", 90),
    ] {
        bytes.extend((length + 8).to_be_bytes());
        bytes.extend(name);
        bytes.extend(vec![3; length as usize]);
    }
    bytes
}

#[test]
fn whole_files_of_every_kind_pass_and_cut_ones_do_not() {
    let stream = [[0x47; 188]; 5].concat();
    for (name, whole) in [
        ("a.mp4", include_bytes!("../trial/clips/h264.mp4").to_vec()),
        ("a.mkv", include_bytes!("../trial/clips/ffv1.mkv").to_vec()),
        ("a.webm", include_bytes!("../trial/clips/vp9.webm").to_vec()),
        ("a.avi", avi()),
        ("a.flv", flv()),
        ("a.gif", gif()),
        ("a.ogv", ogg()),
        ("live.mkv", live()),
        ("fragmented.mp4", fragmented()),
        ("a.ts", stream),
    ] {
        assert_eq!(said(name, &whole), None, "{name}");
        let cut = said(name, &whole[..whole.len() * 3 / 5 + 1]);
        assert!(
            cut.as_ref().is_some_and(|said| said.contains("cut short")),
            "{name}: {cut:?}"
        );
        // What somebody put behind the end is no part that is missing.
        if name != "a.ts" {
            assert_eq!(
                said(name, &[&whole[..], b"\0\0\x09\x09SEFT, and more"].concat()),
                None,
                "{name}"
            );
        }
    }
}

#[test]
fn every_cut_of_a_gif_is_seen() {
    let whole = gif();
    for length in 19..whole.len() {
        assert!(said("cut.gif", &whole[..length]).is_some(), "{length}");
    }
}

#[test]
fn what_is_not_stated_is_not_judged() {
    let mut unfinished = avi();
    unfinished[4..8].fill(0);
    let mut to_the_end = fragmented();
    let mdat = to_the_end.len() - 98;
    to_the_end[mdat..mdat + 4].fill(0);
    for (name, bytes) in [
        ("recording.avi", unfinished),
        ("open.mp4", to_the_end[..to_the_end.len() - 40].to_vec()),
        (
            "a.h264",
            b"\0\0\0\x01\x47and so on, as long as it likes".to_vec(),
        ),
        ("short", b"GIF89".to_vec()),
        ("words", b"this is no video at all".to_vec()),
    ] {
        assert_eq!(said(name, &bytes), None, "{name}");
    }
    assert_eq!(shortfall(Path::new("/nowhere.mkv")), None);
}
