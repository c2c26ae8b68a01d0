//! What the model has read, and what can be asked about it.

use burn::tensor::Tensor;
use layers::TokenQuery;

use crate::vision_tower::VisionTokens;

/// What the model has read so far: keys and values of every layer, and where the next token stands.
///
/// A clone shares the tensors and costs next to nothing; reading on in one of the two leaves the other as it is.
#[derive(Debug, Clone, Default)]
pub struct Context {
    pub(crate) past: Past,
    /// Where the next token of text stands.
    pub(crate) next: u32,
}

impl Context {
    /// Tokens read.
    pub fn tokens(&self) -> usize {
        self.past.tokens()
    }

    /// This place in the sequence, to which a [`Suffix`] can be attached later, when more has been read.
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

/// A place in a sequence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContextPosition {
    /// Tokens before it.
    pub tokens: usize,
    /// Where a token of text stands that follows here. Not `tokens`: a picture takes fewer places than tokens.
    pub next_position: u32,
}

/// Something to read.
#[derive(Debug, Clone, Copy)]
pub enum Segment<'a> {
    /// Tokens of text.
    Text(&'a [u32]),
    /// One temporal block.
    VisionBlock {
        /// What the vision tower made of it and perhaps others.
        tokens: &'a VisionTokens,
        /// Which of them, from 0.
        block: usize,
    },
}

/// A text after a place in a context, and what is asked about it. The text does not become a part of the context.
#[derive(Debug, Clone, Copy)]
pub struct Suffix<'a> {
    /// Where it follows. It sees what lies before this place, and itself.
    pub position: ContextPosition,
    /// Its tokens, at least one.
    pub ids: &'a [u32],
    /// Probabilities of what may follow its tokens; rows count from 0 within the suffix.
    pub queries: &'a [TokenQuery],
}

/// A [`Suffix`] of a sequence that is read in the same pass.
#[derive(Debug, Clone, Copy)]
pub struct PackedSuffix<'a> {
    /// It follows this many of the segments.
    pub after_segments: usize,
    /// Its tokens, at least one.
    pub ids: &'a [u32],
    /// As in [`Suffix::queries`].
    pub queries: &'a [TokenQuery],
}
