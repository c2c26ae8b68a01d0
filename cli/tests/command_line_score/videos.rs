//! Videos as phones, screens and cameras write them: each gives what its twin without the oddity gives.

use super::{
    filmed::{FRAMES, H264, ask, difference, encoded, ffmpeg, scored},
    json, made, text,
};
use serde_json::json;
use std::process::Command;

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
