//! ffmpeg and ffprobe as machines have them: older, newer, incomplete, absent, hanging, and not what their names say.

use super::{checkpoint, json, made, text};
use evaluation::scores::{
    FolderLock,
    child::{self, Patience},
};
use std::{
    fs,
    io::Write as _,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

pub(crate) fn real(program: &str) -> PathBuf {
    child::find(program).expect("this test needs ffmpeg; `cargo xtask test` installs it")
}

pub(crate) fn script(folder: &made::Folder, name: &str, body: &str) -> PathBuf {
    program(folder, name, format!("#!/bin/sh\n{body}\n").as_bytes())
}

/// Writes a program by way of another process: while this one has it open for writing, children that other tests start in
/// the same moment would keep it from being run.
fn program(folder: &made::Folder, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.file(name);
    let mut copy = Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(&path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    copy.stdin.take().unwrap().write_all(bytes).unwrap();
    assert!(copy.wait().unwrap().success());
    path
}

/// Runs the binary with a path of these folders alone.
pub(crate) fn with_path(path: &[&Path], arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_policy-studio"))
        .args(arguments)
        .env("PATH", std::env::join_paths(path).unwrap())
        .output()
        .unwrap()
}

fn score(path: &[&Path], video: &Path, more: &[&str]) -> Output {
    let checkpoint = checkpoint().display().to_string();
    let video = video.display().to_string();
    let common = [
        "score",
        "--device",
        "cpu",
        "--instruction",
        "open the drawer",
        "--pre-resize",
        "64",
        "--prefixes",
        "3",
        "--json",
        "--scorer",
        &checkpoint,
        "--video",
        &video,
    ];
    with_path(path, &[&common[..], more].concat())
}

fn clip(folder: &made::Folder) -> PathBuf {
    let path = folder.file("clip.mp4");
    made::video(&path, &[0]);
    path
}

#[test]
fn versions_before_and_after_an_option_came_and_went_are_both_used() {
    let folder = made::Folder::new("versions");
    let clip = clip(&folder);
    let system = real("ffmpeg");
    let others = [
        Path::new("/usr/bin"),
        Path::new("/bin"),
        system.parent().unwrap(),
    ];
    for (known, unknown) in [("vsync", "fps_mode"), ("fps_mode", "vsync")] {
        let fake = made::Folder::new(known);
        script(
            &fake,
            "ffmpeg",
            &format!(
                "case \"$*\" in *'-h long'*) echo '-{known}  set video sync method'; exit 0;; esac\n\
                 for word in \"$@\"; do [ \"$word\" = -{unknown} ] && {{ echo \"Unrecognized option '{unknown}'.\" >&2; exit 1; }}; done\n\
                 exec {} \"$@\"",
                system.display()
            ),
        );
        let path: Vec<&Path> = [fake.0.as_path()].into_iter().chain(others).collect();
        let score = json(&score(&path, &clip, &[]));
        assert_eq!(score["frames"], made::LENGTHS[0], "{known}");
    }
}

#[test]
fn a_missing_part_is_named_with_what_to_do() {
    let folder = made::Folder::new("parts");
    let clip = clip(&folder);
    // ffmpeg without ffprobe: enough for whoever says the rate.
    let alone = made::Folder::new("alone");
    symlink(real("ffmpeg"), alone.file("ffmpeg")).unwrap();
    assert_eq!(
        json(&score(&[&alone.0], &clip, &["--fps", "5"]))["frames"],
        made::LENGTHS[0]
    );
    let output = score(&[&alone.0], &clip, &[]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("ffprobe is not installed") && said.contains("--fps"),
        "{said}"
    );
    // One that answers junk is as good as none, and the video is not blamed.
    script(&alone, "ffprobe", "echo 'Segmentation fault'");
    assert!(score(&[&alone.0], &clip, &["--fps", "5"]).status.success());
    let said = text(&score(&[&alone.0], &clip, &[]).stderr);
    assert!(
        said.contains(&alone.file("ffprobe").display().to_string()),
        "{said}"
    );
    // No decoder of what the file holds, in the words of three generations.
    for words in [
        "Decoder (codec av1) not found for input stream #0:0",
        "[vist#0:0/av1 @ 0x5] Decoding requested, but no decoder found for: av1",
        "[av1 @ 0x5] Your platform doesn't suppport hardware accelerated AV1 decoding.",
    ] {
        let without = made::Folder::new("without");
        script(&without, "ffmpeg", &format!("echo \"{words}\" >&2; exit 1"));
        let said = text(&score(&[&without.0], &clip, &["--fps", "5"]).stderr);
        assert!(
            said.contains("cannot decode av1") && said.contains("install"),
            "{said}"
        );
    }
    // A program that cannot even be started is blamed itself.
    let broken = made::Folder::new("broken-program");
    program(&broken, "ffmpeg", &[0x7f, b'E', b'L', b'F', 9, 9, 9]);
    let said = text(&score(&[&broken.0], &clip, &["--fps", "5"]).stderr);
    assert!(
        said.contains("cannot be started") && !said.contains("clip.mp4"),
        "{said}"
    );
}

#[test]
fn a_program_that_hangs_is_ended() {
    let folder = made::Folder::new("hangs");
    let patience = Patience {
        silence: Duration::from_millis(300),
        whole: Duration::from_millis(900),
    };
    for (name, body, words) in [
        ("silent", "echo $$ > $0.pid; exec sleep 60", "gave nothing"),
        (
            "stuck",
            "echo $$ > $0.pid; echo one; exec sleep 60",
            "gave nothing",
        ),
        // What it leaves behind keeps the pipes open.
        (
            "helper",
            "echo $$ > $0.pid; sleep 60 & wait",
            "gave nothing",
        ),
        (
            "endless",
            "echo $$ > $0.pid; while :; do echo more; sleep 0.05; done",
            "not done after",
        ),
        (
            "closed",
            "echo $$ > $0.pid; exec >&-; exec sleep 60",
            "did not end",
        ),
        (
            "complains",
            "echo $$ > $0.pid; while :; do echo 'no no no no no' >&2; done",
            "gave nothing",
        ),
    ] {
        let program = script(&folder, name, body);
        let started = Instant::now();
        let error = child::answer(&program, |_| (), patience, 1 << 20)
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{name}: {error}");
        assert!(started.elapsed() < Duration::from_secs(5), "{name}");
        let pid = fs::read_to_string(folder.file(&format!("{name}.pid"))).unwrap();
        assert!(
            !Path::new("/proc").join(pid.trim()).exists(),
            "{name} is still there"
        );
    }
    let program = script(
        &folder,
        "long",
        "while :; do echo 'what a lot of words'; done",
    );
    let error = child::answer(&program, |_| (), patience, 1000)
        .unwrap_err()
        .to_string();
    assert!(error.contains("longer than 1000 bytes"), "{error}");
}

#[test]
fn a_folder_of_results_is_one_run_s_at_a_time() {
    let set = made::v3_images("locked", &[]);
    let out = made::Folder::new("locked-out");
    let scorer = checkpoint().display().to_string();
    let run = |more: &[&str]| {
        let common = [
            "score",
            "--device",
            "cpu",
            "--pre-resize",
            "64",
            "--prefixes",
            "3",
            "--episodes",
            "1",
            "--scorer",
            &scorer,
            "--dataset",
            set.str(),
            "--out",
            out.str(),
        ];
        Command::new(env!("CARGO_BIN_EXE_policy-studio"))
            .args([&common[..], more].concat())
            .output()
            .unwrap()
    };
    let lock = FolderLock::take(&out.0).unwrap();
    for method in [
        &[][..],
        &["--method", "gvl", "--gvl-frames", "3", "--gvl-tokens", "3"],
    ] {
        let refused = run(method);
        assert_eq!(refused.status.code(), Some(1));
        let said = text(&refused.stderr);
        assert!(
            said.contains("another run") && said.contains("--out"),
            "{said}"
        );
    }
    assert!(!out.0.join("predictions.jsonl").exists());
    drop(lock);
    assert!(run(&[]).status.success());
    // The data set's own folder, which the progress files go to as well.
    let lock = FolderLock::take(&set.0).unwrap();
    assert_eq!(run(&["--into-dataset"]).status.code(), Some(1));
    drop(lock);
    assert!(run(&["--into-dataset"]).status.success());
}
