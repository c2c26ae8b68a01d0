//! Results of merging pairs of tokens.

use super::merges::FIRST_MADE;

/// Results of pairs of numbers: small tables, because most pairs do not merge, and are many.
#[derive(Debug)]
pub(super) struct Pairs {
    /// A bit for every pair, shared with others: most pairs that make nothing end here.
    some: Vec<u64>,
    /// The pair and what it makes. A slot that makes nothing is free.
    slots: Vec<(u32, u32)>,
    shift: u32,
}

impl Pairs {
    /// Bits for each slot.
    const BITS: u32 = 8;

    pub(super) fn new(parts: &[(u16, u16)]) -> Self {
        let size = (parts.len() * 2).next_power_of_two().max(64);
        let mut pairs = Self {
            some: vec![0; size * Self::BITS as usize / 64],
            slots: vec![(0, 0); size],
            shift: 64 - size.trailing_zeros(),
        };
        for (&(left, right), made) in parts.iter().zip(u32::from(FIRST_MADE)..) {
            let (pair, hash) = Self::hash(left, right);
            let bit = pairs.bit(hash);
            if let Some(bits) = pairs.some.get_mut(bit / 64) {
                *bits |= 1 << (bit % 64);
            }
            let place = pairs.place(pair, hash);
            if let Some(slot) = pairs.slots.get_mut(place) {
                *slot = (pair, made);
            }
        }
        pairs
    }

    #[inline]
    pub(super) fn made(&self, left: u16, right: u16) -> Option<u32> {
        let (pair, hash) = Self::hash(left, right);
        let bit = self.bit(hash);
        if self
            .some
            .get(bit / 64)
            .is_none_or(|bits| bits >> (bit % 64) & 1 == 0)
        {
            return None;
        }
        let (_, made) = *self.slots.get(self.place(pair, hash))?;
        (made != 0).then_some(made)
    }

    #[inline]
    fn hash(left: u16, right: u16) -> (u32, u64) {
        let pair = u32::from(left) << 16 | u32::from(right);
        // Fibonacci hashing: the high bits of the product depend on all bits of the pair.
        (pair, u64::from(pair).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    #[inline]
    fn bit(&self, hash: u64) -> usize {
        (hash >> (self.shift - Self::BITS.trailing_zeros())) as usize
    }

    /// The slot that has this pair, or the free one where it would go.
    #[inline]
    fn place(&self, pair: u32, hash: u64) -> usize {
        let mut place = (hash >> self.shift) as usize;
        loop {
            match self.slots.get(place) {
                Some(&(there, made)) if made != 0 && there != pair => place += 1,
                Some(_) => return place,
                // Half of the slots are free, so going round ends.
                None => place = 0,
            }
        }
    }
}
