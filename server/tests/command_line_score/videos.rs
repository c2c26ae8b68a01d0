//! Video files as phones, screens and cameras write them: each gives what its twin without the oddity gives.

use super::{checkpoint, json, made, numbers, score, text};
use policy_studio::scoring::{
    Keeper,
    video::{self, Frames, Section},
};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};
use topreward::{Profile, scorer::FrameSource as _};

/// How many frames [`pictures`] makes, and how many a second.
const FRAMES: usize = 30;
const FPS: usize = 30;

fn ffmpeg(arguments: &[&str]) {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(arguments)
        .output()
        .expect("this test makes videos with ffmpeg; `cargo xtask test` installs it");
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        text(&output.stderr)
    );
}

/// Pictures that fill with light from the left, as a pattern for ffmpeg.
fn pictures(folder: &made::Folder) -> String {
    for index in 0..FRAMES {
        let edge = (96 * index / (FRAMES - 1)) as u32;
        let picture = image::RgbImage::from_fn(96, 72, |x, y| {
            image::Rgb(match (x < edge, y < 36) {
                (true, true) => [250, 200, 0],
                (true, false) => [230, 230, 230],
                (false, true) => [30, 60, 30],
                (false, false) => [30, 30, 60],
            })
        });
        picture
            .save(folder.file(&format!("pictures/{index:03}.png")))
            .unwrap();
    }
    folder.0.join("pictures/%03d.png").display().to_string()
}

/// Encodes the pictures into a file of the folder, and says where it is.
fn encoded(folder: &made::Folder, name: &str, how: &[&str]) -> String {
    let pattern = pictures(folder);
    let path = folder.file(name).display().to_string();
    let input = ["-framerate", "30", "-i", &pattern];
    ffmpeg(&[&input[..], how, &[&path]].concat());
    path
}

const H264: [&str; 8] = [
    "-c:v", "libx264", "-crf", "6", "-g", "2", "-pix_fmt", "yuv420p",
];

fn ask(path: &str, arguments: &[&str]) -> Output {
    let common = [
        "--pre-resize",
        "64",
        "--prefixes",
        "5",
        "--json",
        "--video",
        path,
    ];
    score(&checkpoint(), &[&common[..], arguments].concat())
}

/// The score of a file about which there may be something to say.
fn scored(path: &str) -> Value {
    let output = ask(path, &[]);
    assert!(output.status.success(), "{path}: {}", text(&output.stderr));
    let score: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(score["frames"], json!(FRAMES), "{path}");
    assert_eq!(score["fps"], json!(FPS as f64), "{path}");
    score
}

fn difference(one: &Value, other: &Value) -> f64 {
    let (one, other) = (numbers(&one["log_probs"]), numbers(&other["log_probs"]));
    assert_eq!(one.len(), other.len());
    one.iter()
        .zip(other)
        .map(|(one, other)| (one - other).abs())
        .fold(0.0, f64::max)
}

/// Decodes all frames of a file, each as its mean brightness.
fn levels(path: &Path, frames: Frames) -> Vec<f64> {
    let keeper = Keeper::new(Profile::Lerobot, 1.0, None);
    let film = video::read(path, frames, keeper, &mut |_| ()).unwrap();
    (0..film.count())
        .map(|index| {
            let frame = film.frame(index).unwrap();
            let sum: f64 = frame.data().iter().map(|byte| f64::from(*byte)).sum();
            sum / frame.data().len() as f64
        })
        .collect()
}

