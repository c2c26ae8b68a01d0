//! Shards of random values and their index.

use super::{Plan, Stored, SynthesiseError, io_error};
use molmoact2::{Config, tensors::TensorSpec};
use serde_json::{Map, Value, json};
use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
};

/// Values made at a time.
const PIECE: usize = 1 << 20;

impl Stored {
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

/// Writes all shards; gives their number and bytes.
pub(super) fn write(
    plan: &Plan,
    config: &Config,
    entries: &[TensorSpec],
    progress: &dyn Fn(u64, u64),
) -> Result<(usize, u64), SynthesiseError> {
    let size = |entry: &TensorSpec| entry.parameters() * plan.stored.bytes();
    let total: u64 = entries.iter().map(size).sum();
    let mut shards: Vec<Vec<&TensorSpec>> = Vec::new();
    let mut room = 0;
    for entry in entries {
        if size(entry) > room {
            shards.push(Vec::new());
            room = plan.shard_bytes;
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
        let path = plan.folder.join(&name);
        bytes += write_shard(plan, config, shard, &path, &mut |written| {
            done += written;
            progress(done, total);
        })?;
        map.extend(shard.iter().map(|entry| (entry.name.clone(), json!(name))));
    }
    let index = json!({"metadata": {"total_size": total}, "weight_map": Value::Object(map)});
    let path = plan.folder.join("model.safetensors.index.json");
    std::fs::write(&path, format!("{index:#}\n")).map_err(io_error(&path))?;
    Ok((count, bytes))
}

fn write_shard(
    plan: &Plan,
    config: &Config,
    entries: &[&TensorSpec],
    path: &Path,
    written: &mut dyn FnMut(u64),
) -> Result<u64, SynthesiseError> {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({"format": "pt"}));
    let mut end = 0;
    for entry in entries {
        let start = end;
        end += entry.parameters() * plan.stored.bytes();
        header.insert(
            entry.name.clone(),
            json!({"dtype": plan.stored.name(), "shape": entry.shape, "data_offsets": [start, end]}),
        );
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    // The values begin at a multiple of eight bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    let file = File::create(path).map_err(io_error(path))?;
    let mut file = BufWriter::with_capacity(1 << 20, file);
    let mut write = || -> std::io::Result<()> {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        let mut buffer = Vec::new();
        for entry in entries {
            let mut values = Values::of(entry, plan.seed);
            values.lead = Lead::of(entry, config);
            let mut left = entry.parameters();
            while left > 0 {
                let count = left.min(PIECE as u64);
                buffer.clear();
                values.append(count as usize, plan.stored, &mut buffer);
                file.write_all(&buffer)?;
                written(buffer.len() as u64);
                left -= count;
            }
        }
        file.flush()
    };
    write().map_err(io_error(path))?;
    Ok(8 + header.len() as u64 + end)
}

/// The values of one tensor, evenly spread around a centre.
struct Values {
    state: u64,
    centre: f32,
    reach: f32,
    /// What stands in the first column instead, if anything.
    lead: Option<Lead>,
    /// Values made so far.
    made: usize,
}

/// How a random network comes to end its depth map.
///
/// It never would by itself, and an endless map is an error. So the first value of the residual stream is kept out of
/// everything: every embedding puts the same small number there and no block adds to it. `<depth_end>` is the only token
/// that looks at it, so hard that it wins wherever any token may be picked. Codes are picked among themselves and do not
/// notice.
#[derive(Debug, Clone, Copy)]
enum Lead {
    /// Every row begins with the small number.
    Begins { width: usize },
    /// The first row is zero.
    Spares { width: usize },
    /// This row begins with the large number, the others with zero.
    Looks { width: usize, row: usize },
}

impl Lead {
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
            Some(Self::Begins { width })
        } else if name == "lm_head.weight" {
            let row = end as usize;
            Some(Self::Looks { width, row })
        } else if adds_to_the_stream.iter().any(|end| name.ends_with(end)) {
            Some(Self::Spares { width })
        } else {
            None
        }
    }

    /// What stands at a place instead of `random`.
    fn at(self, index: usize, random: f32) -> f32 {
        match self {
            Self::Begins { width } if index.is_multiple_of(width) => Self::SMALL,
            Self::Spares { width } if index < width => 0.0,
            Self::Looks { width, row } if index == width * row => Self::LARGE,
            Self::Looks { width, .. } if index.is_multiple_of(width) => 0.0,
            Self::Begins { .. } | Self::Spares { .. } | Self::Looks { .. } => random,
        }
    }
}

impl Values {
    fn of(entry: &TensorSpec, seed: u64) -> Self {
        // FNV-1a of the name: tensors differ, and a tensor is the same whatever else is written.
        let hash = entry
            .name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        let is_norm = entry.name.contains("norm") || entry.name.contains(".ln_f.");
        let (centre, deviation) = match entry.shape.as_slice() {
            [_, inputs] if entry.name.contains("embedding") && !entry.name.contains("patch") => {
                (0.0, if *inputs > 0 { 0.5 } else { 0.0 })
            }
            [_, inputs] => (0.0, (*inputs as f32).sqrt().recip()),
            _ if is_norm && entry.name.ends_with("weight") => (1.0, 0.1),
            _ => (0.0, 0.05),
        };
        Self {
            state: hash ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            centre,
            reach: deviation * 3.0_f32.sqrt(),
            lead: None,
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

    fn append(&mut self, count: usize, stored: Stored, into: &mut Vec<u8>) {
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
                let random = self.centre + self.reach * even;
                let value = self.lead.map_or(random, |lead| lead.at(self.made, random));
                self.made += 1;
                match stored {
                    Stored::F32 => into.extend(value.to_le_bytes()),
                    Stored::Bf16 => into.extend(half::bf16::from_f32(value).to_le_bytes()),
                    Stored::F16 => into.extend(half::f16::from_f32(value).to_le_bytes()),
                }
            }
            left = left.saturating_sub(4);
        }
    }
}
