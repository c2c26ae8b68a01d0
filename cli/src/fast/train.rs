//! `fast train`: training of a tokenizer on recorded actions.

use super::{
    bar,
    corpus::{Corpus, DataSetArguments},
    quality::{self, Bins, Quality},
    report::Described,
    vocabulary::VocabularyFacts,
};
use anyhow::{Context as _, bail};
use clap::Args;
use field_files::write_whole;
use indicatif::{ProgressBar, ProgressStyle};
use openfast::{Alphabet, Chunk, FitOptions, Fitted, Phase, Progress, fit};
use serde::Serialize;
use std::{
    fmt,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// Train a tokenizer on recorded actions, and report its token counts and errors.
///
/// The same chunks and options give the same files as the reference implementation's `fit`. The report is measured on
/// chunks (whole episodes of a data set) that were held out of a second, otherwise equal training, so that it predicts
/// the results on new chunks.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policy-studio fast train --actions chunks.npy --out DIR
  policy-studio fast train --actions a.npy --actions b.npy --out DIR --scale 20 --vocab-size 2048 --hold-out 0.2
  policy-studio fast train --dataset ~/datasets/my_arm --horizon 30 --out DIR --declare-shape
  policy-studio fast train --dataset ~/datasets/two_arms --horizon 50 --dims 0:6,7:13 --relative-dims 0,1,2,3,4,5 \\
      --normalise min-max --complete-alphabet --out DIR --json > report.json")]
pub(super) struct Train {
    /// Chunks of normalised actions: .npy, [batch, horizon, dims]; can be repeated.
    #[arg(long, value_name = "FILE", required_unless_present = "dataset")]
    actions: Vec<PathBuf>,
    /// A LeRobot data set (layout v2.0, v2.1 or v3.0) to cut into chunks and normalise.
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with = "actions",
        requires = "horizon"
    )]
    dataset: Option<PathBuf>,
    /// Folder of the new tokenizer.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Factor of the coefficients before rounding: larger is finer and takes more tokens.
    #[arg(long, default_value_t = 10.0, allow_negative_numbers = true)]
    scale: f64,
    /// Maximum number of ids.
    #[arg(long, value_name = "IDS", default_value_t = 1024)]
    vocab_size: u32,
    /// Make every coefficient between the smallest and the largest expressible, even if it does not occur. The
    /// reference leaves holes there, but it can load the result.
    #[arg(long)]
    complete_alphabet: bool,
    /// Write the chunks' shape into processor_config.json, so that decoding does not need --horizon and --dim.
    #[arg(long)]
    declare_shape: bool,
    /// Share of the chunks (of a data set: of the episodes) to measure on, with a tokenizer that is trained on the
    /// others for this purpose only. The written tokenizer is trained on all chunks. With 0 it is measured on its
    /// training data, which takes half the time.
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, value_parser = share, allow_negative_numbers = true)]
    hold_out: f64,
    /// Write into a folder that is not empty.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    data_set: DataSetArguments,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..1.0).contains(&share) => Ok(share),
        _ => Err("it must be at least 0 and below 1".to_owned()),
    }
}

#[derive(Debug, Serialize)]
struct Report {
    #[serde(serialize_with = "crate::path_text::of")]
    out: PathBuf,
    /// Number of chunks on which the tokenizer in `out` is trained: all.
    chunks_trained_on: usize,
    /// Number of these on which `quality` is measured, with a tokenizer trained on the others.
    chunks_held_out: usize,
    /// True if there are held-out chunks; otherwise `quality` is measured on all, with the tokenizer in `out`.
    measured_on_held_out: bool,
    /// Vocabulary of the tokenizer in `out`.
    vocabulary: VocabularyFacts,
    quality: Quality,
    dim_names: Vec<String>,
    data_units_per_normalised_unit: Vec<f64>,
    origin: serde_json::Value,
}

impl Train {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        self.check_out()?;
        let corpus = match &self.dataset {
            Some(root) => Corpus::of_data_set(root, &self.data_set)?,
            None => Corpus::of_files(&self.actions)?,
        };
        let chunks = corpus.chunks();
        let fitted = self.fit(&chunks)?;
        let held_out = corpus.held_out(self.hold_out);
        let part = |is_held_out: bool| -> Vec<Chunk<'_>> {
            let pairs = chunks.iter().zip(&held_out);
            pairs
                .filter(|(_, held_out)| **held_out == is_held_out)
                .map(|(chunk, _)| *chunk)
                .collect()
        };
        let (training, unseen) = (part(false), part(true));
        let quality = if unseen.is_empty() {
            quality::measure(fitted.tokenizer(), &chunks, &Bins::of(&chunks))?
        } else {
            let reduced = self.fit(&training)?;
            quality::measure(reduced.tokenizer(), &unseen, &Bins::of(&training))?
        };
        let report = Report {
            out: self.out.clone(),
            chunks_trained_on: chunks.len(),
            chunks_held_out: unseen.len(),
            measured_on_held_out: !unseen.is_empty(),
            vocabulary: VocabularyFacts::of(fitted.tokenizer()),
            quality,
            dim_names: corpus.names,
            data_units_per_normalised_unit: corpus.data_units,
            origin: corpus.origin,
        };
        fitted.save(&self.out)?;
        let metadata = self.out.join("metadata.json");
        let text = serde_json::to_string_pretty(&report)? + "\n";
        write_whole(&metadata, |file| file.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write {}", metadata.display()))?;
        crate::print(&report, self.json)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Refuses a folder that is not empty, before any work is done.
    fn check_out(&self) -> anyhow::Result<()> {
        let out = &self.out;
        if out.exists() && !out.is_dir() {
            bail!("--out {} is not a folder", out.display());
        }
        let has_entries = |folder: &Path| {
            std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
        };
        if !self.force && has_entries(out) {
            bail!(
                "--out {} is not empty; choose another folder, or --force to write into this one",
                out.display()
            );
        }
        Ok(())
    }

    fn fit(&self, chunks: &[Chunk<'_>]) -> anyhow::Result<Fitted> {
        let first = chunks.first().map(|chunk| chunk.shape);
        let options = FitOptions {
            scale: self.scale,
            vocab_size: self.vocab_size,
            declared: first.filter(|_| self.declare_shape),
            alphabet: if self.complete_alphabet {
                Alphabet::Complete
            } else {
                Alphabet::AsReference
            },
        };
        let steps = bar(0, "chunks")?;
        let merging_style = ProgressStyle::with_template("{elapsed_precise} {spinner} {msg}")?;
        let fitted = fit(chunks, &options, &|progress| {
            show(&steps, &merging_style, progress);
        });
        steps.finish_and_clear();
        Ok(fitted?)
    }
}

fn show(bar: &ProgressBar, merging: &ProgressStyle, progress: Progress) {
    match progress.phase {
        Phase::Transform | Phase::Words => {
            bar.set_length(progress.total as u64);
            bar.set_position(progress.done as u64);
        }
        Phase::Merges => {
            bar.set_style(merging.clone());
            bar.set_message("merging the most frequent pairs");
            bar.enable_steady_tick(Duration::from_millis(120));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.out.display())?;
        self.vocabulary.fmt(f)?;
        writeln!(
            f,
            "trained on {} chunks, measured on {}",
            self.chunks_trained_on,
            if self.measured_on_held_out {
                format!(
                    "{} of them, held out of a second training",
                    self.chunks_held_out
                )
            } else {
                "the same".to_owned()
            }
        )?;
        Described {
            quality: &self.quality,
            names: &self.dim_names,
            data_units: &self.data_units_per_normalised_unit,
        }
        .fmt(f)
    }
}
