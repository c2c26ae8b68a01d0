//! Training data of a tokenizer: chunks, in groups that are held out together.

use super::{chunks::Chunks, spinner, statistics::statistics};
use crate::path_text::text;
use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use datasets::lerobot::{
    DataSet, Episode, Feature, NormMode, Normalisation, Recorded, Used, Wanted,
    windows::{self, Cut},
};
use openfast::{Chunk, EncodeError, Shape};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Chunks of normalised actions.
#[derive(Debug, Default)]
pub(super) struct Corpus {
    /// Values, chunk after chunk.
    values: Vec<f32>,
    shapes: Vec<Shape>,
    /// Group of each chunk. Chunks of one group overlap, so a group is held out as a whole.
    groups: Vec<i64>,
    /// Names of the dimensions; empty if unknown.
    pub(super) names: Vec<String>,
    /// Data units per normalised unit; empty if the chunks were not normalised here.
    pub(super) data_units: Vec<f64>,
    /// Source and parameters of the chunks, for `metadata.json`.
    pub(super) origin: serde_json::Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NormaliseArgument {
    /// 1st and 99th percentile to -1 and 1, clipped.
    Quantiles,
    /// Smallest and largest value to -1 and 1.
    MinMax,
    /// Mean to 0, standard deviation to 1.
    MeanStd,
    /// Leave values as recorded.
    None,
}

impl From<NormaliseArgument> for NormMode {
    fn from(argument: NormaliseArgument) -> Self {
        match argument {
            NormaliseArgument::Quantiles => Self::Quantiles,
            NormaliseArgument::MinMax => Self::MinMax,
            NormaliseArgument::MeanStd => Self::MeanStd,
            NormaliseArgument::None => Self::None,
        }
    }
}

/// Options of reading a data set.
#[derive(Debug, Args)]
#[command(next_help_heading = "With --dataset")]
pub(super) struct DataSetArguments {
    /// Rows of a chunk.
    #[arg(long, value_name = "T", conflicts_with = "actions", value_parser = clap::value_parser!(u64).range(1..=Shape::MAX_HORIZON as u64))]
    horizon: Option<u64>,
    /// Read only this number of episodes, from the first.
    #[arg(long, value_name = "N", conflicts_with = "actions", value_parser = clap::value_parser!(u64).range(1..))]
    max_episodes: Option<u64>,
    /// Share of each episode's chunks to take, evenly spaced; neighbouring chunks overlap almost completely.
    #[arg(long, value_name = "SHARE", conflicts_with = "actions", default_value_t = 0.1, value_parser = share)]
    sample_fraction: f64,
    /// Dimensions of the action to encode, as ranges with exclusive ends: "0:6,7:14". By default all.
    #[arg(long, value_name = "RANGES", conflicts_with = "actions", value_parser = ranges)]
    dims: Option<Dims>,
    /// Dimensions of the action to take relative to the state in the chunk's first frame: "0,1,2,3,4,5".
    #[arg(long, value_name = "LIST", conflicts_with = "actions", value_parser = list)]
    relative_dims: Option<Dims>,
    /// Column of the actions.
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "actions",
        default_value = "action"
    )]
    action_key: String,
    /// Column of the states (read only with --relative-dims).
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "actions",
        default_value = "observation.state"
    )]
    state_key: String,
    /// Normalisation of data units, by the data set's own statistics. Data sets before v3.0 have no percentiles; they
    /// are then computed from the actions that are read.
    #[arg(
        long,
        value_enum,
        conflicts_with = "actions",
        default_value = "quantiles"
    )]
    normalise: NormaliseArgument,
}

/// Indices of dimensions. A wrapper type, so that clap parses the list as one value.
#[derive(Debug, Clone)]
struct Dims(Vec<usize>);

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err("it must be above 0 and at most 1".to_owned()),
    }
}

fn ranges(text: &str) -> Result<Dims, String> {
    let mut dims = Vec::new();
    for range in text.split(',') {
        let parts = range.trim().split_once(':');
        let parsed: Option<(usize, usize)> =
            parts.and_then(|(from, to)| Some((from.trim().parse().ok()?, to.trim().parse().ok()?)));
        match parsed {
            Some((from, to)) if from < to && to <= Shape::MAX_VALUES => dims.extend(from..to),
            _ => return Err(format!("{range:?} is not a range such as 0:6")),
        }
    }
    let distinct: BTreeSet<usize> = dims.iter().copied().collect();
    if distinct.len() != dims.len() {
        return Err("a dimension occurs twice".to_owned());
    }
    Ok(Dims(dims))
}

