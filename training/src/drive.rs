//! Many robots in lockstep, driven over stdin and stdout.
//!
//! In each round the driver writes, per robot, `rows` x 6 little-endian f32 joint targets; they are executed; then
//! every robot returns its observation. The first observation comes before any targets. An observation is, per robot
//! and in this order: images (u8, 2 x side x side x 3), state (6 f32), facts (f32), expert chunk (horizon x 6 f32),
//! task code (i32), succeeded (i32), tick at which it succeeded or -1 (i32).

use std::io::{Read as _, Write as _};

use anyhow::Context as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use sim::{DOF, JointVector, Status, Task, TaskFamily, TaskMonitor, World};

use crate::frame::{facts, images, label};
use crate::sentences::code;

/// Options of the drive.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Number of robots.
    #[arg(long, default_value_t = 32)]
    robots: u64,
    /// Seed of the first scene; robot i has seed + i.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this family (`reach`, `push`, `pick_up`, `place`); otherwise the families alternate.
    #[arg(long)]
    family: Option<String>,
    /// Joint targets executed per round.
    #[arg(long, default_value_t = 8)]
    rows: usize,
    /// Side of the images (pixels).
    #[arg(long, default_value_t = 96)]
    side: usize,
    /// Rows of a label.
    #[arg(long, default_value_t = 16)]
    horizon: usize,
    /// Give the instruction of a wrong task (another cube or direction) and monitor the right one.
    #[arg(long)]
    wrong: bool,
}

struct Robot {
    world: World,
    /// Task of the policy's instruction.
    instructed: Task,
    monitor: TaskMonitor,
}

impl Robot {
    fn new(options: &Options, index: u64) -> anyhow::Result<Self> {
        let world = World::new(options.seed + index);
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed + index);
        let families = TaskFamily::all();
        let family = match &options.family {
            Some(name) => {
                TaskFamily::from_name(name).with_context(|| format!("no task family {name:?}"))?
            }
            None => families
                .get(index as usize % families.len())
                .copied()
                .context("no task family")?,
        };
        let task = Task::sample(family, &world, &mut rng);
        let instructed = if options.wrong {
            task.wrong(&world, &mut rng)
        } else {
            task
        };
        let monitor = TaskMonitor::new(&task, &world);
        Ok(Self {
            world,
            instructed,
            monitor,
        })
    }

    fn execute(&mut self, targets: &[JointVector]) {
        for target in targets {
            let _ = self.world.step(target);
            let _ = self.monitor.update(&self.world);
        }
    }

    fn observation(&self, options: &Options) -> anyhow::Result<Vec<u8>> {
        let mut bytes = images(&self.world, options.side)?;
        let chunk = label(&self.world, &self.instructed, options.horizon)
            .map_or_else(|| vec![0.0; options.horizon * DOF], |(_, chunk)| chunk);
        for value in self
            .world
            .state()
            .iter()
            .chain(&facts(&self.world))
            .chain(&chunk)
        {
            bytes.extend(value.to_le_bytes());
        }
        let done = self.monitor.status() == Status::Succeeded;
        let tick = self
            .monitor
            .succeeded_at_tick()
            .map_or(-1, |tick| tick as i32);
        for value in [
            code(&self.instructed).map_or(-1, |code| code as i32),
            i32::from(done),
            tick,
        ] {
            bytes.extend(value.to_le_bytes());
        }
        Ok(bytes)
    }
}

/// Runs rounds until stdin ends.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let mut robots = (0..options.robots)
        .map(|index| Robot::new(options, index))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut buffer = vec![0u8; robots.len() * options.rows * DOF * 4];
    loop {
        let observations: Vec<Vec<u8>> = robots
            .par_iter()
            .map(|robot| robot.observation(options))
            .collect::<anyhow::Result<_>>()?;
        for observation in observations {
            output.write_all(&observation)?;
        }
        output.flush()?;
        if let Err(error) = input.read_exact(&mut buffer) {
            return if error.kind() == std::io::ErrorKind::UnexpectedEof {
                Ok(())
            } else {
                Err(error.into())
            };
        }
        let values: Vec<f32> = buffer
            .chunks_exact(4)
            .map(|bytes| bytes.try_into().map_or(f32::NAN, f32::from_le_bytes))
            .collect();
        let targets: Vec<JointVector> = values
            .chunks_exact(DOF)
            .map(|row| row.try_into().unwrap_or([f32::NAN; DOF]))
            .collect();
        robots
            .par_iter_mut()
            .zip(targets.par_chunks(options.rows))
            .for_each(|(robot, rows)| robot.execute(rows));
    }
}
