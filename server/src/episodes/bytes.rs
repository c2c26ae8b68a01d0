//! Columns of texts and of files.

use std::ops::Range;

use parquet::{
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{ByteArray, ByteArrayType},
    errors::ParquetError,
    file::reader::FileReader as _,
};

use super::{
    DataSetError,
    columns::{Table, broken},
};

/// Values of some rows; a row can have none, one or several.
type ByRow = Vec<Vec<ByteArray>>;

impl Table {
    /// A column of texts or of lists of texts.
    ///
    /// # Errors
    /// When it is missing, or holds something else than UTF-8.
    pub fn texts(&self, column: &str) -> Result<Vec<Vec<String>>, DataSetError> {
        let rows = self.rows();
        let leaf = self.leaf(column, None)?;
        self.byte_rows(column, leaf, 0..rows)?
            .into_iter()
            .map(|row| {
                row.into_iter()
                    .map(|value| {
                        String::from_utf8(value.data().to_vec()).map_err(|_| {
                            self.bad(column, "holds texts that are no UTF-8".to_owned())
                        })
                    })
                    .collect()
            })
            .collect()
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
        Ok(self
            .byte_rows(column, leaf, rows)?
            .into_iter()
            .map(|row| row.first().map(|value| value.data().to_vec()))
            .collect())
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        usize::try_from(self.reader.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Index of the leaf of a column, or of a part of it.
    fn leaf(&self, column: &str, part: Option<&str>) -> Result<usize, DataSetError> {
        let schema = self.reader.metadata().file_metadata().schema_descr();
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

    fn byte_rows(
        &self,
        column: &str,
        leaf: usize,
        rows: Range<usize>,
    ) -> Result<ByRow, DataSetError> {
        let mut found = Vec::with_capacity(rows.len());
        let mut first = 0;
        for group in 0..self.reader.num_row_groups() {
            let reader = self
                .reader
                .get_row_group(group)
                .map_err(|error| broken(&self.path, &error))?;
            let count = usize::try_from(reader.metadata().num_rows()).unwrap_or(0);
            let start = rows.start.clamp(first, first + count) - first;
            let end = rows.end.clamp(first, first + count) - first;
            first += count;
            if start == end {
                continue;
            }
            let column_reader = reader
                .get_column_reader(leaf)
                .map_err(|error| broken(&self.path, &error))?;
            let ColumnReader::ByteArrayColumnReader(mut column_reader) = column_reader else {
                return Err(self.bad(column, "holds neither texts nor files".to_owned()));
            };
            read(&mut column_reader, start, end - start, &mut found)
                .map_err(|error| broken(&self.path, &error))?;
        }
        Ok(found)
    }
}

/// Appends `count` rows after the first `skip`.
fn read(
    reader: &mut ColumnReaderImpl<ByteArrayType>,
    skip: usize,
    count: usize,
    found: &mut ByRow,
) -> Result<(), ParquetError> {
    /// Rows per call: they can be whole images.
    const ROWS: usize = 64;
    reader.skip_records(skip)?;
    let mut left = count;
    while left > 0 {
        let (mut definitions, mut repetitions, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let (rows, present, levels) = reader.read_records(
            left.min(ROWS),
            Some(&mut definitions),
            Some(&mut repetitions),
            &mut values,
        )?;
        if rows == 0 {
            return Ok(());
        }
        left -= rows;
        let there = definitions.iter().copied().max().unwrap_or_default();
        let mut values = values.into_iter();
        for level in 0..levels.max(rows) {
            if repetitions
                .get(level)
                .is_none_or(|repetition| *repetition == 0)
            {
                found.push(Vec::new());
            }
            // Where every place has a value there is nothing to look up; else the places that have one are the highest.
            let has = present == levels
                || definitions.is_empty()
                || (present > 0 && definitions.get(level) == Some(&there));
            if has && let (Some(value), Some(row)) = (values.next(), found.last_mut()) {
                row.push(value);
            }
        }
    }
    Ok(())
}
