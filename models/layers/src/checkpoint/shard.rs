//! One safetensors file, and what its header says.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use field_files::{Foreign, ReadError};
use safetensors::Dtype;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::error::CheckpointError;
use crate::files::FileStore;

/// Largest header accepted: five times that of a network of a hundred thousand tensors.
const MAX_HEADER_BYTES: u64 = 16 << 20;
/// Most axes of a tensor.
const MAX_AXES: usize = 8;
/// Explanation for a file that is shorter than its header says.
const INTERRUPTED: &str = "the download or the copy of it was interrupted; get it again";
/// Bytes in front of the header that hold its length.
const LENGTH_BYTES: u64 = 8;

/// Source of a shard's bytes.
#[derive(Debug)]
pub(super) enum Shard {
    File(PathBuf),
    Memory {
        name: String,
        bytes: Cow<'static, [u8]>,
    },
    Store {
        name: String,
        store: Arc<dyn FileStore>,
    },
}

/// Location of one tensor.
#[derive(Debug, Clone)]
pub(super) struct Location {
    pub(super) shard: usize,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

impl Shard {
    pub(super) fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Memory { name, .. } | Self::Store { name, .. } => name.clone(),
        }
    }

    pub(super) fn len(&self) -> Result<u64, CheckpointError> {
        match self {
            Self::File(path) => Ok(std::fs::metadata(path)
                .map_err(|source| self.opening(path, source))?
                .len()),
            Self::Memory { bytes, .. } => Ok(bytes.len() as u64),
            Self::Store { name, store } => store
                .len(name)
                .map_err(|source| self.io(source))?
                .ok_or_else(|| self.io(std::io::ErrorKind::NotFound.into())),
        }
    }

    /// Reads from `offset` on.
    pub(super) fn reader(&self, offset: u64) -> Result<Reader<'_>, CheckpointError> {
        match self {
            Self::File(path) => {
                let mut file = File::open(path).map_err(|source| self.opening(path, source))?;
                file.seek(SeekFrom::Start(offset))
                    .map_err(|source| self.io(source))?;
                Ok(Reader::File {
                    file,
                    shard: self,
                    buffer: Vec::new(),
                })
            }
            Self::Memory { bytes, .. } => Ok(Reader::Memory {
                rest: usize::try_from(offset)
                    .ok()
                    .and_then(|start| bytes.get(start..))
                    .ok_or_else(|| self.bad("it is cut short"))?,
                shard: self,
            }),
            Self::Store { name, store } => Ok(Reader::Store {
                name,
                store: &**store,
                offset,
                shard: self,
                buffer: Vec::new(),
            }),
        }
    }

    fn opening(&self, path: &Path, source: std::io::Error) -> CheckpointError {
        match Foreign::broken_link(path) {
            Some(foreign) => self.bad(format!("it {foreign}")),
            None if source.kind() == std::io::ErrorKind::PermissionDenied => {
                ReadError::opening(path, source).into()
            }
            None => self.io(source),
        }
    }

    fn io(&self, source: std::io::Error) -> CheckpointError {
        CheckpointError::Io {
            file: self.name(),
            source,
        }
    }

    pub(super) fn bad(&self, reason: impl Into<String>) -> CheckpointError {
        CheckpointError::BadFile {
            file: self.name(),
            kind: "safetensors file",
            reason: reason.into(),
        }
    }

    /// The error of a file whose header cannot be used: the kind of file that it is instead, if recognized, else `reason`.
    fn no_header(&self, total: u64, reason: impl Into<String>) -> CheckpointError {
        let start = usize::try_from(total.min(1024)).unwrap_or(0);
        let instead = self
            .reader(0)
            .and_then(|mut reader| Ok(Foreign::instead(reader.next(start)?, total)));
        match instead {
            Ok(Some(foreign)) => self.bad(format!("it {foreign}")),
            _ => self.bad(reason),
        }
    }

    /// The tensors of this shard, number `index`. Every byte after the header must belong to exactly one of them.
    pub(super) fn tensors(&self, index: usize) -> Result<Vec<(String, Location)>, CheckpointError> {
        let total = self.len()?;
        if total < LENGTH_BYTES {
            return Err(
                self.no_header(total, format!("it is shorter than a header: {INTERRUPTED}"))
            );
        }
        let mut reader = self.reader(0)?;
        let header_bytes = <[u8; 8]>::try_from(reader.next(8)?)
            .map(u64::from_le_bytes)
            .map_err(|_| self.bad("it is shorter than a header"))?;
        let data_start = LENGTH_BYTES.saturating_add(header_bytes);
        if header_bytes > MAX_HEADER_BYTES {
            let reason = format!(
                "it announces a header of {header_bytes} bytes in a file of {total}; at most {MAX_HEADER_BYTES} are read"
            );
            return Err(self.no_header(total, reason));
        }
        if data_start > total {
            let reason = format!(
                "it announces a header of {header_bytes} bytes in a file of {total}: {INTERRUPTED}"
            );
            return Err(self.no_header(total, reason));
        }
        let header_len =
            usize::try_from(header_bytes).map_err(|error| self.bad(error.to_string()))?;
        let Entries(mut entries) =
            serde_json::from_slice(reader.next(header_len)?).map_err(|error| {
                self.no_header(total, format!("its header cannot be read: {error}"))
            })?;
        drop(reader);
        entries.sort_by_key(|(_, entry)| entry.data_offsets);
        let mut names = BTreeSet::new();
        let mut end = 0;
        let mut found = Vec::with_capacity(entries.len());
        for (name, entry) in entries {
            let (start, stop) = entry.data_offsets;
            let wanted = entry
                .shape
                .iter()
                .try_fold(1_u64, |count, &n| count.checked_mul(n as u64))
                .and_then(|count| count.checked_mul(entry.dtype.bitsize() as u64))
                .map(|bits| bits.div_ceil(8));
            if entry.shape.len() > MAX_AXES {
                return Err(self.bad(format!(
                    "tensor {name} has {} axes; at most {MAX_AXES} are read",
                    entry.shape.len()
                )));
            }
            if start != end || wanted != stop.checked_sub(start) {
                return Err(self.bad(format!(
                    "tensor {name} of type {:?} and shape {:?} does not fit its bytes {start}..{stop}, which begin after \
                     byte {end}",
                    entry.dtype, entry.shape
                )));
            }
            end = stop;
            if !names.insert(name.clone()) {
                return Err(self.bad(format!("its header lists tensor {name} twice")));
            }
            found.push((
                name,
                Location {
                    shard: index,
                    dtype: entry.dtype,
                    shape: entry.shape,
                    offset: data_start.saturating_add(start),
                    bytes: stop - start,
                },
            ));
        }
        let wanted = data_start.saturating_add(end);
        if wanted > total {
            return Err(self.bad(format!(
                "its tensors end at byte {wanted} of {total}: {INTERRUPTED}"
            )));
        }
        if wanted < total {
            return Err(self.bad(format!(
                "its tensors end at byte {wanted} of {total}: what follows belongs to none of them"
            )));
        }
        Ok(found)
    }
}

