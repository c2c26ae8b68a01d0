//! Weights and values that trainers make of curves.

use super::{
    ScoringError, Store,
    progress::{index_of, write_column},
    store::write,
};
use field_files::write_whole;
use parquet::{
    data_type::{FloatType, Int64Type},
    errors::ParquetError,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use serde::Serialize;
use std::{fs::File, io, sync::Arc};
use topreward::{Impute, Rabc, RabcWeights, TopAwr, discounted, impute, top_awr};

/// The weight of every frame in reward-aligned behaviour cloning.
pub const RABC_FILE: &str = "rabc_weights.parquet";
/// The weight of every step between two scored prefixes in advantage-weighted regression.
pub const TOP_AWR_FILE: &str = "top_awr_weights.json";
/// Monte-Carlo values, as the reference writes them.
pub const VALUES_FILE: &str = "value_annotations.json";

/// Writes [`RABC_FILE`]: `index`, `episode_index`, `frame_index`, the progress over the next `chunk` frames, and the
/// weight before a batch is rescaled.
///
/// # Errors
/// [`ScoringError`].
pub fn rabc(store: &Store, chunk: usize) -> Result<(), ScoringError> {
    let path = store.folder().join(RABC_FILE);
    let io = |source| ScoringError::Io {
        path: path.clone(),
        source,
    };
    let episodes = store.progress()?;
    let known: Vec<Vec<Option<f32>>> = episodes
        .iter()
        .map(|episode| episode.progress.iter().copied().map(Some).collect())
        .collect();
    let settings = Rabc {
        chunk,
        ..Rabc::default()
    };
    let weights = RabcWeights::new(&known, settings)?;
    let mut numbers = [const { Vec::new() }; 3];
    for episode in &episodes {
        for frame in (0_i64..).take(episode.progress.len()) {
            let index = index_of(episode, frame).map_err(|error| io(io::Error::other(error)))?;
            let row = [index, episode.episode_index, frame];
            for (column, value) in numbers.iter_mut().zip(row) {
                column.push(value);
            }
        }
    }
    let deltas: Vec<f32> = weights
        .deltas()
        .iter()
        .flatten()
        .map(|delta| delta.map_or(f32::NAN, |delta| delta as f32))
        .collect();
    let flat: Vec<f32> = weights.weights().into_iter().flatten().collect();
    write_whole(&path, |file| {
        columns(file.try_clone()?, &numbers, &[deltas, flat]).map_err(io::Error::other)
    })
    .map_err(io)
}

fn columns(
    file: File,
    numbers: &[Vec<i64>; 3],
    values: &[Vec<f32>; 2],
) -> Result<(), ParquetError> {
    const SCHEMA: &str = "message schema {
        optional int64 index;
        optional int64 episode_index;
        optional int64 frame_index;
        optional float delta;
        optional float weight;
    }";
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let properties = WriterProperties::builder()
        .set_compression(parquet::basic::Compression::SNAPPY)
        .build();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
    let mut rows = writer.next_row_group()?;
    let there = vec![1_i16; numbers.first().map_or(0, Vec::len)];
    for column in numbers {
        write_column::<Int64Type>(&mut rows, column, &there)?;
    }
    for column in values {
        write_column::<FloatType>(&mut rows, column, &there)?;
    }
    rows.close()?;
    writer.close()?;
    Ok(())
}

#[derive(Serialize)]
struct TopAwrFile {
    tau: f64,
    max: f64,
    centre: topreward::Center,
    episodes: Vec<TopAwrEpisode>,
}

#[derive(Serialize)]
struct TopAwrEpisode {
    episode_index: usize,
    /// One more than there are weights.
    prefix_lengths: Vec<usize>,
    weights: Vec<f64>,
}

/// Writes [`TOP_AWR_FILE`].
///
/// # Errors
/// [`ScoringError`].
pub fn awr(store: &Store, settings: TopAwr) -> Result<(), ScoringError> {
    let progress: Vec<Vec<f64>> = store
        .finished()
        .values()
        .map(|episode| episode.score.curve.progress.clone())
        .collect();
    let weights = top_awr(&progress, settings)?;
    let episodes = store
        .finished()
        .iter()
        .zip(weights)
        .map(|((index, episode), weights)| TopAwrEpisode {
            episode_index: *index,
            prefix_lengths: episode.score.config.prefix_lengths.clone(),
            weights,
        })
        .collect();
    let file = TopAwrFile {
        tau: settings.tau,
        max: settings.max,
        centre: settings.center,
        episodes,
    };
    write(&store.folder().join(TOP_AWR_FILE), &file)
}

#[derive(Serialize)]
struct ValuesFile<'a> {
    gamma: f64,
    impute: Option<Impute>,
    episodes: Vec<ValuesEpisode<'a>>,
}

#[derive(Serialize)]
struct ValuesEpisode<'a> {
    episode_index: usize,
    instruction: &'a str,
    rewards: Vec<f64>,
    values: Vec<f64>,
}

/// Writes [`VALUES_FILE`]: rewards of the scored prefixes, or of every frame where `how` says what lies between them, and
/// what is still to come at each, discounted by `gamma`. Episodes with fewer than two prefixes have none.
///
/// # Errors
/// [`ScoringError`], and [`topreward::Error::Parameter`] for a `gamma` outside 0 to 1.
pub fn values(store: &Store, gamma: f64, how: Option<Impute>) -> Result<(), ScoringError> {
    if !(0.0..=1.0).contains(&gamma) {
        return Err(ScoringError::Method(topreward::Error::Parameter {
            name: "gamma",
            value: gamma,
            want: "from 0 to 1",
        }));
    }
    let mut episodes = Vec::new();
    for (index, episode) in store.finished() {
        let setting = &episode.score.config;
        let log_probs = &episode.score.curve.log_probs;
        if log_probs.len() < 2 {
            continue;
        }
        let rewards = match how {
            None => log_probs.clone(),
            Some(how) => {
                let last: Vec<usize> = setting
                    .prefix_lengths
                    .iter()
                    .map(|length| length.saturating_sub(1))
                    .collect();
                impute(&last, log_probs, setting.frames, how)?
            }
        };
        episodes.push(ValuesEpisode {
            episode_index: *index,
            instruction: &setting.instruction,
            values: discounted(&rewards, gamma),
            rewards,
        });
    }
    if episodes.is_empty() {
        return Err(ScoringError::BadResult {
            path: store.folder().join(VALUES_FILE),
            reason: "no episode has two scored prefixes, and values are made of two at least"
                .to_owned(),
        });
    }
    let file = ValuesFile {
        gamma,
        impute: how,
        episodes,
    };
    write(&store.folder().join(VALUES_FILE), &file)
}
