//! Collection of frames from the scripted expert, as flat arrays.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;

use anyhow::Context as _;
use rand::{Rng, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use sim::{Expert, Status, Task, TaskFamily, TaskMonitor, World};

use crate::frame::{FACTS, facts, images, label};
use crate::noise::Disturbance;

/// Options of the collection.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Folder for the arrays (created if missing).
    #[arg(long)]
    out: PathBuf,
    /// Number of scenes.
    #[arg(long, default_value_t = 1500)]
    scenes: u64,
    /// Seed of the first scene; scene i has seed + i.
    #[arg(long, default_value_t = 1_000_000)]
    seed: u64,
    /// Side of the stored images (pixels).
    #[arg(long, default_value_t = 96)]
    side: usize,
    /// Rows of a label.
    #[arg(long, default_value_t = 16)]
    horizon: usize,
    /// Tasks labelled per frame: the current one and others over the same image.
    #[arg(long, default_value_t = 4)]
    labels: usize,
    /// Keep one frame out of this many ticks, on average.
    #[arg(long, default_value_t = 7)]
    every: u32,
}

/// One frame: its entry in every array.
#[derive(Debug)]
struct Row {
    images: Vec<u8>,
    state: Vec<f32>,
    facts: Vec<f32>,
    tasks: Vec<i32>,
    chunks: Vec<f32>,
}

/// Runs the collection.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    std::fs::create_dir_all(&options.out)
        .with_context(|| format!("cannot create {}", options.out.display()))?;
    let (sender, receiver) = sync_channel::<anyhow::Result<Vec<Row>>>(16);
    let folder = options.out.clone();
    let (scenes, side, horizon, labels) = (
        options.scenes,
        options.side,
        options.horizon,
        options.labels,
    );
    let writer = std::thread::spawn(move || -> anyhow::Result<u64> {
        let create = |name: &str| -> anyhow::Result<BufWriter<File>> {
            let path = folder.join(name);
            Ok(BufWriter::new(File::create(&path).with_context(|| {
                format!("cannot create {}", path.display())
            })?))
        };
        let mut images = create("pictures.u8")?;
        let mut state = create("state.f32")?;
        let mut facts = create("facts.f32")?;
        let mut tasks = create("tasks.i32")?;
        let mut chunks = create("chunks.f32")?;
        let bar = indicatif::ProgressBar::new(scenes);
        let mut frames = 0u64;
        for rows in receiver {
            bar.inc(1);
            for row in rows? {
                frames += 1;
                images.write_all(&row.images)?;
                state.write_all(&bytes_of(&row.state))?;
                facts.write_all(&bytes_of(&row.facts))?;
                for task in &row.tasks {
                    tasks.write_all(&task.to_le_bytes())?;
                }
                chunks.write_all(&bytes_of(&row.chunks))?;
            }
        }
        for file in [&mut images, &mut state, &mut facts, &mut tasks, &mut chunks] {
            file.flush()?;
        }
        bar.finish();
        let meta = serde_json::json!({
            "frames": frames, "side": side, "cameras": 2, "horizon": horizon, "labels": labels,
            "dof": sim::DOF, "facts": FACTS,
        });
        std::fs::write(folder.join("meta.json"), format!("{meta:#}\n"))?;
        Ok(frames)
    });
    (0..options.scenes)
        .into_par_iter()
        .for_each_with(sender, |sender, index| {
            // Sending fails only after the writer has failed; its error is reported below.
            let _ = sender.send(scene(options, options.seed + index));
        });
    let frames = writer
        .join()
        .map_err(|_| anyhow::anyhow!("the writing thread stopped unexpectedly"))??;
    eprintln!("{frames} frames in {}", options.out.display());
    Ok(())
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// Frames of one to three successive tasks in one scene.
fn scene(options: &Options, seed: u64) -> anyhow::Result<Vec<Row>> {
    let mut world = World::new(seed);
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x7261_696e);
    let mut rows = Vec::new();
    let families = TaskFamily::all();
    let count = rng.random_range(1..=3usize);
    for round in 0..count {
        // Picking and placing take longest to learn: they get the larger share.
        let family = match rng.random_range(0..10u32) {
            0..=1 => TaskFamily::Reach,
            2..=4 => TaskFamily::Push,
            5..=6 => TaskFamily::PickUp,
            _ => families.last().copied().unwrap_or(TaskFamily::Place),
        };
        let task = Task::sample(family, &world, &mut rng);
        let mut disturbance = Disturbance::new(&mut rng);
        if round > 0 || rng.random_bool(0.35) {
            disturbance.start_elsewhere(&world, &mut rng);
        }
        episode(
            options,
            &mut world,
            &task,
            &mut disturbance,
            &mut rng,
            &mut rows,
        )?;
    }
    Ok(rows)
}

fn episode(
    options: &Options,
    world: &mut World,
    task: &Task,
    disturbance: &mut Disturbance,
    rng: &mut ChaCha8Rng,
    rows: &mut Vec<Row>,
) -> anyhow::Result<()> {
    let expert = Expert::new();
    let mut monitor = TaskMonitor::new(task, world);
    let mut after = rng.random_range(2..16u32);
    for _ in 0..300 {
        if rng.random_range(0..options.every) == 0 {
            rows.extend(frame(options, world, task, rng)?);
        }
        let Some(target) = expert.chunk(world, task, 1).into_iter().next() else {
            break;
        };
        let executed = disturbance.apply(&target, world, rng);
        let _ = world.step(&executed);
        if monitor.update(world) == Status::Succeeded {
            if after == 0 {
                break;
            }
            after -= 1;
        }
    }
    Ok(())
}

/// Labelled frame; `None` if the scene has too few tasks.
fn frame(
    options: &Options,
    world: &World,
    task: &Task,
    rng: &mut impl Rng,
) -> anyhow::Result<Option<Row>> {
    let Some((tasks, chunks)) = labels(options, world, task, rng) else {
        return Ok(None);
    };
    Ok(Some(Row {
        images: images(world, options.side)?,
        state: world.state().to_vec(),
        facts: facts(world),
        tasks,
        chunks,
    }))
}

/// Codes and chunks of the current task and of others drawn over the same scene.
fn labels(
    options: &Options,
    world: &World,
    task: &Task,
    rng: &mut impl Rng,
) -> Option<(Vec<i32>, Vec<f32>)> {
    let (code, mut chunks) = label(world, task, options.horizon)?;
    let mut tasks = vec![code as i32];
    let families = TaskFamily::all();
    for _ in 0..200 {
        if tasks.len() == options.labels {
            return Some((tasks, chunks));
        }
        let family = families.get(rng.random_range(0..families.len())).copied()?;
        let other = Task::sample(family, world, rng);
        let Some((code, chunk)) = label(world, &other, options.horizon) else {
            continue;
        };
        if !tasks.contains(&(code as i32)) {
            tasks.push(code as i32);
            chunks.extend(chunk);
        }
    }
    None
}
