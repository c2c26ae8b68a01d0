//! `score`: how far a video gets with what it was told, by a video model's own probabilities.

mod report;

use super::policy::{DeviceArgument, LoadingBar, choose};
use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use layers::{ModelFiles, Precision};
use policy_studio::scoring::{Kept, stills, video};
use qwen3vl::{LoadOptions, Qwen3Vl, TextLayout};
use report::Report;
use std::{ops::ControlFlow, path::PathBuf, process::ExitCode, time::Instant};
use topreward::{
    Clip, Prefixes, Profile, Template,
    scorer::{Form, Request, Scored, Scorer, ScorerOptions},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormArgument {
    /// Every prefix read from its beginning.
    Naive,
    /// The video read once, a point as soon as its prefix has been read.
    Streaming,
    /// The video read once, then all questions in one pass.
    Packed,
}

/// Score a video against a sentence: a progress curve from a video model's own probabilities, with its controls.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policy-studio score --scorer ~/checkpoints/Qwen3-VL-2B-Instruct --video episode.mp4 --fps 30 \\
      --instruction \"open the drawer\"
  policy-studio score --scorer ~/checkpoints/Qwen3-VL-8B-Instruct --frames ./frames --fps 10 \\
      --instruction \"stack the red cube on the green one\" --prefixes blocks --json

The curve says what order the frames are in, the raw values and the controls say whether that means anything: on a frozen
frame some models score as well as on the episode.")]
pub(super) struct Score {
    /// Folder of a Qwen3-VL checkpoint, in the Hugging Face layout.
    #[arg(long, value_name = "DIR")]
    scorer: PathBuf,
    /// A video file; decoded by the system's ffmpeg.
    #[arg(long, value_name = "FILE", required_unless_present = "frames")]
    video: Option<PathBuf>,
    /// A folder of PNG or JPEG images, taken in the order of their names.
    #[arg(long, value_name = "DIR", conflicts_with = "video", requires = "fps")]
    frames: Option<PathBuf>,
    /// Frames per second at which the video was recorded; a video file's own rate when absent.
    #[arg(long, value_name = "F")]
    fps: Option<f64>,
    /// What the robot was told.
    #[arg(long, value_name = "SENTENCE", allow_hyphen_values = true)]
    instruction: String,
    /// What another episode was told, for the control; the words of the instruction are shuffled when absent.
    #[arg(long, value_name = "SENTENCE", allow_hyphen_values = true)]
    other_instruction: Option<String>,
    /// Which prefixes: a number of them, all, blocks, or lengths separated by commas.
    #[arg(long, value_name = "15|all|blocks|A,B,C", default_value_t)]
    prefixes: Prefixes,
    /// Which frames of a prefix are shown, and at which times: aligned, legacy or lerobot. Values of different profiles
    /// cannot be compared.
    #[arg(long, value_name = "NAME", default_value_t)]
    profile: Profile,
    /// Side of the square that frames are squeezed to first [pixels]; 0 leaves them as they are. The profile's own, 244
    /// or 0, when absent.
    #[arg(long, value_name = "SIDE", value_parser = clap::value_parser!(u64).range(0..=4096))]
    pre_resize: Option<u64>,
    /// Ask as a turn of a conversation: much the worse way, for comparison.
    #[arg(long)]
    with_template: bool,
    /// Text that describes the video, put before the claim.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    description: Option<String>,
    /// How the video stands in the text: transformers-4.57 or transformers-5.10.
    #[arg(long, value_name = "NAME", default_value = "transformers-4.57")]
    layout: TextLayout,
    /// In which order things are read; the results agree.
    #[arg(long, value_enum, default_value = "streaming")]
    form: FormArgument,
    /// Where the model runs.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceArgument,
    /// What the language model's weight matrices are kept in: f32, f16, bf16, int8 or int4.
    #[arg(long, value_name = "TYPE", default_value_t)]
    dtype: Precision,
    /// Print one JSON object and nothing else.
    #[arg(long)]
    json: bool,
}

impl Score {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let options = self.options();
        let fps = self.fps()?;
        let film = self.film(&options, fps)?;
        let clip = Clip::new(film.count(), fps)?;
        // A list that does not fit the clip is refused before a model is loaded.
        self.prefixes.lengths(&clip, self.profile)?;
        let chosen = choose(self.device.into())?;
        let model = self.load(&chosen.device)?;
        let scorer = Scorer::new(model, options);
        let request = Request {
            clip,
            prefixes: &self.prefixes,
            instruction: &self.instruction,
            other_task: self.other_instruction.as_deref(),
            description: self.description.as_deref(),
        };
        let bar = self.bar("{msg} {wide_bar} {pos}/{len} points, {eta} to go")?;
        let started = Instant::now();
        let score = layers::wait(
            scorer.score(&film, &request, &mut async |point: Scored<'_>| {
                bar.set_length(point.of as u64);
                bar.set_position(point.done as u64);
                bar.set_message(format!(
                    "{}{} frames: {:.3}",
                    if point.frozen { "control, " } else { "" },
                    point.length,
                    point.log_prob()
                ));
                ControlFlow::Continue(())
            }),
        )?;
        bar.finish_and_clear();
        let report = Report {
            scorer: scorer.model().info().name.clone(),
            device: chosen.words(),
            dtype: self.dtype.to_string(),
            text_layout: self.layout.name(),
            pre_resize: options.pre_resize,
            secs: started.elapsed().as_secs_f64(),
            score,
        };
        super::print(&report, self.json)?;
        Ok(ExitCode::SUCCESS)
    }

    fn options(&self) -> ScorerOptions {
        let mut options = ScorerOptions::new(self.profile);
        options.layout = self.layout;
        if self.with_template {
            options.template = Template::With;
        }
        if let Some(side) = self.pre_resize {
            options.pre_resize = usize::try_from(side).ok().filter(|side| *side > 0);
        }
        options.form = match self.form {
            FormArgument::Naive => Form::Naive,
            FormArgument::Streaming => Form::Streaming,
            FormArgument::Packed => Form::Packed,
        };
        options
    }

    fn fps(&self) -> anyhow::Result<f64> {
        if let Some(fps) = self.fps {
            return Ok(fps);
        }
        let Some(file) = &self.video else {
            bail!("--frames needs --fps: images do not say at which rate they were taken");
        };
        video::frame_rate(file)?
            .with_context(|| format!("{} does not say its rate; give --fps", file.display()))
    }

    fn film(&self, options: &ScorerOptions, fps: f64) -> anyhow::Result<Kept> {
        // Asked before anything is read: a rate of nothing would keep every frame.
        Clip::new(1, fps)?;
        let (profile, side) = (options.profile, options.pre_resize);
        if let Some(folder) = &self.frames {
            let bar = self.bar("reading {wide_bar} {pos}/{len} images")?;
            let film = stills::read(folder, profile, fps, side, &mut |done, of| {
                bar.set_length(of as u64);
                bar.set_position(done as u64);
            })?;
            bar.finish_and_clear();
            return Ok(film);
        }
        let Some(file) = &self.video else {
            bail!("give --video FILE or --frames DIR");
        };
        let bar = self.bar("decoding {pos} frames")?;
        let film = video::read(file, profile, fps, side, &mut |done| {
            bar.set_position(done as u64);
        })?;
        bar.finish_and_clear();
        Ok(film)
    }

    fn load(&self, device: &layers::Device) -> anyhow::Result<Qwen3Vl> {
        let bar = LoadingBar::default();
        let tell = |read, total| bar.tell(read, total);
        let files = ModelFiles::open_dir(&self.scorer)?;
        let options = LoadOptions {
            precision: self.dtype,
            progress: Some(&tell),
            ..LoadOptions::default()
        };
        Qwen3Vl::load(&files, device, &options)
            .with_context(|| format!("cannot load {}", self.scorer.display()))
    }

    /// On standard error, and not at all when a program reads the result.
    fn bar(&self, template: &str) -> anyhow::Result<ProgressBar> {
        if self.json {
            return Ok(ProgressBar::hidden());
        }
        Ok(ProgressBar::no_length().with_style(ProgressStyle::with_template(template)?))
    }
}
