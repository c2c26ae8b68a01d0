//! Finding the tokens of a word without merging.
//!
//! Merging pair by pair ends in one tiling of the word, and that tiling is distinguished from all others
//! by its neighbors alone: it is the one in which merging the bytes of any two neighbors
//! gives back these two, and merging the bytes of any token gives back the token. (Merges inside a
//! token do not depend on what stands around it until a merge across its edge happens, and the
//! first merge across an edge would also happen with these two tokens alone.) So the longest tokens
//! are tried from left to right, each against its left neighbour. Where none fits, the token before
//! was wrong. A prefix of a word has only one tiling, so a position that led nowhere once is never
//! tried again: the time grows with the length of the word, times the number of tokens that can
//! begin at one place. Long runs of one character are not tried at all (`runs.rs`).
//!
//! Whether two tokens are what their bytes merge to follows from how each was made: walking back in
//! time from both, no pair that met at the edge may have had an earlier merge than the one that
//! separated it. That needs merges in the order of their making: every token made by one merge
//! only, from tokens made before. BPE training gives such tables; [`Tiling::new`] refuses others,
//! and they are merged pair by pair.

use std::sync::atomic::{AtomicU32, Ordering};

use super::merges::{FIRST_MADE, Merge, Merges, merge_word};
use super::pairs::Pairs;
use super::runs::{Run, Runs};
use super::trie::Trie;

/// Properties of a token that are needed when it is tried.
#[derive(Debug, Clone, Copy, Default)]
struct Token {
    /// In bytes.
    length: u32,
    /// The longest token that this one begins with, apart from itself.
    shorter: Option<u16>,
}

#[derive(Debug)]
pub(super) struct Tiling {
    ids: Vec<u32>,
    tokens: Vec<Token>,
    /// The two parts of each merge; meaningless for single bytes.
    parts: Vec<(u16, u16)>,
    pairs: Pairs,
    trie: Trie,
    runs: Runs,
    verdicts: Verdicts,
}

/// Memory for a word, reused.
#[derive(Debug, Default)]
pub(super) struct Path {
    tokens: Vec<u16>,
    /// Runs whose tokens are on the path.
    leaps: Vec<Leap>,
    /// Positions that led nowhere, a bit each; empty until there is one.
    dead: Vec<u64>,
}

/// Tokens taken from the table of runs, up to the place where a token must leave the run.
#[derive(Debug, Clone, Copy)]
struct Leap {
    /// Begin of the run.
    from: usize,
    /// Tokens before and with it.
    before: usize,
    with: usize,
    /// Bytes of the run that are left to the token that leaves it, and more than which it must have.
    left: usize,
}

impl Path {
    fn clear(&mut self) {
        self.tokens.clear();
        self.leaps.clear();
        self.dead.clear();
    }

    /// Number of positions that led nowhere.
    #[cfg(test)]
    pub(super) fn vain(&self) -> u32 {
        self.dead.iter().map(|bits| bits.count_ones()).sum()
    }

