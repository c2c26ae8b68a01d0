//! Keys and values of every layer for the tokens seen so far.

use burn::tensor::Tensor;

/// One pair of tensors per layer, `[kv_heads, tokens, head_dim]`, keys after their rotation.
#[derive(Debug, Clone, Default)]
pub struct KvCache {
    layers: Vec<(Tensor<3>, Tensor<3>)>,
}

impl KvCache {
    /// A cache with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of tokens held.
    pub fn len(&self) -> usize {
        self.layers.first().map_or(0, |(key, _)| {
            let [_, tokens, _] = key.dims();
            tokens
        })
    }

    /// Whether no token is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keys and values of every layer, first layer first.
    pub fn layers(&self) -> &[(Tensor<3>, Tensor<3>)] {
        &self.layers
    }

    /// Adds the keys and values of new tokens to layer `layer` and returns all of that layer's.
    /// Layers are filled in order, so a layer that was never filled is the next one.
    pub fn extend(
        &mut self,
        layer: usize,
        key: Tensor<3>,
        value: Tensor<3>,
    ) -> (Tensor<3>, Tensor<3>) {
        let pair = match self.layers.get(layer) {
            Some((past_key, past_value)) => (
                Tensor::cat(vec![past_key.clone(), key], 1),
                Tensor::cat(vec![past_value.clone(), value], 1),
            ),
            None => (key, value),
        };
        match self.layers.get_mut(layer) {
            Some(slot) => slot.clone_from(&pair),
            None => self.layers.push(pair.clone()),
        }
        pair
    }
}
