//! Pages of a parquet column, decoded only within memory limits.
//!
//! A page announces its uncompressed size, and a few bytes can announce 2 GiB or encode a billion values. The header of
//! a page is therefore checked before it is decompressed, and values are counted as they are decoded. A column, and all
//! columns of a file together, take no more memory than their bytes on disk account for.

use super::thrift::{I32, STRUCT, Thrift};
use brotli_decompressor::Decompressor;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use parquet::{
    basic::Compression,
    column::page::{Page, PageMetadata, PageReader},
    errors::{ParquetError, Result},
    file::{
        metadata::{ColumnChunkMetaData, RowGroupMetaData},
        reader::{ChunkReader, Length},
        serialized_reader::SerializedPageReader,
    },
};
use std::{
    fs::File,
    io::{self, Read, Seek as _, SeekFrom},
    sync::{Arc, Mutex, PoisonError},
};

/// Uncompressed size that every page may have (bytes).
const PAGE_BYTES: u64 = 32 << 20;
/// Uncompressed size that every dictionary may have (bytes). Its values are all decoded at once.
const DICTIONARY_BYTES: u64 = 8 << 20;
/// Compression ratio that a larger page may have. Images hardly shrink.
const UNFOLDING: u64 = 4;
/// Buffer of the Brotli decoder (bytes).
const BROTLI_BUFFER: usize = 1 << 14;
/// Number of distinct half-precision values.
const HALVES: u64 = 1 << 16;
/// Bytes of a page header that are checked. Its statistics come last and may be longer.
const HEADER_BYTES: usize = 4096;

/// Reason for which a file is not read any further.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusal(Arc<Mutex<Option<String>>>);

impl Refusal {
    fn set(&self, reason: String) -> String {
        let mut refusal = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refusal.get_or_insert(reason).clone()
    }

    pub(super) fn reason(&self) -> Option<String> {
        let refusal = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refusal.clone()
    }
}

/// Sizes from a page header (bytes).
#[derive(Debug, Clone, Copy, Default)]
struct Announced {
    uncompressed: u64,
    /// Bytes before the compressed ones (levels, in data pages of version 2).
    plain: usize,
}

/// Compression of a column's pages, by how its decoder bounds the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    /// The decoder stops at the announced size.
    Announced,
    Gzip,
    Brotli,
    Lz4,
}

impl Packing {
    fn of(compression: Compression) -> Self {
        match compression {
            Compression::GZIP(_) => Self::Gzip,
            Compression::BROTLI(_) => Self::Brotli,
            Compression::LZ4 => Self::Lz4,
            _ => Self::Announced,
        }
    }
}

/// Bytes of a column, with page sizes checked.
struct Guarded {
    file: Arc<Mutex<File>>,
    bytes: u64,
    packing: Packing,
    announced: Arc<Mutex<Announced>>,
    refusal: Refusal,
}

impl Length for Guarded {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Guarded {
    type T = Header;

    fn get_read(&self, start: u64) -> Result<Header> {
        Ok(Header {
            file: Arc::clone(&self.file),
            start,
            read: None,
            announced: Arc::clone(&self.announced),
            refusal: self.refusal.clone(),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if start
            .checked_add(length as u64)
            .is_none_or(|end| end > self.bytes)
        {
            return Err(ParquetError::EOF("a page ends beyond the file".to_owned()));
        }
        let mut page = vec![0; length];
        {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(start))?;
            file.read_exact(&mut page)?;
        }
        self.check(&page)?;
        Ok(Bytes::from(page))
    }
}

impl Guarded {
    /// Counts the output of codecs whose decoder ignores the announced size.
    fn check(&self, page: &[u8]) -> Result<()> {
        let announced = *self
            .announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let compressed = page.get(announced.plain..).unwrap_or_default();
        let most = announced.uncompressed;
        let exceeds = |uncompressed: &mut dyn Read| {
            let counted = io::copy(&mut uncompressed.take(most + 1), &mut io::sink());
            counted.is_ok_and(|bytes| bytes > most)
        };
        let too_much = match self.packing {
            Packing::Announced => false,
            Packing::Gzip => exceeds(&mut MultiGzDecoder::new(compressed)),
            Packing::Brotli => exceeds(&mut Decompressor::new(compressed, BROTLI_BUFFER)),
            Packing::Lz4 => {
                // Hadoop's block format and its predecessor announce the size; LZ4 frames do not.
                if let [0x04, 0x22, 0x4D, 0x18, ..]
                | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..]
                | [0x02, 0x21, 0x4C, 0x18, ..] = compressed
                {
                    let reason = "is compressed with LZ4 frames, an obsolete format that readers interpret differently: write \
                                 it again with Zstandard or Snappy";
                    return Err(ParquetError::General(self.refusal.set(reason.to_owned())));
                }
                false
            }
        };
        if too_much {
            let reason =
                format!("has a page that decompresses to more than the {most} bytes it announces");
            return Err(ParquetError::General(self.refusal.set(reason)));
        }
        Ok(())
    }
}

/// Reader of a page header. The header is checked when it is first read, because readers are also created for positions
/// without a header.
struct Header {
    file: Arc<Mutex<File>>,
    start: u64,
    /// Bytes that were read, and how many of them were returned.
    read: Option<(Vec<u8>, usize)>,
    announced: Arc<Mutex<Announced>>,
    refusal: Refusal,
}

impl Read for Header {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some((bytes, done)) = &mut self.read
                && let Some(left) = bytes.get(*done..).filter(|left| !left.is_empty())
            {
                let count = (&*left).read(out)?;
                *done += count;
                return Ok(count);
            }
            let bytes = self.next_bytes()?;
            if bytes.is_empty() {
                return Ok(0);
            }
            if self.read.is_none() {
                self.check(&bytes).map_err(io::Error::other)?;
            }
            self.start += bytes.len() as u64;
            self.read = Some((bytes, 0));
        }
    }
}

