//! Videos made with ffmpeg, and how their scores are asked for and compared.

use super::{checkpoint, made, numbers, score, text};
use evaluation::scores::{
    Keeper,
    video::{self, Frames},
};
use serde_json::{Value, json};
use std::{
    path::Path,
    process::{Command, Output},
};
use topreward::{Profile, scorer::FrameSource as _};

/// How many frames [`pictures`] makes, and how many a second.
pub(crate) const FRAMES: usize = 30;
pub(crate) const FPS: usize = 30;

pub(crate) fn ffmpeg(arguments: &[&str]) {
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
pub(crate) fn encoded(folder: &made::Folder, name: &str, how: &[&str]) -> String {
    let pattern = pictures(folder);
    let path = folder.file(name).display().to_string();
    let input = ["-framerate", "30", "-i", &pattern];
    ffmpeg(&[&input[..], how, &[&path]].concat());
    path
}

pub(crate) const H264: [&str; 8] = [
    "-c:v", "libx264", "-crf", "6", "-g", "2", "-pix_fmt", "yuv420p",
];

pub(crate) fn ask(path: &str, arguments: &[&str]) -> Output {
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
pub(crate) fn scored(path: &str) -> Value {
    let output = ask(path, &[]);
    assert!(output.status.success(), "{path}: {}", text(&output.stderr));
    let score: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(score["frames"], json!(FRAMES), "{path}");
    assert_eq!(score["fps"], json!(FPS as f64), "{path}");
    score
}

pub(crate) fn difference(one: &Value, other: &Value) -> f64 {
    let (one, other) = (numbers(&one["log_probs"]), numbers(&other["log_probs"]));
    assert_eq!(one.len(), other.len());
    one.iter()
        .zip(other)
        .map(|(one, other)| (one - other).abs())
        .fold(0.0, f64::max)
}

/// Decodes frames of a file, each as its mean brightness.
pub(crate) fn levels(path: &Path, frames: Frames) -> Vec<f64> {
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
