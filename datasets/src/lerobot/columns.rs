//! Columns of one parquet file.
//!
//! Vectors are stored as lists (of fixed size or not) or, with one dimension, as plain numbers. Every row should hold
//! one, and all should have the same length. A gap in a robot's actions must not be filled in silently, so a row
//! without a vector is marked, and the episode that it belongs to is left out.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use field_files::ReadError;
use parquet::{
    column::reader::{ColumnReader, get_column_reader},
    errors::ParquetError,
    file::metadata::ParquetMetaData,
};

use super::{
    DataSetError, footer,
    leaf::{Leaf, LeafError},
    pages::{self, Allowance, Budget, Refusal},
    vectors::{Number, Vectors},
};

/// Values that a column may always have, whatever the size of its file.
const VALUES: u64 = 1 << 20;
/// Further values per byte of the file.
const VALUES_PER_BYTE: u64 = 8;

/// Memory that all columns read from a file may always take together (bytes).
const BYTES: u64 = 80 << 20;
/// Further bytes of memory per byte of the file.
const UNFOLDING: u64 = 8;
/// Memory per number of a vector, with its levels while it is read (bytes).
const VECTOR_VALUE_BYTES: u64 = 12;
/// Memory per number of a row, with the row's episode (bytes).
const ROW_VALUE_BYTES: u64 = 32;

/// An open parquet file.
pub struct Table {
    pub(super) path: PathBuf,
    pub(super) metadata: ParquetMetaData,
    file: Arc<Mutex<File>>,
    pub(super) bytes: u64,
    /// Memory that its columns may still take (bytes).
    pub(super) memory: Allowance,
    refusal: Refusal,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("path", &self.path).finish()
    }
}

impl Table {
    /// Opens a file and reads its footer.
    ///
    /// # Errors
    /// When the file is missing or is not a parquet file.
    pub fn open(path: &Path) -> Result<Self, DataSetError> {
        let (mut file, bytes) = field_files::open(path)?;
        if let Some(foreign) = footer::instead(&mut file, bytes) {
            return Err(ReadError::foreign(path, foreign).into());
        }
        let metadata = catch_panic(|| footer::read(&mut file, bytes))
            .and_then(|read| read)
            .map_err(|reason| DataSetError::Parquet {
                path: path.to_owned(),
                reason,
            })?;
        Ok(Self {
            path: path.to_owned(),
            metadata,
            file: Arc::new(Mutex::new(file)),
            bytes,
            memory: Allowance::new(BYTES.saturating_add(bytes.saturating_mul(UNFOLDING))),
            refusal: Refusal::default(),
        })
    }

    /// True if there is a column of this name.
    #[must_use]
    pub fn has(&self, column: &str) -> bool {
        self.columns().any(|(name, _)| name == column)
    }

    /// A column of numbers or of lists of numbers. Rows that are empty or of another length are marked.
    ///
    /// # Errors
    /// When the column is missing or does not hold numbers.
    pub(super) fn vectors(&self, column: &str) -> Result<Vectors, DataSetError> {
        let leaf: Leaf<f32> = self.read(column, VECTOR_VALUE_BYTES)?;
        Ok(leaf.into_vectors())
    }

    /// A column of numbers, one per row. Booleans become 0 and 1.
    ///
    /// # Errors
    /// When the column is missing, does not hold such numbers, or has an empty row.
    pub fn numbers(&self, column: &str) -> Result<Vec<f64>, DataSetError> {
        let leaf: Leaf<f64> = self.read(column, ROW_VALUE_BYTES)?;
        match leaf.first_hole() {
            Some(row) => {
                let problem = format!("row {row} is empty or has an empty element");
                Err(self.bad(column, problem))
            }
            None => leaf
                .into_numbers()
                .ok_or_else(|| self.bad(column, "is not a column of single numbers".to_owned())),
        }
    }

    /// A column of integers, one per row.
    ///
    /// # Errors
    /// When the column is missing, does not hold such numbers, or has an empty row.
    pub fn integers(&self, column: &str) -> Result<Vec<i64>, DataSetError> {
        let numbers = self.numbers(column)?;
        if !numbers.iter().copied().all(is_whole) {
            return Err(self.bad(column, "holds numbers that are not whole".to_owned()));
        }
        Ok(numbers.into_iter().map(|value| value as i64).collect())
    }

    /// A column of numbers in which rows may be empty.
    ///
    /// # Errors
    /// When the column is missing or does not hold single numbers.
    pub fn sparse_numbers(&self, column: &str) -> Result<Vec<Option<f64>>, DataSetError> {
        let leaf: Leaf<f64> = self.read(column, ROW_VALUE_BYTES)?;
        leaf.into_single()
            .ok_or_else(|| self.bad(column, "is not a column of single numbers".to_owned()))
    }

    /// A column of non-negative integers. A row that is empty or holds anything else is `None`.
    ///
    /// # Errors
    /// When the column is missing or does not hold single numbers.
    pub fn sparse_counts(&self, column: &str) -> Result<Vec<Option<u64>>, DataSetError> {
        let numbers = self.sparse_numbers(column)?.into_iter();
        Ok(numbers
            .map(|value| Some(value.filter(|value| is_whole(*value) && *value >= 0.0)? as u64))
            .collect())
    }