    /// Number of bytes that the next token must exceed.
    #[inline]
    fn over(&self) -> usize {
        let last = self.leaps.last();
        last.filter(|leap| leap.with == self.tokens.len())
            .map_or(0, |leap| leap.left)
    }

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
    /// where the table is not in the order of making, or too large.
    pub(super) fn new(
        bytes: &[Option<u32>; 256],
        in_order: &[(u32, u32, Merge)],
        merges: &Merges,
        size: usize,
    ) -> Option<Self> {
        // Ids to numbers, and what each number is spelled.
        let mut numbers: Vec<Option<u16>> = vec![None; size];
        let mut ids = vec![0; usize::from(FIRST_MADE)];
        let mut parts = vec![(0, 0); usize::from(FIRST_MADE)];
        let mut spelled: Vec<Vec<u8>> = (0..=255u8).map(|byte| vec![byte]).collect();
        for ((byte, &id), own) in (0u16..).zip(bytes).zip(&mut ids) {
            let Some(id) = id else { continue };
            *own = id;
            *numbers.get_mut(id as usize)? = Some(byte);
        }
        for &(left, right, merge) in in_order {
            let (left, right) = (
                (*numbers.get(left as usize)?)?,
                (*numbers.get(right as usize)?)?,
            );
            let made = numbers.get_mut(merge.made as usize)?;
            if made.is_some() {
                return None;
            }
            *made = Some(u16::try_from(ids.len()).ok()?);
            ids.push(merge.made);
            parts.push((left, right));
            let whole = [left, right].map(|part| spelled.get(usize::from(part)));
            let [Some(left), Some(right)] = whole else {
                return None;
            };
            spelled.push([left.as_slice(), right].concat());
        }
        // A token whose own bytes merge to something else never appears, nor a byte without an id.
        let mut word = Vec::new();
        let mut sorted: Vec<(&[u8], u16)> = spelled
            .iter()
            .map(Vec::as_slice)
            .zip(0..)
            .filter(|&(spelled, number)| {
                let id_of = |&byte: &u8| bytes.get(usize::from(byte)).copied().flatten();
                word.clear();
                word.extend(spelled.iter().filter_map(id_of));
                merge_word(merges, &mut word);
                ids.get(usize::from(number)).is_some_and(|&id| word == [id])
            })
            .collect();
        sorted.sort_unstable();
        let trie = Trie::new(&sorted);
        let mut tokens = vec![Token::default(); ids.len()];
        for &(spelled, number) in &sorted {
            let (_, begin) = spelled.split_last()?;
            *tokens.get_mut(usize::from(number))? = Token {
                length: u32::try_from(spelled.len()).ok()?,
                shorter: trie.longest(begin),
            };
        }
        let mut tiling = Self {
            ids,
            tokens,
            pairs: Pairs::new(parts.get(usize::from(FIRST_MADE)..)?),
            parts,
            trie,
            runs: Runs::default(),
            verdicts: Verdicts::new(),
        };
        tiling.runs = Runs::new(tiling.trie.unit(), &sorted, |left, right| {
            tiling.judge(left, right)
        });
        Some(tiling)
    }

    /// Appends the tokens of `word` to `out`. `false`, and nothing appended, when there is a byte
    /// without a token.
    pub(super) fn tile(&self, word: &[u8], path: &mut Path, out: &mut Vec<u32>) -> bool {
        path.clear();
        let (mut at, mut candidate) = self.begin(word, 0, path);
        while at < word.len() {
            let before = path.tokens.last().copied();
            if let Some((token, end)) = self.fitting(candidate, at, before, path.over(), path) {
                path.tokens.push(token);
                (at, candidate) = self.begin(word, end, path);
                continue;
            }
            path.kill(at);
            let leap = path.leaps.pop_if(|leap| leap.with == path.tokens.len());
            if let Some(leap) = leap {
                path.tokens.truncate(leap.before);
                (at, candidate) = self.begin(word, leap.from, path);
                continue;
            }
            let Some(wrong) = path.tokens.pop().and_then(|wrong| self.token(wrong)) else {
                return false;
            };
            at -= wrong.length as usize;
            candidate = wrong.shorter;
        }
        let ids = path.tokens.iter();
        let ids = ids.map(|&token| self.ids.get(usize::from(token)));
        out.extend(ids.flatten());
        true
    }

    /// The longest token at `at`, or if a long run begins there, the next place to leave it which
    /// has not been tried in vain: its tokens up to there are put on the path.
    #[inline]
    fn begin(&self, word: &[u8], at: usize, path: &mut Path) -> (usize, Option<u16>) {
        let rest = word.get(at..).unwrap_or_default();
        match self.runs.begin(rest) {
            Some(run) => self.leap(word, at, run, path),
            None => (at, self.trie.longest(rest)),
        }
    }

    fn leap(&self, word: &[u8], at: usize, run: Run, path: &mut Path) -> (usize, Option<u16>) {
        let end = at + run.length;
        let before = path.tokens.last().copied();
        let meets = |token| before.is_none_or(|before| self.can_meet(before, token));
        for left in self.runs.leaving(word.get(end)) {
            let left = usize::from(*left);
            let Some(inside) = run.length.checked_sub(left) else {
                continue;
            };
            let ends = self.runs.ends(run, inside);
            let to = at + inside;
            if path.is_dead(to) || !ends.is_none_or(|ends| meets(ends.first)) {
                continue;
            }
            let candidate = self.trie.longest(word.get(to..).unwrap_or_default());
            let last = ends.map(|ends| ends.last).or(before);
            if to < word.len() && self.fitting(candidate, to, last, left, path).is_none() {
                path.kill(to);
                continue;
            }
            let from = path.tokens.len();
            let length_of = |token| self.token(token).map_or(1, |token| token.length as usize);
            path.tokens.extend(self.runs.tiling(run, inside, length_of));
            path.leaps.push(Leap {
                from: at,
                before: from,
                with: path.tokens.len(),
                left,
            });
            return (to, candidate);
        }
        (at, None)
    }

