//! Rates, beginnings and ends of videos whose containers do not say all of it, or say it in ways of their own.

use super::{
    filmed::{FPS, H264, ask, difference, encoded, ffmpeg, levels, scored},
    made, text,
};
use evaluation::scores::video::{self, Frames, Section};
use std::{fs, path::Path};

const LOSSLESS: [&str; 4] = ["-c:v", "ffv1", "-pix_fmt", "gbrp"];

fn near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() < 1.5,
            "{found} instead of {expected}"
        );
    }
}

#[test]
fn a_rate_is_that_of_all_frames() {
    let folder = made::Folder::new("rates");
    let name = |name: &str| folder.file(name).display().to_string();
    let both_ways = |codec| ["-c:v", codec, "-q:v", "1", "-g", "6", "-bf", "2"];
    let coded = encoded(&folder, "coded.mp4", &[&H264[..], &["-bf", "2"]].concat());
    ffmpeg(&["-i", &coded, "-c", "copy", &name("h264.avi")]);
    for (file, twin, codec) in [
        // Of some of its frames it is not known when they are shown ...
        ("mpeg4.avi", "mpeg4.mp4", Some("mpeg4")),
        ("mpeg2.mpg", "mpeg2.mkv", Some("mpeg2video")),
        // ... and here of none; its header has twice the rate.
        ("h264.avi", "coded.mp4", None),
    ] {
        if let Some(codec) = codec {
            encoded(&folder, file, &both_ways(codec));
            encoded(&folder, twin, &both_ways(codec));
        }
        let found = difference(&scored(&name(file)), &scored(&name(twin)));
        assert!(found < 0.02, "{file}: {found}");
    }
    // A raw stream has no clock: the rate of its headers is taken, which is said.
    let raw = name("raw.h264");
    ffmpeg(&["-i", &coded, "-c", "copy", "-f", "h264", &raw]);
    let found = difference(&scored(&raw), &scored(&coded));
    assert!(found < 1e-6, "{found}");
    let said = text(&ask(&raw, &[]).stderr);
    assert!(
        said.contains("raw stream") && said.contains("--fps"),
        "{said}"
    );
}

/// As browsers and screen recorders write it: frames when something moves, and no duration of any of them.
#[test]
fn a_last_frame_of_unknown_duration_is_there_once() {
    let folder = made::Folder::new("open-ends");
    let all = levels(
        Path::new(&encoded(&folder, "all.mkv", &LOSSLESS)),
        Frames::Each { stream: None },
    );
    // The last frame of 25 and of 28 is on a whole step of every clock, that of 26 is not.
    for count in [25, 26, 28, 30] {
        let filter = format!("trim=end_frame={count},select='not(between(n,8,16))'");
        let how = [&["-vf", &filter, "-vsync", "vfr"][..], &LOSSLESS].concat();
        let path = encoded(&folder, "uneven.mkv", &how);
        let mut bytes = fs::read(&path).unwrap();
        let usual_duration = b"\x23\xe3\x83\x84";
        let at = bytes
            .windows(4)
            .position(|four| four == usual_duration)
            .unwrap();
        bytes[at..at + 8].copy_from_slice(b"\xec\x86\0\0\0\0\0\0");
        fs::write(&path, bytes).unwrap();
        let path = Path::new(&path);
        let plan = video::plan(path, None).unwrap();
        assert_eq!(plan.fps, FPS as f64, "{count}");
        let mut expected = all[..count].to_vec();
        expected[8..17].fill(all[7]);
        near(&levels(path, plan.frames), &expected);
        let episode = |first: usize| {
            Frames::Section(Section {
                from_secs: first as f64 / FPS as f64,
                frames: count - first,
                fps: FPS as f64,
            })
        };
        for first in [0, 3, 18, count - 1] {
            near(&levels(path, episode(first)), &expected[first..]);
        }
    }
}

#[test]
fn episodes_are_counted_from_the_first_picture_though_sound_begins_before() {
    let folder = made::Folder::new("late");
    let name = |name: &str| folder.file(name).display().to_string();
    for (coded, late, how) in [
        ("coded.mkv", "late.mkv", &LOSSLESS[..]),
        ("coded.mp4", "late.mp4", &H264),
    ] {
        let coded = encoded(&folder, coded, how);
        let late = name(late);
        let sound = ["-f", "lavfi", "-i", "sine=d=2"];
        let copied = ["-map", "0:v", "-map", "1:a", "-c:v", "copy"];
        ffmpeg(
            &[
                &["-itsoffset", "0.5", "-i", &coded][..],
                &sound,
                &copied,
                &[&late],
            ]
            .concat(),
        );
        let all = levels(Path::new(&coded), Frames::Each { stream: None });
        for first in [0, 1, 10, 22] {
            let episode = Frames::Section(Section {
                from_secs: first as f64 / FPS as f64,
                frames: 8,
                fps: FPS as f64,
            });
            near(&levels(Path::new(&late), episode), &all[first..first + 8]);
        }
    }
}
