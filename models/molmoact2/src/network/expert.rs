//! The action expert: a small transformer that predicts the velocity of the flow from noise to an action chunk.
//! Each block cross-attends to the rotated keys and the values of one layer of the language model.
//!
//! Its norms have no weights. Nine modulation rows, computed from the time of the flow alone, shift, scale and gate
//! the branches of each block (as in DiT). They are the same for every chunk, so [`Expert::modulations`] computes
//! them once for all steps. The keys and values of the prompt are the same for every step, so [`Expert::context`]
//! computes them once per chunk.

use burn_tensor::{Tensor, TensorData, activation};
use layers::{
    GatedMlp, KvCache, Linear, MASK_VALUE, Ragged, Rotary, attention, merge_heads, rms_normalize,
    split_heads,
};

use crate::network::rows::index_tensor;

/// Epsilon of the norms over the hidden width; that of the norms over heads is in the configuration.
const EPS: f64 = 1e-6;

/// One block of the expert.
#[derive(Debug)]
pub(crate) struct ExpertBlock {
    pub(crate) self_qkv: Linear,
    pub(crate) self_out: Linear,
    pub(crate) cross_query: Linear,
    pub(crate) cross_out: Linear,
    pub(crate) mlp: GatedMlp,
    pub(crate) modulation: Linear,
}

/// Shift, scale (plus one) and gate of one branch, `[1, hidden]` each.
#[derive(Debug, Clone)]
struct Branch {
    shift: Tensor<2>,
    scale: Tensor<2>,
    gate: Tensor<2>,
}

/// Modulations of all blocks at the time of one step.
#[derive(Debug, Clone)]
pub struct StepModulation {
    blocks: Vec<[Branch; 3]>,
    final_shift: Tensor<2>,
    final_scale: Tensor<2>,
}

/// Prompts as every block attends to them: keys (normalized and scaled) and values, `[sequences * heads, tokens,
/// head_dim]`.
#[derive(Debug, Clone)]
pub struct ExpertContext {
    pub(crate) layers: Vec<(Tensor<3>, Tensor<3>)>,
    /// `[sequences, 1, tokens]`, masking the padding of shorter prompts; `None` if all have the same length.
    bias: Option<Tensor<3>>,
}

impl ExpertContext {
    /// Keys (multiplied by `1 / sqrt(head_dim)`) and values per block, `[sequences * heads, tokens, head_dim]`,
    /// where `tokens` is the largest number of visible tokens of a prompt.
    pub fn layers(&self) -> &[(Tensor<3>, Tensor<3>)] {
        &self.layers
    }
}

/// The action expert.
#[derive(Debug)]
pub struct Expert {
    pub(crate) time_in: Linear,
    pub(crate) time_out: Linear,
    pub(crate) action_embed: Linear,
    pub(crate) context_key: Linear,
    pub(crate) context_value: Linear,
    pub(crate) blocks: Vec<ExpertBlock>,
    pub(crate) final_modulation: Linear,
    pub(crate) final_linear: Linear,
    /// Tables for every row of the longest chunk; `None` if the expert uses no rotation.
    pub(crate) rotary: Option<Rotary>,
    pub(crate) context_norm: bool,
    pub(crate) qk_norm: Option<f64>,
    pub(crate) causal: bool,
    pub(crate) heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) time_dim: usize,
}

impl Expert {
    /// The modulations of `steps` Euler steps, taken at times `0, 1/steps, … (steps - 1)/steps`.
    pub fn modulations(&self, steps: usize) -> Vec<StepModulation> {
        let device = self.action_embed_device();
        let times: Vec<f32> = (0..steps)
            .flat_map(|step| time_embedding((step as f64 / steps as f64) as f32, self.time_dim))
            .collect();
        let times = Tensor::from_data(TensorData::new(times, [steps, self.time_dim]), &device);
        let condition = self
            .time_out
            .forward(activation::silu(self.time_in.forward(times)));
        let condition = activation::silu(condition);
        let of_blocks: Vec<Tensor<2>> = self
            .blocks
            .iter()
            .map(|block| block.modulation.forward(condition.clone()))
            .collect();
        let of_final = self.final_modulation.forward(condition);
        (0..steps)
            .map(|step| {
                let [final_shift, final_scale] = pieces(&of_final, step);
                StepModulation {
                    blocks: of_blocks.iter().map(|rows| branches(rows, step)).collect(),
                    final_shift,
                    final_scale: final_scale + 1.0,
                }
            })
            .collect()
    }

    /// Projects the cached keys and values of a prompt.
    ///
    /// `visible[i]` is whether the expert may attend to token `i`. Other tokens are left out, which is equivalent
    /// to masking them in every step.
    pub fn context(&self, cache: &KvCache, visible: &[bool]) -> ExpertContext {
        self.context_of(cache, &[visible.to_vec()])
    }

