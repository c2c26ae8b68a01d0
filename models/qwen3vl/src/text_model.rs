//! The language model: Qwen3's pre-norm blocks, rotated in three coordinates.
//!
//! The cache is never changed here: a forward pass returns the keys and values of its tokens, and the caller keeps them
//! or not. So any number of questions can share one video.

use burn_tensor::{Int, Tensor};
use layers::{
    Columns, GatedMlp, HeadNorm, Linear, QkvHeads, RmsNorm, Rotary, Vocabulary, attention_over,
    merge_heads,
};

use crate::context::Past;
use crate::positions::TextRotation;
use crate::stage::{OnStage, Stage};

/// Self-attention with grouped key and value heads.
#[derive(Debug)]
pub(crate) struct TextAttention {
    /// Queries, keys and values side by side.
    pub(crate) qkv: Linear,
    pub(crate) out: Linear,
    /// Of queries and keys; the scale of the scores is in its weights.
    pub(crate) norm: HeadNorm,
    pub(crate) layout: QkvHeads,
}

impl TextAttention {
    /// Queries, keys and values of `x` (`[tokens, hidden]`), heads first, rotated.
    fn project(&self, x: Tensor<2>, rotary: &Rotary) -> [Tensor<3>; 3] {
        let rows = self.qkv.forward(x);
        self.layout.split(rows, 1, Some(&self.norm), rotary, 1.0)
    }

    fn mix(&self, query: Tensor<3>, columns: &[Columns]) -> Tensor<2> {
        self.out
            .forward(merge_heads(attention_over(query, columns), 1))
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
    pub(crate) embedding: Vocabulary,
    /// `None` where the embeddings are the head.
    pub(crate) head: Option<Vocabulary>,
    pub(crate) blocks: Vec<TextBlock>,
    pub(crate) final_norm: RmsNorm,
    pub(crate) rotation: TextRotation,
    pub(crate) heads: usize,
    pub(crate) max_positions: usize,
}

/// Tokens that are read together.
pub(crate) struct Rows<'a> {
    /// Embeddings, pictures included: `[rows, hidden]`.
    pub(crate) x: Tensor<2>,
    /// Features added after the first layers: `[rows, hidden]` each.
    pub(crate) deepstack: Vec<Tensor<2>>,
    pub(crate) rotary: Rotary,
    /// Of what was read before, the first `past_len` tokens.
    pub(crate) past: &'a Past,
    pub(crate) past_len: usize,
    /// `[1, rows, past_len]`; `None` where every row sees all of it.
    pub(crate) past_bias: Option<Tensor<3>>,
    /// `[1, rows, rows]`; `None` where every row sees every row.
    pub(crate) own_bias: Option<Tensor<3>>,
}

/// Rows whose final hidden state is needed.
#[derive(Debug, Clone)]
pub(crate) enum HiddenRows {
    /// None; nothing after the last layer's keys and values is computed.
    None,
    /// These, in this order.
    Some(Vec<usize>),
    /// Every one.
    All,
}

/// Output of a forward pass.
pub(crate) struct ForwardOutput {
    /// Final normalized hidden states, if any were needed.
    pub(crate) hidden: Option<Tensor<2>>,
    /// Keys and values of the rows, first layer first.
    pub(crate) own: Vec<(Tensor<3>, Tensor<3>)>,
}

impl TextModel {
    /// Size of the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.embedding.len()
    }

    /// The output head.
    pub fn head(&self) -> &Vocabulary {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// Most positions of a sequence.
    pub fn max_positions(&self) -> usize {
        self.max_positions
    }

    pub(crate) fn forward(
        &self,
        rows: Rows<'_>,
        needed: &HiddenRows,
        on_stage: OnStage<'_>,
    ) -> ForwardOutput {
        let Rows {
            mut x,
            mut deepstack,
            rotary,
            past,
            past_len,
            past_bias,
            own_bias,
        } = rows;
        on_stage(Stage::Embedded, &x);
        let last = self.blocks.len().saturating_sub(1);
        let mut own = Vec::with_capacity(self.blocks.len());
        for (layer, block) in self.blocks.iter().enumerate() {
            let normed = block.attention_norm.forward(x.clone());
            let [mut query, key, value] = block.attention.project(normed, &rotary);
            own.push((key.clone(), value.clone()));
            let mut biases = [past_bias.clone(), own_bias.clone()];
            if layer == last {
                // From here on only the queried rows matter.
                match needed {
                    HiddenRows::None => return ForwardOutput { hidden: None, own },
                    HiddenRows::All => {}
                    HiddenRows::Some(rows) => {
                        let rows = index(rows, &x);
                        x = x.select(0, rows.clone());
                        query = query.select(1, rows.clone());
                        biases = biases.map(|bias| bias.map(|bias| bias.select(1, rows.clone())));
                        if let Some(features) = deepstack.get_mut(layer) {
                            *features = features.clone().select(0, rows);
                        }
                    }
                }
            }
            let [past_bias, own_bias] = biases;
            let own_columns = Columns {
                key,
                value,
                bias: own_bias,
            };
            let mixed = match past.first(layer, past_len) {
                Some((past_key, past_value)) => block.attention.mix(
                    query,
                    &[
                        Columns {
                            key: past_key,
                            value: past_value,
                            bias: past_bias,
                        },
                        own_columns,
                    ],
                ),
                None => block.attention.mix(query, &[own_columns]),
            };
            x = x + mixed;
            x = x.clone() + block.mlp.forward(block.mlp_norm.forward(x));
            if let Some(features) = deepstack.get(layer) {
                x = x + features.clone();
            }
            on_stage(Stage::Layer(layer), &x);
        }
        let hidden = self.final_norm.forward(x);
        on_stage(Stage::Final, &hidden);
        ForwardOutput {
            hidden: Some(hidden),
            own,
        }
    }
}

fn index(rows: &[usize], like: &Tensor<2>) -> Tensor<1, Int> {
    let rows: Vec<i32> = rows
        .iter()
        .map(|&row| i32::try_from(row).unwrap_or(i32::MAX))
        .collect();
    let count = rows.len();
    Tensor::from_data(burn_tensor::TensorData::new(rows, [count]), &like.device())
}
