//! Pages of a parquet column, let in only when they are small enough.
//!
//! A page says how long it is once unfolded, and a few bytes can say 2 GiB, or stand for a billion values. What a page
//! says is read before it is unfolded, and values are counted while they come: a column, and all columns of a file
//! together, take no more memory than its bytes on disk give reason to.

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

/// A page may always unfold to this (bytes) ...
const PAGE_BYTES: u64 = 32 << 20;
/// ... a dictionary, whose values are all taken out at once, to this (bytes) ...
const DICTIONARY_BYTES: u64 = 8 << 20;
/// ... and any page to so many times its bytes on disk: images hardly shrink.
const UNFOLDING: u64 = 4;
/// Bytes that are unpacked at a time.
const BROTLI_BUFFER: usize = 1 << 14;
/// Different numbers of half precision.
const HALVES: u64 = 1 << 16;
/// Bytes of a page's header that are looked at; its statistics come last and may be longer.
const HEADER_BYTES: usize = 4096;

/// Why a file is not read any further, in words.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusal(Arc<Mutex<Option<String>>>);

impl Refusal {
    fn set(&self, words: String) -> String {
        let mut refusal = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refusal.get_or_insert(words).clone()
    }

    pub(super) fn words(&self) -> Option<String> {
        let refusal = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refusal.clone()
    }
}

/// What a page says of itself.
#[derive(Debug, Clone, Copy, Default)]
struct Announced {
    unfolded: u64,
    /// Bytes before the compressed ones (levels, in pages of the second version).
    plain: usize,
}

/// How the pages of a column are packed, by what bounds their unfolding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    /// To what is announced, and no further.
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

/// The bytes of a column.
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
    /// What is unfolded to its end whatever the page says is counted first.
    fn check(&self, page: &[u8]) -> Result<()> {
        let announced = *self
            .announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let packed = page.get(announced.plain..).unwrap_or_default();
        let most = announced.unfolded;
        let goes_beyond = |unfolded: &mut dyn Read| {
            let counted = io::copy(&mut unfolded.take(most + 1), &mut io::sink());
            counted.is_ok_and(|bytes| bytes > most)
        };
        let too_much = match self.packing {
            Packing::Announced => false,
            Packing::Gzip => goes_beyond(&mut MultiGzDecoder::new(packed)),
            Packing::Brotli => goes_beyond(&mut Decompressor::new(packed, BROTLI_BUFFER)),
            Packing::Lz4 => {
                // Writers of Hadoop's form, and those before them, announce what comes; frames do not.
                if let [0x04, 0x22, 0x4D, 0x18, ..]
                | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..]
                | [0x02, 0x21, 0x4C, 0x18, ..] = packed
                {
                    let words = "is packed in frames of LZ4, which old writers made and nobody reads alike: write it \
                                 again, with Zstandard or Snappy";
                    return Err(ParquetError::General(self.refusal.set(words.to_owned())));
                }
                false
            }
        };
        if too_much {
            let words =
                format!("has a page that unfolds to more than the {most} bytes it announces");
            return Err(ParquetError::General(self.refusal.set(words)));
        }
        Ok(())
    }
}

/// The header of a page: looked at when it is read, for a reader is also made where none is.
struct Header {
    file: Arc<Mutex<File>>,
    start: u64,
    /// What was read, and how much of it was handed on.
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
            let bytes = self.piece()?;
            if bytes.is_empty() {
                return Ok(0);
            }
            if self.read.is_none() {
                self.look_at(&bytes).map_err(io::Error::other)?;
            }
            self.start += bytes.len() as u64;
            self.read = Some((bytes, 0));
        }
    }
}

