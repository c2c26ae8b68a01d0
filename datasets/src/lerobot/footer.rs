//! Footer of a parquet file, checked before it is decoded.
//!
//! A footer of a few bytes can announce a schema that overflows the stack or a list that takes gigabytes. It is
//! therefore scanned first, which takes no memory, and decoded only when the result will be small.

use super::thrift::{LIST, STRUCT, Thrift};
use field_files::Foreign;
use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
};
use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
};

/// First and last bytes of a parquet file.
const MAGIC: &[u8; 4] = b"PAR1";
/// Bytes at the start of a file that identify its format.
const START: u64 = 1024;
/// Size of the footer's length field and `PAR1` (bytes).
const END: u64 = 8;
/// Maximum footer size (bytes). A footer of 100,000 row groups is smaller.
const MOST_BYTES: u64 = 64 << 20;
/// Maximum memory of a decoded footer (bytes).
const MOST_MEMORY: usize = 96 << 20;
/// Approximate memory of a column of a row group (bytes).
const CHUNK_BYTES: usize = 600;
/// Approximate memory of a schema element (bytes).
const ELEMENT_BYTES: usize = 600;
/// Maximum nesting of columns.
const MOST_DEPTH: usize = 16;

/// Kind of file found in place of a parquet file of `bytes` bytes, if its first and last bytes identify one.
pub(super) fn instead(file: &mut File, bytes: u64) -> Option<Foreign> {
    let mut first = Vec::new();
    file.take(START).read_to_end(&mut first).ok()?;
    if !first.starts_with(MAGIC) {
        return Foreign::instead(&first, bytes);
    }
    let mut last = [0; MAGIC.len()];
    file.seek(SeekFrom::Start(bytes.checked_sub(MAGIC.len() as u64)?))
        .ok()?;
    file.read_exact(&mut last).ok()?;
    (&last != MAGIC).then_some(Foreign::Unfinished {
        sign: "its end (the parquet footer) is missing",
    })
}

/// Reads the footer of a file of `bytes` bytes.
pub(super) fn read(file: &mut File, bytes: u64) -> Result<ParquetMetaData, String> {
    let io = |error: std::io::Error| error.to_string();
    let mut end = [0; END as usize];
    let end_at = bytes.checked_sub(END).ok_or(
        "is too short for parquet: it was never finished, as after an interrupted recording, copy or download",
    )?;
    file.seek(SeekFrom::Start(end_at)).map_err(io)?;
    file.read_exact(&mut end).map_err(io)?;
    let (length, magic) = end.split_first_chunk::<4>().ok_or("has no end")?;
    match magic {
        b"PAR1" => {}
        b"PARE" => return Err("is an encrypted parquet file".to_owned()),
        _ => return Err("is no parquet file: it does not end with PAR1".to_owned()),
    }
    let length = u64::from(u32::from_le_bytes(*length));
    let start = end_at
        .checked_sub(length)
        .ok_or_else(|| format!("its footer claims {length} bytes, more than the file has"))?;
    if length > MOST_BYTES {
        return Err(format!("its footer has {length} bytes, more than 64 MiB"));
    }
    let mut footer = Vec::new();
    file.seek(SeekFrom::Start(start)).map_err(io)?;
    file.take(length).read_to_end(&mut footer).map_err(io)?;
    let memory = estimate_memory(&footer).ok_or("its footer (the parquet metadata) is damaged")?;
    if memory > MOST_MEMORY {
        return Err(format!(
            "its footer takes about {} MiB decoded, more than {} MiB",
            memory >> 20,
            MOST_MEMORY >> 20
        ));
    }
    let options = ParquetMetaDataOptions::new()
        .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll);
    let metadata = ParquetMetaDataReader::decode_metadata_with_options(&footer, Some(&options))
        .map_err(|error| error.to_string())?;
    check_ranges(&metadata, bytes)?;
    Ok(metadata)
}

/// Approximate memory of a decoded footer (bytes); `None` if it is damaged or nested deeper than any recording.
fn estimate_memory(footer: &[u8]) -> Option<usize> {
    let mut memory = footer.len();
    let mut thrift = Thrift::new(footer);
    let mut last = 0;
    loop {
        match thrift.field(&mut last)? {
            (_, 0) => return Some(memory),
            (2, LIST) => memory = memory.saturating_add(schema(&mut thrift)?),
            (4, LIST) => memory = memory.saturating_add(row_groups(&mut thrift)?),
            (_, kind) => thrift.skip(kind)?,
        }
    }
}

