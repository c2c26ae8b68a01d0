//! Numbers of one leaf column.

use super::vectors::{Number, Vectors};
use parquet::{
    basic::{LogicalType, Type},
    column::reader::ColumnReaderImpl,
    data_type::DataType,
    errors::ParquetError,
    schema::types::ColumnDescPtr,
};
use std::collections::BTreeMap;

/// Numbers, and how many belong to each row.
pub(super) struct Leaf<N> {
    about: ColumnDescPtr,
    numbers: Vec<N>,
    /// Number of values per row; `None` where every row has exactly one, as in most columns.
    lengths: Option<Vec<u32>>,
    /// Rows that are empty or have an empty element.
    holes: Vec<usize>,
    rows: usize,
}

pub(super) enum LeafError {
    Parquet(ParquetError),
    /// The column does not hold numbers.
    NotNumbers,
    /// The column holds lists of lists.
    Nested,
}

impl<N: Number> Leaf<N> {
    pub(super) fn new(about: ColumnDescPtr) -> Self {
        let lengths = (about.max_rep_level() > 0).then(Vec::new);
        Self {
            about,
            numbers: Vec::new(),
            lengths,
            holes: Vec::new(),
            rows: 0,
        }
    }

    /// True if its values are half-precision numbers.
    pub(super) fn is_half(&self) -> bool {
        self.about.physical_type() == Type::FIXED_LEN_BYTE_ARRAY
            && self.about.type_length() == 2
            && self.about.logical_type_ref() == Some(&LogicalType::Float16)
    }

    pub(super) fn extend<T: DataType>(
        &mut self,
        mut reader: ColumnReaderImpl<T>,
        number: impl Fn(&T::T) -> Option<N>,
    ) -> Result<(), LeafError> {
        /// Rows per call, which bounds the memory of the levels.
        const ROWS: usize = 1 << 14;
        if self.about.max_rep_level() > 1 {
            return Err(LeafError::Nested);
        }
        let there = self.about.max_def_level();
        let (mut definitions, mut repetitions, mut values) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            definitions.clear();
            repetitions.clear();
            values.clear();
            let (rows, _, levels) = reader
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
            let mut values = values.iter();
            for entry in 0..levels {
                let begins = repetitions.get(entry).is_none_or(|level| *level == 0);
                if begins {
                    self.rows += 1;
                }
                if let Some(lengths) = &mut self.lengths {
                    match (begins, lengths.last_mut()) {
                        (true, _) | (_, None) => lengths.push(1),
                        (false, Some(length)) => *length += 1,
                    }
                }
                let is_there = definitions.get(entry).is_none_or(|level| *level == there);
                let value = is_there.then(|| values.next().and_then(&number)).flatten();
                if value.is_none() && self.holes.last() != Some(&(self.rows - 1)) {
                    self.holes.push(self.rows - 1);
                }
                self.numbers.push(value.unwrap_or(N::NONE));
            }
        }
    }

    /// First row that is empty or has an empty element.
    pub(super) fn first_hole(&self) -> Option<usize> {
        self.holes.first().copied()
    }

    /// One number per row ([`Number::NONE`] for an empty row); `None` if a row has several.
    pub(super) fn into_numbers(self) -> Option<Vec<N>> {
        let several = self.lengths.iter().flatten().any(|length| *length != 1);
        (!several).then_some(self.numbers)
    }

    /// One optional number per row; `None` if a row has several.
    pub(super) fn into_single(self) -> Option<Vec<Option<N>>> {
        if self.lengths.iter().flatten().any(|length| *length != 1) {
            return None;
        }
        let mut numbers: Vec<Option<N>> = self.numbers.into_iter().map(Some).collect();
        for row in self.holes {
            if let Some(number) = numbers.get_mut(row) {
                *number = None;
            }
        }
        Some(numbers)
    }

    /// A vector per row.
    pub(super) fn into_vectors(self) -> Vectors {
        let mut vectors = Vectors {
            dims: 1,
            values: self.numbers.into_iter().map(N::single).collect(),
            lengths: self.lengths,
            holes: self.holes,
            rows: self.rows,
        };
        let mut rows_by_length: BTreeMap<u32, usize> = BTreeMap::new();
        let mut holes = vectors.holes.iter().peekable();
        for (row, length) in vectors.lengths.iter().flatten().enumerate() {
            if holes.next_if(|hole| **hole == row).is_none() {
                *rows_by_length.entry(*length).or_default() += 1;
            }
        }
        if let Some((length, _)) = rows_by_length.iter().max_by_key(|(_, count)| **count) {
            vectors.dims = *length as usize;
        }
        vectors
    }
}

impl Vectors {
    /// The vector of each row, or the fault of the row.
    pub(super) fn rows(&self) -> impl Iterator<Item = Result<&[f32], String>> {
        let mut rest = self.values.as_slice();
        let mut holes = self.holes.iter().peekable();
        (0..self.rows).map(move |row| {
            let lengths = self.lengths.as_ref();
            let length = lengths.map_or(1, |lengths| {
                lengths.get(row).map_or(0, |length| *length as usize)
            });
            let (vector, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            rest = after;
            if holes.next_if(|hole| **hole == row).is_some() {
                Err(format!("row {row} is empty or has an empty element"))
            } else if length != self.dims {
                Err(format!(
                    "row {row} has {length} values, other rows have {}",
                    self.dims
                ))
            } else {
                Ok(vector)
            }
        })
    }
}
