//! `fast decode`: token ids to action chunks.

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
use datasets::npy;
use openfast::{DecodeError, FastTokenizer, Shape, VlmError};
use serde::Serialize;
use std::{
    fmt,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Decode token ids to action chunks, strictly: a stream that is not the encoding of a chunk of this shape ends
/// the command with status 1 and the reason. (The reference implementation answers zeros there, and a robot
/// takes zeros for a pose.)
///
/// A file of the name of --out is removed first; after a failure there is none.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policy-studio fast decode --tokenizer DIR --tokens tokens.json --horizon 16 --dim 6 --out chunks.npy
  policy-studio fast decode --tokenizer DIR --tokens answers.json --vlm ~/MolmoAct2 --horizon 30 --dim 6 \\
      --out degrees.npy --norm-stats ~/MolmoAct2 --tag so100_so101_molmoact2
  policy-studio fast decode --tokenizer DIR --tokens tokens.json --out chunks.npy --as-reference")]
pub(super) struct Decode {
    /// Tokenizer folder (tokenizer.json and processor_config.json).
    #[arg(long, value_name = "DIR")]
    tokenizer: PathBuf,
    /// The ids: JSON, one list per chunk.
    #[arg(long, value_name = "FILE")]
    tokens: PathBuf,
    /// Time steps of a chunk; what the tokenizer declares when absent.
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u64).range(1..=Shape::MAX_HORIZON as u64))]
    horizon: Option<u64>,
    /// Action dimensions of a chunk, padding included; what the tokenizer declares when absent.
    #[arg(long, value_name = "D", value_parser = clap::value_parser!(u64).range(1..=Shape::MAX_VALUES as u64))]
    dim: Option<u64>,
    /// Where the chunks go: .npy, [batch, horizon, dims], float32.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The ids are those of this checkpoint's vocabulary (from its config.json): action tokens alone, or a whole
    /// answer with its start and end tokens, and the end of text after them.
    #[arg(long, value_name = "DIR")]
    vlm: Option<PathBuf>,
    /// Decode as the reference does, faults included: zeros where it answers zeros, and with --vlm whatever stands
    /// around and between an answer's action tokens is skipped. To compare, not for a robot.
    #[arg(long)]
    as_reference: bool,
    /// Keep only the first so many dimensions (before robot units).
    #[arg(long, value_name = "DIMS", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    unpad: Option<u64>,
    #[command(flatten)]
    units: UnitsArguments,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Summary {
    chunks: usize,
    horizon: usize,
    dims: usize,
    /// Streams that strict decoding refuses; only ever above zero with --as-reference.
    faulty_streams: usize,
    /// Those among them that the reference decodes to zeros.
    zero_chunks: usize,
    #[serde(serialize_with = "crate::path_text::of")]
    out: PathBuf,
}

/// What is decoded.
struct Stream {
    /// FAST ids.
    ids: Vec<u32>,
    /// What was wrong with the answer that they are taken from; only with --as-reference.
    fault: Option<VlmError>,
}

/// How many faults are listed one by one.
const LISTED: usize = 5;

impl Decode {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let output = Output::begin(&self.out, &[&self.tokens])?;
        let tokenizer = load_tokenizer(&self.tokenizer)?;
        let shape = self.shape(&tokenizer)?;
        let units = self.units.load()?;
        let streams = self.streams()?;
        let mut summary = Summary {
            chunks: streams.len(),
            horizon: shape.horizon,
            dims: shape.dims,
            faulty_streams: 0,
            zero_chunks: 0,
            out: self.out.clone(),
        };
        let mut chunks = Chunks {
            batch: streams.len(),
            shape,
            values: self.decode(&tokenizer, &streams, shape, &mut summary)?,
        };
        if let Some(dims) = self.unpad {
            let removed = chunks.unpad(usize::try_from(dims)?)?;
            summary.dims = chunks.shape.dims;
            if removed > 0.0 {
                eprintln!(
                    "note: the dimensions removed by --unpad hold values up to {removed:.4}, not only zeros"
                );
            }
        }
        if let Some(normalizer) = units {
            units::fits(&normalizer, chunks.shape.dims)?;
            chunks.values = normalizer.unnormalize(&chunks.values);
        }
        let axes = [chunks.batch, chunks.shape.horizon, chunks.shape.dims];
        output.write(|path: &Path| npy::write(path, &axes, &chunks.values))?;
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

    /// The streams, in FAST ids.
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
            Err(fault) => Err(fault).with_context(|| self.place(index)),
        };
        streams.iter().enumerate().map(fast).collect()
    }

    fn place(&self, stream: usize) -> String {
        format!("{}: stream {stream}", self.tokens.display())
    }

    fn decode(
        &self,
        tokenizer: &FastTokenizer,
        streams: &[Stream],
        shape: Shape,
        summary: &mut Summary,
    ) -> anyhow::Result<Vec<f32>> {
        let bar = bar(streams.len(), "streams")?;
        let mut values = Vec::new();
        for (index, Stream { ids, fault }) in streams.iter().enumerate() {
            bar.inc(1);
            if !self.as_reference {
                let chunk = tokenizer.decode(ids, shape);
                values.extend(chunk.with_context(|| self.place(index))?);
                continue;
            }
            let answer = tokenizer.decode_as_reference(ids, shape)?;
            let outer = fault.as_ref().map(VlmError::to_string);
            if let Some(fault) = outer.or(answer.fault.map(|fault| fault.to_string())) {
                if summary.faulty_streams < LISTED {
                    let zeros = if answer.zeros { "zeros" } else { "read anyway" };
                    bar.suspend(|| eprintln!("warning: stream {index}: {zeros}: {fault}"));
                }
                summary.faulty_streams += 1;
                summary.zero_chunks += usize::from(answer.zeros);
            }
            values.extend(answer.chunk);
        }
        bar.finish_and_clear();
        if summary.faulty_streams > LISTED {
            eprintln!("  and {} more", summary.faulty_streams - LISTED);
        }
        Ok(values)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} chunks of {}x{}",
            self.out.display(),
            self.chunks,
            self.horizon,
            self.dims
        )?;
        if self.faulty_streams > 0 {
            write!(
                f,
                "; {} of the streams are faulty, {} of the chunks zeros",
                self.faulty_streams, self.zero_chunks
            )?;
        }
        writeln!(f)
    }
}