/// Bytes one after the other.
pub(super) enum Reader<'a> {
    File {
        file: File,
        shard: &'a Shard,
        buffer: Vec<u8>,
    },
    Memory {
        rest: &'a [u8],
        shard: &'a Shard,
    },
    Store {
        name: &'a str,
        store: &'a dyn FileStore,
        offset: u64,
        shard: &'a Shard,
        buffer: Vec<u8>,
    },
}

impl Reader<'_> {
    /// The next `len` bytes.
    pub(super) fn next(&mut self, len: usize) -> Result<&[u8], CheckpointError> {
        match self {
            Self::File {
                file,
                shard,
                buffer,
            } => {
                buffer.resize(len, 0);
                file.read_exact(buffer).map_err(|source| shard.io(source))?;
                Ok(buffer)
            }
            Self::Memory { rest, shard } => {
                let (next, after) = rest
                    .split_at_checked(len)
                    .ok_or_else(|| shard.bad("it is cut short"))?;
                *rest = after;
                Ok(next)
            }
            Self::Store {
                name,
                store,
                offset,
                shard,
                buffer,
            } => {
                buffer.resize(len, 0);
                store
                    .read_at(name, *offset, buffer)
                    .map_err(|source| shard.io(source))?;
                *offset = offset.saturating_add(len as u64);
                Ok(buffer)
            }
        }
    }
}

#[derive(serde::Deserialize)]
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// The header as it stands, so that a name given twice is seen.
struct Entries(Vec<(String, Entry)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        entries.push((name, map.next_value()?));
                    }
                }
                Ok(Entries(entries))
            }
        }

        from.deserialize_map(InOrder)
    }
}
