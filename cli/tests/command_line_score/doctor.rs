//! `doctor` on ffmpeg and ffprobe as machines have them.

use super::{
    decoder::{real, script, with_path},
    made, text,
};
use serde_json::Value;
use std::{
    os::unix::fs::symlink,
    path::Path,
    process::Output,
    time::{Duration, Instant},
};

#[test]
fn doctor_looks_at_the_programs_for_videos() {
    let doctor = |path: &[&Path], json: bool| {
        let mut arguments = vec!["doctor", "--device", "cpu", "--listen", "127.0.0.1:0"];
        if json {
            arguments.push("--json");
        }
        with_path(path, &arguments)
    };
    let videos = |output: &Output| {
        let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
        findings["videos"].clone()
    };
    let system = real("ffmpeg");
    let found = videos(&doctor(&[system.parent().unwrap()], true));
    assert_eq!(found["ffmpeg"]["path"], system.display().to_string());
    assert!(found["ffmpeg"]["version"].is_string() && found["ffprobe"]["version"].is_string());
    assert!(
        found["codecs"]
            .as_array()
            .unwrap()
            .iter()
            .any(|codec| codec == "h264")
    );

    // A build of a repository without AV1, beside an ffprobe that hangs.
    let odd = made::Folder::new("odd");
    script(
        &odd,
        "ffmpeg",
        "case \"$*\" in *-version*) echo 'ffmpeg version N-109542-g0a1b2c3 Copyright (c) 2000-2023';; \
         *-decoders*) echo ' V....D av1   Alliance'; echo ' VFS..D h264  H.264'; echo ' VFS..D hevc  HEVC'; \
         echo ' VFS..D vp9   VP9'; echo ' VFS..D mpeg4 MPEG-4';; *) exec SYSTEM \"$@\";; esac"
            .replace("SYSTEM", &system.display().to_string())
            .as_str(),
    );
    script(&odd, "ffprobe", "exec /bin/sleep 60");
    let started = Instant::now();
    let output = doctor(&[&odd.0], true);
    assert!(started.elapsed() < Duration::from_secs(60));
    let found = videos(&output);
    assert_eq!(found["ffmpeg"]["version"], "N-109542-g0a1b2c3");
    assert_eq!(
        found["codecs"],
        serde_json::json!(["h264", "hevc", "vp9", "mpeg4"])
    );
    assert!(
        found["advice"][0]
            .as_str()
            .unwrap()
            .contains("no decoder for av1")
    );
    assert!(
        found["ffprobe"]["error"]
            .as_str()
            .unwrap()
            .contains("was ended")
    );

    // The clips that it has decoders for are read.
    assert_eq!(found["clips_read"], 5);

    let junk = made::Folder::new("junk");
    script(&junk, "ffmpeg", "echo 'Hello, I am a wrapper'");
    script(
        &junk,
        "ffprobe",
        "echo 'ffprobe version 4.2.7-0ubuntu0.1 Copyright'",
    );
    let words = text(&doctor(&[&junk.0], false).stdout);
    assert!(words.contains("Hello, I am a wrapper"), "{words}");
    assert!(
        words.contains("4.2.7-0ubuntu0.1 is older than 4.4"),
        "{words}"
    );

    let output = doctor(&[], false);
    let words = text(&output.stdout);
    assert!(
        words.contains("ffmpeg is not installed") && words.contains("ffprobe is not installed"),
        "{words}"
    );
    // A studio works without.
    assert!(
        words.contains("all well") && output.status.success(),
        "{words}"
    );
}

#[test]
fn doctor_tries_what_no_list_shows() {
    let system = real("ffmpeg");
    let videos = |name: &str, fault: &str| {
        let folder = made::Folder::new(name);
        symlink(real("ffprobe"), folder.file("ffprobe")).unwrap();
        let body = format!(
            "case \"$*\" in {fault} esac\nexec {} \"$@\"",
            system.display()
        );
        script(&folder, "ffmpeg", &body);
        let arguments = [
            "doctor",
            "--device",
            "cpu",
            "--listen",
            "127.0.0.1:0",
            "--json",
        ];
        let output = with_path(&[&folder.0], &arguments);
        let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
        findings["videos"].clone()
    };
    let found = videos("complete", "");
    assert_eq!(
        found["codecs"],
        serde_json::json!(["h264", "hevc", "av1", "vp9", "mpeg4", "ffv1"])
    );
    assert_eq!(found["clips_read"], 8);
    assert_eq!(found["advice"], serde_json::json!([]));

    let fault = "*ppm*) echo \"Unknown encoder 'ppm'\" >&2; exit 1;;";
    let found = videos("no-encoder", fault);
    let advice = found["advice"].to_string();
    assert!(
        advice.contains("no video can be scored") && advice.contains("built without a part"),
        "{advice}"
    );
    assert_eq!(found["codecs"], serde_json::json!([]));
    assert_eq!(advice.matches("no video").count(), 1, "{advice}");

    let fault = "*av1.mp4*) echo 'Failed to get pixel format.' >&2; exit 1;;";
    let found = videos("no-av1", fault);
    let advice = found["advice"].to_string();
    assert!(advice.contains("that are av1: "), "{advice}");
    assert_eq!(
        found["codecs"],
        serde_json::json!(["h264", "hevc", "vp9", "mpeg4", "ffv1"])
    );

    let fault = "*fps=fps*) echo \"No such filter: 'fps'\" >&2; exit 1;;";
    let advice = videos("no-filter", fault)["advice"].to_string();
    assert!(
        advice.contains("episodes inside of longer videos: "),
        "{advice}"
    );

    let started = Instant::now();
    let advice = videos("hangs-on-clips", "*ppm*) exec /bin/sleep 60;;")["advice"].to_string();
    assert!(advice.contains("was ended"), "{advice}");
    assert!(started.elapsed() < Duration::from_secs(40));
}
