//! Conversion between robot units and normalised values, by a checkpoint's `norm_stats.json`.

use super::chunks::Chunks;
use anyhow::{Context as _, bail};
use clap::Args;
use field_files::Limit;
use molmoact2::norm_stats::{self, NormStats, Normalizer};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct UnitsArguments {
    /// The actions are in robot units: normalise them with this checkpoint's norm_stats.json (the file or its
    /// folder), as its policy does.
    #[arg(long, value_name = "DIR_OR_FILE")]
    norm_stats: Option<PathBuf>,
    /// Norm tag; can be omitted if the file has only one.
    #[arg(long, requires = "norm_stats")]
    tag: Option<String>,
}

impl UnitsArguments {
    /// Loads the mapping, if `--norm-stats` is given.
    pub(super) fn load(&self) -> anyhow::Result<Option<Normalizer>> {
        let Some(path) = &self.norm_stats else {
            return Ok(None);
        };
        let file = if path.is_dir() {
            path.join(norm_stats::FILE)
        } else {
            path.clone()
        };
        let bytes = field_files::read(&file, Limit::SETTINGS)?;
        let stats =
            NormStats::parse(&bytes).with_context(|| format!("--norm-stats {}", file.display()))?;
        let tag = match &self.tag {
            Some(tag) => stats.tag(tag)?,
            None => {
                let mut tags = stats.tags();
                match (tags.next(), tags.next()) {
                    (Some(only), None) => only,
                    _ => {
                        let names: Vec<&str> = stats.tags().map(|tag| tag.name.as_str()).collect();
                        bail!(
                            "{} has several tags; choose one with --tag: {}",
                            file.display(),
                            names.join(", ")
                        )
                    }
                }
            }
        };
        Ok(Some(tag.action.clone()))
    }
}

/// Converts chunks from robot units to normalised values.
pub(super) fn normalize(chunks: &mut Chunks, normalizer: &Normalizer) -> anyhow::Result<()> {
    check_dims(normalizer, chunks.shape.dims)?;
    chunks.values = normalizer.normalize(&chunks.values);
    Ok(())
}

/// Converts chunks from normalised values to robot units.
pub(super) fn unnormalize(chunks: &mut Chunks, normalizer: &Normalizer) -> anyhow::Result<()> {
    check_dims(normalizer, chunks.shape.dims)?;
    chunks.values = normalizer.unnormalize(&chunks.values);
    Ok(())
}

/// Refuses statistics of another robot.
fn check_dims(normalizer: &Normalizer, dims: usize) -> anyhow::Result<()> {
    if normalizer.dims() != dims {
        bail!(
            "the actions have {dims} dimensions, the tag's statistics have {}",
            normalizer.dims()
        );
    }
    Ok(())
}