/// `FileMetaData.schema`: elements in depth-first order, each with its number of children.
fn schema(thrift: &mut Thrift<'_>) -> Option<usize> {
    let (kind, count) = thrift.list()?;
    if kind != STRUCT {
        return None;
    }
    // Children still to come, level by level.
    let mut open: Vec<usize> = Vec::new();
    for _ in 0..count {
        let (mut last, mut children) = (0, 0);
        loop {
            match thrift.field(&mut last)? {
                (_, 0) => break,
                (5, 4..=6) => children = usize::try_from(thrift.number()?).ok()?,
                (_, kind) => thrift.skip(kind)?,
            }
        }
        if children > count {
            return None;
        }
        open.push(children);
        if open.len() > MOST_DEPTH {
            return None;
        }
        while open.last() == Some(&0) {
            open.pop();
            if let Some(left) = open.last_mut() {
                *left = left.saturating_sub(1);
            }
        }
    }
    count.checked_mul(ELEMENT_BYTES)
}

/// `FileMetaData.row_groups`, each with its columns.
fn row_groups(thrift: &mut Thrift<'_>) -> Option<usize> {
    let (kind, count) = thrift.list()?;
    if kind != STRUCT {
        return None;
    }
    let mut memory = count.checked_mul(CHUNK_BYTES)?;
    for _ in 0..count {
        let mut last = 0;
        loop {
            match thrift.field(&mut last)? {
                (_, 0) => break,
                (1, LIST) => {
                    let (kind, columns) = thrift.list()?;
                    memory = memory.saturating_add(columns.saturating_mul(CHUNK_BYTES));
                    for _ in 0..columns {
                        thrift.skip(kind)?;
                    }
                }
                (_, kind) => thrift.skip(kind)?,
            }
        }
    }
    Some(memory)
}

/// Checks that every column is within the file.
fn check_ranges(metadata: &ParquetMetaData, bytes: u64) -> Result<(), String> {
    let columns = metadata.file_metadata().schema_descr().num_columns();
    for group in metadata.row_groups() {
        if group.num_rows() < 0 || group.columns().len() != columns {
            return Err("its footer (the parquet metadata) is damaged".to_owned());
        }
        for column in group.columns() {
            let start = column
                .dictionary_page_offset()
                .unwrap_or_else(|| column.data_page_offset());
            let length = column.compressed_size();
            let end = u64::try_from(start)
                .ok()
                .zip(u64::try_from(length).ok())
                .and_then(|(start, length)| start.checked_add(length));
            if end.is_none_or(|end| end > bytes) {
                return Err(format!(
                    "its column {} ends beyond the file: the file was truncated or badly assembled",
                    column.column_path().string()
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// A schema of groups nested `depth` levels deep.
    fn nested(depth: usize) -> Vec<u8> {
        let mut footer = vec![0x15, 2, 0x19, 0xFC];
        let mut count = depth;
        while count > 0x7F {
            footer.push((count & 0x7F) as u8 | 0x80);
            count >>= 7;
        }
        footer.push(count as u8);
        for level in 0..depth {
            footer.extend([0x48, 1, b'a']);
            if level + 1 < depth {
                footer.extend([0x15, 2]);
            }
            footer.push(0);
        }
        footer.push(0);
        footer
    }

    #[test]
    fn a_schema_nested_too_deeply_is_refused() {
        assert_eq!(
            estimate_memory(&nested(9)),
            Some(nested(9).len() + 9 * ELEMENT_BYTES)
        );
        for depth in [40, 1 << 20] {
            assert_eq!(estimate_memory(&nested(depth)), None, "{depth}");
        }
    }

    #[test]
    fn many_small_columns_are_counted_before_they_are_decoded() {
        // One row group of a million empty columns.
        let mut footer = vec![0x49, 0x1C, 0x19, 0xFC, 0xC0, 0x84, 0x3D];
        footer.extend(vec![0; 1_000_000]);
        footer.extend([0, 0]);
        assert!(estimate_memory(&footer).unwrap() > MOST_MEMORY);
    }
}