fn list(text: &str) -> Result<Dims, String> {
    text.split(',')
        .map(|dim| {
            dim.trim()
                .parse()
                .map_err(|_| format!("{dim:?} is not a dimension"))
        })
        .collect::<Result<_, _>>()
        .map(Dims)
}

impl Corpus {
    /// Reads `.npy` files of normalised chunks. Every chunk is its own group.
    pub(super) fn of_files(files: &[PathBuf]) -> anyhow::Result<Self> {
        let mut corpus = Self::default();
        let mut dims = None;
        for file in files {
            let chunks = Chunks::read(file)?;
            let (first, _) = dims.get_or_insert((chunks.shape.dims, file));
            if *first != chunks.shape.dims {
                bail!(
                    "{} has {} dimensions, the files before it have {first}; train one tokenizer per number of dimensions",
                    file.display(),
                    chunks.shape.dims
                );
            }
            for index in 0..chunks.batch {
                corpus.shapes.push(chunks.shape);
                corpus.groups.push(i64::try_from(corpus.groups.len())?);
                if chunks.shape.values().is_none() {
                    bail!(
                        "{}: chunk {index} has shape {}, which is empty or too large",
                        file.display(),
                        chunks.shape
                    );
                }
            }
            check_finite(&chunks).with_context(|| file.display().to_string())?;
            corpus.values.extend(chunks.values);
        }
        corpus.origin = serde_json::json!({
            "actions": files.iter().map(|file| text(file)).collect::<Vec<_>>(),
        });
        Ok(corpus)
    }

    /// Reads a LeRobot data set. Every episode is a group.
    pub(super) fn of_data_set(root: &Path, arguments: &DataSetArguments) -> anyhow::Result<Self> {
        let horizon = usize::try_from(arguments.horizon.context("--dataset needs --horizon")?)?;
        let data_set = DataSet::open(root)?;
        let relative = arguments
            .relative_dims
            .clone()
            .map_or(vec![], |Dims(dims)| dims);
        let selection = Wanted {
            action_key: &arguments.action_key,
            state_key: (!relative.is_empty()).then_some(arguments.state_key.as_str()),
            max_episodes: arguments.max_episodes.map(usize::try_from).transpose()?,
        };
        let bar = spinner("reading episodes")?;
        let chosen = arguments.dims.as_ref().map(|Dims(dims)| dims.as_slice());
        let used = Used {
            actions: chosen,
            states: Some(&relative),
        };
        let Recorded {
            episodes,
            left_out,
            notes,
        } = data_set.recorded(&selection, used, &|done, files| {
            bar.set_message(format!("reading episodes: file {done} of {files}"));
        })?;
        bar.finish_and_clear();
        let left_out_indices: Vec<i64> = left_out.iter().map(|one| one.episode).collect();
        report_notes(
            notes.into_iter().chain(
                left_out
                    .into_iter()
                    .map(|one| format!("episode {} is left out: {}", one.episode, one.reason)),
            ),
        );
        let action_dims = episodes.first().map_or(0, |episode| episode.action_dims);
        compare_with_info(&data_set, &episodes, arguments);
        let dims = arguments
            .dims
            .clone()
            .map_or((0..action_dims).collect(), |Dims(dims)| dims);
        let mut windows = windows::cut(
            &episodes,
            &Cut {
                horizon,
                sample_fraction: arguments.sample_fraction,
                dims: dims.clone(),
                relative_dims: relative.clone(),
            },
        )?;
        if windows.is_empty() {
            bail!(
                "none of the {} episodes is {horizon} frames long; use a shorter --horizon",
                episodes.len()
            );
        }
        if windows.too_short > 0 {
            eprintln!(
                "note: {} of {} episodes are shorter than {horizon} frames and give no chunk",
                windows.too_short,
                episodes.len()
            );
        }
        let mode = NormMode::from(arguments.normalise);
        let normalisation = if mode == NormMode::None {
            None
        } else {
            let stats = statistics(
                &data_set,
                &episodes,
                (mode, &dims),
                &arguments.action_key,
                arguments.max_episodes.is_none(),
            )
            .of_dims(&dims)?;
            if !relative.is_empty() {
                eprintln!(
                    "note: the statistics are those of the recorded actions, also for relative dimensions (as in LeRobot's trainer)"
                );
            }
            Some(Normalisation::new(
                mode,
                &stats,
                dims.len(),
                &arguments.action_key,
            )?)
        };
        if let Some(normalisation) = &normalisation {
            windows.normalise(normalisation);
        }
        let names = data_set
            .info()
            .features
            .get(&arguments.action_key)
            .and_then(Feature::dim_names)
            .filter(|names| names.len() == action_dims)
            .map_or(vec![], |names| {
                let picked = dims.iter().filter_map(|&dim| names.get(dim).cloned());
                picked.collect()
            });
        let origin = serde_json::json!({
            "dataset": text(root),
            "episodes": episodes.len(),
            "episodes_left_out": left_out_indices,
            "action_horizon": horizon,
            "action_key": arguments.action_key,
            "encoded_dims": dims,
            "relative_dims": relative,
            "state_key": arguments.state_key,
            "sample_fraction": arguments.sample_fraction,
            "normalization_mode": mode.lerobot_name(),
        });
        Ok(Self {
            shapes: vec![windows.shape; windows.len()],
            groups: windows.episodes,
            values: windows.values,
            names,
            data_units: normalisation.map_or(vec![], |normalisation| {
                (0..dims.len())
                    .map(|dim| normalisation.data_units(dim))
                    .collect()
            }),
            origin,
        })
    }

