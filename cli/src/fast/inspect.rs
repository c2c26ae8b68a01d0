//! `fast inspect`: vocabulary and reconstruction error of a tokenizer.

use super::{
    chunks::Chunks,
    output::Output,
    plot,
    quality::{self, Bins, Quality},
    report::{Described, bar_of},
    tokenizer::{TokenizerArguments, load_vlm},
    vocabulary::{self, VocabularyFacts},
};
use anyhow::{Context as _, bail};
use clap::Args;
use field_files::write_whole;
use openfast::{Chunk, EncodeError, FastTokenizer, Shape, VlmVocabulary};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::{
    fmt,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Inspect a tokenizer: its vocabulary, coefficients that it cannot express, token lengths, and reconstruction error.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policy-studio fast inspect --tokenizer DIR
  policy-studio fast inspect --tokenizer ~/MolmoAct2-FAST-Tokenizer --vlm ~/MolmoAct2
  policy-studio fast inspect --tokenizer DIR --actions chunks.npy --picture error.svg --json")]
pub(super) struct Inspect {
    #[command(flatten)]
    tokenizer: TokenizerArguments,
    /// Compare with the action ids that this checkpoint reserves (config.json).
    #[arg(long, value_name = "DIR")]
    vlm: Option<PathBuf>,
    /// Chunks of normalised actions to measure: .npy, [batch, horizon, dims]. By default seeded smooth random
    /// trajectories.
    #[arg(long, value_name = "FILE")]
    actions: Option<PathBuf>,
    /// Horizon of the random trajectories; by default that which the tokenizer declares, or 16.
    #[arg(long, value_name = "T", conflicts_with = "actions", value_parser = clap::value_parser!(u64).range(1..=Shape::MAX_HORIZON as u64))]
    horizon: Option<u64>,
    /// Dimensions of the random trajectories; by default those that the tokenizer declares, or 6.
    #[arg(long, value_name = "D", conflicts_with = "actions", value_parser = clap::value_parser!(u64).range(1..=1024))]
    dim: Option<u64>,
    /// Plot the reconstruction error, and the worst chunk with its reconstruction.
    #[arg(long, value_name = "FILE.svg")]
    picture: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Findings {
    vocabulary: VocabularyFacts,
    longest: Vec<Longest>,
    vlm: Option<VlmFacts>,
    /// Source of the measured chunks.
    measured_on: String,
    shape: Shape,
    quality: Quality,
}

#[derive(Debug, Serialize)]
struct Longest {
    id: u32,
    length: usize,
    /// Coefficients; `None` if the token ends inside one.
    coefficients: Option<Vec<i32>>,
}

#[derive(Debug, Serialize)]
struct VlmFacts {
    first: u32,
    reserved: usize,
    start: Option<u32>,
    end: Option<u32>,
    /// Reserved ids without a token in this tokenizer.
    reserved_without_meaning: usize,
    /// Ids of this tokenizer for which the model reserves no id.
    ids_without_place: usize,
}

impl Inspect {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let inputs: Vec<&Path> = self.actions.iter().map(PathBuf::as_path).collect();
        let plot = self
            .picture
            .as_deref()
            .map(|path| Output::begin(path, &inputs))
            .transpose()?;
        let tokenizer = self.tokenizer.load()?;
        let vlm = load_vlm(self.vlm.as_deref())?;
        let (chunks, measured_on) = match &self.actions {
            Some(path) => (Chunks::read(path)?, path.display().to_string()),
            None => self.random(&tokenizer)?,
        };
        if chunks.batch == 0 {
            bail!("{measured_on} contains no chunk");
        }
        let shape = chunks.shape;
        let each: Vec<Chunk<'_>> = chunks
            .iter()
            .map(|values| Chunk { values, shape })
            .collect();
        let quality = quality::measure(&tokenizer, &each, &Bins::of(&each))
            .with_context(|| measured_on.clone())?;
        if let Some(output) = plot {
            let svg = plot::draw(&quality, &measured_on);
            output.write(|path| write_whole(path, |file| file.write_all(svg.as_bytes())))?;
        }
        let findings = Findings {
            longest: longest(&tokenizer),
            vlm: vlm.map(|vlm| VlmFacts::of(&vlm, tokenizer.vocab_size())),
            vocabulary: VocabularyFacts::of(&tokenizer),
            measured_on,
            shape,
            quality,
        };
        crate::print(&findings, self.json)?;
        Ok(ExitCode::SUCCESS)
    }

    fn random(&self, tokenizer: &FastTokenizer) -> anyhow::Result<(Chunks, String)> {
        /// Number of trajectories, and maximum number of values in all of them.
        const COUNT: usize = 256;
        const VALUES: usize = 1 << 22;
        let config = tokenizer.config();
        let side = |given: Option<u64>, declared: Option<usize>, default: usize| match given {
            Some(given) => usize::try_from(given),
            None => Ok(declared.unwrap_or(default)),
        };
        let shape = Shape {
            horizon: side(self.horizon, config.time_horizon, 16)?,
            dims: side(self.dim, config.action_dim, 6)?,
        };
        let Some(size) = shape.values() else {
            bail!(EncodeError::BadShape(shape));
        };
        let count = COUNT.min(VALUES / size).max(1);
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut values = Vec::new();
        for _ in 0..count {
            let mut columns = Vec::new();
            for _ in 0..shape.dims {
                columns.push(smooth(&mut rng, shape.horizon));
            }
            for step in 0..shape.horizon {
                values.extend(columns.iter().filter_map(|column| column.get(step)));
            }
        }
        let chunks = Chunks {
            batch: count,
            shape,
            values,
        };
        let description = format!("{count} smooth random trajectories of {shape} (seed 0)");
        Ok((chunks, description))
    }
}

/// A minimum-jerk trajectory between two positions, as arms move, with a small oscillation.
fn smooth(rng: &mut ChaCha8Rng, horizon: usize) -> Vec<f32> {
    let start: f32 = rng.random_range(-0.9..0.9);
    let end = (start + rng.random_range(-0.8..0.8f32)).clamp(-1.0, 1.0);
    let (amplitude, turns, phase): (f32, f32, f32) = (
        rng.random_range(0.0..0.05),
        rng.random_range(0.5..2.0),
        rng.random_range(0.0..std::f32::consts::TAU),
    );
    (0..horizon)
        .map(|step| {
            let s = step as f32 / horizon.saturating_sub(1).max(1) as f32;
            let minimum_jerk = s.powi(3) * (10.0 - 15.0 * s + 6.0 * s * s);
            let oscillation = amplitude * (std::f32::consts::TAU * turns * s + phase).sin();
            (start + (end - start) * minimum_jerk + oscillation).clamp(-1.0, 1.0)
        })
        .collect()
}

fn longest(tokenizer: &FastTokenizer) -> Vec<Longest> {
    let mut all: Vec<(u32, usize)> = vocabulary::lengths(tokenizer).collect();
    all.sort_by_key(|&(id, length)| (std::cmp::Reverse(length), id));
    all.into_iter()
        .take(8)
        .map(|(id, length)| Longest {
            id,
            length,
            coefficients: tokenizer.token_coefficients(id),
        })
        .collect()
}

impl VlmFacts {
    fn of(vlm: &VlmVocabulary, ids: usize) -> Self {
        Self {
            first: vlm.first(),
            reserved: vlm.count(),
            start: vlm.start(),
            end: vlm.end(),
            reserved_without_meaning: vlm.count().saturating_sub(ids),
            ids_without_place: ids.saturating_sub(vlm.count()),
        }
    }
}

/// Coefficients, with runs of equal ones written once.
struct Runs<'a>(&'a [i32]);

