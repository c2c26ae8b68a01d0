//! Safetensors files as one table of named tensors.
//!
//! Only headers are read when a checkpoint is opened; each tensor's bytes are fetched a few megabytes at a time when it
//! is read, so an open checkpoint of many gigabytes takes next to no memory. Positioned reads are used rather than a
//! memory map: every tensor is read exactly once, and a file that shrinks or a disk that fails is then an error instead
//! of a signal.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use half::slice::HalfFloatSliceExt as _;
use safetensors::Dtype;

use crate::error::CheckpointError;
use crate::files::{ModelFiles, Storage};

mod index;
mod shard;
mod weight_files;

use index::Index;
use shard::{Location, Shard};
use weight_files::{FolderSource, StoreSource, WeightFiles, WeightSource};

/// Appends the values of stored bytes.
type Widen = fn(&[u8], &mut Vec<f32>);

const SINGLE_FILE: &str = "model.safetensors";
/// Name of the index file, which assigns every tensor to a shard.
pub const INDEX_FILE: &str = "model.safetensors.index.json";

/// No weight is as large as this. Turning over the highest bit of the exponent multiplies by 2^128, which puts any value
/// that was not tiny beyond it.
const IMPLAUSIBLE: f32 = 1e20;

/// Most tensors of a checkpoint. Those that are read here have a few thousand.
const MOST_TENSORS: usize = 200_000;

/// Values handed out at a time, unless a row is longer.
const PIECE: usize = 1 << 20;

/// Every tensor of a checkpoint by name, wherever its bytes are.
#[derive(Debug)]
pub struct Checkpoint {
    /// For people: the folder, or that the files are in memory.
    place: String,
    shards: Vec<Shard>,
    tensors: BTreeMap<String, Location>,
    /// True if an index assigns the tensors to the files.
    is_indexed: bool,
    note: Option<String>,
}

/// Metadata of a tensor, from the header alone.
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

impl Checkpoint {
    /// Opens the weights in `folder`: `model.safetensors` if it is whole, as in the reference, else all shards of
    /// `model.safetensors.index.json`, else the shards that number themselves.
    ///
    /// # Errors
    /// [`CheckpointError::NoWeights`], [`CheckpointError::MissingShards`], [`CheckpointError::BadFile`],
    /// [`CheckpointError::Index`], [`CheckpointError::Duplicate`], [`CheckpointError::Read`] or
    /// [`CheckpointError::Io`].
    pub fn open_dir(folder: &Path) -> Result<Self, CheckpointError> {
        Self::from_source(&FolderSource(folder))
    }

    /// Opens the weights of a model: the `model*.safetensors` files, as [`Checkpoint::open_dir`] finds them in a folder.
    ///
    /// # Errors
    /// As [`Checkpoint::open_dir`].
    pub fn open(files: &ModelFiles) -> Result<Self, CheckpointError> {
        match files.storage() {
            Storage::Folder(folder) => Self::open_dir(folder),
            // Borrowed bytes are shared, not copied; owned ones are copied once.
            Storage::Memory(files) => Self::from_memory(
                files
                    .iter()
                    // A folder may have statistics in safetensors files too.
                    .filter(|(name, _)| name.starts_with("model") && name.contains(".safetensors"))
                    .map(|(name, bytes)| (name.clone(), bytes.clone())),
            ),
            Storage::Store(store) => Self::from_source(&StoreSource(store)),
        }
    }

    fn from_source(source: &dyn WeightSource) -> Result<Self, CheckpointError> {
        let WeightFiles { names, index, note } = WeightFiles::find(source)?;
        let shards = names.into_iter().map(|name| source.shard(name)).collect();
        let checkpoint = Self::from_shards(source.name(), shards, index.as_ref())?;
        Ok(Self { note, ..checkpoint })
    }

    /// Reads weights that are already in memory: every `*.safetensors` among `files`.
    ///
    /// # Errors
    /// As [`Checkpoint::open_dir`], except for [`CheckpointError::Read`].
    pub fn from_memory(
        files: impl IntoIterator<Item = (String, Cow<'static, [u8]>)>,
    ) -> Result<Self, CheckpointError> {
        let place = "the files in memory".to_owned();
        let mut shards: Vec<Shard> = Vec::new();
        let mut index = None;
        for (name, bytes) in files {
            if name.ends_with(".safetensors") {
                shards.push(Shard::Memory { name, bytes });
            } else if name.ends_with(INDEX_FILE) {
                index = Some((name, bytes));
            }
        }
        let is_single = matches!(shards.as_slice(), [only] if only.name() == SINGLE_FILE);
        let parsed = index
            .map(|(name, bytes)| Index::parse(&bytes, name))
            .transpose();
        let (index, note) = match parsed {
            Err(error) if is_single => (
                None,
                Some(format!(
                    "the index beside {SINGLE_FILE} is not used: {error}"
                )),
            ),
            parsed => (parsed?, None),
        };
        if shards.is_empty() {
            return Err(CheckpointError::NoWeights {
                place,
                instead: String::new(),
            });
        }
        if let Some(index) = &index {
            index.all_there(|want| shards.iter().any(|shard| shard.name().ends_with(want)))?;
        }
        let checkpoint = Self::from_shards(place, shards, index.as_ref())?;
        Ok(Self { note, ..checkpoint })
    }

    fn from_shards(
        place: String,
        shards: Vec<Shard>,
        index: Option<&Index>,
    ) -> Result<Self, CheckpointError> {
        let mut tensors: BTreeMap<String, Location> = BTreeMap::new();
        for (number, shard) in shards.iter().enumerate() {
            let in_shard = shard.tensors(number)?;
            if tensors.len() + in_shard.len() > MOST_TENSORS {
                return Err(shard.bad(format!(
                    "with it the checkpoint has more than {MOST_TENSORS} tensors, which no network has"
                )));
            }
            for (name, location) in in_shard {
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
        if let Some(index) = index {
            index.all_held(|name| tensors.contains_key(name))?;
        }
        Ok(Self {
            place,
            shards,
            tensors,
            is_indexed: index.is_some(),
            note: None,
        })
    }

    /// Description of where it was opened, for messages: the folder, or that the files are in memory.
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

    /// True if an index file assigns its tensors to its files.
    pub fn is_indexed(&self) -> bool {
        self.is_indexed
    }

    /// A sentence about a file of the folder that was passed over, such as the index of another build.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
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

    /// Checks that there is a tensor `name` of the shape `expected`.
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
    /// checking that it has the shape `expected`. `read` is called with the number of bytes of each piece.
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
        // A vector is no row: it comes in pieces like everything else.
        let row = match expected {
            [] | [_] => 1,
            [.., last] => (*last).max(1),
        };
        let piece = (PIECE / row).max(1) * row;
        let mut left: usize = expected.iter().product();
        let mut reader = shard.reader(location.offset)?;
        let mut values = Vec::with_capacity(piece.min(left));
        while left > 0 {
            let count = piece.min(left);
            values.clear();
            convert(reader.next(count * size)?, &mut values);
            // Damage that shows in the values. A NaN is not below the bound either.
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
