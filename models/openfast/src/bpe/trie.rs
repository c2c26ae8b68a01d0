//! The longest token at the beginning of some bytes.
//!
//! A double array: the child of a node by byte `b` is the slot `base + b`, provided that it names
//! the node as its parent. One load per byte, and less for the character that repeats most.

/// A token's bytes and the token.
pub(super) type Spelled<'a> = (&'a [u8], u16);

/// No slot.
const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// The slot of the node above, or [`NONE`] while the slot is free.
    parent: u32,
    /// Offset of this node's children.
    base: u32,
    /// The token that ends here.
    token: Option<u16>,
}

const FREE: Slot = Slot {
    parent: NONE,
    base: 0,
    token: None,
};

#[derive(Debug)]
pub(super) struct Trie {
    slots: Vec<Slot>,
    runs: Runs,
}

/// Slots reached by repeating one character. Most coefficients are zero, so their character comes in long
/// runs, which are counted instead of followed byte by byte.
#[derive(Debug, Default)]
struct Runs {
    /// The character that the longest tokens repeat, one or two bytes.
    unit: Vec<u8>,
    /// After so many of it: the slot, and the longest token until there.
    after: Vec<(u32, Option<u16>)>,
}

impl Runs {
    /// Number of units that `bytes` begins with, up to that of the longest token.
    #[inline]
    fn count(&self, bytes: &[u8]) -> usize {
        let most = self.after.len();
        match *self.unit.as_slice() {
            [one] => bytes.iter().take(most).take_while(|&&b| b == one).count(),
            [one, two] => {
                let pairs = bytes.chunks_exact(2).take(most);
                pairs.take_while(|&pair| pair == [one, two]).count()
            }
            _ => 0,
        }
    }
}

impl Trie {
    /// A trie of `(bytes, token)`, which must be sorted by bytes. Tokens without bytes are left out.
    pub(super) fn new(sorted: &[Spelled<'_>]) -> Self {
        let mut trie = Self {
            slots: vec![FREE],
            runs: Runs::default(),
        };
        if let Some(root) = trie.slots.first_mut() {
            // The root is its own parent, so that no byte leads to it: bases start at 1.
            root.parent = 0;
        }
        let mut first_free = 1;
        // Nodes whose children are not placed yet: slot, depth, the tokens below.
        let mut open = vec![(0usize, 0usize, sorted)];
        while let Some((slot, depth, below)) = open.pop() {
            let groups: Vec<(u8, &[Spelled<'_>])> = below
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
                    node.token = ends_here.map(|(_, token)| *token);
                }
                open.push((child, depth + 1, group));
            }
        }
        trie.runs = trie.longest_runs(sorted);
        trie
    }

    /// The character that the longest tokens repeat, one or two bytes; none if there is none.
    pub(super) fn unit(&self) -> &[u8] {
        &self.runs.unit
    }

    /// The runs of the character that is repeated most in one token.
    fn longest_runs(&self, sorted: &[Spelled<'_>]) -> Runs {
        let repeats = |(bytes, _): &Spelled<'_>| {
            let size = bytes
                .first()
                .map_or(1, |&lead| if lead < 0xC0 { 1 } else { 2 });
            let unit = bytes.get(..size)?.to_vec();
            let whole = bytes.chunks(size).all(|part| part == unit);
            whole.then(|| (bytes.len() / size, unit))
        };
        let Some((_, unit)) = sorted.iter().filter_map(repeats).max() else {
            return Runs::default();
        };
        let mut after = Vec::new();
        let (mut at, mut found) = (0, None);
        while let Some(next) = self.follow(at, found, &unit) {
            (at, found) = next;
            after.push(next);
        }
        Runs { unit, after }
    }

    /// From a slot, and the longest token until there, along all of `bytes`.
    fn follow(&self, at: u32, found: Option<u16>, bytes: &[u8]) -> Option<(u32, Option<u16>)> {
        bytes.iter().try_fold((at, found), |(at, found), &byte| {
            let child = self.slots.get(at as usize)?.base + u32::from(byte);
            let slot = self
                .slots
                .get(child as usize)
                .filter(|slot| slot.parent == at)?;
            Some((child, slot.token.or(found)))
        })
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
    pub(super) fn longest(&self, bytes: &[u8]) -> Option<u16> {
        let run = self.runs.count(bytes);
        let known = run
            .checked_sub(1)
            .and_then(|last| self.runs.after.get(last));
        let (mut at, mut found) = known.copied().unwrap_or_default();
        let bytes = bytes.get(run * self.runs.unit.len()..)?;
        let mut base = self.slots.get(at as usize)?.base;
        for &byte in bytes {
            let child = base + u32::from(byte);
            match self.slots.get(child as usize) {
                Some(slot) if slot.parent == at => {
                    at = child;
                    base = slot.base;
                    found = slot.token.or(found);
                }
                _ => break,
            }
        }
        found
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
            unit in prop_oneof![Just(vec![7]), Just(vec![0xC3, 0x9B])],
            runs in prop::collection::vec(0..9usize, 0..3),
            texts in prop::collection::vec(prop::collection::vec(0..4u8, 0..12), 8),
        ) {
            let mut all: std::collections::BTreeSet<_> = words.union(&narrow).cloned().collect();
            all.extend(runs.iter().filter(|&&run| run > 0).map(|&run| unit.repeat(run)));
            let sorted: Vec<(&[u8], u16)> = all.iter().map(Vec::as_slice).zip(0..).collect();
            let trie = Trie::new(&sorted);
            let lengths = (0..12).map(|run| [unit.repeat(run), vec![1]].concat());
            let repeated: Vec<_> = lengths.chain((0..12).map(|run| unit.repeat(run))).collect();
            for text in texts.iter().chain(&all).chain(&repeated) {
                let want = sorted.iter().filter(|(word, _)| text.starts_with(word)).max_by_key(|(word, _)| word.len());
                prop_assert_eq!(trie.longest(text), want.map(|(_, token)| *token));
            }
        }
    }
}
