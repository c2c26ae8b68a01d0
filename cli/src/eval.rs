//! `eval`: success rates of a policy in the simulator, or quality of a progress scorer.

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
    /// Every mode of the policy.
    Both,
}

/// Measure how often the policy succeeds in the simulator, per task family, beside two controls: the same
/// scenes with a wrong instruction, and the mean action repeated. With --scorer, measure how well a progress scorer scores
/// episodes of the simulator, beside its controls: a frozen frame, a wrong instruction, and the true progress.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policy-studio eval
  policy-studio eval --episodes 20 --families reach,push --mode continuous
  policy-studio eval --chunking plain --latency-ms 150 --no-controls
  policy-studio eval --policy ~/runs/nano/last --json > report.json
  policy-studio eval --scorer models/nano/qwen3vl --episodes 50

Status is 0 if every episode ran, whatever the success rate; 1 if one could not run; 2 for invalid arguments.")]
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
    /// Frames per second of the scored videos: 30 or a divisor of it.
    #[arg(long, value_name = "F", requires = "scorer", default_value_t = CONTROL_RATE_HZ)]
    fps: u32,
    /// Episodes per family, for each mode and control.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    episodes: u64,
    /// Seed of the first scene; the default is outside of the seeds used for training.
    #[arg(long, default_value_t = FIRST_UNSEEN_SEED)]
    seed: u64,
    /// Action head of the policy.
    #[arg(long, value_enum, default_value = "both")]
    mode: Modes,
    /// Task families, separated by commas: reach, push, pick_up, place.
    #[arg(long, value_delimiter = ',', value_parser = family, default_value = "reach,push,pick_up,place")]
    families: Vec<TaskFamily>,
    /// Skip the controls.
    #[arg(long)]
    no_controls: bool,
    /// Simulated seconds after which an episode counts as failed.
    #[arg(long, value_name = "SECS", default_value_t = 10.0, value_parser = secs, allow_negative_numbers = true)]
    max_secs: f64,
    /// Rows of a chunk to execute before the next request; the policy's number when absent.
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
    /// Transition from the active chunk of the continuous head to the next.
    #[arg(long, value_enum, default_value_t)]
    chunking: Chunking,
    /// Simulated milliseconds from an observation to its chunk; meanwhile the arm continues the previous chunk, or waits.
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=5_000))]
    latency_ms: u64,
    /// Latency that real-time chunking assumes; the true one when absent.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(..=5_000))]
    assumed_latency_ms: Option<u64>,
    /// Episodes that run concurrently, each with a copy of the policy; the number of CPU cores when absent.
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
        _ => Err("the time must be above 0 and at most 86400 seconds".to_owned()),
    }
}

fn family(name: &str) -> Result<TaskFamily, String> {
    TaskFamily::from_name(name).ok_or_else(|| {
        let known: Vec<&str> = TaskFamily::all()
            .iter()
            .map(|family| family.name())
            .collect();
        format!("no such family; the families are {}", known.join(", "))
    })
}

impl Eval {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        if let Some(folder) = &self.scorer {
            return self.run_scorer(folder);
        }
        let chosen = self.policy.device()?;
        eprintln!("device: {}", chosen.words());
        let mut policies: Vec<Box<dyn Policy>> = Vec::new();
        for _ in 0..self.jobs() {
            policies.push(Box::new(self.policy.load(&chosen)?));
        }
        let plan = self.plan(policies.first().map(|policy| policy.info()));
        let bar = bar(plan.episodes().len())?;
        let report = evaluate(&plan, &mut policies, &|done| bar.set_position(done as u64));
        bar.finish_and_clear();
        let report = report?;
        super::print(&report, self.json)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Number of concurrent episodes.
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
