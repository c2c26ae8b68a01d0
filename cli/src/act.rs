//! `act`: one question to the policy, without a robot.

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
use depth_image::Painter;
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
    /// Only action tokens that still lead to a whole chunk can be picked.
    Masked,
    /// Any token can be picked, as in the reference; what does not decode is an error.
    Strict,
}

/// Ask the policy for one chunk of actions: images, state and a sentence in, actions out.
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
    /// The robot's state in its own units, separated by spaces or commas.
    #[arg(long, value_name = "NUMBERS", allow_hyphen_values = true)]
    state: String,
    /// The sentence.
    #[arg(long, value_name = "SENTENCE", allow_hyphen_values = true)]
    task: String,
    /// Norm tag; may be left out when the policy knows only one.
    #[arg(long)]
    tag: Option<String>,
    /// Which head of the policy.
    #[arg(long, value_enum, default_value = "continuous")]
    mode: ModeArgument,
    /// Continuous mode: seed of the flow's starting noise.
    #[arg(long, default_value_t = 0, conflicts_with = "noise")]
    seed: u64,
    /// Continuous mode: the starting noise itself, float32 [horizon, max_action_dim] in a .npy file.
    #[arg(long, value_name = "FILE")]
    noise: Option<PathBuf>,
    /// Continuous mode: Euler steps of the flow; the checkpoint's own number when absent.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
    /// Discrete mode: which tokens can be picked.
    #[arg(long, value_enum, default_value = "masked")]
    decoding: DecodingArgument,
    /// Whether and how to reason about depth first (Think checkpoints).
    #[arg(long, value_enum, default_value = "off")]
    depth: DepthArgument,
    /// Adaptive depth: what the first camera saw in the last call.
    #[arg(long, value_name = "FILE", requires = "previous_depth")]
    previous_image: Option<PathBuf>,
    /// Adaptive depth: the codes of the last call, int64 in a .npy file.
    #[arg(long, value_name = "FILE", requires = "previous_image")]
    previous_depth: Option<PathBuf>,
    #[command(flatten)]
    decoder: DecoderArgument,
    /// Draw the depth map as a PNG: grey, the nearest point white. Needs a depth decoder.
    #[arg(long, value_name = "FILE")]
    depth_image: Option<PathBuf>,
    /// Write everything about the answer to a safetensors file: input_ids, logits, velocity, chunk_normalised, actions,
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
        let mut setup = self.policy.setup();
        self.decoder.put_into(&mut setup);
        setup.fast_of_nano = self.mode == ModeArgument::Discrete;
        let hosted = self.policy.load_as(&setup, &chosen)?;
        if hosted.uses_nano_tokenizer() {
            eprintln!(
                "warning: there is neither openfast/ in the policy's folder nor MolmoAct2-FAST-Tokenizer/ beside it; its \
                 tokens are read with the nano policy's tokenizer, which is right only if it was trained with that. Give \
                 the right one with --fast DIR"
            );
        }
        let painter = self.painter(hosted.info().depth.as_ref(), &chosen.device)?;
        let tag = self.tag(&hosted.info().tags)?;
        if let Some(noise) = &noise {
            self.check_noise(noise, tag, &hosted)?;
        }
        warn_of_length(&depth, hosted.policy().info().depth_cells);
        let observation = Observation {
            images: &images,
            state: &state,
            instruction: &self.task,
            tag,
        };
        let options = self.options(noise, depth);
        let action = hosted.policy().act(&observation, &options)?;
        let picture = match (&painter, &action.depth) {
            (Some(painter), Some(depth)) => painter.draw(depth)?,
            _ => None,
        };
        if let Some(path) = &self.depth_image {
            depth_image::write(path, picture.as_ref())?;
        }
        if let Some(path) = &self.dump {
            dump::write(path, &action, picture.as_ref())?;
        }
        super::print(&Answer::from(action), self.json)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Who draws the depth map; `None` when nobody wants to see it.
    fn painter(
        &self,
        depth: Option<&DepthInfo>,
        device: &layers::Device,
    ) -> anyhow::Result<Option<Painter>> {
        if self.depth_image.is_some() && self.depth == DepthArgument::Off {
            bail!("--depth-image is for --depth full, adaptive or free");
        }
        let bytes = depth.and_then(|depth| depth.decoder.as_ref());
        if self.depth_image.is_some() && depth.is_some() && bytes.is_none() {
            bail!(
                "--depth-image: there is no {} in the policy's folder; give one with --depth-decoder \
                 (models/depth_decoder/convert.py makes it from the published one)",
                depth_decoder::FILE_NAME
            );
        }
        let is_wanted = self.depth_image.is_some() || self.dump.is_some();
        match bytes.filter(|_| is_wanted && self.depth != DepthArgument::Off) {
            Some(bytes) => Ok(Some(Painter::new(bytes, device)?)),
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

    /// Noise of the right number of values may still lie the wrong way round.
    fn check_noise(
        &self,
        noise: &npy::Array,
        tag: &str,
        hosted: &MolmoAct2Policy,
    ) -> anyhow::Result<()> {
        if self.mode == ModeArgument::Discrete {
            eprintln!("warning: --noise is for the continuous mode; the discrete one takes none");
            return Ok(());
        }
        let policy = hosted.policy();
        let (Some(tag), Some(expert)) = (policy.info().tag(tag), policy.network().expert()) else {
            // There is a better reason for refusing the question.
            return Ok(());
        };
        let want = [tag.horizon, expert.max_action_dim()];
        // The reference draws it for a batch of one.
        let shape = noise
            .shape
            .strip_prefix(&[1])
            .filter(|rest| rest.len() == 2);
        if shape.unwrap_or(&noise.shape) != want {
            bail!(
                "--noise has shape {:?}; tag {:?} of this policy takes {want:?}, its horizon by max_action_dim",
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
                bail!("--previous-image and --previous-depth are for --depth adaptive")
            }
            (DepthArgument::Off, None) => Depth::Off,
            (DepthArgument::Full, None) => Depth::Full,
            (DepthArgument::Free, None) => Depth::Free,
        })
    }

    /// The tag that was named, which the policy may still refuse with its reason, or the only one there is.
    fn tag<'a>(&'a self, tags: &'a [TagInfo]) -> anyhow::Result<&'a str> {
        match (&self.tag, tags) {
            (Some(wanted), _) => Ok(wanted.trim()),
            (None, [only]) => Ok(&only.tag),
            (None, _) => {
                let names: Vec<&str> = tags.iter().map(|tag| tag.tag.as_str()).collect();
                bail!(
                    "the policy knows several tags; choose one with --tag: {}",
                    names.join(", ")
                )
            }
        }
    }
}

/// As the reference does, a map of another number of cells is not used; whoever gave it should know.
fn warn_of_length(depth: &Depth, cells: Option<usize>) {
    if let (Depth::Adaptive { cache: Some(cache) }, Some(cells)) = (depth, cells)
        && cache.codes.len() != cells
    {
        eprintln!(
            "warning: --previous-depth holds {} codes where this policy's map has {cells} cells; it is not used and every \
             cell is written anew",
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
            u32::try_from(code)
                .with_context(|| format!("{} holds {code}, which is no depth code", path.display()))
        })
        .collect()
}
