//! Progress at every frame of a data set, in the parquet file that LeRobot's trainer reads.
//!
//! Columns and metadata are those of LeRobot's `topreward_progress.parquet`; the same file under the name
//! `sarm_progress.parquet` is what the public visualizer plots.

use super::ScoringError;
use datasets::lerobot::Indices;
use field_files::write_whole;
use parquet::{
    data_type::{FloatType, Int64Type},
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};
use std::{fs::File, io, path::Path, sync::Arc};

/// What LeRobot names the file, in the root of the data set.
pub const FILE: &str = "topreward_progress.parquet";
/// The name under which the public visualizer looks for a curve.
pub const VISUALIZER_FILE: &str = "sarm_progress.parquet";

const SCHEMA: &str = "message schema {
    optional int64 index;
    optional int64 episode_index;
    optional int64 frame_index;
    optional float progress_sparse;
}";

/// One episode's rows.
#[derive(Debug, Clone, PartialEq)]
pub struct EpisodeProgress {
    /// Its number in the data set.
    pub episode_index: i64,
    /// The numbers of its frames in the whole data set.
    pub indices: Indices,
    /// Progress at every frame, from 0 to 1.
    pub progress: Vec<f32>,
}

/// Writes a file, whole or not at all.
///
/// # Errors
/// [`ScoringError::Io`], which names the file.
pub fn write(
    path: &Path,
    vlm_name: &str,
    reward_model_path: Option<&str>,
    episodes: &[EpisodeProgress],
) -> Result<(), ScoringError> {
    write_whole(path, |file| {
        write_to(file.try_clone()?, vlm_name, reward_model_path, episodes).map_err(io::Error::other)
    })
    .map_err(|source| ScoringError::Io {
        path: path.to_owned(),
        source,
    })
}

fn write_to(
    file: File,
    vlm_name: &str,
    reward_model_path: Option<&str>,
    episodes: &[EpisodeProgress],
) -> Result<(), ParquetError> {
    let mut metadata = vec![KeyValue::new("vlm_name".to_owned(), vlm_name.to_owned())];
    if let Some(path) = reward_model_path {
        metadata.push(KeyValue::new(
            "reward_model_path".to_owned(),
            path.to_owned(),
        ));
    }
    let properties = WriterProperties::builder()
        .set_key_value_metadata(Some(metadata))
        .set_compression(parquet::basic::Compression::SNAPPY)
        .build();
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
    let mut rows = writer.next_row_group()?;
    let mut index = Vec::new();
    let mut episode_index = Vec::new();
    let mut frame_index = Vec::new();
    let mut progress = Vec::new();
    for episode in episodes {
        for (frame, value) in (0_i64..).zip(&episode.progress) {
            index.push(index_of(episode, frame)?);
            episode_index.push(episode.episode_index);
            frame_index.push(frame);
            progress.push(*value);
        }
    }
    // Every value is there, and the column may have none: definition level 1.
    let there = vec![1_i16; index.len()];
    for column in [&index, &episode_index, &frame_index] {
        write_column::<Int64Type>(&mut rows, column, &there)?;
    }
    write_column::<FloatType>(&mut rows, &progress, &there)?;
    rows.close()?;
    writer.close()?;
    Ok(())
}

/// The number of a frame in the whole data set.
pub(super) fn index_of(episode: &EpisodeProgress, frame: i64) -> Result<i64, ParquetError> {
    let place = usize::try_from(frame).ok();
    place
        .and_then(|frame| episode.indices.at(frame))
        .ok_or_else(|| {
            ParquetError::General(format!(
                "episode {} has no row for frame {frame}",
                episode.episode_index
            ))
        })
}

pub(super) fn write_column<T: parquet::data_type::DataType>(
    rows: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
    there: &[i16],
) -> Result<(), ParquetError> {
    if let Some(mut column) = rows.next_column()? {
        column.typed::<T>().write_batch(values, Some(there), None)?;
        column.close()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        reason = "a test fails by panicking"
    )]
    use super::*;
    use parquet::{
        file::reader::{FileReader as _, SerializedFileReader},
        record::RowAccessor as _,
    };

    #[test]
    fn what_is_written_reads_back_column_for_column() {
        let folder = std::env::temp_dir().join(format!("progress-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(FILE);
        let episodes = [
            EpisodeProgress {
                episode_index: 0,
                indices: Indices::From(0),
                progress: vec![0.0, 0.5, 1.0],
            },
            EpisodeProgress {
                episode_index: 2,
                indices: Indices::Each(vec![7, 9]),
                progress: vec![1.0, 0.5],
            },
        ];
        write(&path, "Qwen/Qwen3-VL-8B-Instruct", None, &episodes).unwrap();
        let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        let file = reader.metadata().file_metadata();
        let names: Vec<&str> = file
            .schema_descr()
            .columns()
            .iter()
            .map(|column| column.name())
            .collect();
        assert_eq!(
            names,
            ["index", "episode_index", "frame_index", "progress_sparse"]
        );
        let metadata = file.key_value_metadata().unwrap();
        assert_eq!(metadata[0].key, "vlm_name");
        let rows: Vec<(i64, i64, i64, f32)> = reader
            .get_row_iter(None)
            .unwrap()
            .map(|row| {
                let row = row.unwrap();
                (
                    row.get_long(0).unwrap(),
                    row.get_long(1).unwrap(),
                    row.get_long(2).unwrap(),
                    row.get_float(3).unwrap(),
                )
            })
            .collect();
        assert_eq!(
            rows,
            [
                (0, 0, 0, 0.0),
                (1, 0, 1, 0.5),
                (2, 0, 2, 1.0),
                (7, 2, 0, 1.0),
                (9, 2, 1, 0.5)
            ]
        );
        std::fs::remove_dir_all(folder).unwrap();
    }
}
