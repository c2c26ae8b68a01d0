//! `score`: how far a video gets with what it was told, by a video model's own probabilities.

mod asking;
mod baseline;
mod data_set;
mod one;
mod report;
mod rows;
mod selection;

use anyhow::bail;
use asking::Asking;
use clap::{ArgGroup, Args, ValueEnum};
use data_set::DataSetArguments;
use indicatif::{ProgressBar, ProgressStyle};
use std::{path::PathBuf, process::ExitCode};

/// Reason why an episode without a task is not scored.
const NO_TASK: &str =
    "the data set does not say what the robot was told in it; say it with --instruction";

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Method {
    /// The probability of ` True` after a claim, over growing prefixes.
    #[default]
    Topreward,
    /// The baseline: percentages in words for shuffled frames (generative value learning).
    Gvl,
}

/// Score videos against sentences: a progress curve from a video model's own probabilities, with its controls.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("source").required(true).args(["video", "frames", "dataset"])),
    after_help = "Examples:
  policy-studio score --scorer ~/checkpoints/Qwen3-VL-2B-Instruct --video episode.mp4 --fps 30 \\
      --instruction \"open the drawer\"
  policy-studio score --scorer ~/checkpoints/Qwen3-VL-8B-Instruct --frames ./frames --fps 10 \\
      --instruction \"stack the red cube on the green one\" --prefixes blocks --json
  policy-studio score --scorer ~/checkpoints/Qwen3-VL-8B-Instruct --dataset ~/datasets/drawer --camera top \\
      --out ./drawer-scores --export rabc

The curve says what order the frames are in, the raw values and the controls say whether that means anything: on a frozen
frame some models score as well as on the episode.

A data set is scored episode by episode; a run that was interrupted goes on where it was. Status is 0 when everything was
scored, 1 when something was not, or when there was nothing to score, 2 for arguments that cannot be. What is doubtful about
a video or about the order of images is said on standard error.

Videos are decoded by ffmpeg (4.4 or newer) and looked at by ffprobe; `policy-studio doctor` says what they can do. They are
turned as they say, and taken by their time stamps where frames do not follow each other evenly. Pixels are taken as they are
stored: not stretched where they are not square, not deinterlaced, not tone-mapped."
)]
pub(super) struct Score {
    /// A video file of any kind that the system's ffmpeg decodes.
    #[arg(long, value_name = "FILE")]
    video: Option<PathBuf>,
    /// A folder of PNG or JPEG images, taken in the order in which a person counts their names: 2 before 10. Hidden files are
    /// passed over. A single image is scored as what it is, a video of one frame: its log-probability is true, its curve has
    /// one point and says nothing of progress (no VOC).
    #[arg(long, value_name = "DIR", requires = "fps")]
    frames: Option<PathBuf>,
    /// A LeRobot data set (v2.0, v2.1, v3.0): every episode, told its own task.
    #[arg(long, value_name = "DIR")]
    dataset: Option<PathBuf>,
    /// Frames per second at which the video was recorded, each frame counting once; a video file's or data set's own rate when
    /// absent.
    #[arg(long, value_name = "F", conflicts_with = "dataset")]
    fps: Option<f64>,
    /// What the robot was told; of a data set, instead of its tasks.
    #[arg(
        long,
        value_name = "SENTENCE",
        allow_hyphen_values = true,
        required_unless_present = "dataset"
    )]
    instruction: Option<String>,
    /// What another episode was told, for the control; in a data set the next other task, else the words of the
    /// instruction are shuffled when absent.
    #[arg(long, value_name = "SENTENCE", allow_hyphen_values = true)]
    other_instruction: Option<String>,
    /// How the video is judged.
    #[arg(long, value_enum, default_value_t)]
    method: Method,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    baseline: baseline::Options,
    #[command(flatten)]
    set: DataSetArguments,
    /// Print one JSON object and nothing else.
    #[arg(long)]
    json: bool,
}

impl Score {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        if self.asking.is_described() && self.method == Method::Gvl {
            bail!(
                "--describe and --description are about the claim, which --method gvl does not make"
            );
        }
        match (&self.dataset, self.method) {
            (Some(folder), Method::Topreward) => self.score_data_set(folder),
            (Some(folder), Method::Gvl) => self.ask_data_set(folder),
            (None, Method::Topreward) => self.score_one(),
            (None, Method::Gvl) => self.ask_one(),
        }
    }
}

/// On standard error, and nowhere if that is no terminal.
fn bar(template: &str) -> anyhow::Result<ProgressBar> {
    Ok(ProgressBar::no_length().with_style(ProgressStyle::with_template(template)?))
}

/// Says what of a data set is not as it should be; not a thousand times.
fn notes(notes: &[String]) {
    const SHOWN: usize = 20;
    for note in notes.iter().take(SHOWN) {
        eprintln!("note: {note}");
    }
    if let Some(more) = notes.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        eprintln!("note: and {more} more");
    }
}

/// What went wrong with an episode, for a sentence that has named it already.
fn of_episode(index: u64, error: &anyhow::Error) -> String {
    let words = super::in_one_line(error);
    let named = format!("episode {index}: ");
    words
        .strip_prefix(&named)
        .map_or_else(|| words.clone(), str::to_owned)
}
