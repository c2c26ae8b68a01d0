//! `fast decode`: token ids to action chunks.

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
use datasets::npy;
use openfast::{DecodeError, FastTokenizer, Shape, VlmError};
use serde::Serialize;
use std::{
    fmt,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Decode token ids to action chunks, strictly: a stream that is not the encoding of a chunk of this shape ends
/// the command with status 1 and the reason. (The reference implementation returns zeros in that case, which a robot
/// would execute as a pose.)
///
/// An existing --out file is removed first; after a failure there is none.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policy-studio fast decode --tokenizer DIR --tokens tokens.json --horizon 16 --dim 6 --out chunks.npy
  policy-studio fast decode --tokenizer DIR --tokens answers.json --vlm ~/MolmoAct2 --horizon 30 --dim 6 \\
      --out degrees.npy --norm-stats ~/MolmoAct2 --tag so100_so101_molmoact2
  policy-studio fast decode --tokenizer DIR --tokens tokens.json --out chunks.npy --as-reference")]
pub(super) struct Decode {
    #[command(flatten)]
    tokenizer: TokenizerArguments,
    /// Token ids: JSON, one list per chunk.
    #[arg(long, value_name = "FILE")]
    tokens: PathBuf,
    /// Time steps of a chunk; by default those that the tokenizer declares.
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u64).range(1..=Shape::MAX_HORIZON as u64))]
    horizon: Option<u64>,
    /// Action dimensions of a chunk, with padding; by default those that the tokenizer declares.
    #[arg(long, value_name = "D", value_parser = clap::value_parser!(u64).range(1..=Shape::MAX_VALUES as u64))]
    dim: Option<u64>,
    /// Output file of the chunks: .npy, [batch, horizon, dims], float32.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The ids are those of this checkpoint's vocabulary (from its config.json): action tokens alone, or a complete
    /// answer with its start and end tokens and the end-of-text token.
    #[arg(long, value_name = "DIR")]
    vlm: Option<PathBuf>,
    /// Decode as the reference does, with its faults: zeros where it returns zeros, and with --vlm all other tokens
    /// around and between an answer's action tokens are skipped. For comparison, not for a robot.
    #[arg(long)]
    as_reference: bool,
    /// Keep only this number of dimensions, from the first (before conversion to robot units).
    #[arg(long, value_name = "DIMS", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    unpad: Option<u64>,
    #[command(flatten)]
    units: UnitsArguments,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Result of decoding.
#[derive(Debug, Serialize)]
struct Summary {
    #[serde(flatten)]
    batch: BatchShape,
    #[serde(flatten)]
    faults: Faults,
    #[serde(serialize_with = "crate::path_text::of")]
    out: PathBuf,
}

/// Streams that strict decoding refuses; only with --as-reference.
#[derive(Debug, Default, Clone, Copy, Serialize)]
struct Faults {
    /// Number of these streams.
    faulty_streams: usize,
    /// Number of these that the reference decodes to zeros.
    zero_chunks: usize,
}

/// A stream to decode.
struct Stream {
    /// FAST ids.
    ids: Vec<u32>,
    /// Fault of the model's answer from which the ids are taken; only with --as-reference.
    fault: Option<VlmError>,
}

