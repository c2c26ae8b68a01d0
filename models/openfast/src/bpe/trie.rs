//! The longest token at the beginning of some bytes.
//!
//! A double array: the child of a node by byte `b` is the slot `base + b`, provided that it names
//! the node as its parent. One load per byte.

/// No token.
const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// The slot of the node above, or [`NONE`] while the slot is free.
    parent: u32,
    /// Where this node's children are.
    base: u32,
    /// The token that ends here.
    token: u32,
}

const FREE: Slot = Slot {
    parent: NONE,
    base: 0,
    token: NONE,
};

#[derive(Debug)]
pub(super) struct Trie {
    slots: Vec<Slot>,
}

impl Trie {
    /// A trie of `(bytes, token)`, which must be sorted by bytes. Tokens without bytes are left out.
    pub(super) fn new(sorted: &[(&[u8], u32)]) -> Self {
        let mut trie = Self { slots: vec![FREE] };
        if let Some(root) = trie.slots.first_mut() {
            // The root is its own parent, so that no byte leads to it: bases start at 1.
            root.parent = 0;
        }
        let mut first_free = 1;
        // Nodes whose children are not placed yet: slot, depth, the tokens below.
        let mut open = vec![(0usize, 0usize, sorted)];
        while let Some((slot, depth, below)) = open.pop() {
            let groups: Vec<(u8, &[(&[u8], u32)])> = below
                .chunk_by(|(a, _), (b, _)| a.get(depth) == b.get(depth))
                .filter_map(|group| {
                    let (bytes, _) = group.first()?;
                    Some((*bytes.get(depth)?, group))
                })
                .collect();
            let labels: Vec<usize> = groups.iter().map(|(byte, _)| usize::from(*byte)).collect();
            while trie.is_taken(first_free) {
                first_free += 1;
            }
            let base = trie.room(&labels, first_free);
            if let Some(node) = trie.slots.get_mut(slot) {
                node.base = base as u32;
            }
            for (byte, group) in groups {
                let child = base + usize::from(byte);
                if trie.slots.len() <= child {
                    trie.slots.resize(child + 1, FREE);
                }
                let ends_here = group.iter().find(|(bytes, _)| bytes.len() == depth + 1);
                if let Some(node) = trie.slots.get_mut(child) {
                    node.parent = slot as u32;
                    node.token = ends_here.map_or(NONE, |(_, token)| *token);
                }
                open.push((child, depth + 1, group));
            }
        }
        trie
    }

    fn is_taken(&self, slot: usize) -> bool {
        self.slots.get(slot).is_some_and(|slot| slot.parent != NONE)
    }

    /// A base from which all these labels lead to free slots.
    fn room(&self, labels: &[usize], first_free: usize) -> usize {
        let Some(lowest) = labels.first() else {
            // No children. A slot that names this node as its parent is nowhere.
            return 0;
        };
        // Slots beyond the end are free, so this ends.
        (first_free.saturating_sub(*lowest).max(1)..)
            .find(|base| labels.iter().all(|label| !self.is_taken(base + label)))
            .unwrap_or_default()
    }

    /// The longest token that `bytes` begins with.
    #[inline]
    pub(super) fn longest(&self, bytes: &[u8]) -> Option<u32> {
        let mut found = NONE;
        let mut at = 0u32;
        let mut base = self.slots.first()?.base as usize;
        for &byte in bytes {
            let child = base + usize::from(byte);
            match self.slots.get(child) {
                Some(slot) if slot.parent == at => {
                    at = child as u32;
                    base = slot.base as usize;
                    if slot.token != NONE {
                        found = slot.token;
                    }
                }
                _ => break,
            }
        }
        (found != NONE).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_the_longest(
            words in prop::collection::btree_set(prop::collection::vec(any::<u8>(), 1..4), 0..60),
            narrow in prop::collection::btree_set(prop::collection::vec(0..3u8, 1..9), 0..60),
            texts in prop::collection::vec(prop::collection::vec(0..4u8, 0..12), 8),
        ) {
            let all: std::collections::BTreeSet<_> = words.union(&narrow).cloned().collect();
            let sorted: Vec<(&[u8], u32)> = all.iter().map(Vec::as_slice).zip(0..).collect();
            let trie = Trie::new(&sorted);
            for text in texts.iter().chain(&all) {
                let want = sorted.iter().filter(|(word, _)| text.starts_with(word)).max_by_key(|(word, _)| word.len());
                prop_assert_eq!(trie.longest(text), want.map(|(_, token)| *token));
            }
        }
    }
}