    /// All chunks.
    pub(super) fn chunks(&self) -> Vec<Chunk<'_>> {
        let mut rest = self.values.as_slice();
        self.shapes
            .iter()
            .map(|&shape| {
                let length = shape.horizon * shape.dims;
                let (values, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                rest = after;
                Chunk { values, shape }
            })
            .collect()
    }

    /// True for each chunk that is held out: whole groups, evenly spaced, or single chunks if there is only one group.
    pub(super) fn held_out(&self, share: f64) -> Vec<bool> {
        let distinct: Vec<i64> = {
            let set: BTreeSet<i64> = self.groups.iter().copied().collect();
            set.into_iter().collect()
        };
        let picked = |total: usize| -> BTreeSet<usize> {
            if share <= 0.0 || total < 2 {
                return BTreeSet::new();
            }
            let count = ((total as f64 * share).round() as usize).clamp(1, total - 1);
            // The middles of `count` equal parts.
            (0..count)
                .map(|part| (2 * part + 1) * total / (2 * count))
                .collect()
        };
        if distinct.len() < 2 {
            let picked = picked(self.groups.len());
            return (0..self.groups.len())
                .map(|chunk| picked.contains(&chunk))
                .collect();
        }
        let picked: BTreeSet<i64> = picked(distinct.len())
            .into_iter()
            .filter_map(|index| distinct.get(index).copied())
            .collect();
        self.groups
            .iter()
            .map(|group| picked.contains(group))
            .collect()
    }
}

/// Refuses NaN and infinities, and reports their position. Fitting refuses them too, but cannot name the file.
fn check_finite(chunks: &Chunks) -> anyhow::Result<()> {
    for (index, chunk) in chunks.iter().enumerate() {
        let is_bad = |(_, value): &(usize, &f32)| !value.is_finite();
        if let Some((at, &value)) = chunk.iter().enumerate().find(is_bad) {
            let (step, dim) = (at / chunks.shape.dims, at % chunks.shape.dims);
            return Err(EncodeError::NotFinite { step, dim, value })
                .with_context(|| format!("chunk {index}"));
        }
    }
    Ok(())
}

/// Reports numbers of episodes and frames that differ from those in `info.json`.
fn compare_with_info(data_set: &DataSet, episodes: &[Episode], arguments: &DataSetArguments) {
    if arguments.max_episodes.is_some() {
        return;
    }
    let frames: usize = episodes.iter().map(Episode::frames).sum();
    let info = data_set.info();
    for (what, announced, read) in [
        ("episodes", info.total_episodes, episodes.len()),
        ("frames", info.total_frames, frames),
    ] {
        if let Some(announced) = announced.filter(|announced| *announced != read) {
            eprintln!("note: meta/info.json announces {announced} {what}, {read} were found");
        }
    }
}

/// Reports notes on standard error, at most the first few.
fn report_notes(notes: impl Iterator<Item = String>) {
    const SHOWN: usize = 20;
    let mut more = 0_usize;
    for (number, note) in notes.enumerate() {
        if number < SHOWN {
            eprintln!("note: {note}");
        } else {
            more += 1;
        }
    }
    if more > 0 {
        eprintln!("note: and {more} more notes");
    }
}
