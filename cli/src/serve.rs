//! `serve`: the studio.

use super::{
    block_on,
    depth::{DecoderArgument, DepthArgument},
    log,
    policy::PolicyArguments,
    scorer::ScorerArguments,
};
use anyhow::{Context as _, bail};
use clap::Args;
use molmoact2::VlmInfo;
use policies::{
    Policy, PolicyInfo,
    chunking::Chunking,
    device::Chosen,
    question_answerer::{Answerer, Answering, Model, QuestionAnswerer, unavailable},
};
use server::{
    Config, Limits,
    data::{self, DataFolder},
    recordings::Recordings,
    scorer_service::Scoring,
    serve, signals,
    sim_robot::{self, SimConfig},
};
use std::{
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Time limit for simulated robots to end after the studio.
const ROBOTS_WITHIN: Duration = Duration::from_millis(500);

/// The policy, or the reason why there is none.
type HostedPolicy = Result<Box<dyn Policy>, String>;

/// Start the studio: the policy, the scorer, the page, the endpoints for robots, and a simulated robot.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policy-studio serve
  policy-studio serve --open
  policy-studio serve --listen 0.0.0.0:9000 --no-sim
  policy-studio serve --policy ~/checkpoints/MolmoAct2-SO100_101 --device wgpu
  policy-studio serve --ask ~/checkpoints/Molmo2-ER
  policy-studio serve --scorer ~/checkpoints/Qwen3-VL-2B-Instruct --dataset ~/data/so101_drawer
  policy-studio serve --scorer ~/checkpoints/Qwen3-VL-8B-Instruct --score-here --scorer-dtype int8
  policy-studio serve --policy ~/checkpoints/MolmoAct2-Think-LIBERO --depth full
  policy-studio serve --sims 2")]
pub(super) struct Serve {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    listen: String,
    #[command(flatten)]
    policy: PolicyArguments,
    /// A vision-language model that answers questions about robots' images, such as Molmo2-ER.
    #[arg(long, value_name = "DIR")]
    ask: Option<PathBuf>,
    /// Depth reasoning of a Think checkpoint before it acts; adaptive when absent.
    #[arg(long, value_enum, value_name = "HOW", requires = "policy")]
    depth: Option<DepthArgument>,
    #[command(flatten)]
    decoder: DecoderArgument,
    #[command(flatten)]
    scorer: ScorerArguments,
    /// A LeRobot data set whose episodes pages can score; may be given several times.
    #[arg(long, value_name = "DIR")]
    dataset: Vec<PathBuf>,
    /// The listed camera of the data sets; the first one with videos when absent.
    #[arg(long, value_name = "NAME", requires = "dataset")]
    camera: Option<String>,
    /// Start without the simulated robot.
    #[arg(long)]
    no_sim: bool,
    /// Number of simulated robots.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "no_sim")]
    sims: u64,
    /// Seed of the first simulated robot's scene; the others count up from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Transition from the active chunk of a robot to the next (continuous mode).
    #[arg(long, value_enum, default_value_t)]
    chunking: Chunking,
    /// Largest batch when several robots wait for the policy.
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_batch as u64, value_parser = clap::value_parser!(u64).range(1..=64))]
    max_batch: u64,
    /// Folder for stops and the record of commands across runs, used by one studio at a time; the platform's data folder of
    /// this account when absent.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Let robots continue when their operator's viewer is gone (simulated robots always do).
    #[arg(long)]
    unattended: bool,
    /// Open the page in the browser.
    #[arg(long)]
    open: bool,
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        block_on(self.serve())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn serve(self) -> anyhow::Result<()> {
        // The socket comes first, so that a port in use is reported before a policy is loaded.
        let listener = TcpListener::bind(&self.listen).await.with_context(|| {
            format!(
                "cannot listen on {}; is another studio running? Choose another with --listen HOST:PORT",
                self.listen
            )
        })?;
        let address = listener.local_addr().context("the socket has no address")?;
        let data = match &self.data {
            Some(folder) => folder.clone(),
            None => data::default_folder()?,
        };
        let data = DataFolder::open(&data)?;
        let recordings = self.recordings()?;
        let (policy, question_answerer, scorer) = self.models()?;

        let url = format!("http://{}", reachable(address));
        let stop = CancellationToken::new();
        let mut robots = JoinSet::new();
        let sims = if self.no_sim { 0 } else { self.sims };
        for number in 0..sims {
            let name = if sims == 1 {
                "sim".to_owned()
            } else {
                format!("sim-{}", number + 1)
            };
            let config = SimConfig::new(url.clone(), name, self.seed.wrapping_add(number));
            robots.spawn(sim_robot::run(config, stop.clone()));
        }
        // Standard output may have no reader; that must neither end the studio nor block it.
        let line = format!("Policy Studio is at {url}\n");
        tokio::task::spawn_blocking(move || {
            let mut out = std::io::stdout();
            out.write_all(line.as_bytes())
                .and_then(|()| out.flush())
                .ok();
        });
        if !server::http::page_info().built {
            log::say(
                "the page is not built into this binary; run `cargo xtask build` in the repository",
            );
        }
        if self.open {
            let url = url.clone();
            tokio::task::spawn_blocking(move || {
                if let Err(error) = open::that_detached(&url) {
                    log::say(format_args!(
                        "no browser could be opened ({error}); open {url} yourself"
                    ));
                }
            });
        }
        let config = Config {
            policy,
            question_answerer,
            scorer,
            recordings,
            data: Some(data),
            limits: Limits {
                unattended: self.unattended,
                chunking: self.chunking,
                max_batch: usize::try_from(self.max_batch)?,
                ..Limits::default()
            },
        };
        let stop_signal = signals::listen(log::flush).context("cannot listen for signals")?;
        let ended = serve(listener, config, stop_signal.cancelled_owned()).await;
        log::say("stopping");
        stop.cancel();
        let robots_end = async {
            while let Some(robot) = robots.join_next().await {
                robot.context("a simulated robot crashed")??;
            }
            anyhow::Ok(())
        };
        match tokio::time::timeout(ROBOTS_WITHIN, robots_end).await {
            Ok(ended) => ended?,
            Err(_) => tracing::warn!("a simulated robot does not end and is abandoned"),
        }
        Ok(ended?)
    }

    /// Opens the data sets. A named data set must be valid; an episode without its video is reported and skipped.
    fn recordings(&self) -> anyhow::Result<Recordings> {
        const SHOWN: usize = 3;
        let mut recordings = Recordings::default();
        for folder in &self.dataset {
            let added = recordings.add(folder, self.camera.as_deref())?;
            log::say(format_args!(
                "data set: {}, {} episodes of camera {}",
                added.dataset, added.episodes, added.camera
            ));
            for note in added.notes.iter().take(SHOWN) {
                log::say(format_args!("  note: {note}"));
            }
            for reason in added.left_out.iter().take(SHOWN) {
                log::say(format_args!("  left out: {reason}"));
            }
            if let Some(more) = added
                .left_out
                .len()
                .checked_sub(SHOWN)
                .filter(|more| *more > 0)
            {
                log::say(format_args!("  and {more} more"));
            }
        }
        Ok(recordings)
    }

    /// Loads the models. A missing nano policy is reported and skipped; a checkpoint that was named must load.
    fn models(&self) -> anyhow::Result<(HostedPolicy, Answering, Scoring)> {
        let chosen = self.policy.device()?;
        log::say(format_args!("device: {}", chosen.words()));
        let scorer = self
            .scorer
            .host(&chosen, &|message| log::say(format_args!("{message}")))?;
        let (policy, question_answerer) = self.policy_and_answerer(&chosen)?;
        Ok((policy, question_answerer, scorer))
    }

    /// Loads the policy and the question answerer. A `--policy` that only answers questions leaves the studio without a
    /// policy.
    fn policy_and_answerer(&self, chosen: &Chosen) -> anyhow::Result<(HostedPolicy, Answering)> {
        let named = self
            .ask
            .as_deref()
            .map(|folder| self.answerer(folder, chosen))
            .transpose()?;
        if let Some(folder) = self.policy.plain_vlm()? {
            if named.is_some() {
                bail!(
                    "{} only answers questions, and --ask names another such model; give only one of them",
                    folder.display()
                );
            }
            let reason = format!(
                "{} only answers questions; to drive robots, give it with --ask and a robot policy with \
                 --policy",
                folder.display()
            );
            log::say(format_args!("no policy: {reason}"));
            return Ok((Err(reason), Ok(self.answerer(folder, chosen)?)));
        }
        let (policy, own) = self.policy(chosen)?;
        Ok((policy, named.map_or(own, Ok)))
    }

    fn answerer(
        &self,
        folder: &Path,
        chosen: &Chosen,
    ) -> anyhow::Result<Arc<dyn QuestionAnswerer>> {
        let vlm = self.policy.load_vlm(folder, chosen)?;
        if let Some(reason) = vlm.answering_fault() {
            bail!("{} cannot answer questions: {reason}", folder.display());
        }
        if !vlm.can_answer() {
            bail!(
                "{} generates actions, not answers (its folder has no chat template)",
                folder.display()
            );
        }
        let VlmInfo {
            name, parameters, ..
        } = vlm.info().clone();
        log::say(format_args!(
            "questions: {name}, {:.1} million parameters",
            parameters as f64 / 1e6
        ));
        let model = Model::Vlm(Box::new(vlm));
        Ok(Arc::new(Answerer { name, model }))
    }

    fn policy(&self, chosen: &Chosen) -> anyhow::Result<(HostedPolicy, Answering)> {
        let mut options = self.policy.options();
        options.depth = self.depth.map(Into::into);
        self.decoder.apply_to(&mut options);
        match self.policy.load_as(&options, chosen) {
            Ok(policy) => {
                let PolicyInfo {
                    name,
                    parameters,
                    depth,
                    ..
                } = policy.info();
                log::say(format_args!(
                    "policy: {name}, {:.1} million parameters",
                    *parameters as f64 / 1e6
                ));
                if let Some(depth) = depth {
                    let rendering = match depth.decoder {
                        Some(_) => "rendered with its decoder",
                        None => "shown as codes, because there is no --depth-decoder",
                    };
                    log::say(format_args!(
                        "depth: {}, {} cells, {rendering}",
                        depth.mode.name(),
                        depth.cells
                    ));
                }
                let question_answerer = policy.question_answerer();
                Ok((Ok(Box::new(policy)), question_answerer))
            }
            Err(error) if self.policy.is_nano() => {
                let reason = format!("{error:#}");
                log::say(format_args!("no policy: {reason}"));
                Ok((Err(reason), unavailable("No policy")))
            }
            Err(error) => Err(error),
        }
    }
}

/// An address at which this machine reaches the socket.
fn reachable(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
