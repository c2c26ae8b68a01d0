//! The language model: pre-norm blocks in the shape of Qwen3 with fused projections.
//!
//! Attention normalizes queries and keys per head before the rotation. The feed-forward gate is the second half of
//! its projection. Embeddings are two concatenated tables; the output head covers only the first.

use burn_tensor::{Device, Int, Tensor, TensorData};
use layers::{
    Embedding, GatedMlp, KvCache, Linear, MASK_VALUE, Ragged, RmsNorm, Rotary, attention,
    merge_heads, rms_normalize, split_heads,
};

use crate::error::ActError;
use crate::network::rows::index_tensor;
use crate::network::sequences::Sequences;

/// Self-attention with grouped key and value heads.
#[derive(Debug)]
pub(crate) struct TextAttention {
    /// Queries, keys and values side by side.
    pub(crate) qkv: Linear,
    pub(crate) out: Linear,
    /// `[1, heads + kv_heads, head_dim]`: the norm weights of queries (times the scale of the
    /// scores) and keys.
    pub(crate) qk_weight: Tensor<3>,
    /// True if queries and keys are normalized per head; otherwise `qk_weight` is only the scale.
    pub(crate) qk_norm: bool,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) eps: f64,
}

/// Layout of the tokens of one pass.
struct PassInput {
    tokens: Ragged,
    /// Rotary tables at the position of each token.
    rotary: Rotary,
    /// `[1 or sequences, new slots, all slots]`; `None` if nothing is masked.
    bias: Option<Tensor<3>>,
}

impl PassInput {
    /// The layout of the last token of each sequence that has any, as the only queries, and their rows.
    fn last(&self, device: &Device) -> (Self, Tensor<1, Int>) {
        let lens = self.tokens.lens();
        let (mut rows, mut end) = (Vec::new(), 0_usize);
        for &len in lens {
            end += len;
            if len > 0 {
                rows.push((end - 1) as i32);
            }
        }
        let rows = index_tensor(rows, device);
        let bias = self.bias.clone().map(|bias| {
            let [parts, _, _] = bias.dims();
            let of = (0..parts).map(|part| {
                // A single part is shared only by sequences of the same length.
                let len = lens.get(part).copied().unwrap_or(1).max(1);
                bias.clone().narrow(0, part, 1).narrow(1, len - 1, 1)
            });
            Tensor::cat(of.collect(), 0)
        });
        let last = Self {
            tokens: Ragged::new(lens.iter().map(|&len| len.min(1)).collect(), device),
            rotary: self.rotary.select(rows.clone()),
            bias,
        };
        (last, rows)
    }
}

impl TextAttention {
    /// `heads` heads of `x` (`[tokens, heads, head_dim]`), normalized with the weights from row `first` on and
    /// rotated.
    fn norm_and_rotate(
        &self,
        x: Tensor<3>,
        first: usize,
        heads: usize,
        rotary: &Rotary,
    ) -> Tensor<3> {
        let weight = self.qk_weight.clone().narrow(1, first, heads);
        let x = if self.qk_norm {
            rms_normalize(x, self.eps)
        } else {
            x
        };
        rotary.apply(x * weight)
    }

    /// Heads moved to the front, `[sequences * heads, slots, head_dim]`.
    fn fold(x: Tensor<3>, tokens: &Ragged) -> Tensor<3> {
        let [rows, heads, head_dim] = x.dims();
        if !tokens.has_holes() {
            return split_heads(x, tokens.sequences());
        }
        let places = tokens.spread(x.reshape([rows, heads * head_dim]));
        let [rows, _] = places.dims();
        split_heads(places.reshape([rows, heads, head_dim]), tokens.sequences())
    }

    /// Attention of the rotated queries (`[tokens, heads, head_dim]`) over keys and values, projected to the hidden
    /// width.
    fn attend_to(
        &self,
        query: Tensor<3>,
        input: &PassInput,
        key: Tensor<3>,
        value: Tensor<3>,
    ) -> Tensor<2> {
        let query = Self::fold(query, &input.tokens);
        let mixed = attention(query, key, value, input.bias.as_ref());
        let places = merge_heads(mixed, input.tokens.sequences());
        self.out.forward(input.tokens.gather(places))
    }

    /// `[tokens, hidden]` to the same, extending `cache`.
    fn forward(
        &self,
        x: Tensor<2>,
        input: &PassInput,
        cache: &mut KvCache,
        layer: usize,
    ) -> Tensor<2> {
        let [tokens, _] = x.dims();
        let (heads, kv_heads, head_dim) = (self.heads, self.kv_heads, self.head_dim);
        let all = self
            .qkv
            .forward(x)
            .reshape([tokens, heads + 2 * kv_heads, head_dim]);
        let value = all.clone().narrow(1, heads + kv_heads, kv_heads);
        let both = all.narrow(1, 0, heads + kv_heads);
        let rotated = self.norm_and_rotate(both, 0, heads + kv_heads, &input.rotary);
        let query = rotated.clone().narrow(1, 0, heads);
        let key = rotated.narrow(1, heads, kv_heads);
        let (key, value) = cache.extend(
            layer,
            Self::fold(key, &input.tokens),
            Self::fold(value, &input.tokens),
        );
        self.attend_to(query, input, key, value)
    }

