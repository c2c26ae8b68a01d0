//! Several token sequences in one cache, extended together.

use burn_tensor::{Device, Tensor, TensorData};
use layers::{KvCache, MASK_VALUE};

/// Cached keys and values of several sequences, and the length of each.
///
/// The cache has the same number of slots for each sequence. A sequence that is extended by fewer tokens than
/// another gets padding slots, which are masked and take no position.
#[derive(Debug, Clone)]
pub struct Sequences {
    /// Keys and values, `[sequences * kv_heads, slots, head_dim]`.
    pub(crate) cache: KvCache,
    /// Per sequence and slot, whether it holds a token.
    occupied: Vec<Vec<bool>>,
}

impl Sequences {
    /// `count` sequences without a token.
    pub fn new(count: usize) -> Self {
        Self {
            cache: KvCache::new(),
            occupied: vec![Vec::new(); count],
        }
    }

    /// Keys and values of every layer, `[sequences * kv_heads, slots, head_dim]`.
    pub fn cache(&self) -> &KvCache {
        &self.cache
    }

    /// Number of sequences.
    pub fn count(&self) -> usize {
        self.occupied.len()
    }

    /// Number of tokens of a sequence, which is the position of its next token.
    pub fn len(&self, sequence: usize) -> usize {
        let occupied = self.occupied.get(sequence);
        occupied.map_or(0, |occupied| {
            occupied.iter().filter(|occupied| **occupied).count()
        })
    }

    /// True if no sequence has a token.
    pub fn is_empty(&self) -> bool {
        self.cache.is_empty()
    }

    /// Flags of the tokens of each sequence, spread over its slots; a slot without a token gets `false`.
    pub fn over_slots(&self, flags: &[Vec<bool>]) -> Vec<Vec<bool>> {
        let rows = self.occupied.iter().zip(flags);
        rows.map(|(occupied, flags)| {
            let mut flags = flags.iter().copied();
            occupied
                .iter()
                .map(|&occupied| occupied && flags.next().unwrap_or(false))
                .collect()
        })
        .collect()
    }

    /// The sequences `kept`, in that order.
    #[must_use]
    pub fn select(self, kept: &[usize]) -> Self {
        if kept.iter().copied().eq(0..self.count()) {
            return self;
        }
        if kept.is_empty() {
            return Self::new(0);
        }
        Self {
            cache: self.cache.select(self.count(), kept),
            occupied: kept
                .iter()
                .filter_map(|&sequence| self.occupied.get(sequence).cloned())
                .collect(),
        }
    }

    /// The positions of the next `counts` tokens of each sequence.
    pub(crate) fn positions(&self, counts: &[usize]) -> Vec<usize> {
        let next = counts.iter().enumerate();
        next.flat_map(|(sequence, &count)| {
            let first = self.len(sequence);
            first..first + count
        })
        .collect()
    }

    /// Attention bias of the next `counts` tokens of each sequence. A token attends to itself and to earlier tokens
    /// of its sequence, and image tokens attend to each other in both directions. `[sequences, new slots, all
    /// slots]`, or `None` if nothing is masked.
    pub(crate) fn bias(
        &self,
        counts: &[usize],
        image: &[bool],
        device: &Device,
    ) -> Option<Tensor<3>> {
        let places = counts.iter().copied().max().unwrap_or(0);
        let whole = self.occupied.iter().flatten().all(|&occupied| occupied);
        if places <= 1 && whole && counts.iter().all(|&count| count == places) {
            return None;
        }
        let before = self.cache.len();
        let mut values = Vec::with_capacity(self.count() * places * (before + places));
        let mut first = 0_usize;
        for (occupied, &count) in self.occupied.iter().zip(counts) {
            let images = image.get(first..first + count).unwrap_or_default();
            let of_image = |place: usize| images.get(place).copied().unwrap_or(false);
            let past: Vec<f32> = occupied.iter().copied().map(open).collect();
            for place in 0..places {
                values.extend_from_slice(&past);
                let both = of_image(place);
                values.extend((0..places).map(|other| {
                    open(other < count && (other <= place || (both && of_image(other))))
                }));
            }
            first += count;
        }
        let shape = [self.count(), places, before + places];
        Some(Tensor::from_data(TensorData::new(values, shape), device))
    }

    /// Records that the cache has grown by `counts` tokens per sequence.
    pub(crate) fn grow(&mut self, counts: &[usize]) {
        let places = counts.iter().copied().max().unwrap_or(0);
        for (occupied, &count) in self.occupied.iter_mut().zip(counts) {
            occupied.extend((0..places).map(|place| place < count));
        }
    }
}

fn open(open: bool) -> f32 {
    if open { 0.0 } else { MASK_VALUE }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::Sequences;
    use layers::device::cpu;

    #[test]
    fn slots_without_a_token_take_no_position_and_are_not_seen() {
        let mut past = Sequences::new(2);
        past.grow(&[3, 1]);
        assert_eq!(past.positions(&[1, 2]), [3, 1, 2]);
        assert_eq!((past.len(0), past.len(1)), (3, 1));
        let flags = past.over_slots(&[vec![true, false, true], vec![true]]);
        assert_eq!(flags, [[true, false, true], [true, false, false]]);
    }

    #[test]
    fn a_token_sees_what_came_before_it_and_its_image() {
        let past = Sequences::new(2);
        let image = [true, true, false, false];
        let bias = past.bias(&[3, 1], &image, &cpu()).unwrap();
        let data = bias.into_data();
        let seen: Vec<bool> = data
            .as_slice::<f32>()
            .unwrap()
            .iter()
            .map(|b| *b == 0.0)
            .collect();
        let rows: Vec<&[bool]> = seen.chunks(3).collect();
        assert_eq!(rows[0], [true, true, false]);
        assert_eq!(rows[1], [true, true, false]);
        assert_eq!(rows[2], [true, true, true]);
        // The second sequence has one token; its padding attends to no more than that.
        assert_eq!(rows[3], [true, false, false]);
        assert_eq!(rows[4], [true, false, false]);
    }

    #[test]
    fn one_more_token_for_each_sequence_sees_everything_if_there_are_no_holes() {
        assert!(Sequences::new(2).bias(&[1, 1], &[], &cpu()).is_none());
        assert!(Sequences::new(2).bias(&[1, 0], &[], &cpu()).is_some());
    }
}
