//! A video scored with a Qwen3-VL checkpoint: its curve, the frozen first frame, and the control instructions.
//!
//! `cargo run -p topreward --example quickstart`, with the nano scorer of the built-in simulator.
//! The video is a red square that slides over a table, which no checkpoint was trained on: the numbers show the calls,
//! not a judgement.

use std::ops::ControlFlow;

use qwen3vl::{LoadOptions, ModelFiles, Qwen3Vl};
use topreward::{
    Clip, Prefixes, Profile,
    scorer::{Request, ScoredPoint, Scorer, ScorerOptions},
};
use vision::{ImageError, RgbImage};

/// Frame `index` of the video, [240, 320, 3].
fn frame(index: usize) -> Result<RgbImage, ImageError> {
    let left = 40 + 4 * index;
    let square = |x: usize, y: usize| (left..left + 30).contains(&x) && (120..150).contains(&y);
    let pixels = (0..240).flat_map(|y| (0..320).map(move |x| (x, y)));
    let bytes = pixels.flat_map(|(x, y)| {
        if square(x, y) {
            [200, 30, 30]
        } else {
            [180, 170, 160]
        }
    });
    RgbImage::new(320, 240, bytes.collect())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../nano/qwen3vl");
    let files = ModelFiles::open_dir(folder.as_ref())?;
    let model = Qwen3Vl::load(&files, &layers::device::cpu(), &LoadOptions::default())?;
    let scorer = Scorer::new(model, ScorerOptions::new(Profile::Aligned));

    // Four seconds at ten frames per second.
    let video: Vec<RgbImage> = (0..40).map(frame).collect::<Result<_, _>>()?;
    let request = Request {
        clip: Clip::new(video.len(), 10.0)?,
        prefixes: &Prefixes::Spread(5),
        instruction: "push the red cube to the right",
        other_task: Some("pick up the green cube"),
        description: None,
    };
    let mut on_point = async |point: ScoredPoint<'_>| {
        let of = if point.frozen {
            "first frame held"
        } else {
            "video"
        };
        println!(
            "{}/{} {of}, {} frames: {:.3}",
            point.done,
            point.total,
            point.length,
            point.log_prob()
        );
        ControlFlow::Continue(())
    };
    let score = layers::block_on(scorer.score(&video, &request, &mut on_point))?;

    println!(
        "progress {:.2?}, VOC {:?}",
        score.curve.progress, score.curve.voc
    );
    println!("first frame held: VOC {:?}", score.static_voc);
    for control in &score.controls {
        println!(
            "{:?}: {:+.3} above it",
            control.asked.instruction, control.gap
        );
    }
    Ok(())
}