    /// Extends the cache by the keys and values of `x`, and returns all keys and values of this layer.
    fn keys_and_values(
        &self,
        x: Tensor<2>,
        input: &PassInput,
        cache: &mut KvCache,
        layer: usize,
    ) -> (Tensor<3>, Tensor<3>) {
        let [tokens, _] = x.dims();
        let (heads, kv_heads, head_dim) = (self.heads, self.kv_heads, self.head_dim);
        let both = self
            .qkv
            .columns(heads * head_dim, 2 * kv_heads * head_dim)
            .forward(x)
            .reshape([tokens, 2 * kv_heads, head_dim]);
        let value = both.clone().narrow(1, kv_heads, kv_heads);
        let key = self.norm_and_rotate(both.narrow(1, 0, kv_heads), heads, kv_heads, &input.rotary);
        cache.extend(
            layer,
            Self::fold(key, &input.tokens),
            Self::fold(value, &input.tokens),
        )
    }

    /// Like [`TextAttention::forward`] with queries for the rows `last` of `x` alone, one for each sequence that
    /// has new tokens.
    fn forward_last(
        &self,
        x: Tensor<2>,
        input: &PassInput,
        (last, rows): (&PassInput, Tensor<1, Int>),
        cache: &mut KvCache,
        layer: usize,
    ) -> Tensor<2> {
        let (heads, head_dim) = (self.heads, self.head_dim);
        let (key, value) = self.keys_and_values(x.clone(), input, cache, layer);
        let x = x.select(0, rows);
        let [count, _] = x.dims();
        let query = self.qkv.columns(0, heads * head_dim).forward(x);
        let query = query.reshape([count, heads, head_dim]);
        let query = self.norm_and_rotate(query, 0, heads, &last.rotary);
        self.attend_to(query, last, key, value)
    }
}

/// One block of the language model.
#[derive(Debug)]
pub(crate) struct TextBlock {
    pub(crate) attention_norm: RmsNorm,
    pub(crate) attention: TextAttention,
    pub(crate) mlp_norm: RmsNorm,
    pub(crate) mlp: GatedMlp,
}

/// The language model.
#[derive(Debug)]
pub struct TextModel {
    /// `[vocab_size + additional_vocab_size, hidden]`.
    pub(crate) embedding: Embedding,
    pub(crate) blocks: Vec<TextBlock>,
    pub(crate) final_norm: RmsNorm,
    pub(crate) head: Linear,
    /// Rotary tables for every position of the model.
    pub(crate) rotary: Rotary,
}

/// The part of the last block that a forward pass computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Keys and values alone.
    KeysAndValues,
    /// The final normalized hidden states of the last token alone.
    LastToken,
    /// The final normalized hidden states of every token.
    EveryToken,
}

impl TextModel {
    /// Maximum number of tokens of a sequence.
    pub fn max_positions(&self) -> usize {
        self.rotary.positions()
    }

    /// Number of ids of the output head.
    pub fn vocab_size(&self) -> usize {
        self.head.outputs()
    }

    /// Number of ids of the embedding tables.
    pub fn input_vocab_size(&self) -> usize {
        self.embedding.len()
    }

    /// Embeddings of `ids`, each below [`TextModel::input_vocab_size`]: `[tokens, hidden]`.
    pub fn embed(&self, ids: &[u32]) -> Tensor<2> {
        self.embedding.select(ids)
    }

    /// Embeddings of ids that are on the device already: `[tokens, hidden]`.
    pub fn embed_rows(&self, ids: Tensor<1, Int>) -> Tensor<2> {
        self.embedding.select_rows(ids)
    }

    /// Runs `x` (`[tokens, hidden]`) through the blocks at the positions after those in `cache`, and extends
    /// `cache` by it.
    ///
    /// - `bias`: `[1, tokens, tokens held + tokens]`, see [`prefill_bias`]; `None` masks nothing, which is right
    ///   for a single token after the prompt.
    ///
    /// Returns the hidden states that `until` selects, `[1 or tokens, hidden]`, or `None` for
    /// [`Until::KeysAndValues`].
    pub fn forward(
        &self,
        x: Tensor<2>,
        bias: Option<&Tensor<3>>,
        cache: &mut KvCache,
        until: Until,
    ) -> Option<Tensor<2>> {
        let [tokens, _] = x.dims();
        let input = PassInput {
            tokens: Ragged::new(vec![tokens], &x.device()),
            rotary: self.rotary.rows(cache.len(), tokens),
            bias: bias.cloned(),
        };
        self.run(x, &input, cache, until)
    }