    /// Projects the cached keys and values of several prompts. `visible` has a flag for each slot of each sequence
    /// in `cache`, `false` for a slot without a token.
    pub fn context_of(&self, cache: &KvCache, visible: &[Vec<bool>]) -> ExpertContext {
        let device = self.action_embed_device();
        let (heads, head_dim) = (self.heads, self.head_dim);
        let sequences = visible.len();
        let slots = visible.first().map_or(0, Vec::len);
        let seen: Vec<i32> = visible
            .iter()
            .flatten()
            .zip(0..)
            .filter(|(visible, _)| **visible)
            .map(|(_, row)| row)
            .collect();
        let lens = visible
            .iter()
            .map(|flags| flags.iter().filter(|visible| **visible).count());
        let tokens = Ragged::new(lens.collect(), &device);
        let total = seen.len();
        let rows = (total < sequences * slots).then(|| index_tensor(seen, &device));
        let sequence = |cached: Tensor<3>| {
            let all = merge_heads(cached, sequences);
            match &rows {
                Some(rows) => all.select(0, rows.clone()),
                None => all,
            }
        };
        // All layers share one projection, so one product serves them all.
        let project = |linear: &Linear, parts: Vec<Tensor<2>>| {
            let projected = linear.forward(Tensor::cat(parts, 0));
            if self.context_norm {
                rms_normalize(projected, EPS)
            } else {
                projected
            }
        };
        let layers = cache.layers();
        let count = layers.len();
        let (keys, values) = layers
            .into_iter()
            .map(|(key, value)| (sequence(key), sequence(value)))
            .unzip();
        let keys = project(&self.context_key, keys).reshape([count * total, heads, head_dim]);
        let keys =
            (self.normalize_heads(keys) * self.scale()).reshape([count * total, heads * head_dim]);
        let values = project(&self.context_value, values);
        let layer = |all: &Tensor<2>, layer: usize| {
            let places = tokens.spread(all.clone().narrow(0, layer * total, total));
            let [rows, _] = places.dims();
            split_heads(places.reshape([rows, heads, head_dim]), sequences)
        };
        let bias = tokens.has_holes().then(|| {
            let closed = |len: usize| {
                (0..tokens.longest()).map(move |at| if at < len { 0.0 } else { MASK_VALUE })
            };
            let values: Vec<f32> = tokens.lens().iter().copied().flat_map(closed).collect();
            let shape = [sequences, 1, tokens.longest()];
            Tensor::from_data(TensorData::new(values, shape), &device)
        });
        ExpertContext {
            layers: (0..count)
                .map(|index| (layer(&keys, index), layer(&values, index)))
                .collect(),
            bias,
        }
    }

    /// A view of the expert for one chunk of `rows` rows and `dims` action dimensions.
    ///
    /// Action dimensions beyond `dims` are zero at every step, so neither their inputs nor their
    /// outputs are computed.
    pub fn for_chunk(&self, rows: usize, dims: usize) -> ChunkExpert<'_> {
        self.for_chunks(rows, &[dims])
    }

    /// A view of the expert for several chunks at once, all of `rows` rows, each with its own number of action
    /// dimensions. The largest number is computed for all; dimensions that a chunk does not have are zero at every
    /// step.
    pub fn for_chunks(&self, rows: usize, dims: &[usize]) -> ChunkExpert<'_> {
        let device = self.action_embed_device();
        let most = dims.iter().copied().max().unwrap_or(0);
        let causal = self.causal.then(|| {
            let values: Vec<f32> = (0..rows)
                .flat_map(|row| {
                    (0..rows).map(move |column| if column <= row { 0.0 } else { MASK_VALUE })
                })
                .collect();
            Tensor::from_data(TensorData::new(values, [1, rows, rows]), &device)
        });
        let real = dims.iter().any(|&dims| dims != most).then(|| {
            let values: Vec<f32> = dims
                .iter()
                .flat_map(|&dims| (0..rows * most).map(move |at| at % most < dims))
                .map(|real| f32::from(u8::from(real)))
                .collect();
            Tensor::from_data(TensorData::new(values, [dims.len() * rows, most]), &device)
        });
        let rotary = self.rotary.as_ref();
        ChunkExpert {
            expert: self,
            action_embed: self.action_embed.first_inputs(most),
            final_linear: self.final_linear.columns(0, most),
            rotary: rotary.map(|rotary| rotary.rows(0, rows).repeated(dims.len())),
            chunks: dims.len(),
            causal,
            real,
        }
    }

    /// Action dimensions of the network, the padding included.
    pub fn max_action_dim(&self) -> usize {
        self.final_linear.outputs()
    }

    fn scale(&self) -> f64 {
        (self.head_dim as f64).sqrt().recip()
    }

    fn normalize_heads(&self, x: Tensor<3>) -> Tensor<3> {
        match self.qk_norm {
            Some(eps) => rms_normalize(x, eps),
            None => x,
        }
    }

    fn action_embed_device(&self) -> layers::Device {
        self.action_embed.device()
    }
}

