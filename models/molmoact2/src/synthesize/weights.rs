//! Shards of random values and their index.

use std::io::{BufWriter, Write as _};
use std::path::Path;

use field_files::write_whole;
use serde_json::{Map, Value, json};

use super::{StoredType, SynthesisOptions, SynthesizeError, io_error};
use crate::checkpoint::config::Config;
use crate::checkpoint::tensors::TensorSpec;

/// Values generated at a time.
const PIECE: usize = 1 << 20;

impl StoredType {
    fn bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::Bf16 => "BF16",
            Self::F16 => "F16",
        }
    }
}

/// Writes all shards, and returns their number and bytes.
pub(super) fn write(
    options: &SynthesisOptions,
    config: &Config,
    entries: &[TensorSpec],
    progress: &dyn Fn(u64, u64),
) -> Result<(usize, u64), SynthesizeError> {
    let size = |entry: &TensorSpec| entry.parameters() * options.stored.bytes();
    let total: u64 = entries.iter().map(size).sum();
    let mut shards: Vec<Vec<&TensorSpec>> = Vec::new();
    let mut room = 0;
    for entry in entries {
        if size(entry) > room {
            shards.push(Vec::new());
            room = options.shard_bytes;
        }
        room = room.saturating_sub(size(entry));
        if let Some(shard) = shards.last_mut() {
            shard.push(entry);
        }
    }
    let count = shards.len();
    let mut done = 0;
    let mut map = Map::new();
    let mut bytes = 0;
    for (number, shard) in shards.iter().enumerate() {
        let name = format!("model-{:05}-of-{count:05}.safetensors", number + 1);
        let path = options.folder.join(&name);
        bytes += write_shard(options, config, shard, &path, &mut |written| {
            done += written;
            progress(done, total);
        })?;
        map.extend(shard.iter().map(|entry| (entry.name.clone(), json!(name))));
    }
    let index = json!({"metadata": {"total_size": total}, "weight_map": Value::Object(map)});
    let path = options.folder.join("model.safetensors.index.json");
    write_whole(&path, |file| writeln!(file, "{index:#}")).map_err(io_error(&path))?;
    Ok((count, bytes))
}

fn write_shard(
    options: &SynthesisOptions,
    config: &Config,
    entries: &[&TensorSpec],
    path: &Path,
    written: &mut dyn FnMut(u64),
) -> Result<u64, SynthesizeError> {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({"format": "pt"}));
    let mut end = 0;
    for entry in entries {
        let start = end;
        end += entry.parameters() * options.stored.bytes();
        header.insert(
            entry.name.clone(),
            json!({"dtype": options.stored.name(), "shape": entry.shape, "data_offsets": [start, end]}),
        );
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    // The values begin at a multiple of eight bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    write_whole(path, |file| {
        let mut file = BufWriter::with_capacity(1 << 20, file);
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        let mut buffer = Vec::new();
        for entry in entries {
            let mut values = RandomValues::of(entry, options.seed);
            values.depth_end = DepthEndOverride::of(entry, config);
            let mut left = entry.parameters();
            while left > 0 {
                let count = left.min(PIECE as u64);
                buffer.clear();
                values.append(count as usize, options.stored, &mut buffer);
                file.write_all(&buffer)?;
                written(buffer.len() as u64);
                left -= count;
            }
        }
        file.flush()
    })
    .map_err(io_error(path))?;
    Ok(8 + header.len() as u64 + end)
}

/// Generator of the values of one tensor, uniform around a center.
struct RandomValues {
    state: u64,
    center: f32,
    half_range: f32,
    /// Values that replace the random ones, if any.
    depth_end: Option<DepthEndOverride>,
    /// Number of values generated so far.
    made: usize,
}