#[test]
fn pictures_of_any_depth_are_read_as_those_of_eight_bits() {
    let folder = made::Folder::new("depths");
    let twin = scored(&encoded(&folder, "twin.mp4", &H264));
    for (name, how, within) in [
        (
            "ten.mp4",
            &["-c:v", "libx264", "-crf", "6", "-pix_fmt", "yuv420p10le"][..],
            0.05,
        ),
        (
            "hdr.mov",
            &[
                "-c:v",
                "libx265",
                "-pix_fmt",
                "yuv420p10le",
                "-x265-params",
                "log-level=none",
                "-tag:v",
                "hvc1",
                "-color_trc",
                "arib-std-b67",
                "-color_primaries",
                "bt2020",
                "-colorspace",
                "bt2020nc",
            ],
            f64::INFINITY,
        ),
        ("rgb.mkv", &["-c:v", "ffv1", "-pix_fmt", "gbrp16le"], 0.05),
        ("alpha.mov", &["-c:v", "qtrle", "-pix_fmt", "argb"], 0.05),
        (
            "full.mp4",
            &["-c:v", "mjpeg", "-q:v", "1", "-pix_fmt", "yuvj444p"],
            0.05,
        ),
        (
            "grey.mkv",
            &["-c:v", "ffv1", "-pix_fmt", "gray12le"],
            f64::INFINITY,
        ),
        ("palette.gif", &["-r", "25"], f64::INFINITY),
    ] {
        let path = encoded(&folder, name, how);
        if name == "palette.gif" {
            let output = ask(&path, &[]);
            assert!(output.status.success(), "{}", text(&output.stderr));
            continue;
        }
        let found = difference(&scored(&path), &twin);
        assert!(found <= within, "{name}: {found}");
    }
    // What is taken as it is stored is said.
    for (name, words) in [("hdr.mov", "HDR"), ("grey.mkv", "depth cameras")] {
        let output = ask(&folder.file(name).display().to_string(), &[]);
        assert!(
            text(&output.stderr).contains(words),
            "{}",
            text(&output.stderr)
        );
    }
}

#[test]
fn a_video_stands_as_players_show_it_and_containers_say_its_rate_in_any_shape() {
    let folder = made::Folder::new("turned");
    let coded = encoded(&folder, "coded.mp4", &H264);
    let name = |name: &str| folder.file(name).display().to_string();
    let (turned, twin, stream) = (name("turned.mp4"), name("twin.mp4"), name("coded.ts"));
    let help = Command::new("ffmpeg")
        .args(["-h", "long"])
        .output()
        .unwrap();
    if text(&help.stdout).contains("-display_rotation") {
        ffmpeg(&[
            "-display_rotation:v:0",
            "270",
            "-i",
            &coded,
            "-c",
            "copy",
            &turned,
        ]);
    } else {
        ffmpeg(&[
            "-i",
            &coded,
            "-c",
            "copy",
            "-metadata:s:v:0",
            "rotate=90",
            &turned,
        ]);
    }
    ffmpeg(&[&["-i", &turned][..], &H264, &[&twin]].concat());
    ffmpeg(&["-i", &coded, "-c", "copy", &stream]);
    let (turned, twin) = (scored(&turned), scored(&twin));
    assert!(difference(&turned, &twin) < 0.05);
    let coded = scored(&coded);
    assert!(difference(&scored(&stream), &coded) < 1e-6);
    // The turn matters to this scorer.
    assert!(difference(&turned, &coded) > 0.05);
}

#[test]
fn frames_that_do_not_follow_evenly_are_taken_by_their_time_stamps() {
    let folder = made::Folder::new("uneven");
    // A screen recorder writes a frame when something has moved: here the picture stands still for a third of the time.
    let still = "select='not(between(n,8,16))'";
    let held = "select='not(between(n,8,16))',fps=30";
    let twin = encoded(
        &folder,
        "held.mkv",
        &["-vf", held, "-c:v", "ffv1", "-pix_fmt", "gbrp"],
    );
    let twin = scored(&twin);
    for name in ["uneven.mkv", "uneven.mp4"] {
        let codec: &[&str] = if name == "uneven.mkv" {
            &["-c:v", "ffv1", "-pix_fmt", "gbrp"]
        } else {
            &["-c:v", "libx264", "-crf", "0", "-pix_fmt", "yuv444p"]
        };
        let path = encoded(
            &folder,
            name,
            &[&["-vf", still, "-vsync", "vfr"][..], codec].concat(),
        );
        let output = ask(&path, &[]);
        assert!(
            text(&output.stderr).contains("time stamps"),
            "{}",
            text(&output.stderr)
        );
        let found = difference(&scored(&path), &twin);
        assert!(found < 0.02, "{name}: {found}");
        // Whoever says the rate says that each frame counts once.
        let each = json(&ask(&path, &["--fps", "30"]));
        assert_eq!(each["frames"], json!(FRAMES - 9), "{name}");
    }
}