impl Header {
    fn piece(&self) -> io::Result<Vec<u8>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.start))?;
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        (&mut *file)
            .take(HEADER_BYTES as u64)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// `PageHeader`: 1 the kind of page, 2 its length unfolded, 3 its length on disk; 8 with 5 and 6 the lengths of the
    /// levels.
    fn look_at(&self, bytes: &[u8]) -> std::result::Result<(), String> {
        let mut thrift = Thrift::new(bytes);
        let mut last = 0;
        let (mut dictionary, mut unfolded, mut packed) = (false, None, None);
        let mut plain = 0;
        while let Some((number, kind)) = thrift.field(&mut last) {
            let done = match (number, kind) {
                (_, 0) => break,
                (1, I32) => thrift.number().map(|kind| dictionary = kind == 2),
                (2, I32) => thrift.number().map(|length| unfolded = Some(length)),
                (3, I32) => thrift.number().map(|length| packed = Some(length)),
                (8, STRUCT) => levels(&mut thrift).map(|bytes| plain = bytes),
                (_, kind) => thrift.skip(kind),
            };
            if done.is_none() {
                break;
            }
        }
        let (Some(unfolded), Some(packed)) = (unfolded, packed) else {
            return Err(self
                .refusal
                .set("has a page with a damaged header".to_owned()));
        };
        let (unfolded, packed) = (
            u64::try_from(unfolded).unwrap_or_default(),
            u64::try_from(packed).unwrap_or_default(),
        );
        let floor = if dictionary {
            DICTIONARY_BYTES
        } else {
            PAGE_BYTES
        };
        let most = floor.max(packed.saturating_mul(UNFOLDING));
        if unfolded > most {
            return Err(self.refusal.set(format!(
                "has a page of {packed} bytes that unfolds to {unfolded}, more than {most}"
            )));
        }
        let mut announced = self
            .announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *announced = Announced { unfolded, plain };
        Ok(())
    }
}

/// `DataPageHeaderV2`: the bytes of its levels, which are not compressed.
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

/// How much may still come: values of a column in all row groups of a file, or bytes of all its columns.
#[derive(Debug, Clone)]
pub(super) struct Left(Arc<Mutex<u64>>);

impl Left {
    pub(super) fn new(count: u64) -> Self {
        Self(Arc::new(Mutex::new(count)))
    }

    /// Whether there is room for so many.
    pub(super) fn take(&self, count: u64) -> bool {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let after = left.checked_sub(count);
        *left = after.unwrap_or_default();
        after.is_some()
    }
}

/// What the values of a column may come to.
#[derive(Debug, Clone)]
pub(super) struct Room {
    /// Values of this column.
    pub(super) values: Left,
    /// Bytes of this column and all others.
    pub(super) memory: Left,
    /// Bytes that a value takes once it is read, with what is held on the way.
    pub(super) value_bytes: u64,
    /// The reason why there is no more.
    pub(super) refusal: Refusal,
}

/// Pages of a column, whose values are counted.
struct Counted {
    pages: SerializedPageReader<Guarded>,
    room: Room,
}

/// The pages of a column of a row group.
pub(super) fn pages(
    file: &Arc<Mutex<File>>,
    bytes: u64,
    group: &RowGroupMetaData,
    column: &ColumnChunkMetaData,
    room: &Room,
) -> Result<Box<dyn PageReader>> {
    let guarded = Guarded {
        file: Arc::clone(file),
        bytes,
        packing: Packing::of(column.compression()),
        announced: Arc::default(),
        refusal: room.refusal.clone(),
    };
    let rows = usize::try_from(group.num_rows()).unwrap_or_default();
    Ok(Box::new(Counted {
        pages: SerializedPageReader::new(Arc::new(guarded), column, rows, None)?,
        room: room.clone(),
    }))
}

impl Counted {
    fn checked(&self, page: Page) -> Result<Page> {
        let values = u64::from(page.num_values());
        let fits = match &page {
            // A value of a dictionary takes four bytes at least; of two there are no more than two bytes can say.
            Page::DictionaryPage { buf, .. } => {
                let bytes = buf.len() as u64;
                values <= (bytes / 4).max((bytes / 2).min(HALVES))
            }
            _ => {
                self.room.values.take(values)
                    && self
                        .room
                        .memory
                        .take(values.saturating_mul(self.room.value_bytes))
            }
        };
        if fits {
            return Ok(page);
        }
        let words = format!(
            "has a page of {} bytes that unfolds to {values} values, more than its size accounts for",
            page.buffer().len()
        );
        Err(ParquetError::General(self.room.refusal.set(words)))
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
