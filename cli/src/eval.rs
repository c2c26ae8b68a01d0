//! `eval`: success rates in the simulator, of a policy or of a progress scorer.

mod scorer;

use super::policy::PolicyArguments;
use clap::{Args, ValueEnum};
use evaluation::success::{FIRST_UNSEEN_SEED, ModeName, Plan, evaluate};
use indicatif::{ProgressBar, ProgressStyle};
use policies::{Policy, PolicyInfo, chunking::Chunking};
use protocol::Mode;
use server::sim_robot;
use sim::{CONTROL_RATE_HZ, TaskFamily};
use std::{path::PathBuf, process::ExitCode, time::Duration};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Modes {
    Continuous,
    Discrete,
    /// Every mode that the policy was trained for.
    Both,
}

/// Measure how often the policy succeeds in the simulator, per task family, beside two controls: the same
/// scenes with a wrong instruction, and the mean action repeated. With --scorer, measure how well a progress scorer judges
/// episodes of the simulator, beside its controls: a frozen frame, a wrong instruction, and the true progress.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policy-studio eval
  policy-studio eval --episodes 20 --families reach,push --mode continuous
  policy-studio eval --chunking plain --latency-ms 150 --no-controls
  policy-studio eval --policy ~/runs/nano/last --json > report.json
  policy-studio eval --scorer models/nano/qwen3vl --episodes 50

Status is 0 when every episode was run, however many succeeded; 1 when one could not be; 2 for arguments that cannot be.")]
pub(super) struct Eval {
    #[command(flatten)]
    policy: PolicyArguments,
    /// Evaluate a progress scorer instead: the folder of a Qwen3-VL checkpoint. Every other episode is solved by the
    /// scripted expert, the others fail.
    #[arg(long, value_name = "DIR", conflicts_with_all = [
        "policy", "base", "calibration", "mode", "no_controls", "max_secs", "rows", "chunking", "latency_ms",
        "assumed_latency_ms", "tag",
    ])]
    scorer: Option<PathBuf>,
    /// Frames per second of the videos that a scorer is shown: 30 or a number that divides it.
    #[arg(long, value_name = "F", requires = "scorer", default_value_t = CONTROL_RATE_HZ)]
    fps: u32,
    /// Episodes per family, for each mode and control.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    episodes: u64,
    /// Seed of the first scene; the default keeps clear of the seeds used for training.
    #[arg(long, default_value_t = FIRST_UNSEEN_SEED)]
    seed: u64,
    /// Which head of the policy.
    #[arg(long, value_enum, default_value = "both")]
    mode: Modes,
    /// Task families, separated by commas: reach, push, pick_up, place.
    #[arg(long, value_delimiter = ',', value_parser = family, default_value = "reach,push,pick_up,place")]
    families: Vec<TaskFamily>,
    /// Leave the controls out.
    #[arg(long)]
    no_controls: bool,
    /// Simulated seconds after which an episode counts as failed.
    #[arg(long, value_name = "SECS", default_value_t = 10.0, value_parser = secs, allow_negative_numbers = true)]
    max_secs: f64,
    /// Rows of a chunk to execute before asking again; the policy's own number when absent.
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
    /// How a chunk of the continuous head meets the one that is still running.
    #[arg(long, value_enum, default_value_t)]
    chunking: Chunking,
    /// Simulated milliseconds from an observation to its chunk; the arm goes on with the chunk before, or waits.
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=5_000))]
    latency_ms: u64,
    /// What real-time chunking takes the latency for; the true one when absent.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(..=5_000))]
    assumed_latency_ms: Option<u64>,
    /// Episodes run at the same time, each with its own copy of the policy; the number of CPU cores when absent.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=256))]
    jobs: Option<u64>,
    /// Norm tag of the simulated robot in the policy.
    #[arg(long, default_value = sim_robot::TAG)]
    tag: String,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

fn secs(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(secs) if secs > 0.0 && secs <= 86_400.0 => Ok(secs),
        _ => Err("it must be above 0 and at most 86400 seconds".to_owned()),
    }
}

fn family(name: &str) -> Result<TaskFamily, String> {
    TaskFamily::from_name(name).ok_or_else(|| {
        let known: Vec<&str> = TaskFamily::all()
            .iter()
            .map(|family| family.name())
            .collect();
        format!("no such family; there are {}", known.join(", "))
    })
}

impl Eval {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        if let Some(folder) = &self.scorer {
            return self.run_scorer(folder);
        }
        let chosen = self.policy.device()?;
        eprintln!("device: {}", chosen.words());
        let mut actors: Vec<Box<dyn Policy>> = Vec::new();
        for _ in 0..self.jobs() {
            actors.push(Box::new(self.policy.load(&chosen)?));
        }
        let plan = self.plan(actors.first().map(|actor| actor.info()));
        let bar = bar(plan.episodes().len())?;
        let report = evaluate(&plan, &mut actors, &|done| bar.set_position(done as u64));
        bar.finish_and_clear();
        let report = report?;
        super::print(&report, self.json)?;
        Ok(ExitCode::SUCCESS)
    }

    /// How many episodes run at the same time.
    fn jobs(&self) -> usize {
        self.jobs.map_or_else(
            || std::thread::available_parallelism().map_or(1, usize::from),
            |jobs| usize::try_from(jobs).unwrap_or(1),
        )
    }

    fn plan(&self, info: Option<&PolicyInfo>) -> Plan {
        let has = |mode| info.is_some_and(|info| info.modes.contains(&mode));
        let modes = match self.mode {
            Modes::Continuous => vec![ModeName::Continuous],
            Modes::Discrete => vec![ModeName::Discrete],
            Modes::Both => [
                (ModeName::Continuous, Mode::Continuous),
                (ModeName::Discrete, Mode::Discrete),
            ]
            .into_iter()
            .filter_map(|(name, mode)| has(mode).then_some(name))
            .collect(),
        };
        Plan {
            tag: self.tag.clone(),
            modes,
            families: self.families.clone(),
            episodes: self.episodes,
            seed: self.seed,
            controls: !self.no_controls,
            max_secs: self.max_secs,
            rows: self.rows,
            chunking: self.chunking,
            latency: Duration::from_millis(self.latency_ms),
            assumed_latency: self.assumed_latency_ms.map(Duration::from_millis),
        }
    }
}

fn bar(episodes: usize) -> anyhow::Result<ProgressBar> {
    let style = "{elapsed_precise} {wide_bar} {pos}/{len} episodes, {eta} to go";
    let style = ProgressStyle::with_template(style)?;
    Ok(ProgressBar::new(episodes as u64).with_style(style))
}