#[test]
fn the_stream_with_the_pictures_is_found_among_others() {
    let folder = made::Folder::new("streams");
    let coded = encoded(&folder, "coded.mp4", &H264);
    let name = |name: &str| folder.file(name).display().to_string();
    let cover = name("pictures/000.png");
    let (song, two) = (name("song.m4a"), name("two.mkv"));
    let sound = ["-f", "lavfi", "-i", "sine=d=1"];
    // Two streams of pictures: the one that players show is the second.
    ffmpeg(&[
        "-i",
        &coded,
        "-i",
        &coded,
        "-map",
        "1",
        "-map",
        "0",
        "-vf",
        "negate",
        "-c:v:0",
        "ffv1",
        "-c:v:1",
        "ffv1",
        "-filter:v:1",
        "null",
        "-disposition:v:0",
        "0",
        "-disposition:v:1",
        "default",
        &two,
    ]);
    let covered = name("covered.mp4");
    ffmpeg(
        &[
            &sound[..],
            &[
                "-i", &coded, "-i", &cover, "-map", "2", "-map", "0", "-map", "1", "-c:v:0", "png",
                "-c:v:1", "copy",
            ],
            &["-disposition:v:0", "attached_pic", &covered],
        ]
        .concat(),
    );
    ffmpeg(
        &[
            &sound[..],
            &[
                "-i",
                &cover,
                "-map",
                "1",
                "-map",
                "0",
                "-c:v",
                "png",
                "-disposition:v:0",
                "attached_pic",
                &song,
            ],
        ]
        .concat(),
    );
    let plain = scored(&coded);
    assert!(difference(&scored(&covered), &plain) < 1e-6);
    assert!(difference(&scored(&two), &plain) < 0.02);
    assert!(text(&ask(&two, &[]).stderr).contains("2 streams of pictures"));
    let audio = name("sound.m4a");
    ffmpeg(&[&sound[..], &[&audio]].concat());
    for (path, words) in [(&song, "cover picture"), (&audio, "audio (aac)")] {
        for more in [&[][..], &["--fps", "30"]] {
            let output = ask(path, more);
            assert_eq!(output.status.code(), Some(1));
            let said = text(&output.stderr);
            assert!(
                said.contains("no stream of pictures") && said.contains(words),
                "{said}"
            );
        }
    }
}

