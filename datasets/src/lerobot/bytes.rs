//! Columns of strings and of embedded files.

use std::ops::Range;

use parquet::{
    basic::LogicalType,
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{ByteArray, ByteArrayType},
    errors::ParquetError,
};

use super::{
    DataSetError,
    columns::{Table, catch_panic},
};

/// Memory overhead of a string or a file, beside its content (bytes).
const VALUE_BYTES: u64 = 96;

impl Table {
    /// A column of strings or of lists of strings. A row can be empty.
    ///
    /// # Errors
    /// When the column is missing or does not hold UTF-8.
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

    /// Bytes of the field `part` of a column of records, for the rows in `rows`; `None` for a row without it.
    ///
    /// # Errors
    /// When the column or the field is missing or does not hold bytes.
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

    /// Names of the columns that hold one string per row.
    pub(super) fn text_columns(&self) -> Vec<String> {
        let schema = self.metadata.file_metadata().schema_descr();
        let strings = schema.columns().iter().filter(|leaf| {
            leaf.path().parts().len() == 1
                && matches!(leaf.logical_type_ref(), Some(LogicalType::String))
        });
        strings.map(|leaf| leaf.name().to_owned()).collect()
    }

    /// Index of the leaf of a column, or of a field of it.
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

    /// Calls `each` with `None` where a row begins and then with every value of that row.
    fn byte_rows(
        &self,
        column: &str,
        leaf: usize,
        rows: Range<usize>,
        each: &mut dyn FnMut(Option<&ByteArray>) -> bool,
    ) -> Result<(), DataSetError> {
        let level = self
            .metadata
            .file_metadata()
            .schema_descr()
            .column(leaf)
            .max_def_level();
        let budget = self.budget(VALUE_BYTES);
        let mut first = 0_usize;
        for group in 0..self.metadata.num_row_groups() {
            let count = usize::try_from(self.metadata.row_group(group).num_rows()).unwrap_or(0);
            let end = first.saturating_add(count);
            let (from, to) = (rows.start.clamp(first, end), rows.end.clamp(first, end));
            let (skip, take) = (from - first, to.saturating_sub(from));
            first = end;
            if take == 0 {
                continue;
            }
            let ColumnReader::ByteArrayColumnReader(mut reader) =
                self.reader(group, leaf, &budget)?
            else {
                return Err(self.bad(column, "holds neither strings nor files".to_owned()));
            };
            let mut count_and_pass = |value: Option<&ByteArray>| {
                let bytes = value.map_or(0, |value| value.len() as u64);
                if !budget.memory.take(bytes) {
                    return Err(StopReason::TooLarge);
                }
                if each(value) {
                    Ok(())
                } else {
                    Err(StopReason::NotUtf8)
                }
            };
            match catch_panic(|| read(&mut reader, level, skip, take, &mut count_and_pass)) {
                Ok(Ok(())) => {}
                Ok(Err(StopReason::Parquet(error))) => return Err(self.broken(&error)),
                Ok(Err(StopReason::NotUtf8)) => {
                    return Err(self.bad(column, "holds strings that are not UTF-8".to_owned()));
                }
                Ok(Err(StopReason::TooLarge)) => {
                    return Err(DataSetError::TooLarge {
                        path: self.path.clone(),
                        problem: format!(
                            "has {} bytes, and its column {column:?} decodes to more than that accounts for",
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

/// Reason for which a column is not read to its end.
enum StopReason {
    Parquet(ParquetError),
    NotUtf8,
    TooLarge,
}

impl From<ParquetError> for StopReason {
    fn from(error: ParquetError) -> Self {
        Self::Parquet(error)
    }
}

/// Calls `each` for `count` rows after the first `skip`. A value is present where its definition level is `level`.
fn read(
    reader: &mut ColumnReaderImpl<ByteArrayType>,
    level: i16,
    skip: usize,
    count: usize,
    each: &mut dyn FnMut(Option<&ByteArray>) -> Result<(), StopReason>,
) -> Result<(), StopReason> {
    /// Rows per call; small because a value can be a whole image.
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
        for entry in 0..levels {
            if repetitions.get(entry).is_none_or(|depth| *depth == 0) {
                each(None)?;
            }
            if definitions.get(entry).is_none_or(|found| *found == level)
                && let Some(value) = values.next()
            {
                each(Some(value))?;
            }
        }
    }
    Ok(())
}
