//! Safetensors files as one table of named tensors.
//!
//! Only headers are read when a checkpoint is opened; each tensor's bytes are fetched a few megabytes at a time when it
//! is asked for, so a checkpoint of many gigabytes needs no memory of its own. Positioned reads are used rather than a
//! memory map: every tensor is read exactly once, and a file that shrinks or a disk that fails is then an error instead
//! of a signal.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use half::slice::HalfFloatSliceExt as _;
use safetensors::Dtype;

use crate::error::CheckpointError;
use crate::files::{FileStore, whole};

mod shard;

use shard::{Location, Shard};

/// Appends the values of stored bytes.
type Widen = fn(&[u8], &mut Vec<f32>);

const SINGLE_FILE: &str = "model.safetensors";
/// Where a folder says which shard holds which tensor.
pub const INDEX_FILE: &str = "model.safetensors.index.json";

/// No weight is as large as this. Turning over the highest bit of the exponent multiplies by 2^128, which puts any value
/// that was not tiny beyond it.
const IMPLAUSIBLE: f32 = 1e20;

/// Values handed out at a time, unless a row is longer.
const PIECE: usize = 1 << 20;

/// Every tensor of a checkpoint by name, wherever its bytes are.
#[derive(Debug)]
pub struct Checkpoint {
    /// For people: the folder, or that the files are in memory.
    place: String,
    shards: Vec<Shard>,
    tensors: BTreeMap<String, Location>,
}

/// What a checkpoint says of a tensor without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorInfo<'a> {
    /// Full name, with prefix.
    pub name: &'a str,
    /// Type in the file.
    pub dtype: Dtype,
    /// Shape in the file.
    pub shape: &'a [usize],
    /// Bytes in the file.
    pub bytes: u64,
}

/// Which shard holds which tensor, by an index file.
struct Index {
    file: String,
    shards: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Opens the weights in `folder`: all shards of `model.safetensors.index.json` where that
    /// exists, else `model.safetensors`.
    ///
    /// # Errors
    /// [`CheckpointError::NoWeights`], [`CheckpointError::MissingShard`],
    /// [`CheckpointError::BadFile`], [`CheckpointError::Index`],
    /// [`CheckpointError::Duplicate`] or [`CheckpointError::Io`].
    pub fn open_dir(folder: &Path) -> Result<Self, CheckpointError> {
        let place = folder.display().to_string();
        let path = folder.join(INDEX_FILE);
        if !path.is_file() {
            let single = folder.join(SINGLE_FILE);
            if !single.is_file() {
                return Err(CheckpointError::NoWeights { place });
            }
            return Self::from_shards(place, vec![Shard::File(single)], None);
        }
        let file = path.display().to_string();
        let text = std::fs::read(&path).map_err(|source| CheckpointError::Io {
            file: file.clone(),
            source,
        })?;
        let index = Index::parse(&text, file)?;
        let mut shards = Vec::new();
        for name in index.names() {
            let path = folder.join(&name);
            if !path.is_file() {
                return Err(CheckpointError::MissingShard { shard: name });
            }
            shards.push(Shard::File(path));
        }
        Self::from_shards(place, shards, Some(&index))
    }

    /// Opens the weights in a store, as [`Checkpoint::open_dir`] does in a folder.
    ///
    /// # Errors
    /// As [`Checkpoint::open_dir`].
    pub fn open_store(store: &Arc<dyn FileStore>) -> Result<Self, CheckpointError> {
        let place = store.name();
        let io = |file: &str| {
            let file = file.to_owned();
            |source| CheckpointError::Io { file, source }
        };
        let shard = |name: String| Shard::Store {
            name,
            store: store.clone(),
        };
        let Some(text) = whole(&**store, INDEX_FILE).map_err(io(INDEX_FILE))? else {
            if store.len(SINGLE_FILE).map_err(io(SINGLE_FILE))?.is_none() {
                return Err(CheckpointError::NoWeights { place });
            }
            return Self::from_shards(place, vec![shard(SINGLE_FILE.to_owned())], None);
        };
        let index = Index::parse(&text, INDEX_FILE.to_owned())?;
        let mut shards = Vec::new();
        for name in index.names() {
            if store.len(&name).map_err(io(&name))?.is_none() {
                return Err(CheckpointError::MissingShard { shard: name });
            }
            shards.push(shard(name));
        }
        Self::from_shards(place, shards, Some(&index))
    }

