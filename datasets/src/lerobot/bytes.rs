//! Columns of texts and of files.

use std::ops::Range;

use parquet::{
    basic::LogicalType,
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{ByteArray, ByteArrayType},
    errors::ParquetError,
};

use super::{
    DataSetError,
    columns::{Table, unharmed},
};

/// Bytes that a text or a file takes beside its own.
const VALUE_BYTES: u64 = 96;

impl Table {
    /// A column of texts or of lists of texts. A row can have none.
    ///
    /// # Errors
    /// When it is missing, or holds something else than UTF-8.
    pub fn texts(&self, column: &str) -> Result<Vec<Vec<String>>, DataSetError> {
        let leaf = self.leaf(column, None)?;
        let mut texts = Vec::new();
        self.byte_rows(column, leaf, 0..self.rows(), &mut |value| match value {
            None => {
                texts.push(Vec::new());
                true
            }
            Some(value) => {
                let text = std::str::from_utf8(value.data());
                let row = texts.last_mut();
                text.ok()
                    .zip(row)
                    .map(|(text, row)| row.push(text.to_owned()))
                    .is_some()
            }
        })?;
        Ok(texts)
    }

    /// The part `part` of a column of records, of these rows: its bytes, where there are any.
    ///
    /// # Errors
    /// When it is missing or holds something else.
    pub fn parts(
        &self,
        column: &str,
        part: &str,
        rows: Range<usize>,
    ) -> Result<Vec<Option<Vec<u8>>>, DataSetError> {
        let leaf = self.leaf(column, Some(part))?;
        let mut parts: Vec<Option<Vec<u8>>> = Vec::new();
        self.byte_rows(column, leaf, rows, &mut |value| {
            match (value, parts.last_mut()) {
                (None, _) => parts.push(None),
                (Some(value), Some(part @ None)) => *part = Some(value.data().to_vec()),
                (Some(_), _) => {}
            }
            true
        })?;
        Ok(parts)
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        usize::try_from(self.metadata.file_metadata().num_rows()).unwrap_or(0)
    }

    /// Names of the columns that hold texts, one per row.
    pub(super) fn text_columns(&self) -> Vec<String> {
        let schema = self.metadata.file_metadata().schema_descr();
        let of_texts = schema.columns().iter().filter(|leaf| {
            leaf.path().parts().len() == 1
                && matches!(leaf.logical_type_ref(), Some(LogicalType::String))
        });
        of_texts.map(|leaf| leaf.name().to_owned()).collect()
    }

    /// Index of the leaf of a column, or of a part of it.
    fn leaf(&self, column: &str, part: Option<&str>) -> Result<usize, DataSetError> {
        let schema = self.metadata.file_metadata().schema_descr();
        let found = schema.columns().iter().position(|leaf| {
            let parts = leaf.path().parts();
            parts.first().is_some_and(|name| name == column)
                && part.is_none_or(|part| parts.last().is_some_and(|name| name == part))
        });
        found.ok_or_else(|| {
            let mut there: Vec<String> = schema
                .columns()
                .iter()
                .map(|leaf| leaf.path().parts().join("."))
                .collect();
            there.dedup();
            DataSetError::NoColumn {
                path: self.path.clone(),
                column: part.map_or_else(|| column.to_owned(), |part| format!("{column}.{part}")),
                there,
            }
        })
    }

    /// Tells `each` where a row begins (without a value) and the values of the row after that.
    fn byte_rows(
        &self,
        column: &str,
        leaf: usize,
        rows: Range<usize>,
        each: &mut dyn FnMut(Option<&ByteArray>) -> bool,
    ) -> Result<(), DataSetError> {
        let there = self
            .metadata
            .file_metadata()
            .schema_descr()
            .column(leaf)
            .max_def_level();
        let room = self.room(VALUE_BYTES);
        let mut first = 0_usize;
        for group in 0..self.metadata.num_row_groups() {
            let count = usize::try_from(self.metadata.row_group(group).num_rows()).unwrap_or(0);
            let end = first.saturating_add(count);
            let (from, to) = (rows.start.clamp(first, end), rows.end.clamp(first, end));
            let (skip, wanted) = (from - first, to.saturating_sub(from));
            first = end;
            if wanted == 0 {
                continue;
            }
            let ColumnReader::ByteArrayColumnReader(mut reader) =
                self.reader(group, leaf, &room)?
            else {
                return Err(self.bad(column, "holds neither texts nor files".to_owned()));
            };
            let mut count_and_tell = |value: Option<&ByteArray>| {
                let bytes = value.map_or(0, |value| value.len() as u64);
                if !room.memory.take(bytes) {
                    return Err(Stopped::TooMany);
                }
                if each(value) {
                    Ok(())
                } else {
                    Err(Stopped::NoText)
                }
            };
            match unharmed(|| read(&mut reader, there, skip, wanted, &mut count_and_tell)) {
                Ok(Ok(())) => {}
                Ok(Err(Stopped::Parquet(error))) => return Err(self.broken(&error)),
                Ok(Err(Stopped::NoText)) => {
                    return Err(self.bad(column, "holds texts that are no UTF-8".to_owned()));
                }
                Ok(Err(Stopped::TooMany)) => {
                    return Err(DataSetError::TooLarge {
                        path: self.path.clone(),
                        problem: format!(
                            "has {} bytes, and its column {column:?} unfolds to more than that accounts for",
                            self.bytes
                        ),
                    });
                }
                Err(reason) => return Err(self.damaged(reason)),
            }
        }
        Ok(())
    }
}

/// Why a column is not read to its end.
enum Stopped {
    Parquet(ParquetError),
    NoText,
    TooMany,
}

impl From<ParquetError> for Stopped {
    fn from(error: ParquetError) -> Self {
        Self::Parquet(error)
    }
}

/// Tells of `count` rows after the first `skip`; a value is there at level `there`.
fn read(
    reader: &mut ColumnReaderImpl<ByteArrayType>,
    there: i16,
    skip: usize,
    count: usize,
    tell: &mut dyn FnMut(Option<&ByteArray>) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    /// Rows per call: they can be whole images.
    const ROWS: usize = 64;
    reader.skip_records(skip)?;
    let mut left = count;
    while left > 0 {
        let (mut definitions, mut repetitions, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let (rows, _, levels) = reader.read_records(
            left.min(ROWS),
            Some(&mut definitions),
            Some(&mut repetitions),
            &mut values,
        )?;
        if rows == 0 {
            return Ok(());
        }
        left -= rows;
        let mut values = values.iter();
        for place in 0..levels {
            if repetitions.get(place).is_none_or(|level| *level == 0) {
                tell(None)?;
            }
            if definitions.get(place).is_none_or(|level| *level == there)
                && let Some(value) = values.next()
            {
                tell(Some(value))?;
            }
        }
    }
    Ok(())
}