impl fmt::Display for Runs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, run) in self.0.chunk_by(|a, b| a == b).enumerate() {
            let separator = if index > 0 { " " } else { "" };
            match run {
                [] => {}
                [one] => write!(f, "{separator}{one}")?,
                [one, ..] => write!(f, "{separator}{one}×{}", run.len())?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.vocabulary.fmt(f)?;
        if let Some(vlm) = &self.vlm {
            writeln!(f, "in the model's vocabulary")?;
            writeln!(
                f,
                "  FAST id 0 is {}; {} ids are reserved, of which {} have no token here",
                vlm.first, vlm.reserved, vlm.reserved_without_meaning
            )?;
            if vlm.ids_without_place > 0 {
                writeln!(
                    f,
                    "  {} ids of this tokenizer are not reserved there: it belongs to another model",
                    vlm.ids_without_place
                )?;
            }
        }
        writeln!(f, "ids by length (coefficients that begin in them)")?;
        let lengths = &self.vocabulary.ids_by_length;
        let most = lengths.values().max().copied().unwrap_or(0) as f64;
        for (length, count) in lengths.iter().take(16) {
            writeln!(
                f,
                "  {length:>11} {count:>7} {}",
                bar_of(*count as f64, most, 40)
            )?;
        }
        if lengths.len() > 16 {
            let more: usize = lengths.values().skip(16).sum();
            writeln!(
                f,
                "       longer {more:>7} {}",
                bar_of(more as f64, most, 40)
            )?;
        }
        writeln!(f, "longest tokens")?;
        for Longest {
            id,
            length,
            coefficients,
        } in &self.longest
        {
            match coefficients {
                Some(coefficients) => {
                    writeln!(f, "  {id:>11} {length:>7} {}", Runs(coefficients))?;
                }
                None => writeln!(f, "  {id:>11} {length:>7} (ends inside a coefficient)")?,
            }
        }
        writeln!(f, "measured on {}", self.measured_on)?;
        Described {
            quality: &self.quality,
            names: &[],
            data_units: &[],
        }
        .fmt(f)
    }
}
