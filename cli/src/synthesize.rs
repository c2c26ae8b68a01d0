//! `synthesise`: a checkpoint with random weights.

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use molmoact2::synthesize::{StoredType, SynthesisOptions, synthesize};
use std::{path::PathBuf, process::ExitCode};

/// Write a checkpoint with random weights in the published layout, to test a machine with: it loads and runs like a
/// trained one. The sizes are those of MolmoAct2 (5.4 billion parameters) unless another config.json is given.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policy-studio synthesise /tmp/molmoact2-random
  policy-studio synthesise /tmp/small --config sizes.json --stored f32 --seed 7
  policy-studio synthesise /tmp/think --config tests/checkpoints/think.json --stats models/nano/molmoact2/norm_stats.json
  policy-studio inspect /tmp/molmoact2-random")]
pub(super) struct Synthesize {
    /// Folder to write; it must not exist or be empty.
    folder: PathBuf,
    /// A config.json in the published format; MolmoAct2's sizes when absent.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A norm_stats.json to copy, so that the policy has the tags of your robots; two made-up tags when absent.
    #[arg(long, value_name = "FILE")]
    stats: Option<PathBuf>,
    /// Type of the stored weights.
    #[arg(long, value_enum, default_value_t)]
    stored: Stored,
    /// Seed of the weights.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Largest size of one file of weights, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 5_000_000_000)]
    shard_bytes: u64,
}

/// Types of stored weights.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Stored {
    /// Four bytes.
    F32,
    /// Two bytes, as in LeRobot's folders.
    #[default]
    Bf16,
    /// Two bytes.
    F16,
}

impl From<Stored> for StoredType {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::F32 => Self::F32,
            Stored::Bf16 => Self::Bf16,
            Stored::F16 => Self::F16,
        }
    }
}

impl Synthesize {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let options = SynthesisOptions {
            folder: self.folder,
            config: self.config,
            stats: self.stats,
            stored: self.stored.into(),
            seed: self.seed,
            shard_bytes: self.shard_bytes,
        };
        let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(
            "writing {wide_bar} {binary_bytes}/{binary_total_bytes}, {binary_bytes_per_sec}, {eta} to go",
        )?);
        let written = synthesize(&options, &|done, total| {
            bar.set_length(total);
            bar.set_position(done);
        })?;
        bar.finish_and_clear();
        eprintln!(
            "{} parameters in {} files, {} bytes, in {}",
            written.parameters,
            written.files,
            written.bytes,
            options.folder.display()
        );
        Ok(ExitCode::SUCCESS)
    }
}
