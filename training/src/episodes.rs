//! Collection of whole episodes for the scorer: overview images at two frames per second, resized as for scoring, with
//! the progress of every task of the scene in each.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;

use anyhow::Context as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use sim::{
    Behavior, CONTROL_RATE_HZ, Camera, Demonstration, JointVector, TaskFamily, TaskProgress, World,
};
use vision::{RgbImage, resample_bicubic_u8, resize_bicubic_u8};

use crate::frame::{FACTS, facts};
use crate::noise::Disturbance;
use crate::sentences::{all_tasks, code};

/// Side to which the scoring method resizes frames first (pixels).
const PRE_RESIZE: usize = 244;
/// Side of the model's input images (pixels).
const SIDE: usize = 256;
/// Ticks between two frames, at two frames per second.
const EVERY: u32 = CONTROL_RATE_HZ / 2;

/// Options of the collection.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Folder for the arrays (created if missing).
    #[arg(long)]
    out: PathBuf,
    /// Number of episodes.
    #[arg(long, default_value_t = 1500)]
    episodes: u64,
    /// Seed of the first scene; scene i has seed + i.
    #[arg(long, default_value_t = 20_000_000)]
    seed: u64,
    /// Maximum frames of an episode. 1 gives only initial scenes, to train the vision part.
    #[arg(long, default_value_t = usize::MAX, hide_default_value = true)]
    most_frames: usize,
}

/// One episode.
#[derive(Debug, Default)]
struct Episode {
    frames: usize,
    /// `[frames, SIDE, SIDE, 3]`.
    images: Vec<u8>,
    /// `[frames, tasks]`; negative for tasks of cubes that are not in the scene.
    progress: Vec<f32>,
    /// `[frames, FACTS]`.
    facts: Vec<f32>,
    /// Code of the task, number of the behaviour, 1 if it succeeded.
    about: [i32; 3],
}

/// Runs the collection.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    std::fs::create_dir_all(&options.out)
        .with_context(|| format!("cannot create {}", options.out.display()))?;
    let create = |name: &str| -> anyhow::Result<BufWriter<File>> {
        let path = options.out.join(name);
        Ok(BufWriter::new(File::create(&path).with_context(|| {
            format!("cannot create {}", path.display())
        })?))
    };
    let mut images = create("pictures.u8")?;
    let mut progress = create("progress.f32")?;
    let mut fact_file = create("facts.f32")?;
    let mut about = create("about.i32")?;
    let bar = indicatif::ProgressBar::new(options.episodes);
    let (sender, receiver) = sync_channel::<anyhow::Result<Episode>>(8);
    let (mut frames, mut episodes) = (0, 0);
    std::thread::scope(|scope| -> anyhow::Result<()> {
        scope.spawn(|| {
            (0..options.episodes)
                .into_par_iter()
                .for_each_with(sender, |sender, index| {
                    // Sending fails only after the receiver has failed; its error is reported.
                    let _ = sender.send(episode(options.seed + index, options.most_frames));
                });
        });
        for episode in receiver {
            let episode = episode?;
            bar.inc(1);
            frames += episode.frames;
            episodes += 1;
            images.write_all(&episode.images)?;
            progress.write_all(&bytes_of(&episode.progress))?;
            fact_file.write_all(&bytes_of(&episode.facts))?;
            let length = i32::try_from(episode.frames)?;
            for value in episode.about.into_iter().chain([length]) {
                about.write_all(&value.to_le_bytes())?;
            }
        }
        Ok(())
    })?;
    for file in [&mut images, &mut progress, &mut fact_file, &mut about] {
        file.flush()?;
    }
    bar.finish();
    let meta = serde_json::json!({
        "episodes": episodes, "frames": frames, "side": SIDE, "tasks": all_tasks().len(), "facts": FACTS,
        "about": ["task", "behaviour", "succeeded", "frames"],
    });
    std::fs::write(options.out.join("meta.json"), format!("{meta:#}\n"))?;
    eprintln!(
        "{episodes} episodes of {frames} frames in {}",
        options.out.display()
    );
    Ok(())
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn episode(seed: u64, most_frames: usize) -> anyhow::Result<Episode> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x6570_6973);
    let families = TaskFamily::all();
    let family = families
        .get(rng.random_range(0..families.len()))
        .copied()
        .unwrap_or(TaskFamily::Place);
    let behaviour = match rng.random_range(0..100u32) {
        0..=54 => Behavior::Solve,
        55..=67 => Behavior::Stall,
        68..=81 => Behavior::DoAnother,
        82..=95 => Behavior::Leave,
        _ => Behavior::StandStill,
    };
    let mut play = Demonstration::new(seed, family, behaviour);
    // Most episodes are as smooth as demonstrations by people; the others leave the expert's path.
    let is_rough = rng.random_bool(0.35);
    let mut disturbance = Disturbance::new(&mut rng);
    if rng.random_bool(0.3) {
        disturbance.start_elsewhere(play.world(), &mut rng);
    }
    let tasks = all_tasks();
    let measures: Vec<TaskProgress> = tasks
        .iter()
        .map(|task| TaskProgress::new(task, play.world()))
        .collect();
    let mut found = Episode::default();
    let mut tick = 0;
    loop {
        if tick % EVERY == 0 {
            let world = play.world();
            found.frames += 1;
            found.images.extend(overview(world)?);
            found.facts.extend(facts(world));
            found
                .progress
                .extend(tasks.iter().zip(&measures).map(|(task, measure)| {
                    if world.object(task.object).is_some() {
                        measure.of(world)
                    } else {
                        -1.0
                    }
                }));
            if found.frames >= most_frames {
                break;
            }
        }
        let disturb = &mut |target: &JointVector, world: &World| {
            if is_rough {
                disturbance.apply(target, world, &mut rng)
            } else {
                *target
            }
        };
        if !play.step(disturb) {
            break;
        }
        tick += 1;
    }
    found.about = [
        i32::try_from(code(play.task()).unwrap_or(0))?,
        i32::try_from(behaviour as usize)?,
        i32::from(play.succeeded()),
    ];
    Ok(found)
}

/// Overview image as the scorer reads it.
fn overview(world: &World) -> anyhow::Result<Vec<u8>> {
    let rendered = sim::render(world, Camera::Overview);
    let image = RgbImage::new(rendered.width, rendered.height, rendered.rgb)?;
    let resized = resample_bicubic_u8(&image, PRE_RESIZE, PRE_RESIZE)?;
    Ok(resize_bicubic_u8(&resized, SIDE, SIDE)?.data().to_vec())
}