    /// Reads weights that are already in memory: every `*.safetensors` among `files`.
    ///
    /// # Errors
    /// As [`Checkpoint::open_dir`], except for [`CheckpointError::Io`].
    pub fn from_memory(
        files: impl IntoIterator<Item = (String, Cow<'static, [u8]>)>,
    ) -> Result<Self, CheckpointError> {
        let place = "the files in memory".to_owned();
        let mut shards = Vec::new();
        let mut index = None;
        for (name, bytes) in files {
            if name.ends_with(".safetensors") {
                shards.push(Shard::Memory { name, bytes });
            } else if name.ends_with(INDEX_FILE) {
                index = Some(Index::parse(&bytes, name)?);
            }
        }
        let wanted = index.as_ref().map(Index::names).unwrap_or_default();
        if let Some(shard) = wanted
            .into_iter()
            .find(|want| !shards.iter().any(|shard| shard.name().ends_with(want)))
        {
            return Err(CheckpointError::MissingShard { shard });
        }
        if shards.is_empty() {
            return Err(CheckpointError::NoWeights { place });
        }
        Self::from_shards(place, shards, index.as_ref())
    }

    fn from_shards(
        place: String,
        shards: Vec<Shard>,
        index: Option<&Index>,
    ) -> Result<Self, CheckpointError> {
        let mut tensors: BTreeMap<String, Location> = BTreeMap::new();
        for (number, shard) in shards.iter().enumerate() {
            for (name, location) in shard.tensors(number)? {
                if let Some(index) = index {
                    index.holds(&name, &shard.name())?;
                }
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
        if let Some(index) = index
            && let Some((name, shard)) = index
                .shards
                .iter()
                .find(|(name, _)| !tensors.contains_key(*name))
        {
            return Err(CheckpointError::Index {
                index: index.file.clone(),
                name: name.clone(),
                problem: format!("is listed in {shard}, which does not hold it"),
            });
        }
        Ok(Self {
            place,
            shards,
            tensors,
        })
    }

    /// Where it was opened, for people: the folder, or that the files are in memory.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// All tensors, sorted by name.
    pub fn tensors(&self) -> impl Iterator<Item = TensorInfo<'_>> {
        self.tensors.iter().map(|(name, location)| TensorInfo {
            name,
            dtype: location.dtype,
            shape: &location.shape,
            bytes: location.bytes,
        })
    }

    /// Shape of a tensor, if the checkpoint has it.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors
            .get(name)
            .map(|location| location.shape.as_slice())
    }

    /// Number of values in all tensors together.
    pub fn parameters(&self) -> u64 {
        self.tensors()
            .map(|tensor| tensor.shape.iter().map(|&n| n as u64).product::<u64>())
            .sum()
    }

    /// Bytes of all tensors together.
    pub fn bytes(&self) -> u64 {
        self.tensors().map(|tensor| tensor.bytes).sum()
    }

    /// Names of the files, for people.
    pub fn files(&self) -> Vec<String> {
        self.shards.iter().map(Shard::name).collect()
    }

    /// The types the tensors are stored in, for people: `"F32"`, or `"BF16+F32"` when mixed.
    pub fn dtype(&self) -> String {
        let mut seen: Vec<String> = self
            .tensors()
            .map(|tensor| format!("{:?}", tensor.dtype))
            .collect();
        seen.sort();
        seen.dedup();
        seen.join("+")
    }

    /// That there is a tensor `name` of the shape `expected`.
    ///
    /// # Errors
    /// [`CheckpointError::Missing`] or [`CheckpointError::Shape`].
    pub fn expect(&self, name: &str, expected: &[usize]) -> Result<(), CheckpointError> {
        self.find(name, expected).map(|_| ())
    }

    fn find(&self, name: &str, expected: &[usize]) -> Result<(&Location, &Shard), CheckpointError> {
        let missing = || CheckpointError::Missing {
            name: name.to_owned(),
            place: self.place.clone(),
            expected: expected.to_vec(),
        };
        let location = self.tensors.get(name).ok_or_else(missing)?;
        let shard = self.shards.get(location.shard).ok_or_else(missing)?;
        if location.shape == expected {
            return Ok((location, shard));
        }
        Err(CheckpointError::Shape {
            name: name.to_owned(),
            file: shard.name(),
            expected: expected.to_vec(),
            found: location.shape.clone(),
        })
    }

    /// Values of a tensor as `f32`, row-major, after checking that it has the shape `expected`.
    ///
    /// # Errors
    /// As [`Checkpoint::read_pieces`].
    pub fn read_f32(&self, name: &str, expected: &[usize]) -> Result<Vec<f32>, CheckpointError> {
        // Before room is made for what may be a wrong size.
        self.expect(name, expected)?;
        let mut all = Vec::new();
        all.reserve_exact(expected.iter().product());
        self.read_pieces(name, expected, &|_| {}, |piece| {
            all.extend_from_slice(piece);
        })?;
        Ok(all)
    }

    /// Hands the values of a tensor to `take` as `f32`, row-major, some whole rows (of the last axis) at a time, after
    /// checking that it has the shape `expected`. `read` is told the bytes of each piece.
    ///
    /// # Errors
    /// [`CheckpointError::Missing`], [`CheckpointError::Shape`], [`CheckpointError::Type`],
    /// [`CheckpointError::NotFinite`], [`CheckpointError::Implausible`], [`CheckpointError::BadFile`] or
    /// [`CheckpointError::Io`]. After an error, some pieces may have been handed out.
    pub fn read_pieces(
        &self,
        name: &str,
        expected: &[usize],
        read: &dyn Fn(u64),
        mut take: impl FnMut(&[f32]),
    ) -> Result<(), CheckpointError> {
        let (location, shard) = self.find(name, expected)?;
        let (size, convert): (usize, Widen) = match location.dtype {
            Dtype::F32 => (4, |bytes, into| {
                let (raw, _) = bytes.as_chunks::<4>();
                into.extend(raw.iter().map(|&raw| f32::from_le_bytes(raw)));
            }),
            Dtype::BF16 => (2, |bytes, into| {
                let (raw, _) = bytes.as_chunks::<2>();
                into.extend(
                    raw.iter()
                        .map(|&raw| f32::from_bits(u32::from(u16::from_le_bytes(raw)) << 16)),
                );
            }),
            Dtype::F16 => (2, |bytes, into| {
                let (raw, _) = bytes.as_chunks::<2>();
                let halves: Vec<half::f16> = raw
                    .iter()
                    .map(|&raw| half::f16::from_le_bytes(raw))
                    .collect();
                into.resize(halves.len(), 0.0);
                halves.convert_to_f32_slice(into);
            }),
            other => {
                return Err(CheckpointError::Type {
                    name: name.to_owned(),
                    file: shard.name(),
                    found: format!("{other:?}"),
                });
            }
        };
        let row = expected.last().copied().unwrap_or(1).max(1);
        let piece = (PIECE / row).max(1) * row;
        let mut left: usize = expected.iter().product();
        let mut reader = shard.reader(location.offset)?;
        let mut values = Vec::with_capacity(piece.min(left));
        while left > 0 {
            let count = piece.min(left);
            values.clear();
            convert(reader.next(count * size)?, &mut values);
            // What can be told from weights is damage. A NaN is not below the bound either.
            if !values
                .iter()
                .fold(true, |sound, value| sound & (value.abs() < IMPLAUSIBLE))
            {
                let value = values
                    .iter()
                    .find(|value| value.is_nan() || value.abs() >= IMPLAUSIBLE);
                let (name, file) = (name.to_owned(), shard.name());
                return Err(match value.copied() {
                    Some(value) if value.is_finite() => {
                        CheckpointError::Implausible { name, file, value }
                    }
                    _ => CheckpointError::NotFinite { name, file },
                });
            }
            take(&values);
            read((count * size) as u64);
            left -= count;
        }
        Ok(())
    }
}

impl Index {
    fn parse(text: &[u8], file: String) -> Result<Self, CheckpointError> {
        #[derive(serde::Deserialize)]
        struct Raw {
            weight_map: BTreeMap<String, String>,
        }
        let bad = |reason: String| CheckpointError::BadFile {
            file: file.clone(),
            reason,
        };
        let Raw { weight_map } =
            serde_json::from_slice(text).map_err(|error| bad(error.to_string()))?;
        // A shard lies beside its index. Anything else would let a file name reach out of the folder.
        if let Some(name) = weight_map
            .values()
            .find(|name| name.contains(['/', '\\']) || name.as_str() == "..")
        {
            return Err(bad(format!("shard name {name:?} is not a plain file name")));
        }
        if weight_map.is_empty() {
            return Err(bad("it lists no tensors".to_owned()));
        }
        Ok(Self {
            file,
            shards: weight_map,
        })
    }

    /// Shard file names, each once, sorted.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.shards.values().cloned().collect();
        names.sort();
        names.dedup();
        names
    }

    /// That this index puts `name` into the shard of that file name.
    fn holds(&self, name: &str, shard: &str) -> Result<(), CheckpointError> {
        let problem = match self.shards.get(name) {
            Some(listed) if shard.ends_with(listed) => return Ok(()),
            Some(listed) => format!("is listed in {listed} but lies in {shard}"),
            None => format!("lies in {shard} but is not listed"),
        };
        Err(CheckpointError::Index {
            index: self.file.clone(),
            name: name.to_owned(),
            problem,
        })
    }
}
