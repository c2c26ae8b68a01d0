//! How a scorer asks, wherever its frames come from.

use super::super::policy::{DeviceArgument, LoadingBar};
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use evaluation::scores::Kept;
use indicatif::ProgressBar;
use layers::{ModelFiles, Precision};
use qwen3vl::{LoadOptions, Qwen3Vl, TextLayout};
use std::{ops::ControlFlow, path::PathBuf};
use topreward::{
    Prefixes, Profile, Score, Template,
    scorer::{ReadStrategy, Request, ScoredPoint, Scorer, ScorerOptions},
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

#[derive(Debug, Args)]
pub(super) struct Asking {
    /// Folder of a Qwen3-VL checkpoint, in the Hugging Face layout.
    #[arg(long, value_name = "DIR")]
    pub(super) scorer: PathBuf,
    /// Which prefixes: a number of them (0 for all), all, blocks, or lengths separated by commas.
    #[arg(long, value_name = "15|all|blocks|A,B,C", default_value_t)]
    pub(super) prefixes: Prefixes,
    /// Which frames of a prefix are shown, and at which times: aligned, legacy or lerobot. Values of different profiles
    /// cannot be compared.
    #[arg(long, value_name = "NAME", default_value_t)]
    pub(super) profile: Profile,
    /// Side of the square that frames are squeezed to first (pixels); 0 leaves them as they are. The profile's own, 244
    /// or 0, when absent.
    #[arg(long, value_name = "SIDE", value_parser = clap::value_parser!(u64).range(0..=4096))]
    pre_resize: Option<u64>,
    /// Ask as a turn of a conversation: much the worse way, for comparison.
    #[arg(long)]
    with_template: bool,
    /// Let the model describe each prefix in up to 256 tokens first, and put that before the claim; many times slower.
    #[arg(long, conflicts_with = "description")]
    pub(super) describe: bool,
    /// Text that describes the video, put before the claim.
    #[arg(
        long,
        value_name = "TEXT",
        allow_hyphen_values = true,
        conflicts_with = "dataset"
    )]
    pub(super) description: Option<String>,
    /// How the video stands in the text: transformers-4.57 or transformers-5.10.
    #[arg(long, value_name = "NAME", default_value = "transformers-4.57")]
    pub(super) layout: TextLayout,
    /// In which order things are read; the results agree.
    #[arg(long, value_enum, default_value = "streaming")]
    form: FormArgument,
    /// Where the model runs.
    #[arg(long, value_enum, default_value_t)]
    pub(super) device: DeviceArgument,
    /// What the language model's weight matrices are kept in: f32, f16, bf16, int8 or int4.
    #[arg(long, value_name = "TYPE", default_value_t)]
    pub(super) dtype: Precision,
}

/// A score and what the model said of the prefixes, if it was asked to.
pub(super) struct Told {
    pub(super) score: Score,
    pub(super) descriptions: Option<Vec<String>>,
}

impl Asking {
    pub(super) fn is_described(&self) -> bool {
        self.describe || self.description.is_some()
    }

    pub(super) fn options(&self) -> ScorerOptions {
        let mut options = ScorerOptions::new(self.profile);
        options.layout = self.layout;
        if self.with_template {
            options.template = Template::With;
        }
        if let Some(side) = self.pre_resize {
            options.pre_resize = usize::try_from(side).ok().filter(|side| *side > 0);
        }
        options.strategy = match self.form {
            FormArgument::Naive => ReadStrategy::Naive,
            FormArgument::Streaming => ReadStrategy::Streaming,
            FormArgument::Packed => ReadStrategy::Packed,
        };
        options
    }

    pub(super) fn load(&self, device: &layers::Device) -> anyhow::Result<Scorer> {
        let bar = LoadingBar::default();
        let tell = |read, total| bar.update(read, total);
        let files = ModelFiles::open_dir(&self.scorer)?;
        let options = LoadOptions {
            precision: self.dtype,
            progress: Some(&tell),
            ..LoadOptions::default()
        };
        let model = Qwen3Vl::load(&files, device, &options)
            .with_context(|| format!("cannot load {}", self.scorer.display()))?;
        if let Some(note) = &model.info().note {
            eprintln!("note: {note}");
        }
        Ok(Scorer::new(model, self.options()))
    }

    /// Scores a film, `bar` counting its points.
    pub(super) fn score(
        &self,
        scorer: &Scorer,
        film: &Kept,
        request: &Request<'_>,
        bar: &ProgressBar,
    ) -> anyhow::Result<Told> {
        let tell = |frozen: bool, length: usize, log_prob: f64, done: usize, of: usize| {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
            let what = if frozen { "control, " } else { "" };
            bar.set_message(format!("{what}{length} frames: {log_prob:.3}"));
            ControlFlow::Continue(())
        };
        if self.describe {
            let described =
                layers::block_on(scorer.score_described(film, request, &mut |point| {
                    tell(
                        point.frozen,
                        point.length,
                        point.log_prob,
                        point.done,
                        point.total,
                    )
                }))?;
            return Ok(Told {
                score: described.score,
                descriptions: Some(described.descriptions),
            });
        }
        let score =
            layers::block_on(
                scorer.score(film, request, &mut async |point: ScoredPoint| {
                    tell(
                        point.frozen,
                        point.length,
                        point.log_prob(),
                        point.done,
                        point.total,
                    )
                }),
            )?;
        Ok(Told {
            score,
            descriptions: None,
        })
    }
}
