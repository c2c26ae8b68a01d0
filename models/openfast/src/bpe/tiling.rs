//! Finding the tokens of a word without merging.
//!
//! Merging pair by pair ends in one tiling of the word, and that tiling can be told from all others
//! by looking at neighbours only: it is the one in which merging the bytes of any two neighbours
//! gives back these two, and merging the bytes of any token gives back the token. (Merges inside a
//! token do not depend on what stands around it until a merge across its edge happens, and the
//! first merge across an edge would also happen with these two tokens alone.) So the longest tokens
//! are tried from left to right, each against its left neighbour. Where none fits, the token before
//! was wrong. A prefix of a word has only one tiling, so a position that led nowhere once is never
//! tried again: the time grows with the length of the word, times the number of tokens that can
//! begin at one place.
//!
//! Whether two tokens are what their bytes merge to follows from how each was made: walking back in
//! time from both, no pair that met at the edge may have had an earlier merge than the one that
//! separated it. That needs merges in the order of their making: every token made by one merge
//! only, from tokens made before. BPE training gives such tables; [`Tiling::new`] refuses others,
//! and they are merged pair by pair.

use std::sync::Arc;

use super::merges::{Merge, Merges, merge_word};
use super::trie::Trie;

/// How a token is made.
#[derive(Debug, Clone, Copy, Default)]
struct Making {
    /// Length in bytes.
    length: u32,
    /// When: one more than the rank of the merge, 0 for a single byte.
    time: u32,
    left: u32,
    right: u32,
    /// The longest token that this one begins with, apart from itself.
    shorter: Option<u32>,
}

#[derive(Debug)]
pub(super) struct Tiling {
    /// By token id.
    makings: Vec<Making>,
    trie: Trie,
    merges: Arc<Merges>,
}

/// Memory for a word, reused.
#[derive(Debug, Default)]
pub(super) struct Path {
    tokens: Vec<u32>,
    /// Positions that led nowhere, a bit each; empty until there is one.
    dead: Vec<u64>,
}

impl Path {
    fn is_dead(&self, at: usize) -> bool {
        self.dead
            .get(at / 64)
            .is_some_and(|bits| bits >> (at % 64) & 1 == 1)
    }

    fn kill(&mut self, at: usize) {
        if self.dead.len() <= at / 64 {
            self.dead.resize(at / 64 + 1, 0);
        }
        if let Some(bits) = self.dead.get_mut(at / 64) {
            *bits |= 1 << (at % 64);
        }
    }
}

impl Tiling {
    /// Prepares the tiling of these single bytes and merges, in the order of their ranks; `None`
    /// where the table is not in the order of making.
    pub(super) fn new(
        bytes: &[Option<u32>; 256],
        in_order: &[(u32, u32, Merge)],
        merges: &Arc<Merges>,
        ids: usize,
    ) -> Option<Self> {
        let mut makings = vec![Making::default(); ids];
        let mut spelled: Vec<Option<Vec<u8>>> = vec![None; ids];
        for (byte, &token) in (0..=255u8).zip(bytes) {
            let Some(token) = token else { continue };
            makings.get_mut(token as usize)?.length = 1;
            *spelled.get_mut(token as usize)? = Some(vec![byte]);
        }
        for &(left, right, merge) in in_order {
            let mut made = spelled.get(left as usize)?.clone()?;
            made.extend_from_slice(spelled.get(right as usize)?.as_deref()?);
            let place = spelled.get_mut(merge.made as usize)?;
            if place.is_some() {
                return None;
            }
            *makings.get_mut(merge.made as usize)? = Making {
                length: u32::try_from(made.len()).ok()?,
                time: merge.rank.checked_add(1)?,
                left,
                right,
                shorter: None,
            };
            *place = Some(made);
        }
        // A token whose own bytes merge to something else never appears.
        let mut word = Vec::new();
        let mut sorted: Vec<(&[u8], u32)> = spelled
            .iter()
            .zip(0..)
            .filter_map(|(spelled, token)| Some((spelled.as_deref()?, token)))
            .filter(|&(spelled, token)| {
                word.clear();
                word.extend(
                    spelled
                        .iter()
                        .filter_map(|&byte| bytes.get(usize::from(byte)).copied()?),
                );
                merge_word(merges, &mut word);
                word == [token]
            })
            .collect();
        sorted.sort_unstable();
        let trie = Trie::new(&sorted);
        for &(spelled, token) in &sorted {
            let (_, begin) = spelled.split_last()?;
            makings.get_mut(token as usize)?.shorter = trie.longest(begin);
        }
        Some(Self {
            makings,
            trie,
            merges: Arc::clone(merges),
        })
    }

    /// Appends the tokens of `word` to `out`. `false`, and nothing appended, when there is a byte
    /// without a token.
    pub(super) fn tile(&self, word: &[u8], path: &mut Path, out: &mut Vec<u32>) -> bool {
        path.tokens.clear();
        path.dead.clear();
        let mut at = 0;
        let mut candidate = self.trie.longest(word);
        loop {
            let fitting = self.fitting(candidate, at, path);
            if let Some((token, end)) = fitting {
                path.tokens.push(token);
                at = end;
                if at == word.len() {
                    out.extend_from_slice(&path.tokens);
                    return true;
                }
                candidate = self.trie.longest(word.get(at..).unwrap_or_default());
                continue;
            }
            path.kill(at);
            let Some(making) = path.tokens.pop().and_then(|wrong| self.making(wrong)) else {
                return false;
            };
            at -= making.length as usize;
            candidate = making.shorter;
        }
    }

    /// The longest of a candidate and its shorter beginnings that can stand at `at`, and where it
    /// ends.
    #[inline]
    fn fitting(&self, mut candidate: Option<u32>, at: usize, path: &Path) -> Option<(u32, usize)> {
        let before = path.tokens.last().copied();
        while let Some(token) = candidate {
            let making = self.making(token)?;
            let end = at + making.length as usize;
            if before.is_none_or(|before| self.can_meet(before, token)) && !path.is_dead(end) {
                return Some((token, end));
            }
            candidate = making.shorter;
        }
        None
    }

    /// Whether merging the bytes of these two gives these two.
    #[inline]
    fn can_meet(&self, mut left: u32, mut right: u32) -> bool {
        // Earlier than this, the pair now at the edge was there to be merged.
        let mut until = u32::MAX;
        loop {
            let merge = self.merges.get(left, right);
            if merge.is_some_and(|merge| merge.rank + 1 < until) {
                return false;
            }
            let (Some(made_left), Some(made_right)) = (self.making(left), self.making(right))
            else {
                return false;
            };
            // Undo what happened last. Merges of one rank go from left to right: one that ends at
            // the edge goes before one across it, and that before one that begins at the edge.
            if made_left.time > made_right.time {
                until = made_left.time;
                left = made_left.right;
            } else if made_right.time > 0 {
                until = made_right.time + 1;
                right = made_right.left;
            } else {
                return true;
            }
        }
    }

    #[inline]
    fn making(&self, token: u32) -> Option<&Making> {
        self.makings.get(token as usize)
    }
}
