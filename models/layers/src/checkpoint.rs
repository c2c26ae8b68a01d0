//! Safetensors files as one table of named tensors.
//!
//! Only headers are read when a checkpoint is opened; each tensor's bytes are fetched when it is
//! asked for, so a checkpoint of many gigabytes needs no more memory than its largest tensor.
//! Positioned reads are used rather than a memory map: every tensor is read exactly once, and a
//! file that shrinks or a disk that fails is then an error instead of a signal.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::Metadata;

use crate::error::CheckpointError;

/// Largest header accepted, the same bound the safetensors crate uses.
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// Bytes in front of the header that hold its length.
const LENGTH_BYTES: u64 = 8;
const SINGLE_FILE: &str = "model.safetensors";
const INDEX_FILE: &str = "model.safetensors.index.json";

/// Where a shard's bytes come from.
#[derive(Debug)]
enum Shard {
    File(PathBuf),
    Memory {
        name: String,
        bytes: Cow<'static, [u8]>,
    },
}

impl Shard {
    fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Memory { name, .. } => name.clone(),
        }
    }

    fn len(&self) -> Result<u64, CheckpointError> {
        match self {
            Self::File(path) => Ok(std::fs::metadata(path)
                .map_err(|source| self.io(source))?
                .len()),
            Self::Memory { bytes, .. } => Ok(bytes.len() as u64),
        }
    }

    fn read(&self, offset: u64, len: usize) -> Result<Cow<'_, [u8]>, CheckpointError> {
        match self {
            Self::File(path) => {
                let mut file = File::open(path).map_err(|source| self.io(source))?;
                file.seek(SeekFrom::Start(offset))
                    .map_err(|source| self.io(source))?;
                let mut buffer = vec![0; len];
                file.read_exact(&mut buffer)
                    .map_err(|source| self.io(source))?;
                Ok(Cow::Owned(buffer))
            }
            Self::Memory { bytes, .. } => usize::try_from(offset)
                .ok()
                .and_then(|start| bytes.get(start..start.checked_add(len)?))
                .map(Cow::Borrowed)
                .ok_or_else(|| self.bad("it is cut short")),
        }
    }

    fn io(&self, source: std::io::Error) -> CheckpointError {
        CheckpointError::Io {
            file: self.name(),
            source,
        }
    }

    fn bad(&self, reason: impl Into<String>) -> CheckpointError {
        CheckpointError::BadFile {
            file: self.name(),
            reason: reason.into(),
        }
    }
}

/// Where one tensor lies.
#[derive(Debug, Clone)]
struct Location {
    shard: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    offset: u64,
    bytes: usize,
}

/// Every tensor of a checkpoint by name, wherever its bytes are.
#[derive(Debug)]
pub struct Checkpoint {
    shards: Vec<Shard>,
    tensors: BTreeMap<String, Location>,
}

impl Checkpoint {
    /// Opens the weights in `folder`: all shards of `model.safetensors.index.json` where that
    /// exists, else `model.safetensors`.
    ///
    /// # Errors
    /// [`CheckpointError::NoWeights`], [`CheckpointError::MissingShard`],
    /// [`CheckpointError::BadFile`], [`CheckpointError::Duplicate`] or
    /// [`CheckpointError::Io`].
    pub fn open_dir(folder: &Path) -> Result<Self, CheckpointError> {
        let index = folder.join(INDEX_FILE);
        let names = if index.is_file() {
            let text = std::fs::read(&index).map_err(|source| CheckpointError::Io {
                file: index.display().to_string(),
                source,
            })?;
            shard_names(&text, &index.display().to_string())?
        } else if folder.join(SINGLE_FILE).is_file() {
            vec![SINGLE_FILE.to_owned()]
        } else {
            return Err(CheckpointError::NoWeights {
                place: folder.display().to_string(),
            });
        };
        let mut shards = Vec::new();
        for name in names {
            let path = folder.join(&name);
            if !path.is_file() {
                return Err(CheckpointError::MissingShard { shard: name });
            }
            shards.push(Shard::File(path));
        }
        Self::from_shards(shards)
    }