    /// The longest of a candidate and its shorter beginnings that can stand at `at` after `before`
    /// and has more bytes than `over`, and where it ends.
    #[inline]
    fn fitting(
        &self,
        mut candidate: Option<u16>,
        at: usize,
        before: Option<u16>,
        over: usize,
        path: &Path,
    ) -> Option<(u16, usize)> {
        while let Some(number) = candidate {
            let token = self.token(number)?;
            if token.length as usize <= over {
                return None;
            }
            let end = at + token.length as usize;
            if before.is_none_or(|before| self.can_meet(before, number)) && !path.is_dead(end) {
                return Some((number, end));
            }
            candidate = token.shorter;
        }
        None
    }

    /// True if merging the bytes of these two gives these two.
    #[inline]
    fn can_meet(&self, left: u16, right: u16) -> bool {
        self.verdicts.get(left, right).unwrap_or_else(|| {
            let verdict = self.judge(left, right);
            self.verdicts.set(left, right, verdict);
            verdict
        })
    }

    /// Not inlined: the caller mostly has the answer cached, and its loop is shorter without this.
    #[inline(never)]
    fn judge(&self, mut left: u16, mut right: u16) -> bool {
        // Before this was made, the pair now at the edge was there to be merged.
        let mut until = u32::MAX;
        loop {
            if self
                .pairs
                .made(left, right)
                .is_some_and(|made| made < until)
            {
                return false;
            }
            // Undo what happened last. Merges of one rank go from left to right: one that ends at
            // the edge goes before one across it, and that before one that begins at the edge.
            if left > right {
                until = u32::from(left);
                left = self.parts.get(usize::from(left)).map_or(0, |parts| parts.1);
            } else if right >= FIRST_MADE {
                until = u32::from(right) + 1;
                right = self
                    .parts
                    .get(usize::from(right))
                    .map_or(0, |parts| parts.0);
            } else {
                return true;
            }
        }
    }

    #[inline]
    fn token(&self, number: u16) -> Option<&Token> {
        self.tokens.get(usize::from(number))
    }
}

/// Cache of verdicts about recent pairs, a table of fixed size in which a new pair takes the
/// place of an old one. A verdict is one number, so threads cannot see half of one.
#[derive(Debug)]
struct Verdicts(Box<[AtomicU32]>);

impl Verdicts {
    /// 256 KiB, which the second cache of most processors can hold. With 32 KiB, for the first one, so many
    /// pairs push each other out that chunks of 30x7 and more take 5 to 15 % longer.
    const BITS: u32 = 16;

    fn new() -> Self {
        Self((0..1 << Self::BITS).map(|_| AtomicU32::new(0)).collect())
    }

    /// Slot of a pair, and the numbers that are stored there if the two cannot meet or can.
    #[inline]
    fn place(left: u16, right: u16) -> (usize, [u32; 2]) {
        // Odd, so that no two pairs have the same product: place and mark together are the pair.
        let product = (u32::from(left) << 16 | u32::from(right)).wrapping_mul(0x9E37_79B1);
        let mark = product << Self::BITS >> Self::BITS;
        let place = product >> (u32::BITS - Self::BITS);
        (place as usize, [mark << 2 | 1, mark << 2 | 3])
    }

    #[inline]
    fn get(&self, left: u16, right: u16) -> Option<bool> {
        let (place, [no, yes]) = Self::place(left, right);
        let there = self.0.get(place)?.load(Ordering::Relaxed);
        (there | 2 == no | 2).then_some(there == yes)
    }

    fn set(&self, left: u16, right: u16, verdict: bool) {
        let (place, [no, yes]) = Self::place(left, right);
        if let Some(there) = self.0.get(place) {
            there.store(if verdict { yes } else { no }, Ordering::Relaxed);
        }
    }
}
