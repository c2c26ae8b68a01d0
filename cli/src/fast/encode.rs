//! `fast encode`: action chunks to token ids.

use super::{
    bar,
    chunks::Chunks,
    load_tokenizer, load_vlm,
    output::Output,
    streams,
    units::{self, UnitsArguments},
};
use anyhow::{Context as _, bail};
use clap::Args;
use openfast::{Encoded, FastTokenizer};
use serde::Serialize;
use std::{
    fmt,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Encode action chunks to token ids, the same ids as the reference implementation.
///
/// Where the vocabulary cannot express a coefficient, the reference drops or changes it without a word. Here
/// that is reported on standard error, with what it costs; --nearest and --strict do better.
///
/// A file of the name of --out is removed first; after a failure there is none.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policy-studio fast encode --tokenizer DIR --actions chunks.npy --out tokens.json
  policy-studio fast encode --tokenizer DIR --actions chunks.npy --out tokens.json --vlm ~/MolmoAct2 --wrap
  policy-studio fast encode --tokenizer DIR --actions degrees.npy --out tokens.json \\
      --norm-stats ~/MolmoAct2 --tag so100_so101_molmoact2 --strict")]
pub(super) struct Encode {
    /// Tokenizer folder (tokenizer.json and processor_config.json).
    #[arg(long, value_name = "DIR")]
    tokenizer: PathBuf,
    /// Chunks of normalised actions: .npy, [batch, horizon, dims] or one [horizon, dims], float32.
    #[arg(long, value_name = "FILE")]
    actions: PathBuf,
    /// Where the ids go: JSON, one list per chunk.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Write ids of this checkpoint's vocabulary (from its config.json) instead of FAST ids.
    #[arg(long, value_name = "DIR")]
    vlm: Option<PathBuf>,
    /// Add the checkpoint's start and end tokens.
    #[arg(long, requires = "vlm")]
    wrap: bool,
    /// Take the nearest coefficient that the vocabulary can express, so that every stream decodes.
    #[arg(long, conflicts_with = "strict")]
    nearest: bool,
    /// Fail when the vocabulary cannot express a coefficient.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    units: UnitsArguments,
    /// Append columns of zeros (after normalising) until there are this many dimensions.
    #[arg(long, value_name = "DIMS", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pad_to: Option<u64>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// How many losses are listed one by one.
const LISTED: usize = 5;

/// What happened.
#[derive(Debug, Serialize)]
struct Summary {
    chunks: usize,
    horizon: usize,
    dims: usize,
    tokens: usize,
    tokens_per_chunk_mean: f64,
    tokens_per_chunk_max: usize,
    /// Chunks with a coefficient that the vocabulary cannot express.
    lossy_chunks: usize,
    /// Those among them whose streams do not decode.
    undecodable_chunks: usize,
    lost_coefficients: usize,
    /// The largest error that this adds to a chunk that still decodes: Euclidean norm over the chunk, normalised
    /// units.
    largest_added_error: f64,
    /// The same for the chunks whose streams do not decode, if they were encoded with --nearest.
    largest_added_error_nearest: f64,
    /// The first few.
    losses: Vec<Loss>,
    #[serde(serialize_with = "crate::path_text::of")]
    out: PathBuf,
}

#[derive(Debug, Serialize)]
struct Loss {
    chunk: usize,
    frequency: usize,
    dim: usize,
    wanted: i32,
    /// What stands in its place; nothing when it was dropped.
    kept: Option<i32>,
}

impl Encode {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let output = Output::begin(&self.out, &[&self.actions])?;
        let tokenizer = load_tokenizer(&self.tokenizer)?;
        let vlm = load_vlm(self.vlm.as_deref())?;
        let chunks = self.chunks()?;
        let encoded = self.encode(&tokenizer, &chunks)?;
        let summary = self.summary(&tokenizer, &chunks, &encoded)?;
        summary.warn(self.nearest);
        if self.strict && summary.lossy_chunks > 0 {
            bail!(
                "--strict: {} of {} chunks hold coefficients that this vocabulary cannot express",
                summary.lossy_chunks,
                summary.chunks
            );
        }
        let ids = encoded.into_iter().map(|encoded| encoded.ids);
        let ids: Vec<Vec<u32>> = match &vlm {
            None => ids.collect(),
            Some(vlm) => ids
                .enumerate()
                .map(|(index, ids)| {
                    let mapped = if self.wrap {
                        vlm.wrap(&ids)
                    } else {
                        vlm.to_vlm(&ids)
                    };
                    mapped.with_context(|| format!("chunk {index}"))
                })
                .collect::<anyhow::Result<_>>()?,
        };
        output.write(|path: &Path| streams::write(path, &ids))?;
        crate::print(&summary, self.json)?;
        Ok(ExitCode::SUCCESS)
    }

    /// The chunks as the tokenizer wants them.
    fn chunks(&self) -> anyhow::Result<Chunks> {
        let mut chunks = Chunks::read(&self.actions)?;
        if let Some(normalizer) = self.units.load()? {
            units::fits(&normalizer, chunks.shape.dims)?;
            chunks.values = normalizer.normalize(&chunks.values);
        }
        if let Some(dims) = self.pad_to {
            chunks.pad_to(usize::try_from(dims)?)?;
        }
        Ok(chunks)
    }

    fn encode(&self, tokenizer: &FastTokenizer, chunks: &Chunks) -> anyhow::Result<Vec<Encoded>> {
        let bar = bar(chunks.batch, "chunks")?;
        let encoded = (0..chunks.batch)
            .zip(chunks.iter().chain(std::iter::repeat(&[][..])))
            .map(|(index, chunk)| {
                bar.inc(1);
                let encoded = if self.nearest {
                    tokenizer.encode_nearest(chunk, chunks.shape)
                } else {
                    tokenizer.encode(chunk, chunks.shape)
                };
                encoded.with_context(|| format!("{}: chunk {index}", self.actions.display()))
            })
            .collect();
        bar.finish_and_clear();
        encoded
    }

    /// What it would cost to make the streams decode that do not.
    fn cost_of_nearest(
        tokenizer: &FastTokenizer,
        chunks: &Chunks,
        all: &[Encoded],
    ) -> anyhow::Result<f64> {
        let mut most = 0.0f64;
        for (chunk, encoded) in chunks.iter().zip(all) {
            if !encoded.decodes() {
                let nearest = tokenizer.encode_nearest(chunk, chunks.shape)?;
                let cost = nearest.lost_norm(tokenizer.config().scale);
                most = most.max(cost.unwrap_or_default());
            }
        }
        Ok(most)
    }

    fn summary(
        &self,
        tokenizer: &FastTokenizer,
        chunks: &Chunks,
        all: &[Encoded],
    ) -> anyhow::Result<Summary> {
        let lossy = || all.iter().enumerate().filter(|(_, e)| !e.lost.is_empty());
        let scale = tokenizer.config().scale;
        let tokens = all.iter().map(|encoded| encoded.ids.len()).sum::<usize>();
        let losses = lossy().flat_map(|(chunk, encoded)| {
            encoded.lost.iter().map(move |lost| Loss {
                chunk,
                frequency: lost.frequency,
                dim: lost.dim,
                wanted: lost.wanted,
                kept: lost.kept,
            })
        });
        Ok(Summary {
            chunks: chunks.batch,
            horizon: chunks.shape.horizon,
            dims: chunks.shape.dims,
            tokens,
            tokens_per_chunk_mean: tokens as f64 / all.len().max(1) as f64,
            tokens_per_chunk_max: all.iter().map(|e| e.ids.len()).max().unwrap_or(0),
            lossy_chunks: lossy().count(),
            undecodable_chunks: all.iter().filter(|encoded| !encoded.decodes()).count(),
            lost_coefficients: all.iter().map(|encoded| encoded.lost.len()).sum(),
            largest_added_error: all
                .iter()
                .filter_map(|encoded| encoded.lost_norm(scale))
                .fold(0.0, f64::max),
            largest_added_error_nearest: Self::cost_of_nearest(tokenizer, chunks, all)?,
            losses: losses.take(LISTED).collect(),
            out: self.out.clone(),
        })
    }
}

impl Summary {
    /// Says on standard error what was lost.
    fn warn(&self, nearest: bool) {
        if self.lossy_chunks == 0 {
            return;
        }
        eprintln!(
            "warning: {} of {} chunks hold {} coefficients that this vocabulary cannot express",
            self.lossy_chunks, self.chunks, self.lost_coefficients
        );
        for loss in &self.losses {
            eprintln!("  {loss}");
        }
        if self.lost_coefficients > self.losses.len() {
            eprintln!("  and {} more", self.lost_coefficients - self.losses.len());
        }
        if self.undecodable_chunks > 0 {
            eprintln!(
                "  {} streams do not decode: coefficients are missing in them (--nearest writes streams that do, with an added error of at most {:.4}: Euclidean, normalised units, over a whole chunk)",
                self.undecodable_chunks, self.largest_added_error_nearest
            );
        }
        if nearest || self.undecodable_chunks < self.lossy_chunks {
            eprintln!(
                "  where the stream decodes, this adds an error of at most {:.4} (Euclidean, normalised units, over a whole chunk)",
                self.largest_added_error
            );
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            chunk,
            frequency,
            dim,
            wanted,
            kept,
        } = self;
        write!(
            f,
            "chunk {chunk}, frequency {frequency}, dimension {dim}: wanted {wanted}, "
        )?;
        match kept {
            Some(kept) => write!(f, "kept {kept}"),
            None => f.write_str("dropped"),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} chunks of {}x{}, {} tokens ({:.1} a chunk, at most {})",
            self.out.display(),
            self.chunks,
            self.horizon,
            self.dims,
            self.tokens,
            self.tokens_per_chunk_mean,
            self.tokens_per_chunk_max
        )
    }
}
