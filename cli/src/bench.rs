//! `bench`: benchmarks for every figure in the README.

mod inference;
mod score;

use super::{policy::PolicyArguments, runtime};
use crate::measure::{
    live::{self, LivePlan, LiveTimes},
    pieces::{self, SimTimes, TokenizerTimes},
    policy::InferenceTimes,
    robots::{self, RobotsPlan, RobotsTimes, Shared},
    score::ScoreTimes,
    stats::Millis,
};
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use openfast::Shape;
use policies::{Policy, chunking::Chunking};
use protocol::Mode;
use serde::Serialize;
use server::{
    http::{PageInfo, page_info},
    sim_robot::TAG,
};
use std::{collections::BTreeMap, fmt, process::ExitCode, time::Duration};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Inference per stage, in every mode of the policy.
    Policy,
    /// The OpenFAST tokenizer: one chunk to ids and back.
    Fast,
    /// The simulator: physics and rendering.
    Sim,
    /// A complete studio over the loopback: command to motion, control rate, stop.
    Live,
    /// One, two, four and eight robots on one policy, batched and one at a time.
    Robots,
    /// The progress scorer: one pass over a video against one per prefix, and every precision.
    Score,
    /// Sizes of the page embedded in this binary.
    Page,
}

/// Measure speeds on this machine.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policy-studio bench
  policy-studio bench policy --repeats 50 --batches 2,8
  policy-studio bench policy --policy ~/checkpoints/MolmoAct2-Think-LIBERO --tag libero --dtype bf16
  policy-studio bench robots --secs 20
  policy-studio bench score
  policy-studio bench score --scorer ~/checkpoints/Qwen3-VL-2B-Instruct
  policy-studio bench live --json")]
pub(super) struct Bench {
    /// Parts to measure; all when absent.
    #[arg(value_enum)]
    parts: Vec<Part>,
    #[command(flatten)]
    policy: PolicyArguments,
    #[command(flatten)]
    scorer: score::ScorerArguments,
    /// Measurements per figure.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    repeats: u64,
    /// Robot whose chunks the part `policy` measures; the built-in one when absent, or the first that the policy knows.
    #[arg(long)]
    tag: Option<String>,
    /// Batch sizes that the part `policy` also measures, separated by commas.
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=64))]
    batches: Vec<u64>,
    /// Seconds over which the control rate is measured.
    #[arg(long, value_name = "SECS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    secs: u64,
    /// Transition from one chunk of the continuous head to the next, in the parts with a studio.
    #[arg(long, value_enum, default_value_t)]
    chunking: Chunking,
    /// Largest batch in the part `robots`.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u64).range(2..=64))]
    max_batch: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Default, Serialize)]
struct Measured {
    device: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    policy: BTreeMap<String, InferenceTimes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fast: Option<TokenizerTimes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sim: Option<SimTimes>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    live: BTreeMap<String, LiveTimes>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    robots: BTreeMap<String, Vec<RobotsTimes>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<ScoreTimes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<PageInfo>,
}

impl Bench {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let measured = self.measure()?;
        super::print(&measured, self.json)?;
        Ok(ExitCode::SUCCESS)
    }

    fn includes(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }

    fn measure(&self) -> anyhow::Result<Measured> {
        let repeats = usize::try_from(self.repeats)?;
        let mut measured = Measured::default();
        if [Part::Policy, Part::Fast, Part::Live, Part::Robots]
            .iter()
            .any(|part| self.includes(*part))
        {
            let chosen = self.policy.device()?;
            measured.device = chosen.words();
            let mut policy = self.policy.load(&chosen)?;
            let modes = policy.info().modes.clone();
            let tag = inference::tag(&policy, self.tag.as_deref())?;
            if self.includes(Part::Policy) {
                let batches = self.batches.iter().copied().map(usize::try_from);
                let batches = batches.collect::<Result<Vec<_>, _>>()?;
                measured.policy = inference::measure(&mut policy, &tag, repeats, &batches)?;
            }
            if self.includes(Part::Fast)
                && let (Some(files), Some(tag)) =
                    (&policy.info().tokenizer, policy.info().tag(&tag))
            {
                let shape = Shape {
                    horizon: tag.horizon,
                    dims: tag.action.len(),
                };
                measured.fast = Some(pieces::tokenizer(files, shape, repeats)?);
            }
            let drives_sim = policy.info().tag(TAG).is_some();
            if self.parts.is_empty() && !drives_sim {
                eprintln!(
                    "the parts robots and live are skipped: they need the built-in robot, but this policy has no tag \
                     {TAG:?}"
                );
            }
            let runs_sim_part =
                |part| self.parts.contains(&part) || (self.includes(part) && drives_sim);
            drop(policy);
            if runs_sim_part(Part::Robots) {
                let shared = Shared::new(Box::new(self.policy.load(&chosen)?));
                for mode in &modes {
                    let times = self.robots(&shared, *mode)?;
                    measured.robots.insert(name(*mode).to_owned(), times);
                }
            }
            if runs_sim_part(Part::Live) {
                for mode in modes {
                    let plan = LivePlan {
                        mode,
                        chunking: self.chunking,
                        repeats: repeats.min(10),
                        duration: Duration::from_secs(self.secs),
                    };
                    let spinner = ProgressBar::new_spinner()
                        .with_message(format!("a studio in {} mode", name(mode)));
                    spinner.enable_steady_tick(Duration::from_millis(200));
                    let policy: Box<dyn Policy> = Box::new(self.policy.load(&chosen)?);
                    let times = runtime()?.block_on(live::measure(policy, plan))?;
                    spinner.finish_and_clear();
                    measured.live.insert(name(mode).to_owned(), times);
                }
            }
        }
        if self.includes(Part::Sim) {
            measured.sim = Some(pieces::simulator(repeats));
        }
        if self.includes(Part::Score) {
            let chosen = self.policy.device()?;
            measured.device = chosen.words();
            let precision = self.policy.precision();
            measured.score = Some(self.scorer.measure(&chosen.device, precision)?);
        }
        if self.includes(Part::Page) {
            measured.page = Some(page_info());
        }
        Ok(measured)
    }
}

