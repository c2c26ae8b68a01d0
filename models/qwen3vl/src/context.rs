//! The context that the model has read, and queries about it.

use burn_tensor::Tensor;
use layers::TokenQuery;

use crate::vision_tower::VisionTokens;

/// The context read so far: keys and values of every layer, and the position of the next token.
///
/// A clone shares the tensors and costs next to nothing; extending one of the two leaves the other as it is.
#[derive(Debug, Clone, Default)]
pub struct Context {
    pub(crate) past: Past,
    /// M-RoPE position of the next text token.
    pub(crate) next: u32,
}

impl Context {
    /// Tokens read.
    pub fn tokens(&self) -> usize {
        self.past.tokens()
    }

    /// The current position, to which a [`Suffix`] can be attached later, when more has been read.
    pub fn position(&self) -> ContextPosition {
        ContextPosition {
            tokens: self.tokens(),
            next_position: self.next,
        }
    }

    /// Bytes that its keys and values take.
    pub fn bytes(&self) -> u64 {
        self.past
            .layers
            .iter()
            .flat_map(|(key, value)| [key, value])
            .map(|tensor| {
                let values: usize = tensor.dims().iter().product();
                (values * tensor.dtype().size()) as u64
            })
            .sum()
    }
}

/// Keys (rotated) and values of every layer, `[kv_heads, tokens, head_dim]` each, first layer first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Past {
    layers: Vec<(Tensor<3>, Tensor<3>)>,
}

impl Past {
    fn tokens(&self) -> usize {
        self.layers.first().map_or(0, |(key, _)| {
            let [_, tokens, _] = key.dims();
            tokens
        })
    }

    /// Keys and values of the first `tokens` tokens of a layer; `None` where there are none.
    pub(crate) fn first(&self, layer: usize, tokens: usize) -> Option<(Tensor<3>, Tensor<3>)> {
        let (key, value) = self.layers.get(layer).filter(|_| tokens > 0)?;
        Some((
            key.clone().narrow(1, 0, tokens),
            value.clone().narrow(1, 0, tokens),
        ))
    }

    /// Adds those of new tokens, one pair per layer.
    pub(crate) fn extend(&mut self, new: Vec<(Tensor<3>, Tensor<3>)>) {
        if self.layers.is_empty() {
            self.layers = new;
            return;
        }
        for ((key, value), (new_key, new_value)) in self.layers.iter_mut().zip(new) {
            *key = Tensor::cat(vec![key.clone(), new_key], 1);
            *value = Tensor::cat(vec![value.clone(), new_value], 1);
        }
    }
}

/// A position in a context.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContextPosition {
    /// Tokens before it.
    pub tokens: usize,
    /// M-RoPE position of a text token that follows here. Not `tokens`: an image takes fewer positions than tokens.
    pub next_position: u32,
}

/// A segment of the input.
#[derive(Debug, Clone, Copy)]
pub enum Segment<'a> {
    /// Tokens of text.
    Text(&'a [u32]),
    /// The tokens of one temporal block.
    VisionBlock {
        /// Output of the vision tower for this block and perhaps others.
        tokens: &'a VisionTokens,
        /// Index of the block in it, from 0.
        block: usize,
    },
}

/// A text that follows a position in a context, and the queries about it. The text does not become a part of the context.
#[derive(Debug, Clone, Copy)]
pub struct Suffix<'a> {
    /// Position that it follows. It attends to everything before this position, and to itself.
    pub position: ContextPosition,
    /// Its tokens, at least one.
    pub ids: &'a [u32],
    /// Tokens whose probabilities are computed; rows count from 0 within the suffix.
    pub queries: &'a [TokenQuery],
}

/// A [`Suffix`] of a sequence that is read in the same pass.
#[derive(Debug, Clone, Copy)]
pub struct PackedSuffix<'a> {
    /// Number of segments that it follows.
    pub after_segments: usize,
    /// Its tokens, at least one.
    pub ids: &'a [u32],
    /// As in [`Suffix::queries`].
    pub queries: &'a [TokenQuery],
}
