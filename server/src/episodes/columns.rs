//! Columns of one parquet file.
//!
//! Vectors are stored as lists (of fixed size or not) or, with one dimension, as plain numbers. Every row must hold
//! one, and all must be equally long: a gap in a robot's actions is not something to fill in silently.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use parquet::{
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::DataType,
    errors::ParquetError,
    file::{reader::FileReader as _, serialized_reader::SerializedFileReader},
};

use super::DataSetError;

/// An open file.
pub struct Table {
    pub(super) path: PathBuf,
    pub(super) reader: SerializedFileReader<File>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("path", &self.path).finish()
    }
}

/// A column of vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Vectors {
    /// Length of each.
    pub dims: usize,
    /// `[rows, dims]`, row-major.
    pub values: Vec<f32>,
}

impl Table {
    /// Opens a file and reads its footer.
    ///
    /// # Errors
    /// When it is missing, or no parquet file.
    pub fn open(path: &Path) -> Result<Self, DataSetError> {
        let file = File::open(path).map_err(|source| DataSetError::Read {
            path: path.to_owned(),
            source,
        })?;
        let reader = SerializedFileReader::new(file).map_err(|error| broken(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            reader,
        })
    }

    /// Whether there is a column of this name.
    #[must_use]
    pub fn has(&self, column: &str) -> bool {
        self.columns().any(|(name, _)| name == column)
    }

    /// A column of numbers or of lists of numbers.
    ///
    /// # Errors
    /// When it is missing, holds something else, or rows that are empty or of another length.
    pub fn vectors(&self, column: &str) -> Result<Vectors, DataSetError> {
        let leaf = self.read(column)?;
        let dims = leaf.lengths.first().copied().unwrap_or_default();
        if let Some(row) = leaf.lengths.iter().position(|&length| length != dims) {
            let length = leaf.lengths.get(row).copied().unwrap_or_default();
            return Err(self.bad(
                column,
                format!("row {row} has {length} values, the first row has {dims}"),
            ));
        }
        let values = leaf.numbers.into_iter().map(|value| value as f32).collect();
        Ok(Vectors { dims, values })
    }

    /// A column of numbers, one per row. Truth values are 0 and 1.
    ///
    /// # Errors
    /// When it is missing or holds something else.
    pub fn numbers(&self, column: &str) -> Result<Vec<f64>, DataSetError> {
        let leaf = self.read(column)?;
        if leaf.lengths.iter().any(|&length| length != 1) {
            return Err(self.bad(column, "is no column of single numbers".to_owned()));
        }
        Ok(leaf.numbers)
    }

    /// A column of whole numbers, one per row.
    ///
    /// # Errors
    /// When it is missing or holds something else.
    pub fn integers(&self, column: &str) -> Result<Vec<i64>, DataSetError> {
        let numbers = self.numbers(column)?;
        let whole = |value: &f64| value.fract() == 0.0 && value.abs() < 9e15;
        if !numbers.iter().all(whole) {
            return Err(self.bad(column, "holds numbers that are not whole".to_owned()));
        }
        Ok(numbers.into_iter().map(|value| value as i64).collect())
    }

    /// Names of the top-level columns, with the index of their leaf.
    fn columns(&self) -> impl Iterator<Item = (&str, usize)> {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        schema
            .columns()
            .iter()
            .enumerate()
            .filter_map(|(leaf, column)| Some((column.path().parts().first()?.as_str(), leaf)))
    }

    fn read(&self, column: &str) -> Result<Leaf, DataSetError> {
        let mut leaves = self.columns().filter(|(name, _)| *name == column);
        let index = match (leaves.next(), leaves.next()) {
            (Some((_, leaf)), None) => leaf,
            (Some(_), Some(_)) => {
                return Err(self.bad(column, "is a record, not a vector".to_owned()));
            }
            (None, _) => {
                let mut there: Vec<String> =
                    self.columns().map(|(name, _)| name.to_owned()).collect();
                there.dedup();
                return Err(DataSetError::NoColumn {
                    path: self.path.clone(),
                    column: column.to_owned(),
                    there,
                });
            }
        };
        let mut leaf = Leaf::default();
        for group in 0..self.reader.num_row_groups() {
            let reader = self
                .reader
                .get_row_group(group)
                .and_then(|group| group.get_column_reader(index))
                .map_err(|error| broken(&self.path, &error))?;
            let read = match reader {
                ColumnReader::FloatColumnReader(reader) => leaf.extend(reader, f64::from),
                ColumnReader::DoubleColumnReader(reader) => leaf.extend(reader, |value| value),
                ColumnReader::Int64ColumnReader(reader) => {
                    leaf.extend(reader, |value| value as f64)
                }
                ColumnReader::Int32ColumnReader(reader) => leaf.extend(reader, f64::from),
                ColumnReader::BoolColumnReader(reader) => leaf.extend(reader, f64::from),
                _ => return Err(self.bad(column, "does not hold numbers".to_owned())),
            };
            if let Err(error) = read {
                return Err(match error {
                    LeafError::Parquet(error) => broken(&self.path, &error),
                    LeafError::Hole { row } => {
                        self.bad(column, format!("row {row} is empty or has an empty place"))
                    }
                    LeafError::Nested => {
                        self.bad(column, "holds lists of lists, not vectors".to_owned())
                    }
                });
            }
        }
        Ok(leaf)
    }

    pub(super) fn bad(&self, column: &str, problem: String) -> DataSetError {
        DataSetError::BadColumn {
            path: self.path.clone(),
            column: column.to_owned(),
            problem,
        }
    }
}

pub(super) fn broken(path: &Path, error: &ParquetError) -> DataSetError {
    DataSetError::Parquet {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

/// The numbers of one leaf column and how many belong to each row.
#[derive(Debug, Default)]
struct Leaf {
    numbers: Vec<f64>,
    lengths: Vec<usize>,
}

enum LeafError {
    Parquet(ParquetError),
    /// A row without a value, or with a null among them.
    Hole {
        row: usize,
    },
    Nested,
}

impl Leaf {
    fn extend<T: DataType>(
        &mut self,
        mut reader: ColumnReaderImpl<T>,
        number: impl Fn(T::T) -> f64,
    ) -> Result<(), LeafError> {
        /// Rows per call, so that levels never take much memory.
        const ROWS: usize = 1 << 14;
        let (mut definitions, mut repetitions, mut values) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            definitions.clear();
            repetitions.clear();
            values.clear();
            let (rows, present, levels) = reader
                .read_records(
                    ROWS,
                    Some(&mut definitions),
                    Some(&mut repetitions),
                    &mut values,
                )
                .map_err(LeafError::Parquet)?;
            if rows == 0 {
                return Ok(());
            }
            let row = self.lengths.len();
            if repetitions.is_empty() {
                self.lengths.extend(std::iter::repeat_n(1, rows));
            }
            for &level in &repetitions {
                match (level, self.lengths.last_mut()) {
                    (0, _) => self.lengths.push(1),
                    (1, Some(length)) => *length += 1,
                    _ => return Err(LeafError::Nested),
                }
            }
            // Where something is missing there are fewer values than levels.
            if present != levels {
                let highest = definitions.iter().copied().max().unwrap_or_default();
                let first = definitions.iter().position(|&level| level < highest);
                let before = first.unwrap_or_default();
                let row = match repetitions.get(..=before) {
                    Some(levels) => row + levels.iter().filter(|&&level| level == 0).count() - 1,
                    None => row + before,
                };
                return Err(LeafError::Hole { row });
            }
            self.numbers.extend(values.drain(..).map(&number));
        }
    }
}
