//! A learned gain that attenuates depth tokens in the expert's view of the cache.
//!
//! The gain is a sigmoid gate over the mean cached value of all other visible tokens, and multiplies keys and
//! values of the depth tokens. Each layer has its own gate, or a single one, computed from the last layer, serves
//! all.

use burn_tensor::{Tensor, TensorData, activation};
use layers::{KvCache, Linear};

use crate::checkpoint::config::Config;

/// The depth gate of a checkpoint.
#[derive(Debug)]
pub struct DepthGate {
    /// One per layer, or a single one for all.
    pub(crate) heads: Vec<Linear>,
    pub(crate) per_layer: bool,
    pub(crate) singles: [Option<u32>; 3],
    /// The first code token, and the number of codes.
    pub(crate) codes: Option<(u32, usize)>,
}

/// A cache with attenuated depth tokens.
#[derive(Debug)]
pub struct GatedCache {
    /// The cache, keys and values of the depth tokens multiplied by their layer's gate.
    pub cache: KvCache,
    /// The gates, `[sequences, 1]` each: one per layer, or a single one. Empty if no depth token is visible.
    pub gates: Vec<Tensor<2>>,
}

impl DepthGate {
    pub(crate) fn new(heads: Vec<Linear>, config: &Config) -> Self {
        Self {
            heads,
            per_layer: config.action_expert_depth_gate_per_layer,
            singles: [
                config.depth_output_token_id,
                config.depth_start_token_id,
                config.depth_end_token_id,
            ],
            codes: config
                .depth_token_start_id
                .map(|first| (first, config.num_depth_tokens)),
        }
    }

    /// True if a token is a depth token.
    pub(crate) fn about_depth(&self, id: u32) -> bool {
        self.singles.contains(&Some(id))
            || self.codes.is_some_and(|(first, count)| {
                id.checked_sub(first)
                    .is_some_and(|code| (code as usize) < count)
            })
    }

    /// Attenuates the depth tokens among `ids`, the tokens in `cache`; `visible` flags those that the expert
    /// attends to.
    pub fn apply(&self, cache: &KvCache, ids: &[u32], visible: &[bool]) -> GatedCache {
        let depth = ids.iter().map(|&id| self.about_depth(id)).collect();
        self.apply_to(cache, &[depth], &[visible.to_vec()])
    }

    /// Attenuates the depth tokens of several sequences: per sequence and slot of `cache`, `depth` flags the depth
    /// tokens and `visible` the tokens that the expert attends to.
    pub fn apply_to(
        &self,
        cache: &KvCache,
        depth: &[Vec<bool>],
        visible: &[Vec<bool>],
    ) -> GatedCache {
        let both = |depth: &Vec<bool>, visible: &Vec<bool>| -> Vec<bool> {
            let pairs = depth.iter().zip(visible);
            pairs.map(|(depth, visible)| *depth && *visible).collect()
        };
        let pairs = depth.iter().zip(visible);
        let depth: Vec<Vec<bool>> = pairs.map(|(d, v)| both(d, v)).collect();
        let layers = cache.layers();
        let any = depth.iter().flatten().any(|depth| *depth);
        let Some((first_key, _)) = layers.first().filter(|_| any) else {
            return GatedCache {
                cache: cache.clone(),
                gates: Vec::new(),
            };
        };
        let device = first_key.device();
        let sequences = depth.len();
        let slots = depth.first().map_or(0, Vec::len);
        // `[sequences, 1, slots, 1]`
        let row = |flags: &[Vec<bool>]| -> Tensor<4> {
            let flags = flags.iter().flatten();
            let values: Vec<f32> = flags.map(|&flag| f32::from(u8::from(flag))).collect();
            Tensor::from_data(TensorData::new(values, [sequences, 1, slots, 1]), &device)
        };
        let pooled: Vec<Vec<bool>> = visible
            .iter()
            .zip(&depth)
            .map(|(visible, depth)| {
                let pairs = visible.iter().zip(depth);
                let others: Vec<bool> = pairs.map(|(v, d)| *v && !d).collect();
                if others.contains(&true) {
                    others
                } else {
                    visible.clone()
                }
            })
            .collect();
        let counts: Vec<f32> = pooled
            .iter()
            .map(|flags| flags.iter().filter(|flag| **flag).count().max(1) as f32)
            .collect();
        let counts = Tensor::<2>::from_data(TensorData::new(counts, [sequences, 1]), &device);
        let pool = row(&pooled);
        let by_sequence = |held: &Tensor<3>| -> Tensor<4> {
            let [folded, _, width] = held.dims();
            held.clone()
                .reshape([sequences, folded / sequences.max(1), slots, width])
        };
        let gate = |head: &Linear, value: &Tensor<3>| -> Tensor<2> {
            let value = by_sequence(value);
            let [_, kv_heads, _, width] = value.dims();
            let sum = (value * pool.clone()).sum_dim(2);
            let mean = sum.reshape([sequences, kv_heads * width]) / counts.clone();
            activation::sigmoid(head.forward(mean))
        };
        let gates: Vec<Tensor<2>> = if self.per_layer {
            let both = self.heads.iter().zip(&layers);
            both.map(|(head, (_, value))| gate(head, value)).collect()
        } else {
            let both = self.heads.first().zip(layers.last());
            both.map(|(head, (_, value))| gate(head, value))
                .into_iter()
                .collect()
        };
        let others: Vec<Vec<bool>> = depth
            .iter()
            .map(|flags| flags.iter().map(|depth| !depth).collect())
            .collect();
        let (others, depth) = (row(&others), row(&depth));
        let mut gated = KvCache::new();
        for (index, (key, value)) in layers.iter().enumerate() {
            let gate = if self.per_layer {
                gates.get(index)
            } else {
                gates.first()
            };
            let scale = match gate {
                Some(gate) => {
                    let gate = gate.clone().reshape([sequences, 1, 1, 1]);
                    others.clone() + depth.clone() * gate
                }
                None => others.clone() + depth.clone(),
            };
            let dim = |held: &Tensor<3>| (by_sequence(held) * scale.clone()).reshape(held.dims());
            gated.extend(index, dim(key), dim(value));
        }
        GatedCache {
            cache: gated,
            gates,
        }
    }
}
