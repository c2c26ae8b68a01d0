//! `fast encode`: action chunks to token ids.

use super::{
    LISTED, bar,
    chunks::{BatchShape, Chunks},
    output::Output,
    report_unlisted, streams,
    tokenizer::{TokenizerArguments, load_vlm},
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
/// Where the vocabulary cannot express a coefficient, the reference silently drops or changes it. Here the losses and
/// their error are reported on standard error; --nearest avoids undecodable streams, --strict fails instead.
///
/// An existing --out file is removed first; after a failure there is none.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policy-studio fast encode --tokenizer DIR --actions chunks.npy --out tokens.json
  policy-studio fast encode --tokenizer DIR --actions chunks.npy --out tokens.json --vlm ~/MolmoAct2 --wrap
  policy-studio fast encode --tokenizer DIR --actions degrees.npy --out tokens.json \\
      --norm-stats ~/MolmoAct2 --tag so100_so101_molmoact2 --strict")]
pub(super) struct Encode {
    #[command(flatten)]
    tokenizer: TokenizerArguments,
    /// Chunks of normalised actions: .npy, [batch, horizon, dims] or one [horizon, dims], float32.
    #[arg(long, value_name = "FILE")]
    actions: PathBuf,
    /// Output file of the ids: JSON, one list per chunk.
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
    /// Append columns of zeros (after normalising) up to this number of dimensions.
    #[arg(long, value_name = "DIMS", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pad_to: Option<u64>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Result of encoding.
#[derive(Debug, Serialize)]
struct Summary {
    #[serde(flatten)]
    batch: BatchShape,
    tokens: usize,
    tokens_per_chunk_mean: f64,
    tokens_per_chunk_max: usize,
    /// Chunks with a coefficient that the vocabulary cannot express.
    lossy_chunks: usize,
    /// Number of these whose streams do not decode.
    undecodable_chunks: usize,
    lost_coefficients: usize,
    /// Largest error that losses add to a chunk that still decodes: Euclidean norm over the chunk, in normalised
    /// units.
    largest_added_error: f64,
    /// The same for the chunks whose streams do not decode, when encoded with --nearest.
    largest_added_error_nearest: f64,
    /// The first [`LISTED`] losses.
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
    /// Coefficient encoded in its place; `None` if it was dropped.
    kept: Option<i32>,
}

impl Encode {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let output = Output::begin(&self.out, &[&self.actions])?;
        let tokenizer = self.tokenizer.load()?;
        let vlm = load_vlm(self.vlm.as_deref())?;
        let chunks = self.chunks()?;
        let encoded = self.encode(&tokenizer, &chunks)?;
        let summary = self.summary(&tokenizer, &chunks, &encoded)?;
        summary.warn(self.nearest);
        if self.strict && summary.lossy_chunks > 0 {
            bail!(
                "--strict: {} of {} chunks hold coefficients that this vocabulary cannot express",
                summary.lossy_chunks,
                summary.batch.chunks
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

    /// Reads the chunks, normalised and padded for the tokenizer.
    fn chunks(&self) -> anyhow::Result<Chunks> {
        let mut chunks = Chunks::read(&self.actions)?;
        if let Some(normalizer) = self.units.load()? {
            units::normalize(&mut chunks, &normalizer)?;
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

    /// Largest error that `--nearest` would add to the chunks whose streams do not decode.
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
            batch: chunks.batch_shape(),
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
    /// Reports the losses on standard error.
    fn warn(&self, nearest: bool) {
        if self.lossy_chunks == 0 {
            return;
        }
        eprintln!(
            "warning: {} of {} chunks hold {} coefficients that this vocabulary cannot express",
            self.lossy_chunks, self.batch.chunks, self.lost_coefficients
        );
        for loss in &self.losses {
            eprintln!("  {loss}");
        }
        report_unlisted(self.lost_coefficients);
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
            "{}: {}, {} tokens ({:.1} per chunk, at most {})",
            self.out.display(),
            self.batch,
            self.tokens,
            self.tokens_per_chunk_mean,
            self.tokens_per_chunk_max
        )
    }
}