impl Decode {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let output = Output::begin(&self.out, &[&self.tokens])?;
        let tokenizer = self.tokenizer.load()?;
        let shape = self.shape(&tokenizer)?;
        let units = self.units.load()?;
        let streams = self.streams()?;
        let (mut chunks, faults) = self.decode(&tokenizer, &streams, shape)?;
        if let Some(dims) = self.unpad {
            let removed = chunks.unpad(usize::try_from(dims)?)?;
            if removed > 0.0 {
                eprintln!(
                    "note: the dimensions removed by --unpad hold values up to {removed:.4}, not only zeros"
                );
            }
        }
        if let Some(normalizer) = units {
            units::unnormalize(&mut chunks, &normalizer)?;
        }
        let axes = [chunks.batch, chunks.shape.horizon, chunks.shape.dims];
        output.write(|path: &Path| npy::write(path, &axes, &chunks.values))?;
        let summary = Summary {
            batch: chunks.batch_shape(),
            faults,
            out: self.out.clone(),
        };
        crate::print(&summary, self.json)?;
        Ok(ExitCode::SUCCESS)
    }

    fn shape(&self, tokenizer: &FastTokenizer) -> anyhow::Result<Shape> {
        let side = |given: Option<u64>, declared: Option<usize>, option: &str| match given {
            Some(given) => Ok(usize::try_from(given)?),
            None => declared.with_context(|| {
                format!(
                    "give {option}: this tokenizer does not declare it in processor_config.json"
                )
            }),
        };
        let config = tokenizer.config();
        let shape = Shape {
            horizon: side(self.horizon, config.time_horizon, "--horizon")?,
            dims: side(self.dim, config.action_dim, "--dim")?,
        };
        if shape.values().is_none() {
            bail!(DecodeError::BadShape(shape));
        }
        Ok(shape)
    }

    /// Reads the streams and maps their ids to FAST ids.
    fn streams(&self) -> anyhow::Result<Vec<Stream>> {
        let streams = streams::read(&self.tokens)?;
        let Some(vlm) = load_vlm(self.vlm.as_deref())? else {
            let clean = |ids| Stream { ids, fault: None };
            return Ok(streams.into_iter().map(clean).collect());
        };
        let fast = |(index, ids): (usize, &Vec<u32>)| match vlm.from_vlm(ids) {
            Ok(ids) => Ok(Stream { ids, fault: None }),
            Err(fault) if self.as_reference => Ok(Stream {
                ids: vlm.from_vlm_as_reference(ids),
                fault: Some(fault),
            }),
            Err(fault) => Err(fault).with_context(|| self.stream_name(index)),
        };
        streams.iter().enumerate().map(fast).collect()
    }

    fn stream_name(&self, stream: usize) -> String {
        format!("{}: stream {stream}", self.tokens.display())
    }

    fn decode(
        &self,
        tokenizer: &FastTokenizer,
        streams: &[Stream],
        shape: Shape,
    ) -> anyhow::Result<(Chunks, Faults)> {
        let bar = bar(streams.len(), "streams")?;
        let mut values = Vec::new();
        let mut faults = Faults::default();
        for (index, Stream { ids, fault }) in streams.iter().enumerate() {
            bar.inc(1);
            if !self.as_reference {
                let chunk = tokenizer.decode(ids, shape);
                values.extend(chunk.with_context(|| self.stream_name(index))?);
                continue;
            }
            let decoded = tokenizer.decode_as_reference(ids, shape)?;
            let outer = fault.as_ref().map(VlmError::to_string);
            if let Some(fault) = outer.or(decoded.fault.map(|fault| fault.to_string())) {
                if faults.faulty_streams < LISTED {
                    let zeros = if decoded.zeros {
                        "zeros"
                    } else {
                        "decoded anyway"
                    };
                    bar.suspend(|| eprintln!("warning: stream {index}: {zeros}: {fault}"));
                }
                faults.faulty_streams += 1;
                faults.zero_chunks += usize::from(decoded.zeros);
            }
            values.extend(decoded.chunk);
        }
        bar.finish_and_clear();
        report_unlisted(faults.faulty_streams);
        let chunks = Chunks {
            batch: streams.len(),
            shape,
            values,
        };
        Ok((chunks, faults))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.out.display(), self.batch)?;
        let Faults {
            faulty_streams,
            zero_chunks,
        } = self.faults;
        if faulty_streams > 0 {
            write!(
                f,
                "; {faulty_streams} of the streams are faulty, {zero_chunks} of the chunks are zeros"
            )?;
        }
        writeln!(f)
    }
}
