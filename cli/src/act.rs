//! `act`: one inference of the policy, without a robot.

mod answer;
mod depth_image;
mod dump;

use super::{
    depth::{DecoderArgument, DepthArgument},
    policy::PolicyArguments,
};
use answer::Answer;
use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use datasets::{images, npy};
use depth_image::DepthRenderer;
use field_files::Limit;
use molmoact2::{ActOptions, Decoding, Depth, DepthCache, Mode, Observation};
use policies::{DepthInfo, Policy, TagInfo, molmoact2_policy::MolmoAct2Policy};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ModeArgument {
    Continuous,
    Discrete,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DecodingArgument {
    /// Only action tokens that still lead to a complete chunk can be sampled.
    Masked,
    /// Any token can be sampled, as in the reference; a sequence that does not decode is an error.
    Strict,
}

/// Compute one chunk of actions from images, a state and an instruction.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policy-studio act --image overview.png --image wrist.png --state \"0 -40 60 50 0 30\" \\
      --task \"pick up the red cube\" --json
  policy-studio act --policy ~/checkpoints/MolmoAct2-SO100_101 --image a.jpg --image b.jpg \\
      --state \"-0.5 189 181 60 -3.6 1.1\" --task \"put the ball in the bowl\" --mode discrete
  policy-studio act --policy ~/checkpoints/MolmoAct2-Think-LIBERO --image now.png --image wrist.png \\
      --state \"0,0,0.9,3.1,0,0,0.04,-0.04\" --task \"open the drawer\" --noise noise.npy --dump answer.safetensors \\
      --depth adaptive --previous-image before.png --previous-depth codes.npy --depth-image depth.png")]
pub(super) struct Act {
    #[command(flatten)]
    policy: PolicyArguments,
    /// A camera image (PNG or JPEG); once per camera, in the policy's order.
    #[arg(long = "image", value_name = "FILE", required = true)]
    images: Vec<PathBuf>,
    /// The robot's state in the robot's units, separated by spaces or commas.
    #[arg(long, value_name = "NUMBERS", allow_hyphen_values = true)]
    state: String,
    /// The instruction.
    #[arg(long, value_name = "SENTENCE", allow_hyphen_values = true)]
    task: String,
    /// Norm tag; optional if the policy has only one.
    #[arg(long)]
    tag: Option<String>,
    /// Action head of the policy.
    #[arg(long, value_enum, default_value = "continuous")]
    mode: ModeArgument,
    /// Continuous mode: seed of the flow's starting noise.
    #[arg(long, default_value_t = 0, conflicts_with = "noise")]
    seed: u64,
    /// Continuous mode: the starting noise itself, float32 [horizon, max_action_dim] in a .npy file.
    #[arg(long, value_name = "FILE")]
    noise: Option<PathBuf>,
    /// Continuous mode: Euler steps of the flow; the checkpoint's number when absent.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
    /// Discrete mode: tokens that can be sampled.
    #[arg(long, value_enum, default_value = "masked")]
    decoding: DecodingArgument,
    /// Depth reasoning before the actions (Think checkpoints).
    #[arg(long, value_enum, default_value = "off")]
    depth: DepthArgument,
    /// Adaptive depth: image of the first camera in the previous call.
    #[arg(long, value_name = "FILE", requires = "previous_depth")]
    previous_image: Option<PathBuf>,
    /// Adaptive depth: codes of the previous call, int64 in a .npy file.
    #[arg(long, value_name = "FILE", requires = "previous_image")]
    previous_depth: Option<PathBuf>,
    #[command(flatten)]
    decoder: DecoderArgument,
    /// Write the depth map as a grey PNG in which the nearest point is white. Needs a depth decoder.
    #[arg(long, value_name = "FILE")]
    depth_image: Option<PathBuf>,
    /// Write all tensors of the result to a safetensors file: input_ids, logits, velocity, chunk_normalised, actions,
    /// generated_ids, depth_codes, depth_regenerated, depth_picture, as far as they apply.
    #[arg(long, value_name = "FILE")]
    dump: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Act {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let state = numbers(&self.state)?;
        let images = images::read_all(self.images.iter().map(PathBuf::as_path))?;
        let noise = self
            .noise
            .as_deref()
            .map(|file| npy::read_within(file, Limit::ARRAY))
            .transpose()?;
        let depth = self.depth()?;
        let chosen = self.policy.device()?;
        let mut options = self.policy.options();
        self.decoder.apply_to(&mut options);
        options.fast_of_nano = self.mode == ModeArgument::Discrete;
        let policy = self.policy.load_as(&options, &chosen)?;
        if policy.uses_nano_tokenizer() {
            eprintln!(
                "warning: there is neither openfast/ in the policy's folder nor MolmoAct2-FAST-Tokenizer/ beside it; its \
                 tokens are read with the nano policy's tokenizer, which is right only if it was trained with that. Give \
                 the right one with --fast DIR"
            );
        }
        let renderer = self.depth_renderer(policy.info().depth.as_ref(), &chosen.device)?;
        let tag = self.tag(&policy.info().tags)?;
        if let Some(noise) = &noise {
            self.check_noise(noise, tag, &policy)?;
        }
        warn_about_cells(&depth, policy.policy().info().depth_cells);
        let observation = Observation {
            images: &images,
            state: &state,
            instruction: &self.task,
            tag,
        };
        let options = self.options(noise, depth);
        let action = policy.policy().act(&observation, &options)?;
        let depth_image = match (&renderer, &action.depth) {
            (Some(renderer), Some(depth)) => renderer.render(depth)?,
            _ => None,
        };
        if let Some(path) = &self.depth_image {
            depth_image::write(path, depth_image.as_ref())?;
        }
        if let Some(path) = &self.dump {
            dump::write(path, &action, depth_image.as_ref())?;
        }
        super::print(&Answer::from(action), self.json)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Renderer of the depth map; `None` if no option needs one.
    fn depth_renderer(
        &self,
        depth: Option<&DepthInfo>,
        device: &layers::Device,
    ) -> anyhow::Result<Option<DepthRenderer>> {
        if self.depth_image.is_some() && self.depth == DepthArgument::Off {
            bail!("--depth-image needs --depth full, adaptive or free");
        }
        let bytes = depth.and_then(|depth| depth.decoder.as_ref());
        if self.depth_image.is_some() && depth.is_some() && bytes.is_none() {
            bail!(
                "--depth-image: there is no {} in the policy's folder; give one with --depth-decoder \
                 (models/depth_decoder/convert.py makes it from the published one)",
                depth_decoder::FILE_NAME
            );
        }
        let is_needed = self.depth_image.is_some() || self.dump.is_some();
        match bytes.filter(|_| is_needed && self.depth != DepthArgument::Off) {
            Some(bytes) => Ok(Some(DepthRenderer::new(bytes, device)?)),
            None => Ok(None),
        }
    }

    fn options(&self, noise: Option<npy::Array>, depth: Depth) -> ActOptions {
        ActOptions {
            continuation: None,
            mode: match self.mode {
                ModeArgument::Continuous => Mode::Continuous,
                ModeArgument::Discrete => Mode::Discrete,
            },
            flow_steps: self.steps.map_or(0, |steps| steps as usize),
            noise: noise.map(|array| array.values),
            seed: self.seed,
            decoding: match self.decoding {
                DecodingArgument::Masked => Decoding::Masked,
                DecodingArgument::Strict => Decoding::Strict,
            },
            depth,
            dumps: self.dump.is_some(),
        }
    }

    /// Checks the shape of the noise: the right number of values may still be transposed.
    fn check_noise(
        &self,
        noise: &npy::Array,
        tag: &str,
        policy: &MolmoAct2Policy,
    ) -> anyhow::Result<()> {
        if self.mode == ModeArgument::Discrete {
            eprintln!("warning: --noise is ignored: it applies to the continuous mode only");
            return Ok(());
        }
        let model = policy.policy();
        let (Some(tag), Some(expert)) = (model.info().tag(tag), model.network().expert()) else {
            // The policy refuses these inputs with a more specific reason.
            return Ok(());
        };
        let expected = [tag.horizon, expert.max_action_dim()];
        // The reference draws the noise for a batch of one.
        let shape = noise
            .shape
            .strip_prefix(&[1])
            .filter(|rest| rest.len() == 2);
        if shape.unwrap_or(&noise.shape) != expected {
            bail!(
                "--noise has shape {:?}; tag {:?} of this policy takes {expected:?}, its horizon by max_action_dim",
                noise.shape,
                tag.tag
            );
        }
        Ok(())
    }

    fn depth(&self) -> anyhow::Result<Depth> {
        let previous = self
            .previous_image
            .as_deref()
            .zip(self.previous_depth.as_deref());
        Ok(match (self.depth, previous) {
            (DepthArgument::Adaptive, previous) => Depth::Adaptive {
                cache: match previous {
                    Some((image, codes)) => Some(DepthCache {
                        image: images::read(image)?,
                        codes: read_codes(codes)?,
                    }),
                    None => None,
                },
            },
            (_, Some(_)) => {
                bail!("--previous-image and --previous-depth need --depth adaptive")
            }
            (DepthArgument::Off, None) => Depth::Off,
            (DepthArgument::Full, None) => Depth::Full,
            (DepthArgument::Free, None) => Depth::Free,
        })
    }

    /// The named tag, which the policy may still refuse with its reason, or the only one.
    fn tag<'a>(&'a self, tags: &'a [TagInfo]) -> anyhow::Result<&'a str> {
        match (&self.tag, tags) {
            (Some(named), _) => Ok(named.trim()),
            (None, [only]) => Ok(&only.tag),
            (None, _) => {
                let names: Vec<&str> = tags.iter().map(|tag| tag.tag.as_str()).collect();
                bail!(
                    "the policy has several tags; choose one with --tag: {}",
                    names.join(", ")
                )
            }
        }
    }
}

/// Warns about a previous map of another number of cells, which is ignored as in the reference.
fn warn_about_cells(depth: &Depth, cells: Option<usize>) {
    if let (Depth::Adaptive { cache: Some(cache) }, Some(cells)) = (depth, cells)
        && cache.codes.len() != cells
    {
        eprintln!(
            "warning: --previous-depth is ignored: it has {} codes, but this policy's map has {cells} cells; every cell is \
             generated",
            cache.codes.len()
        );
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

fn read_codes(path: &Path) -> anyhow::Result<Vec<u32>> {
    npy::read_whole_numbers(path)?
        .into_iter()
        .map(|code| {
            u32::try_from(code).with_context(|| {
                format!("{} holds {code}, which is not a depth code", path.display())
            })
        })
        .collect()
}