    /// Runs tokens of several sequences through the blocks, each sequence at the positions after its own tokens,
    /// and extends `past` by them.
    ///
    /// - `x`: `[tokens of all sequences, hidden]`, one sequence after the other.
    /// - `counts`: number of new tokens of each sequence. Not all are 0.
    /// - `image`: per token, whether it belongs to an image; image tokens of a sequence attend to each other in
    ///   both directions. Empty if no token does.
    ///
    /// Returns the hidden states that `until` selects, for [`Until::LastToken`] one row for each sequence with new
    /// tokens, or `None` for [`Until::KeysAndValues`]. No sequence may exceed [`TextModel::max_positions`].
    pub fn forward_several(
        &self,
        x: Tensor<2>,
        counts: &[usize],
        image: &[bool],
        past: &mut Sequences,
        until: Until,
    ) -> Option<Tensor<2>> {
        let device = x.device();
        let input = PassInput {
            rotary: match counts {
                [count] => self.rotary.rows(past.len(0), *count),
                _ => self.rotary.at(&past.positions(counts)),
            },
            bias: past.bias(counts, image, &device),
            tokens: Ragged::new(counts.to_vec(), &device),
        };
        let states = self.run(x, &input, &mut past.cache, until);
        past.grow(counts);
        states
    }

    fn run(
        &self,
        x: Tensor<2>,
        input: &PassInput,
        cache: &mut KvCache,
        until: Until,
    ) -> Option<Tensor<2>> {
        let last = self.blocks.len().saturating_sub(1);
        let mut x = x;
        for (layer, block) in self.blocks.iter().enumerate() {
            let normed = block.attention_norm.forward(x.clone());
            let attention = &block.attention;
            match until {
                Until::KeysAndValues if layer == last => {
                    attention.keys_and_values(normed, input, cache, layer);
                    return None;
                }
                Until::LastToken if layer == last && input.tokens.longest() > 1 => {
                    let (input_last, rows) = input.last(&x.device());
                    x = x.select(0, rows.clone())
                        + attention.forward_last(normed, input, (&input_last, rows), cache, layer);
                }
                _ => x = x + attention.forward(normed, input, cache, layer),
            }
            x = x.clone() + block.mlp.forward(block.mlp_norm.forward(x));
        }
        Some(self.final_norm.forward(x))
    }

    /// Like [`TextModel::forward`] for tokens after those in `cache`, with causal attention.
    ///
    /// # Errors
    /// [`ActError::TooLong`] when they do not fit the model's positions.
    pub fn extend(
        &self,
        x: Tensor<2>,
        cache: &mut KvCache,
        until: Until,
    ) -> Result<Option<Tensor<2>>, ActError> {
        let [tokens, _] = x.dims();
        let (past, max) = (cache.len(), self.max_positions());
        if past + tokens > max {
            return Err(ActError::TooLong {
                tokens: past + tokens,
                max,
            });
        }
        let bias = (tokens > 1).then(|| causal_bias(past, tokens, &x.device()));
        Ok(self.forward(x, bias.as_ref(), cache, until))
    }

    /// Logits of every output id: `[rows, hidden]` to `[rows, vocab_size]`.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.head.forward(hidden)
    }

    /// The output head for ids `start .. start + len` alone.
    pub fn head_for(&self, start: usize, len: usize) -> Linear {
        self.head.columns(start, len)
    }
}

/// Causal bias of `tokens` tokens after `past` others: `[1, tokens, past + tokens]`.
fn causal_bias(past: usize, tokens: usize, device: &Device) -> Tensor<3> {
    let values: Vec<f32> = (0..tokens)
        .flat_map(|row| {
            (0..past + tokens).map(move |column| {
                if column <= past + row {
                    0.0
                } else {
                    MASK_VALUE
                }
            })
        })
        .collect();
    Tensor::from_data(TensorData::new(values, [1, tokens, past + tokens]), device)
}

/// Attention bias of a prompt: a token attends to itself and to earlier tokens, and image tokens attend to each
/// other in both directions, across all images.
///
/// `image[i]` is whether token `i` belongs to an image. Returns `[1, tokens, tokens]`.
pub fn prefill_bias(image: &[bool], device: &Device) -> Tensor<3> {
    let tokens = image.len();
    let values: Vec<f32> = image
        .iter()
        .enumerate()
        .flat_map(|(row, &row_image)| {
            image
                .iter()
                .enumerate()
                .map(move |(column, &column_image)| {
                    if column <= row || (row_image && column_image) {
                        0.0
                    } else {
                        MASK_VALUE
                    }
                })
        })
        .collect();
    Tensor::from_data(TensorData::new(values, [1, tokens, tokens]), device)
}