    /// Reads weights that are already in memory: every `*.safetensors` among `files`.
    ///
    /// # Errors
    /// As [`Checkpoint::open_dir`], except for [`CheckpointError::Io`].
    pub fn from_memory(
        files: impl IntoIterator<Item = (String, Cow<'static, [u8]>)>,
    ) -> Result<Self, CheckpointError> {
        let mut shards = Vec::new();
        let mut wanted = Vec::new();
        for (name, bytes) in files {
            if name.ends_with(".safetensors") {
                shards.push(Shard::Memory { name, bytes });
            } else if name.ends_with(INDEX_FILE) {
                wanted = shard_names(&bytes, &name)?;
            }
        }
        if let Some(shard) = wanted
            .into_iter()
            .find(|want| !shards.iter().any(|shard| shard.name().ends_with(want)))
        {
            return Err(CheckpointError::MissingShard { shard });
        }
        if shards.is_empty() {
            return Err(CheckpointError::NoWeights {
                place: "the files in memory".to_owned(),
            });
        }
        Self::from_shards(shards)
    }

    fn from_shards(shards: Vec<Shard>) -> Result<Self, CheckpointError> {
        let mut tensors: BTreeMap<String, Location> = BTreeMap::new();
        for (index, shard) in shards.iter().enumerate() {
            for (name, location) in read_header(index, shard)? {
                if let Some(first) = tensors.get(&name) {
                    return Err(CheckpointError::Duplicate {
                        first: shards
                            .get(first.shard)
                            .map_or_else(String::new, Shard::name),
                        second: shard.name(),
                        name,
                    });
                }
                tensors.insert(name, location);
            }
        }
        Ok(Self { shards, tensors })
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Shape of a tensor, if the checkpoint has it.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors
            .get(name)
            .map(|location| location.shape.as_slice())
    }

    /// Number of values in all tensors together.
    pub fn parameters(&self) -> u64 {
        self.tensors
            .values()
            .map(|location| location.shape.iter().map(|&n| n as u64).product::<u64>())
            .sum()
    }

    /// The types the tensors are stored in, for people: `"F32"`, or `"BF16+F32"` when mixed.
    pub fn dtype(&self) -> String {
        let mut seen: Vec<String> = self
            .tensors
            .values()
            .map(|location| format!("{:?}", location.dtype))
            .collect();
        seen.sort();
        seen.dedup();
        seen.join("+")
    }

    /// Values of a tensor as `f32`, row-major, after checking that it has the shape `expected`.
    ///
    /// # Errors
    /// [`CheckpointError::Missing`], [`CheckpointError::Shape`], [`CheckpointError::Type`],
    /// [`CheckpointError::BadFile`] or [`CheckpointError::Io`].
    pub fn read_f32(&self, name: &str, expected: &[usize]) -> Result<Vec<f32>, CheckpointError> {
        let missing = || CheckpointError::Missing {
            name: name.to_owned(),
            expected: expected.to_vec(),
        };
        let location = self.tensors.get(name).ok_or_else(missing)?;
        let shard = self.shards.get(location.shard).ok_or_else(missing)?;
        if location.shape != expected {
            return Err(CheckpointError::Shape {
                name: name.to_owned(),
                expected: expected.to_vec(),
                found: location.shape.clone(),
            });
        }
        let bytes = shard.read(location.offset, location.bytes)?;
        match location.dtype {
            Dtype::F32 => Ok(values(&bytes, f32::from_le_bytes)),
            Dtype::F16 => Ok(values(&bytes, |raw| half::f16::from_le_bytes(raw).to_f32())),
            Dtype::BF16 => Ok(values(&bytes, |raw| {
                half::bf16::from_le_bytes(raw).to_f32()
            })),
            other => Err(CheckpointError::Type {
                name: name.to_owned(),
                found: format!("{other:?}"),
            }),
        }
    }
}

/// Little-endian values of `N` bytes each.
fn values<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|&raw| convert(raw)).collect()
}

/// Shard file names of an index, each once, sorted.
fn shard_names(index: &[u8], file: &str) -> Result<Vec<String>, CheckpointError> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let index: Index = serde_json::from_slice(index).map_err(|error| CheckpointError::BadFile {
        file: file.to_owned(),
        reason: error.to_string(),
    })?;
    let mut names: Vec<String> = index.weight_map.into_values().collect();
    names.sort();
    names.dedup();
    // A shard lies beside its index. Anything else would let a file name reach out of the folder.
    if let Some(name) = names
        .iter()
        .find(|name| name.contains(['/', '\\']) || name.as_str() == "..")
    {
        return Err(CheckpointError::BadFile {
            file: file.to_owned(),
            reason: format!("shard name {name:?} is not a plain file name"),
        });
    }
    Ok(names)
}

fn read_header(index: usize, shard: &Shard) -> Result<Vec<(String, Location)>, CheckpointError> {
    let total = shard.len()?;
    if total < LENGTH_BYTES {
        return Err(shard.bad("it is shorter than a header"));
    }
    let raw = shard.read(0, 8)?;
    let header_bytes = <[u8; 8]>::try_from(raw.as_ref())
        .map(u64::from_le_bytes)
        .map_err(|_| shard.bad("it is shorter than a header"))?;
    let data_start = LENGTH_BYTES.saturating_add(header_bytes);
    if header_bytes > MAX_HEADER_BYTES || data_start > total {
        return Err(shard.bad(format!(
            "it announces a header of {header_bytes} bytes in a file of {total}"
        )));
    }
    let header_len = usize::try_from(header_bytes).map_err(|error| shard.bad(error.to_string()))?;
    let header = shard.read(LENGTH_BYTES, header_len)?;
    let metadata: Metadata = serde_json::from_slice(&header)
        .map_err(|error| shard.bad(format!("its header cannot be read: {error}")))?;
    let mut found = Vec::new();
    for (name, info) in metadata.tensors() {
        let (start, end) = info.data_offsets;
        let bytes = end.saturating_sub(start);
        let wanted = info
            .shape
            .iter()
            .try_fold(1_usize, |count, &n| count.checked_mul(n))
            .and_then(|count| count.checked_mul(info.dtype.bitsize()))
            .map(|bits| bits.div_ceil(8));
        if wanted != Some(bytes) || data_start.saturating_add(end as u64) > total {
            return Err(shard.bad(format!(
                "tensor {name} of shape {:?} does not fit its bytes {start}..{end}",
                info.shape
            )));
        }
        found.push((
            name,
            Location {
                shard: index,
                dtype: info.dtype,
                shape: info.shape.clone(),
                offset: data_start + start as u64,
                bytes,
            },
        ));
    }
    Ok(found)
}