impl Bench {
    /// Alternates between single and batched inference, so that other load on the machine affects both.
    fn robots(&self, policy: &Shared, mode: Mode) -> anyhow::Result<Vec<RobotsTimes>> {
        let largest = usize::try_from(self.max_batch)?;
        let spinner = ProgressBar::new_spinner();
        spinner.enable_steady_tick(Duration::from_millis(200));
        let mut all = Vec::new();
        for robots in [1, 2, 4, 8] {
            for max_batch in [1, largest] {
                spinner.set_message(format!(
                    "{robots} robots in {} mode, at most {max_batch} together",
                    name(mode)
                ));
                let plan = RobotsPlan {
                    robots,
                    max_batch,
                    mode,
                    chunking: self.chunking,
                    duration: Duration::from_secs(self.secs),
                };
                all.push(runtime()?.block_on(robots::measure(policy, plan))?);
            }
        }
        spinner.finish_and_clear();
        Ok(all)
    }
}

fn name(mode: Mode) -> &'static str {
    match mode {
        Mode::Continuous => "continuous",
        Mode::Discrete => "discrete",
    }
}

fn write_times(f: &mut fmt::Formatter<'_>, name: &str, of: &Millis) -> fmt::Result {
    let Millis { median, p95, n } = of;
    writeln!(
        f,
        "{name:32} {median:9.3} ms median {p95:9.3} ms p95 (n = {n})"
    )
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.device.is_empty() {
            writeln!(f, "device: {}", self.device)?;
        }
        for (mode, times) in &self.policy {
            let (tokens, images, tag) = (times.prompt_tokens, times.images, &times.tag);
            writeln!(
                f,
                "\ninference, {mode}: {tag}, {images} images, {tokens} prompt tokens"
            )?;
            write_times(f, "total", &times.total)?;
            for (stage, of) in &times.stages {
                write_times(f, stage, of)?;
            }
            for (count, of) in &times.per_chunk_of_batch {
                write_times(f, &format!("per chunk, {count} together"), of)?;
            }
        }
        if let Some(times) = &self.fast {
            writeln!(f, "\nOpenFAST, a chunk of {} tokens", times.tokens)?;
            write_times(f, "encode", &times.encode)?;
            write_times(f, "decode", &times.decode)?;
        }
        if let Some(times) = &self.sim {
            writeln!(f, "\nsimulator")?;
            write_times(f, "step", &times.step)?;
            write_times(f, "render overview with depth", &times.render_overview)?;
            write_times(f, "render wrist", &times.render_wrist)?;
            write_times(f, "jpeg for viewers", &times.jpeg)?;
        }
        for (mode, times) in &self.live {
            writeln!(f, "\nlive, {mode}")?;
            writeln!(
                f,
                "{:32} {:9.0} ms",
                "first image", times.first_frame_millis
            )?;
            write_times(f, "command to first chunk", &times.command_to_chunk)?;
            write_times(f, "command to first motion", &times.command_to_motion)?;
            write_times(f, "observation to chunk", &times.observation_to_chunk)?;
            write_times(f, "stop to stopped", &times.stop_to_stopped)?;
            let (rate, late) = (times.control_rate_hz, times.late_share * 100.0);
            writeln!(
                f,
                "{:32} {rate:9.2} Hz, {late:.1} % late",
                "control rate held"
            )?;
            writeln!(f, "{:32} {:9.2} /s", "chunks", times.chunks_per_sec)?;
            writeln!(f, "{:32} {:9.2} /s", "images", times.frames_per_sec)?;
        }
        for (mode, measured) in &self.robots {
            writeln!(f, "\nrobots on one policy, {mode}")?;
            for times in measured {
                writeln!(
                    f,
                    "{} robots, at most {} together {:13.2} chunks/s, latency {:9.3} ms median {:9.3} ms p95",
                    times.robots,
                    times.max_batch,
                    times.chunks_per_sec,
                    times.latency.median,
                    times.latency.p95
                )?;
            }
        }
        if let Some(times) = &self.score {
            score::write(f, times)?;
        }
        if let Some(page) = &self.page {
            writeln!(
                f,
                "\npage: {} bytes in {} files, {} with brotli; wasm {} bytes, {} with brotli",
                page.bytes, page.files, page.brotli_bytes, page.wasm_bytes, page.wasm_brotli_bytes
            )?;
        }
        Ok(())
    }
}