/// The expert with everything prepared that depends only on the size of the chunk.
#[derive(Debug)]
pub struct ChunkExpert<'a> {
    expert: &'a Expert,
    action_embed: Linear,
    final_linear: Linear,
    /// Rotary tables for every row of every chunk.
    rotary: Option<Rotary>,
    chunks: usize,
    causal: Option<Tensor<3>>,
    /// `[chunks * rows, dims]`, 1 for dimensions of the chunk and 0 for those of wider chunks only.
    real: Option<Tensor<2>>,
}

impl ChunkExpert<'_> {
    /// Velocity of the flow at the chunks `actions` (`[chunks * rows, dims]`, normalized) and the time of `step`,
    /// each chunk attending to its own sequence of `context`. Same shape.
    pub fn velocity(
        &self,
        actions: Tensor<2>,
        step: &StepModulation,
        context: &ExpertContext,
    ) -> Tensor<2> {
        let mut x = self.action_embed.forward(actions);
        let blocks = self.expert.blocks.iter().zip(&step.blocks);
        for ((block, [alone, cross, mlp]), (key, value)) in blocks.zip(&context.layers) {
            let inside =
                self.self_attention(block, modulate(x.clone(), &alone.shift, &alone.scale));
            x = x + inside * alone.gate.clone();
            let outside = modulate(x.clone(), &cross.shift, &cross.scale);
            let outside = self.cross_attention(block, outside, (key, value), context.bias.as_ref());
            x = x + outside * cross.gate.clone();
            let fed = block
                .mlp
                .forward(modulate(x.clone(), &mlp.shift, &mlp.scale));
            x = x + fed * mlp.gate.clone();
        }
        let velocity = self
            .final_linear
            .forward(modulate(x, &step.final_shift, &step.final_scale));
        match &self.real {
            Some(real) => velocity * real.clone(),
            None => velocity,
        }
    }

    fn self_attention(&self, block: &ExpertBlock, x: Tensor<2>) -> Tensor<2> {
        let [rows, _] = x.dims();
        let (heads, head_dim) = (self.expert.heads, self.expert.head_dim);
        let all = block
            .self_qkv
            .forward(x)
            .reshape([rows, 3 * heads, head_dim]);
        let fold = |x| split_heads(x, self.chunks);
        let value = fold(all.clone().narrow(1, 2 * heads, heads));
        let mut both = self.expert.normalize_heads(all.narrow(1, 0, 2 * heads));
        if let Some(rotary) = &self.rotary {
            both = rotary.apply(both);
        }
        let query = fold(both.clone().narrow(1, 0, heads)) * self.expert.scale();
        let key = fold(both.narrow(1, heads, heads));
        let mixed = attention(query, key, value, self.causal.as_ref());
        block.self_out.forward(merge_heads(mixed, self.chunks))
    }

    fn cross_attention(
        &self,
        block: &ExpertBlock,
        x: Tensor<2>,
        (key, value): (&Tensor<3>, &Tensor<3>),
        bias: Option<&Tensor<3>>,
    ) -> Tensor<2> {
        let [rows, _] = x.dims();
        let query =
            block
                .cross_query
                .forward(x)
                .reshape([rows, self.expert.heads, self.expert.head_dim]);
        let query = split_heads(self.expert.normalize_heads(query), self.chunks);
        let mixed = attention(query, key.clone(), value.clone(), bias);
        block.cross_out.forward(merge_heads(mixed, self.chunks))
    }
}

fn modulate(x: Tensor<2>, shift: &Tensor<2>, scale: &Tensor<2>) -> Tensor<2> {
    rms_normalize(x, EPS) * scale.clone() + shift.clone()
}

/// `N` equal pieces of row `step`.
fn pieces<const N: usize>(rows: &Tensor<2>, step: usize) -> [Tensor<2>; N] {
    let [_, width] = rows.dims();
    let piece = width / N;
    std::array::from_fn(|index| {
        rows.clone()
            .narrow(0, step, 1)
            .narrow(1, index * piece, piece)
    })
}

/// The three branches of a block, each (shift, scale, gate), in the order of the checkpoint.
fn branches(rows: &Tensor<2>, step: usize) -> [Branch; 3] {
    let [s1, c1, g1, s2, c2, g2, s3, c3, g3] = pieces(rows, step);
    let branch = |shift, scale: Tensor<2>, gate| Branch {
        shift,
        scale: scale + 1.0,
        gate,
    };
    [branch(s1, c1, g1), branch(s2, c2, g2), branch(s3, c3, g3)]
}

/// Sines then cosines of the time at frequencies from 1 down to 1/10000, padded with a zero if
/// `dim` is odd.
fn time_embedding(time: f32, dim: usize) -> Vec<f32> {
    let half = dim / 2;
    let rate = -(10_000.0_f64.ln()) / (half.saturating_sub(1).max(1)) as f64;
    let angles: Vec<f32> = (0..half)
        .map(|i| time * (i as f32 * rate as f32).exp())
        .collect();
    let sines = angles.iter().map(|angle| angle.sin());
    let cosines = angles.iter().map(|angle| angle.cos());
    sines
        .chain(cosines)
        .chain(std::iter::repeat(0.0))
        .take(dim)
        .collect()
}
