//! `fast train`: a tokenizer from recorded actions.

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

/// Train a tokenizer on recorded actions, and report what it costs and what it loses.
///
/// The same chunks and options give the files that the reference implementation's `fit` writes. What is reported
/// is measured on chunks (whole episodes of a data set) that were held out of a second, otherwise equal training,
/// so that the figures are those of chunks to come.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policy-studio fast train --actions chunks.npy --out DIR
  policy-studio fast train --actions a.npy --actions b.npy --out DIR --scale 20 --vocab-size 2048 --hold-out 0.2
  policy-studio fast train --dataset ~/datasets/my_arm --horizon 30 --out DIR --declare-shape
  policy-studio fast train --dataset ~/datasets/two_arms --horizon 50 --dims 0:6,7:13 --relative-dims 0,1,2,3,4,5 \\
      --normalise min-max --complete-alphabet --out DIR --json > report.json")]
pub(super) struct Train {
    /// Chunks of normalised actions: .npy, [batch, horizon, dims]; may be given more than once.
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
    /// The tokenizer's folder, to be made.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What coefficients are multiplied with before rounding: larger is finer and takes more tokens.
    #[arg(long, default_value_t = 10.0, allow_negative_numbers = true)]
    scale: f64,
    /// How many ids to stop at.
    #[arg(long, value_name = "IDS", default_value_t = 1024)]
    vocab_size: u32,
    /// Give every coefficient between the smallest and the largest a way to be written, whether or not it occurs.
    /// The reference leaves holes there; it loads the result all the same.
    #[arg(long)]
    complete_alphabet: bool,
    /// Write the chunks' shape into processor_config.json, so that decoding need not be told.
    #[arg(long)]
    declare_shape: bool,
    /// The share of chunks (of episodes, in a data set) to measure on, with a tokenizer trained on the others for
    /// that alone: the one that is written is trained on all. 0 measures that one on what it has seen, in half the
    /// time.
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
    /// What the tokenizer in `out` is trained on: everything.
    chunks_trained_on: usize,
    /// Those among them that `quality` is measured on, with a tokenizer trained on the others.
    chunks_held_out: usize,
    /// Whether there were any; otherwise `quality` is measured on all, with the tokenizer in `out`.
    measured_on_held_out: bool,
    /// Of the tokenizer in `out`.
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
        let part = |wanted: bool| -> Vec<Chunk<'_>> {
            let pairs = chunks.iter().zip(&held_out);
            pairs
                .filter(|(_, held_out)| **held_out == wanted)
                .map(|(chunk, _)| *chunk)
                .collect()
        };
        let (seen, unseen) = (part(false), part(true));
        let quality = if unseen.is_empty() {
            quality::measure(fitted.tokenizer(), &chunks, &Bins::of(&chunks))?
        } else {
            let without = self.fit(&seen)?;
            quality::measure(without.tokenizer(), &unseen, &Bins::of(&seen))?
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

    /// Refuses a folder with something in it, before any work is done.
    fn check_out(&self) -> anyhow::Result<()> {
        let out = &self.out;
        if out.exists() && !out.is_dir() {
            bail!("--out {} is no folder", out.display());
        }
        let filled = |folder: &Path| {
            std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
        };
        if !self.force && filled(out) {
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
        let merging = ProgressStyle::with_template("{elapsed_precise} {spinner} {msg}")?;
        let fitted = fit(chunks, &options, &|progress| {
            show(&steps, &merging, progress);
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