/// Overrides that make a random network end its depth map.
///
/// Otherwise it never would, and an endless map is an error. So the first value of the residual stream is reserved:
/// every embedding puts the same small number there and no block adds to it. The output row of `<depth_end>` alone has
/// a large weight on it, so that this token wins wherever decoding is unrestricted. Codes are decoded among themselves
/// and are not affected.
#[derive(Debug, Clone, Copy)]
enum DepthEndOverride {
    /// The first column is the small number.
    ColumnSmall { width: usize },
    /// The first row is zero.
    RowZero { width: usize },
    /// The first column is zero, but for the large number in one row.
    RowLarge { width: usize, row: usize },
}

impl DepthEndOverride {
    /// Small beside the other values of the stream.
    const SMALL: f32 = 0.25;
    /// Divided by the size of the stream, a few units at most, the product with [`Self::SMALL`] is still far above the
    /// best of any number of random logits, which are about one.
    const LARGE: f32 = 200.0;

    fn of(entry: &TensorSpec, config: &Config) -> Option<Self> {
        let end = config
            .depth_end_token_id
            .filter(|_| config.enable_depth_reasoning)?;
        let name = entry.name.as_str();
        let [_, width] = *entry.shape.as_slice() else {
            return None;
        };
        let adds_to_the_stream = [
            ".attn_out.weight",
            ".ff_out.weight",
            ".image_projector.w2.weight",
        ];
        if name.contains(".wte.") {
            Some(Self::ColumnSmall { width })
        } else if name == "lm_head.weight" {
            let row = end as usize;
            Some(Self::RowLarge { width, row })
        } else if adds_to_the_stream.iter().any(|end| name.ends_with(end)) {
            Some(Self::RowZero { width })
        } else {
            None
        }
    }

    /// The value at an index, which replaces `random` where it is overridden.
    fn at(self, index: usize, random: f32) -> f32 {
        match self {
            Self::ColumnSmall { width } if index.is_multiple_of(width) => Self::SMALL,
            Self::RowZero { width } if index < width => 0.0,
            Self::RowLarge { width, row } if index == width * row => Self::LARGE,
            Self::RowLarge { width, .. } if index.is_multiple_of(width) => 0.0,
            Self::ColumnSmall { .. } | Self::RowZero { .. } | Self::RowLarge { .. } => random,
        }
    }
}

impl RandomValues {
    fn of(entry: &TensorSpec, seed: u64) -> Self {
        // FNV-1a of the name, so that the values of a tensor are independent of the other tensors.
        let hash = entry
            .name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        let is_norm = entry.name.contains("norm") || entry.name.contains(".ln_f.");
        let (center, deviation) = match entry.shape.as_slice() {
            [_, inputs] if entry.name.contains("embedding") && !entry.name.contains("patch") => {
                (0.0, if *inputs > 0 { 0.5 } else { 0.0 })
            }
            [_, inputs] => (0.0, (*inputs as f32).sqrt().recip()),
            _ if is_norm && entry.name.ends_with("weight") => (1.0, 0.1),
            _ => (0.0, 0.05),
        };
        Self {
            state: hash ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            center,
            half_range: deviation * 3.0_f32.sqrt(),
            depth_end: None,
            made: 0,
        }
    }

    /// Steele, Lea and Flood's SplitMix64; each step gives four values of 16 random bits.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn append(&mut self, count: usize, stored: StoredType, into: &mut Vec<u8>) {
        let mut left = count;
        while left > 0 {
            for bits in self
                .next()
                .to_le_bytes()
                .as_chunks::<2>()
                .0
                .iter()
                .take(left)
            {
                let even = f32::from(u16::from_le_bytes(*bits)) / 32_767.5 - 1.0;
                let random = self.center + self.half_range * even;
                let value = self
                    .depth_end
                    .map_or(random, |depth_end| depth_end.at(self.made, random));
                self.made += 1;
                match stored {
                    StoredType::F32 => into.extend(value.to_le_bytes()),
                    StoredType::Bf16 => into.extend(half::bf16::from_f32(value).to_le_bytes()),
                    StoredType::F16 => into.extend(half::f16::from_f32(value).to_le_bytes()),
                }
            }
            left = left.saturating_sub(4);
        }
    }
}