impl Header {
    fn next_bytes(&self) -> io::Result<Vec<u8>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.start))?;
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        (&mut *file)
            .take(HEADER_BYTES as u64)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Checks a `PageHeader`: field 1 is the kind of page, 2 the uncompressed size, 3 the compressed size; 8 holds the
    /// lengths of the levels (5 and 6).
    fn check(&self, bytes: &[u8]) -> std::result::Result<(), String> {
        let mut thrift = Thrift::new(bytes);
        let mut last = 0;
        let (mut dictionary, mut uncompressed, mut compressed) = (false, None, None);
        let mut plain = 0;
        while let Some((number, kind)) = thrift.field(&mut last) {
            let done = match (number, kind) {
                (_, 0) => break,
                (1, I32) => thrift.number().map(|kind| dictionary = kind == 2),
                (2, I32) => thrift.number().map(|length| uncompressed = Some(length)),
                (3, I32) => thrift.number().map(|length| compressed = Some(length)),
                (8, STRUCT) => levels(&mut thrift).map(|bytes| plain = bytes),
                (_, kind) => thrift.skip(kind),
            };
            if done.is_none() {
                break;
            }
        }
        let (Some(uncompressed), Some(compressed)) = (uncompressed, compressed) else {
            return Err(self
                .refusal
                .set("has a page with a damaged header".to_owned()));
        };
        let (uncompressed, compressed) = (
            u64::try_from(uncompressed).unwrap_or_default(),
            u64::try_from(compressed).unwrap_or_default(),
        );
        let floor = if dictionary {
            DICTIONARY_BYTES
        } else {
            PAGE_BYTES
        };
        let most = floor.max(compressed.saturating_mul(UNFOLDING));
        if uncompressed > most {
            return Err(self.refusal.set(format!(
                "has a page of {compressed} bytes that decompresses to {uncompressed}, more than {most}"
            )));
        }
        let mut announced = self
            .announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *announced = Announced {
            uncompressed,
            plain,
        };
        Ok(())
    }
}

/// `DataPageHeaderV2`: size of its levels, which are not compressed (bytes).
fn levels(thrift: &mut Thrift<'_>) -> Option<usize> {
    let (mut last, mut bytes) = (0, 0_usize);
    loop {
        match thrift.field(&mut last)? {
            (_, 0) => return Some(bytes),
            (5 | 6, I32) => bytes = bytes.checked_add(usize::try_from(thrift.number()?).ok()?)?,
            (_, kind) => thrift.skip(kind)?,
        }
    }
}

/// Remaining amount: values of a column in all row groups of a file, or bytes of all columns of the file.
#[derive(Debug, Clone)]
pub(super) struct Allowance(Arc<Mutex<u64>>);

impl Allowance {
    pub(super) fn new(count: u64) -> Self {
        Self(Arc::new(Mutex::new(count)))
    }

    /// Takes `count`; false if less is left.
    pub(super) fn take(&self, count: u64) -> bool {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let after = left.checked_sub(count);
        *left = after.unwrap_or_default();
        after.is_some()
    }
}

/// Limits of decoding a column.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    /// Values that this column may still have.
    pub(super) values: Allowance,
    /// Memory that this column and all others may still take (bytes).
    pub(super) memory: Allowance,
    /// Memory per decoded value, with the temporary buffers (bytes).
    pub(super) value_bytes: u64,
    /// Reason for which decoding was stopped.
    pub(super) refusal: Refusal,
}

/// Pages of a column with their values counted.
struct Counted {
    pages: SerializedPageReader<Guarded>,
    budget: Budget,
}

/// Pages of a column of a row group.
pub(super) fn pages(
    file: &Arc<Mutex<File>>,
    bytes: u64,
    group: &RowGroupMetaData,
    column: &ColumnChunkMetaData,
    budget: &Budget,
) -> Result<Box<dyn PageReader>> {
    let guarded = Guarded {
        file: Arc::clone(file),
        bytes,
        packing: Packing::of(column.compression()),
        announced: Arc::default(),
        refusal: budget.refusal.clone(),
    };
    let rows = usize::try_from(group.num_rows()).unwrap_or_default();
    Ok(Box::new(Counted {
        pages: SerializedPageReader::new(Arc::new(guarded), column, rows, None)?,
        budget: budget.clone(),
    }))
}

impl Counted {
    fn checked(&self, page: Page) -> Result<Page> {
        let values = u64::from(page.num_values());
        let fits = match &page {
            // A dictionary value takes at least four bytes. Half-precision values take two, with at most 65536
            // distinct.
            Page::DictionaryPage { buf, .. } => {
                let bytes = buf.len() as u64;
                values <= (bytes / 4).max((bytes / 2).min(HALVES))
            }
            _ => {
                self.budget.values.take(values)
                    && self
                        .budget
                        .memory
                        .take(values.saturating_mul(self.budget.value_bytes))
            }
        };
        if fits {
            return Ok(page);
        }
        let reason = format!(
            "has a page of {} bytes that decodes to {values} values, more than its size accounts for",
            page.buffer().len()
        );
        Err(ParquetError::General(self.budget.refusal.set(reason)))
    }
}

impl Iterator for Counted {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Counted {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        page.map(|page| self.checked(page)).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}