#[test]
fn a_name_is_never_an_option_a_pattern_or_an_address() {
    let folder = made::Folder::new("names");
    let coded = encoded(&folder, "coded.mp4", &H264);
    let plain = scored(&coded);
    for name in [
        "-v.mp4",
        "a%03d.mp4",
        "http:b.mp4",
        "it's [1], a=b;c.mp4",
        "\u{e9}t\u{e9} \u{1f916}.mp4",
    ] {
        fs::copy(&coded, folder.file(name)).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_policy-studio"))
            .current_dir(&folder.0)
            .args([
                "score",
                "--device",
                "cpu",
                "--instruction",
                "open the drawer",
                "--scorer",
            ])
            .arg(checkpoint().canonicalize().unwrap())
            .args(["--pre-resize", "64", "--prefixes", "5", "--json"])
            .arg(format!("--video={name}"))
            .output()
            .unwrap();
        assert!(difference(&json(&output), &plain) < 1e-6, "{name}");
    }
    // A playlist that calls itself a video opens no other file.
    let list = folder.file("list.mp4");
    fs::write(
        &list,
        "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
    )
    .unwrap();
    let output = ask(&list.display().to_string(), &["--fps", "30"]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_is_in_the_place_of_a_video_is_named_by_its_cause() {
    let folder = made::Folder::new("causes");
    let coded = encoded(&folder, "coded.mp4", &H264);
    let whole = fs::read(&coded).unwrap();
    for (name, bytes, words) in [
        ("empty.mp4", &b""[..], "0 bytes"),
        (
            "pointer.mp4",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 123456\n",
            "git lfs pull",
        ),
        (
            "._clip.mp4",
            b"\0\x05\x16\x07\0\x02\0\0Mac OS X        ",
            "macOS",
        ),
        ("page.mp4", b"<!DOCTYPE html><title>404</title>", "web page"),
        (
            "interrupted.mp4",
            &whole[..whole.len() / 2],
            "never finished",
        ),
        ("zeros.mp4", &[0; 5000], "zeros"),
        ("words.mp4", b"this is no video at all", "no video"),
    ] {
        fs::write(folder.file(name), bytes).unwrap();
        let path = folder.file(name).display().to_string();
        for more in [&[][..], &["--fps", "30"]] {
            let output = ask(&path, more);
            assert_eq!(output.status.code(), Some(1), "{name}");
            let said = text(&output.stderr);
            assert!(
                said.contains(words) && said.contains(name),
                "{name}: {said}"
            );
            assert_eq!(
                said.matches(name).count(),
                1,
                "the file is named once: {said}"
            );
        }
    }
    let output = ask(&folder.0.display().to_string(), &[]);
    assert!(
        text(&output.stderr).contains("a folder"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_video_that_was_cut_short_is_no_success() {
    let folder = made::Folder::new("short");
    let coded = encoded(
        &folder,
        "coded.mp4",
        &[&H264[..], &["-movflags", "+faststart"]].concat(),
    );
    let whole = fs::read(&coded).unwrap();
    let short = folder.file("short.mp4");
    fs::write(&short, &whole[..whole.len() * 2 / 3]).unwrap();
    for more in [&[][..], &["--fps", "30"]] {
        let output = ask(&short.display().to_string(), more);
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output.stderr);
        assert!(
            said.contains("announces 30 frames") && said.contains("cut short"),
            "{said}"
        );
        // What is there is scored all the same.
        let score: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!((1..30).contains(&score["frames"].as_u64().unwrap()));
    }
}

#[test]
fn a_section_of_a_file_is_what_is_shown_then() {
    let folder = made::Folder::new("sections");
    let coded = encoded(&folder, "coded.mp4", &H264);
    let all = levels(Path::new(&coded), Frames::Each { stream: None });
    assert_eq!(all.len(), FRAMES);
    let section = |path: &str, first: usize, fps: f64, frames: usize| {
        let section = Section {
            from_secs: first as f64 / FPS as f64,
            frames,
            fps,
        };
        levels(Path::new(path), Frames::Section(section))
    };
    let near = |found: &[f64], expected: &[f64]| {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 2.0,
                "{found} instead of {expected}"
            );
        }
    };
    // AVI's clock has a step a frame: half a frame before a frame is rounded to the one before.
    let avi = encoded(&folder, "coded.avi", &["-c:v", "mjpeg", "-q:v", "1"]);
    for first in 0..20 {
        near(&section(&coded, first, 30.0, 8), &all[first..first + 8]);
        near(&section(&avi, first, 30.0, 8), &all[first..first + 8]);
    }
    // A camera of 30 frames a second in a set of 15: every other frame is shown at its time.
    let halved: Vec<f64> = all.iter().copied().skip(6).step_by(2).take(10).collect();
    near(&section(&coded, 6, 15.0, 10), &halved);
    let keeper = Keeper::new(Profile::Lerobot, 1.0, None);
    let beyond = Frames::Section(Section {
        from_secs: 0.5,
        frames: 16,
        fps: 30.0,
    });
    let error = video::read(Path::new(&coded), beyond, keeper, &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("there are 15"), "{error}");
}
