//! Video files by their names, by what is in their place, and by their parts.

use super::{
    checkpoint,
    filmed::{FPS, FRAMES, H264, ask, difference, encoded, ffmpeg, levels, scored},
    json, made, text,
};
use evaluation::scores::{
    Keeper,
    video::{self, Frames, Section},
};
use serde_json::Value;
use std::{fs, path::Path, process::Command};
use topreward::Profile;

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
fn containers_that_were_cut_short_are_told_from_whole_ones() {
    let folder = made::Folder::new("containers");
    let coded = encoded(&folder, "coded.mp4", &H264);
    let name = |name: &str| folder.file(name).display().to_string();
    encoded(&folder, "a.mkv", &["-c:v", "ffv1", "-pix_fmt", "gbrp"]);
    encoded(&folder, "a.webm", &["-c:v", "libvpx-vp9", "-b:v", "1M"]);
    encoded(&folder, "a.avi", &["-c:v", "mjpeg", "-q:v", "1"]);
    encoded(&folder, "a.flv", &["-c:v", "flv1", "-q:v", "1"]);
    encoded(&folder, "a.gif", &["-r", "25"]);
    ffmpeg(&["-i", &coded, "-c", "copy", &name("a.ts")]);
    ffmpeg(&["-i", &coded, "-c", "copy", &name("a.mov")]);
    let live = ["-c", "copy", "-f", "matroska", "-live", "1"];
    ffmpeg(&[&["-i", &coded][..], &live, &[&name("live.mkv")]].concat());
    let pieces = ["-c", "copy", "-movflags", "frag_keyframe+empty_moov"];
    ffmpeg(&[&["-i", &coded][..], &pieces, &[&name("pieces.mp4")]].concat());
    for file in [
        "a.mkv",
        "a.webm",
        "a.avi",
        "a.flv",
        "a.gif",
        "a.ts",
        "a.mov",
        "live.mkv",
        "pieces.mp4",
    ] {
        let output = ask(&name(file), &[]);
        let said = text(&output.stderr);
        assert!(output.status.success(), "{file}: {said}");
        assert!(!said.contains("cut short"), "{file}: {said}");
        // A movie has its index at the end: nothing is left of one that was cut.
        if file == "a.mov" {
            continue;
        }
        let whole = fs::read(name(file)).unwrap();
        // Within a packet of a transport stream.
        let length = whole.len() * 2 / 3 / 188 * 188 + 100;
        let cut = folder.file(&format!("cut-{file}"));
        fs::write(&cut, &whole[..length]).unwrap();
        let output = ask(&cut.display().to_string(), &["--fps", "30"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{file}: {said}");
        assert!(said.contains("cut short"), "{file}: {said}");
        // What is there is scored all the same.
        let score: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(
            (1..30).contains(&score["frames"].as_u64().unwrap()),
            "{file}"
        );
    }
    // An episode that goes on after the end says why there is not enough.
    let keeper = Keeper::new(Profile::Lerobot, 1.0, None);
    let episode = Frames::Section(Section {
        from_secs: 0.0,
        frames: FRAMES,
        fps: FPS as f64,
    });
    let error = video::read(&folder.file("cut-a.mkv"), episode, keeper, &mut |_| ()).unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("30 frames should follow") && said.contains("cut short"),
        "{said}"
    );
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
