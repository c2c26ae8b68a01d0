//! `act`: one question to the policy, without a robot.

use super::policy::PolicyArguments;
use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use policy_studio::policies::{ActRequest, Actor, TagInfo};
use protocol::Mode;
use serde::Serialize;
use std::{fmt, path::PathBuf, process::ExitCode};
use vision::RgbImage;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModeArgument {
    Continuous,
    Discrete,
}

/// Ask the policy for one chunk of actions: images, state and a sentence in, actions out.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policy-studio act --image overview.png --image wrist.png --state \"0 -40 60 50 0 30\" \\
      --task \"pick up the red cube\" --json
  policy-studio act --policy ~/checkpoints/MolmoAct2-SO100_101 --image a.jpg --image b.jpg \\
      --state \"-0.5 189 181 60 -3.6 1.1\" --task \"put the ball in the bowl\" --mode discrete")]
pub(super) struct Act {
    #[command(flatten)]
    policy: PolicyArguments,
    /// A camera image (PNG or JPEG); once per camera, in the policy's order.
    #[arg(long = "image", value_name = "FILE", required = true)]
    images: Vec<PathBuf>,
    /// The robot's state in its own units, separated by spaces or commas.
    #[arg(long, value_name = "NUMBERS", allow_hyphen_values = true)]
    state: String,
    /// The sentence.
    #[arg(long, value_name = "SENTENCE")]
    task: String,
    /// Norm tag; may be left out when the policy knows only one.
    #[arg(long)]
    tag: Option<String>,
    /// Which head of the policy.
    #[arg(long, value_enum, default_value = "continuous")]
    mode: ModeArgument,
    /// Seed of the flow's starting noise.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Answer {
    rows: usize,
    dims: usize,
    n_action_steps: usize,
    actions: Vec<Vec<f32>>,
    chunk_normalised: Vec<Vec<f32>>,
    action_tokens: Vec<u32>,
    prompt: String,
    prompt_tokens: usize,
    stages: Vec<protocol::Stage>,
}

impl Act {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let state = numbers(&self.state)?;
        let images = self
            .images
            .iter()
            .map(read)
            .collect::<anyhow::Result<Vec<_>>>()?;
        let chosen = self.policy.device()?;
        let mut hosted = self.policy.load(&chosen)?;
        let tag = self.tag(&hosted.info().tags)?;
        let n_action_steps = tag.n_action_steps;
        if images.len() != tag.cameras.len() || state.len() != tag.state_dim {
            bail!(
                "the tag {:?} wants {} images ({}) and {} state values, {} and {} were given",
                tag.tag,
                tag.cameras.len(),
                tag.cameras.join(", "),
                tag.state_dim,
                images.len(),
                state.len()
            );
        }
        let tag = tag.tag.clone();
        let acted = hosted.act(&ActRequest {
            tag: &tag,
            images: &images,
            state: &state,
            instruction: &self.task,
            mode: match self.mode {
                ModeArgument::Continuous => Mode::Continuous,
                ModeArgument::Discrete => Mode::Discrete,
            },
            seed: self.seed,
        })?;
        let rows = |values: &[f32]| -> Vec<Vec<f32>> {
            values
                .chunks(acted.dims.max(1))
                .map(<[f32]>::to_vec)
                .collect()
        };
        let answer = Answer {
            rows: acted.rows,
            dims: acted.dims,
            n_action_steps,
            actions: rows(&acted.actions),
            chunk_normalised: rows(&acted.chunk_normalised),
            action_tokens: acted.action_tokens,
            prompt: acted.prompt,
            prompt_tokens: acted.prompt_tokens,
            stages: acted.stages,
        };
        super::print(&answer, self.json)?;
        Ok(ExitCode::SUCCESS)
    }

    fn tag<'a>(&self, tags: &'a [TagInfo]) -> anyhow::Result<&'a TagInfo> {
        let known = || -> String {
            let names: Vec<&str> = tags.iter().map(|tag| tag.tag.as_str()).collect();
            names.join(", ")
        };
        match (&self.tag, tags) {
            (Some(wanted), _) => tags
                .iter()
                .find(|tag| tag.tag == *wanted)
                .with_context(|| format!("the policy has no tag {wanted:?}; it knows {}", known())),
            (None, [only]) => Ok(only),
            (None, _) => bail!(
                "the policy knows several tags; choose one with --tag: {}",
                known()
            ),
        }
    }
}

fn numbers(text: &str) -> anyhow::Result<Vec<f32>> {
    text.split([' ', ',', ';', '\t', '[', ']'])
        .filter(|word| !word.is_empty())
        .map(|word| {
            word.parse::<f32>()
                .ok()
                .filter(|value| value.is_finite())
                .with_context(|| format!("--state: {word:?} is not a number"))
        })
        .collect()
}

fn read(path: &PathBuf) -> anyhow::Result<RgbImage> {
    let image = image::open(path)
        .with_context(|| format!("cannot read the image {}", path.display()))?
        .into_rgb8();
    let (width, height) = image.dimensions();
    Ok(RgbImage::new(
        width as usize,
        height as usize,
        image.into_raw(),
    )?)
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (k, row) in self.actions.iter().enumerate() {
            let values: Vec<String> = row.iter().map(|value| format!("{value:9.3}")).collect();
            writeln!(f, "{k:3} {}", values.join(" "))?;
        }
        let times: Vec<String> = self
            .stages
            .iter()
            .map(|stage| format!("{} {:.1} ms", stage.name, stage.micros as f64 / 1e3))
            .collect();
        writeln!(f, "{}", times.join(", "))
    }
}
