//! The merge table, and merging pair by pair.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Tokens in the order of their making: below this the single bytes, from here on the merges. It is
/// not the order of their ids.
pub(super) const FIRST_MADE: u16 = 256;

/// The merge of two neighbors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Merge {
    /// Its place in the file: lower ones go first.
    pub(super) rank: u32,
    /// The token it makes.
    pub(super) made: u32,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// Left and right token, or [`FREE`].
    pair: u64,
    merge: Merge,
}

/// Tokens number below a million, so no pair looks like this.
const FREE: u64 = u64::MAX;

/// Merges by pair: a hash table of twice as many slots, probed one after another.
#[derive(Debug)]
pub(super) struct Merges {
    slots: Vec<Slot>,
    shift: u32,
}

impl Merges {
    /// A table of these. Of several merges of one pair the last one counts, as in the library.
    pub(super) fn new(merges: impl ExactSizeIterator<Item = (u32, u32, Merge)>) -> Self {
        let size = (merges.len() * 2).next_power_of_two().max(2);
        let free = Slot {
            pair: FREE,
            merge: Merge { rank: 0, made: 0 },
        };
        let mut table = Self {
            slots: vec![free; size],
            shift: 64 - size.trailing_zeros(),
        };
        for (left, right, merge) in merges {
            let pair = key(left, right);
            let place = table.place(pair);
            if let Some(slot) = table.slots.get_mut(place) {
                *slot = Slot { pair, merge };
            }
        }
        table
    }

    /// The merge of these neighbors, if there is one.
    pub(super) fn get(&self, left: u32, right: u32) -> Option<Merge> {
        let pair = key(left, right);
        let slot = self.slots.get(self.place(pair))?;
        (slot.pair == pair).then_some(slot.merge)
    }

    /// The slot that has this pair, or the free one where it would go.
    fn place(&self, pair: u64) -> usize {
        // Fibonacci hashing: the high bits of the product depend on all bits of the key.
        let mut place = (pair.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift) as usize;
        loop {
            match self.slots.get(place) {
                Some(slot) if slot.pair != pair && slot.pair != FREE => place += 1,
                Some(_) => return place,
                // Half of the slots are free, so going round ends.
                None => place = 0,
            }
        }
    }
}

fn key(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

/// A token of a word being merged: a link of a doubly linked list.
#[derive(Debug, Clone, Copy)]
struct Link {
    token: u32,
    previous: usize,
    next: usize,
    /// True if a merge has taken it into its left neighbour.
    gone: bool,
}

/// No neighbour.
const END: usize = usize::MAX;

/// Merges the tokens of one word in place, exactly as the library does: the pair of lowest rank
/// first, of several the leftmost. Works for any merge table, also one in which two pairs make the
/// same token. Takes `n log n` steps for `n` tokens.
pub(super) fn merge_word(merges: &Merges, word: &mut Vec<u32>) {
    let mut links: Vec<Link> = word
        .iter()
        .enumerate()
        .map(|(at, &token)| Link {
            token,
            previous: at.checked_sub(1).unwrap_or(END),
            next: at + 1,
            gone: false,
        })
        .collect();
    match links.last_mut() {
        Some(last) => last.next = END,
        None => return,
    }
    let mut queue: BinaryHeap<Reverse<(u32, usize, u32)>> = word
        .windows(2)
        .enumerate()
        .filter_map(|(at, pair)| match pair {
            &[left, right] => {
                let merge = merges.get(left, right)?;
                Some(Reverse((merge.rank, at, merge.made)))
            }
            _ => None,
        })
        .collect();
    while let Some(Reverse((_, at, made))) = queue.pop() {
        let Some(&left) = links.get(at).filter(|link| !link.gone) else {
            continue;
        };
        let Some(&right) = links.get(left.next) else {
            continue;
        };
        // Other merges may have come between; the library compares the result alone.
        if merges
            .get(left.token, right.token)
            .is_none_or(|merge| merge.made != made)
        {
            continue;
        }
        if let Some(link) = links.get_mut(left.next) {
            link.gone = true;
        }
        if let Some(link) = links.get_mut(at) {
            link.token = made;
            link.next = right.next;
        }
        if let Some(link) = links.get_mut(right.next) {
            link.previous = at;
        }
        let mut meet = |at: usize, pair: Option<(u32, u32)>| {
            if let Some(merge) = pair.and_then(|(left, right)| merges.get(left, right)) {
                queue.push(Reverse((merge.rank, at, merge.made)));
            }
        };
        meet(
            left.previous,
            links.get(left.previous).map(|link| (link.token, made)),
        );
        meet(at, links.get(right.next).map(|link| (made, link.token)));
    }
    word.clear();
    word.extend(
        links
            .iter()
            .filter(|link| !link.gone)
            .map(|link| link.token),
    );
}
