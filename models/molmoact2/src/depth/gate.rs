//! How much of the depth tokens the expert gets to see.
//!
//! One value between 0 and 1, computed from the mean of the values (of the cache) of everything
//! the expert sees that is not about depth, multiplies keys and values of the depth tokens. Each
//! layer has its own, or one, computed from the last layer, serves all.

use burn::tensor::{Tensor, TensorData, activation};
use layers::{KvCache, Linear};

use crate::config::Config;

/// The gate of a checkpoint.
#[derive(Debug)]
pub struct DepthGate {
    /// One per layer, or a single one for all.
    pub(crate) heads: Vec<Linear>,
    pub(crate) per_layer: bool,
    pub(crate) singles: [Option<u32>; 3],
    /// First code token, and how many there are.
    pub(crate) codes: Option<(u32, usize)>,
}

/// A cache after the gate.
#[derive(Debug)]
pub struct Gated {
    /// The cache, keys and values of the depth tokens multiplied by their layer's gate.
    pub cache: KvCache,
    /// The gates, `[1, 1]` each: one per layer, or a single one. Empty if no depth token is seen.
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

    fn about_depth(&self, id: u32) -> bool {
        self.singles.contains(&Some(id))
            || self.codes.is_some_and(|(first, count)| {
                id.checked_sub(first)
                    .is_some_and(|code| (code as usize) < count)
            })
    }

    /// Gates the depth tokens among `ids`, the tokens that `cache` holds; `visible` says which of
    /// them the expert looks at.
    pub fn apply(&self, cache: &KvCache, ids: &[u32], visible: &[bool]) -> Gated {
        let depth: Vec<bool> = ids
            .iter()
            .zip(visible)
            .map(|(&id, &visible)| visible && self.about_depth(id))
            .collect();
        let Some((first_key, _)) = cache.layers().first().filter(|_| depth.contains(&true)) else {
            return Gated {
                cache: cache.clone(),
                gates: Vec::new(),
            };
        };
        let device = first_key.device();
        let row = |flags: Vec<bool>, factor: f32| -> Tensor<3> {
            let tokens = flags.len();
            let values: Vec<f32> = flags
                .into_iter()
                .map(|flag| if flag { factor } else { 0.0 })
                .collect();
            Tensor::from_data(TensorData::new(values, [1, tokens, 1]), &device)
        };
        let mut pooled: Vec<bool> = visible.iter().zip(&depth).map(|(v, d)| *v && !d).collect();
        if !pooled.contains(&true) {
            pooled = visible.to_vec();
        }
        let count = pooled.iter().filter(|pooled| **pooled).count().max(1);
        let pool = row(pooled, 1.0);
        let gate = |head: &Linear, value: &Tensor<3>| -> Tensor<2> {
            let [kv_heads, _, width] = value.dims();
            let mean = (value.clone() * pool.clone())
                .sum_dim(1)
                .reshape([1, kv_heads * width])
                / count as f64;
            activation::sigmoid(head.forward(mean))
        };
        let layers = cache.layers();
        let gates: Vec<Tensor<2>> = if self.per_layer {
            let both = self.heads.iter().zip(layers);
            both.map(|(head, (_, value))| gate(head, value)).collect()
        } else {
            let both = self.heads.first().zip(layers.last());
            both.map(|(head, (_, value))| gate(head, value))
                .into_iter()
                .collect()
        };
        let others = row(depth.iter().map(|depth| !depth).collect(), 1.0);
        let depth = row(depth, 1.0);
        let mut gated = KvCache::new();
        for (index, (key, value)) in layers.iter().enumerate() {
            let gate = if self.per_layer {
                gates.get(index)
            } else {
                gates.first()
            };
            let scale = match gate {
                Some(gate) => others.clone() + depth.clone() * gate.clone().reshape([1, 1, 1]),
                None => others.clone() + depth.clone(),
            };
            gated.extend(index, key.clone() * scale.clone(), value.clone() * scale);
        }
        Gated {
            cache: gated,
            gates,
        }
    }
}