    /// Names of the top-level columns, with the index of their leaf.
    fn columns(&self) -> impl Iterator<Item = (&str, usize)> {
        let schema = self.metadata.file_metadata().schema_descr();
        schema
            .columns()
            .iter()
            .enumerate()
            .filter_map(|(leaf, column)| Some((column.path().parts().first()?.as_str(), leaf)))
    }

    /// Names of the top-level columns.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.columns().map(|(name, _)| name.to_owned()).collect();
        names.dedup();
        names
    }

    fn read<N: Number>(&self, column: &str, value_bytes: u64) -> Result<Leaf<N>, DataSetError> {
        let mut leaves = self.columns().filter(|(name, _)| *name == column);
        let index = match (leaves.next(), leaves.next()) {
            (Some((_, leaf)), None) => leaf,
            (Some(_), Some(_)) => {
                return Err(self.bad(column, "is a record, not a vector".to_owned()));
            }
            (None, _) => {
                return Err(DataSetError::NoColumn {
                    path: self.path.clone(),
                    column: column.to_owned(),
                    there: self.names(),
                });
            }
        };
        let mut leaf = Leaf::<N>::new(self.metadata.file_metadata().schema_descr().column(index));
        let budget = self.budget(value_bytes);
        for group in 0..self.metadata.num_row_groups() {
            let reader = self.reader(group, index, &budget)?;
            let read = catch_panic(|| match reader {
                ColumnReader::FloatColumnReader(reader) => {
                    leaf.extend(reader, |value| Some(N::of(f64::from(*value))))
                }
                ColumnReader::DoubleColumnReader(reader) => {
                    leaf.extend(reader, |value| Some(N::of(*value)))
                }
                ColumnReader::Int64ColumnReader(reader) => {
                    leaf.extend(reader, |value| Some(N::of(*value as f64)))
                }
                ColumnReader::Int32ColumnReader(reader) => {
                    leaf.extend(reader, |value| Some(N::of(f64::from(*value))))
                }
                ColumnReader::BoolColumnReader(reader) => {
                    leaf.extend(reader, |value| Some(N::of(f64::from(*value))))
                }
                // Half precision is stored as two bytes.
                ColumnReader::FixedLenByteArrayColumnReader(reader) if leaf.is_half() => leaf
                    .extend(reader, |value| {
                        let bytes = value.data().first_chunk::<2>()?;
                        Some(N::of(half::f16::from_le_bytes(*bytes).to_f64()))
                    }),
                _ => Err(LeafError::NotNumbers),
            });
            match read {
                Ok(Ok(())) => {}
                Ok(Err(LeafError::Parquet(error))) => return Err(self.broken(&error)),
                Ok(Err(LeafError::NotNumbers)) => {
                    return Err(self.bad(column, "does not hold numbers".to_owned()));
                }
                Ok(Err(LeafError::Nested)) => {
                    return Err(self.bad(column, "holds lists of lists, not vectors".to_owned()));
                }
                Err(reason) => return Err(self.damaged(reason)),
            }
        }
        Ok(leaf)
    }

    /// Budget of a column of this file whose values take `value_bytes` bytes each.
    pub(super) fn budget(&self, value_bytes: u64) -> Budget {
        Budget {
            values: Allowance::new(
                VALUES.saturating_add(self.bytes.saturating_mul(VALUES_PER_BYTE)),
            ),
            memory: self.memory.clone(),
            value_bytes,
            refusal: self.refusal.clone(),
        }
    }

    /// Reader of a leaf in a row group.
    pub(super) fn reader(
        &self,
        group: usize,
        leaf: usize,
        budget: &Budget,
    ) -> Result<ColumnReader, DataSetError> {
        let rows = self.metadata.row_group(group);
        let pages = pages::pages(&self.file, self.bytes, rows, rows.column(leaf), budget)
            .map_err(|error| self.broken(&error))?;
        let about = self.metadata.file_metadata().schema_descr().column(leaf);
        Ok(get_column_reader(about, pages))
    }

    pub(super) fn bad(&self, column: &str, problem: String) -> DataSetError {
        DataSetError::BadColumn {
            path: self.path.clone(),
            column: column.to_owned(),
            problem,
        }
    }

    /// Error of a file that cannot be decoded, or whose decoding was stopped at a limit.
    pub(super) fn broken(&self, error: &ParquetError) -> DataSetError {
        match self.refusal.reason() {
            Some(problem) => DataSetError::TooLarge {
                path: self.path.clone(),
                problem,
            },
            None => self.damaged(error.to_string()),
        }
    }

    pub(super) fn damaged(&self, reason: String) -> DataSetError {
        DataSetError::Parquet {
            path: self.path.clone(),
            reason,
        }
    }
}

fn is_whole(value: f64) -> bool {
    value.fract() == 0.0 && value.abs() < 9e15
}

/// Runs a decoder and turns a panic into an error, so that a damaged file that triggers a bug of the decoder fails
/// alone.
pub(super) fn catch_panic<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
        .map_err(|_| "is damaged in a way that its decoder does not expect".to_owned())
}
