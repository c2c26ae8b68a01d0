//! Keys and values of every layer for the tokens seen so far.

use burn_tensor::Tensor;

/// Fewest places that are added when there is no room left.
const FEWEST: usize = 32;

/// One pair of tensors per layer, `[kv_heads, tokens, head_dim]`, keys after their rotation. Several sequences
/// that are read together fold into the first axis, `sequences * kv_heads`.
///
/// The first tokens are kept as they come. Tokens added later are written into room that was made ahead, half
/// as much again each time it runs out, so that a token costs its own copy and not one of all before it.
/// Writing in place requires unshared tensors: the ones that [`KvCache::extend`] and [`KvCache::layers`]
/// return must be dropped before the next token. Where they are not, as in a clone, burn copies.
#[derive(Debug, Clone, Default)]
pub struct KvCache {
    layers: Vec<Layer>,
}

#[derive(Debug, Clone)]
struct Layer {
    key: GrowingTensor,
    value: GrowingTensor,
}

/// A tensor that has room for more than it holds.
#[derive(Debug, Clone)]
struct GrowingTensor {
    /// `[heads, capacity, head_dim]`; absent only while it is written to.
    tensor: Option<Tensor<3>>,
    len: usize,
}

impl GrowingTensor {
    fn new(first: Tensor<3>) -> Self {
        let [heads, len, width] = first.dims();
        // What comes is often a view into something larger, which would stay alive with it.
        let own = first.reshape([heads * len, width]);
        Self {
            tensor: Some(own.reshape([heads, len, width])),
            len,
        }
    }

    fn extend(&mut self, more: Tensor<3>) {
        let [heads, count, width] = more.dims();
        let end = self.len + count;
        let Some(mut tensor) = self.tensor.take() else {
            *self = Self::new(more);
            return;
        };
        let [_, capacity, _] = tensor.dims();
        if end > capacity {
            let device = tensor.device();
            let room = Tensor::zeros([heads, end + (end / 2).max(FEWEST), width], &device);
            let held = tensor.narrow(1, 0, self.len);
            tensor = room.slice_assign([0..heads, 0..self.len, 0..width], held);
        }
        self.tensor = Some(tensor.slice_assign([0..heads, self.len..end, 0..width], more));
        self.len = end;
    }

    fn held(&self) -> Option<Tensor<3>> {
        let tensor = self.tensor.clone()?;
        let [_, capacity, _] = tensor.dims();
        Some(if self.len < capacity {
            tensor.narrow(1, 0, self.len)
        } else {
            tensor
        })
    }
}

impl Layer {
    fn held(&self) -> Option<(Tensor<3>, Tensor<3>)> {
        self.key.held().zip(self.value.held())
    }
}

impl KvCache {
    /// A cache with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of tokens held.
    pub fn len(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.key.len)
    }

    /// True if no token is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keys and values of every layer, first layer first.
    pub fn layers(&self) -> Vec<(Tensor<3>, Tensor<3>)> {
        self.layers.iter().filter_map(Layer::held).collect()
    }

    /// Adds the keys and values of new tokens to layer `layer` and returns all of that layer's.
    /// Layers are filled in order, so a layer that was never filled is the next one.
    pub fn extend(
        &mut self,
        layer: usize,
        key: Tensor<3>,
        value: Tensor<3>,
    ) -> (Tensor<3>, Tensor<3>) {
        match self.layers.get_mut(layer) {
            Some(held) => {
                held.key.extend(key.clone());
                held.value.extend(value.clone());
            }
            None => self.layers.push(Layer {
                key: GrowingTensor::new(key.clone()),
                value: GrowingTensor::new(value.clone()),
            }),
        }
        // `extend` on either path leaves a tensor, so the new ones alone are never what is given.
        self.layers
            .get(layer)
            .or(self.layers.last())
            .and_then(Layer::held)
            .unwrap_or((key, value))
    }

    /// The cache of some of the `sequences` sequences in it, in the order of `kept`.
    #[must_use]
    pub fn select(&self, sequences: usize, kept: &[usize]) -> Self {
        let pick = |held: Tensor<3>| {
            let [folded, _, _] = held.dims();
            let heads = folded / sequences.max(1);
            let parts = kept
                .iter()
                .map(|&sequence| held.clone().narrow(0, sequence * heads, heads));
            Tensor::cat(parts.collect(), 0)
        };
        let layers = self.layers().into_iter().map(|(key, value)| Layer {
            key: GrowingTensor::new(pick(key)),
            value: GrowingTensor::new(pick(value)),
        });
        Self {
            layers: layers.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::KvCache;
    use crate::device::cpu;
    use burn_tensor::{Tensor, TensorData};

    /// `[2, tokens, 3]`, each value telling head, token and place apart.
    fn run(first: usize, tokens: usize) -> Tensor<3> {
        let values: Vec<f32> = (0..2)
            .flat_map(|head| {
                (first..first + tokens).flat_map(move |token| {
                    (0..3).map(move |place| (head * 10_000 + token * 10 + place) as f32)
                })
            })
            .collect();
        Tensor::from_data(TensorData::new(values, [2, tokens, 3]), &cpu())
    }

    fn values(tensor: Tensor<3>) -> Vec<f32> {
        tensor.into_data().as_slice::<f32>().unwrap().to_vec()
    }

    #[test]
    fn what_was_added_is_what_is_held() {
        let mut cache = KvCache::new();
        assert!(cache.is_empty());
        let mut held = 0;
        // Past several ends of the room, by one token and by many.
        for count in [5, 1, 1, 30, 1, 2, 200, 1, 1] {
            let (key, value) = cache.extend(0, run(held, count), run(held, count) * -1.0);
            held += count;
            assert_eq!(cache.len(), held);
            assert_eq!(values(key), values(run(0, held)));
            assert_eq!(values(value * -1.0), values(run(0, held)));
        }
    }

    #[test]
    fn a_clone_goes_its_own_way() {
        let mut cache = KvCache::new();
        cache.extend(0, run(0, 3), run(0, 3));
        cache.extend(0, run(3, 1), run(3, 1));
        let mut other = cache.clone();
        other.extend(0, run(7, 1), run(7, 1));
        let (key, _) = cache.extend(0, run(4, 1), run(4, 1));
        assert_eq!(values(key), values(run(0, 5)));
        let (key, _) = other.layers().remove(0);
        assert_eq!(values(key.narrow(1, 4, 1)), values(run(7, 1)));
    }

    #[test]
    fn sequences_can_be_picked_out() {
        let mut cache = KvCache::new();
        cache.extend(0, run(0, 2), run(0, 2));
        cache.extend(0, run(2, 2), run(2, 2));
        let (key, _) = cache.select(2, &[1]).layers().remove(0);
        assert_eq!(values(key), values(run(0, 4).narrow(0, 1, 1)));
    }
}
