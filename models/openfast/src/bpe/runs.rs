//! Long runs of one character, tiled from a table.
//!
//! Most coefficients are zero, so words have runs of hundreds of one character. A vocabulary that was
//! fitted to chunks of one length may have tokens for runs of many odd lengths. The longest token is
//! then seldom the right one, which shows only where the run ends: trying token by token goes back and
//! forth through the whole run.
//!
//! Any neighbours in a tiling are themselves the tiling of what they cover. So the tokens that lie
//! wholly in a run depend on their number of bytes only, and are looked up. What is left to try is how
//! many bytes at the end of the run belong to a token that goes on beyond it.

use super::trie::Spelled;

/// Bytes compared at a time; for shorter runs the table does not pay.
const LONG: usize = 16;

/// The run at the beginning of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// In bytes.
    pub(super) length: usize,
    /// Index of the character's byte that it begins with: a token may end inside a character.
    phase: usize,
}

/// The first and the last token of a run's tiling.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) first: u16,
    pub(super) last: u16,
}

/// A character of one or two bytes, and how runs of it are tiled.
#[derive(Debug, Default)]
pub(super) struct Runs {
    unit: Vec<u8>,
    /// From each of its bytes on, [`LONG`] bytes.
    patterns: [[u8; LONG]; 2],
    /// From each of its bytes on, for every length in bytes from 1.
    tilings: [Vec<Ends>; 2],
    /// By the byte after a run: how many bytes of the run a token can have that goes on with that
    /// byte, beginning with none.
    leaving: Vec<Vec<u16>>,
}

impl Runs {
    /// In bytes. Longer ones are tiled without the table.
    const LONGEST: usize = 4096;

    /// The tilings of runs of `unit` with the tokens in `sorted`, given which tokens can be
    /// neighbours.
    pub(super) fn new(
        unit: &[u8],
        sorted: &[Spelled<'_>],
        can_meet: impl Fn(u16, u16) -> bool,
    ) -> Self {
        let size = unit.len();
        let phases = [unit.to_vec(), unit.iter().rev().copied().collect()];
        let like = |phase: &[u8], bytes: &[u8]| {
            let repeated = phase.iter().cycle();
            bytes
                .iter()
                .zip(repeated)
                .take_while(|(a, b)| a == b)
                .count()
        };
        let mut leaving = vec![vec![0]; 256];
        // Tokens wholly of this character: length, phase they begin in, number.
        let mut pure = Vec::new();
        for (begin, phase) in phases.iter().take(size).enumerate() {
            for &(bytes, token) in sorted {
                let inside = like(phase, bytes);
                let Some(&next) = bytes.get(inside) else {
                    pure.push((bytes.len(), begin, token));
                    continue;
                };
                let known = leaving.get_mut(usize::from(next));
                if let (Some(known), Ok(inside)) = (known, u16::try_from(inside))
                    && !known.contains(&inside)
                {
                    known.push(inside);
                }
            }
        }
        pure.sort_unstable_by(|a, b| b.cmp(a));
        let mut patterns = [[0; LONG]; 2];
        for (pattern, phase) in patterns.iter_mut().zip(&phases) {
            for (place, &byte) in pattern.iter_mut().zip(phase.iter().cycle()) {
                *place = byte;
            }
        }
        let tilings = [0, 1].map(|begin| {
            let mut tiling: Vec<Ends> = Vec::new();
            // A run's tiling is that of a shorter run and one token more. Only one such token is right.
            while begin < size && tiling.len() < Self::LONGEST {
                let length = tiling.len() + 1;
                let longer_by = |&(own, phase, last): &(usize, usize, u16)| {
                    let before = length.checked_sub(own)?;
                    if (begin + before) % size != phase {
                        return None;
                    }
                    if before == 0 {
                        return Some(Ends { first: last, last });
                    }
                    let before = tiling.get(before - 1)?;
                    let first = before.first;
                    can_meet(before.last, last).then_some(Ends { first, last })
                };
                match pure.iter().find_map(longer_by) {
                    Some(ends) => tiling.push(ends),
                    None => break,
                }
            }
            tiling
        });
        Self {
            unit: unit.to_vec(),
            patterns,
            tilings,
            leaving,
        }
    }

    /// The run that `bytes` begin with, if it is a long one and in the table.
    #[inline]
    pub(super) fn begin(&self, bytes: &[u8]) -> Option<Run> {
        let first = bytes.first_chunk::<LONG>()?;
        let phase = self.patterns.iter().position(|pattern| pattern == first)?;
        let pattern = self.patterns.get(phase)?;
        let whole = bytes.chunks_exact(LONG).take_while(|part| part == pattern);
        let whole = whole.count() * LONG;
        let rest = bytes.get(whole..)?.iter().zip(pattern);
        let length = whole + rest.take_while(|(a, b)| a == b).count();
        (length <= self.tilings.get(phase)?.len()).then_some(Run { length, phase })
    }

    /// The first and last token of the first `length` bytes of a run; `None` where there are none.
    #[inline]
    pub(super) fn ends(&self, run: Run, length: usize) -> Option<Ends> {
        let tiling = self.tilings.get(run.phase)?;
        tiling.get(length.checked_sub(1)?).copied()
    }

    /// The tokens of the first `length` bytes of a run, given how long each is.
    pub(super) fn tiling(
        &self,
        run: Run,
        length: usize,
        length_of: impl Fn(u16) -> usize,
    ) -> impl Iterator<Item = u16> {
        let (mut left, mut run) = (length, run);
        std::iter::from_fn(move || {
            let first = self.ends(run, left)?.first;
            let own = length_of(first);
            left = left.saturating_sub(own);
            run.phase = (run.phase + own) % self.unit.len().max(1);
            Some(first)
        })
    }

    /// Numbers of bytes at the end of a run that a token can have which continues with the byte `next`; zero
    /// comes first, and alone when nothing follows.
    #[inline]
    pub(super) fn leaving(&self, next: Option<&u8>) -> &[u16] {
        let by = next.and_then(|&next| self.leaving.get(usize::from(next)));
        by.map_or(&[0], Vec::as_slice)
    }
}
