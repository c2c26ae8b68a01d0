//! The bytes of every id.
//!
//! A byte-level BPE writes each byte as one printable symbol. The reference's `fit` seeds the
//! alphabet with the *raw* characters 0..=max-min instead of those symbols. Where the two agree
//! (printable ASCII) that is harmless. A raw control character, though, is an id that encoding
//! never produces, and a control byte's symbol is in the vocabulary only if it occurred in the fit
//! data. The first are *unreachable ids* here, the missing second are *holes*: coefficients that
//! encoding drops.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::LoadError;
use crate::utf8::{Pending, characters_begun};

/// One id.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// The bytes it decodes to.
    pub(crate) bytes: Box<[u8]>,
    /// Its class, or `None` when no encoder emits it.
    pub(crate) class: Option<u16>,
}

/// Properties of an id that the grammar needs; a vocabulary has a few dozen different ones.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Class {
    /// Characters, that is coefficients, that begin in it.
    pub(crate) begun: usize,
    /// For every state before it, the state after it; `None` where it cannot stand.
    pub(crate) next: [Option<Pending>; 8],
}

impl Class {
    fn of(bytes: &[u8]) -> Option<Self> {
        let next = Pending::ALL.map(|state| state.after_all(bytes));
        // An empty token would let a stream grow forever without progress.
        let usable = !bytes.is_empty() && next.iter().any(Option::is_some);
        usable.then(|| Self {
            begun: characters_begun(bytes),
            next,
        })
    }

    pub(crate) fn after(&self, state: Pending) -> Option<Pending> {
        self.next.get(state as usize).copied().flatten()
    }
}

/// Location of an id's characters, so that decoding most ids is copying.
#[derive(Debug, Clone, Copy, Default)]
struct CharacterRange {
    start: usize,
    len: usize,
}

impl CharacterRange {
    fn of(piece: &Piece, characters: &mut Vec<u32>) -> Option<Self> {
        piece.class?;
        let text = std::str::from_utf8(&piece.bytes).ok()?;
        let start = characters.len();
        characters.extend(text.chars().map(u32::from));
        let len = characters.len() - start;
        Some(Self { start, len })
    }
}

/// The vocabulary by id.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    pieces: Vec<Option<Piece>>,
    /// By id; empty where it is not whole characters.
    wholes: Vec<CharacterRange>,
    /// The characters that the ranges refer to.
    characters: Vec<u32>,
    classes: Vec<Class>,
    /// The class of every id, side by side for masking.
    class_of: Vec<Option<u16>>,
    /// True if each byte has a symbol; the encoder drops bytes without one.
    bytes: [bool; 256],
    /// Lowest and highest expressible character of the basic plane.
    expressible: Option<(u32, u32)>,
    /// True if each of the first characters is expressible; these are the usual ones.
    plain: Box<[bool]>,
    /// The longest range of these that the encoder can write.
    plain_range: Range<u32>,
}

impl Vocabulary {
    /// Ids must lie below this. The largest published FAST vocabulary has 2048.
    pub(crate) const MAX_IDS: u32 = 1 << 20;

    /// The vocabulary of a model and of what was added to it.
    pub(crate) fn new(
        tokens: &HashMap<String, u32>,
        added: &[(String, u32)],
    ) -> Result<Self, LoadError> {
        let bad = |found| LoadError::NotFast {
            part: "vocabulary",
            found,
            want: "distinct ids below a million",
        };
        let ids = tokens.values().chain(added.iter().map(|(_, id)| id));
        let size = ids.max().map_or(0, |&id| id.saturating_add(1));
        if size > Self::MAX_IDS {
            return Err(bad(format!("an id of {}", size - 1)));
        }
        let mut pieces = vec![None; size as usize];
        let mut classes = Vec::new();
        let mut known: HashMap<Class, u16> = HashMap::new();
        let mut bytes = [false; 256];
        let added_ids: HashSet<u32> = added.iter().map(|(_, id)| *id).collect();
        let beside = added
            .iter()
            .filter(|(token, _)| !tokens.contains_key(token));
        for (token, &id) in tokens.iter().chain(beside.map(|(token, id)| (token, id))) {
            let symbols: Option<Vec<u8>> = token.chars().map(byte_of_symbol).collect();
            let emitted = symbols.is_some() && !added_ids.contains(&id);
            if let (true, Some([byte])) = (emitted, symbols.as_deref())
                && let Some(present) = bytes.get_mut(usize::from(*byte))
            {
                *present = true;
            }
            // Decoders fall back to the token's own text where it is not made of symbols.
            let decoded = symbols.unwrap_or_else(|| token.as_bytes().to_vec());
            let class = if emitted { Class::of(&decoded) } else { None };
            let class = match class {
                None => None,
                Some(class) => match known.get(&class) {
                    Some(&index) => Some(index),
                    None => {
                        let index = u16::try_from(classes.len())
                            .map_err(|_| bad("too many kinds of token".to_owned()))?;
                        known.insert(class.clone(), index);
                        classes.push(class);
                        Some(index)
                    }
                },
            };
            let piece = Piece {
                bytes: decoded.into_boxed_slice(),
                class,
            };
            match pieces.get_mut(id as usize) {
                Some(slot @ None) => *slot = Some(piece),
                _ => return Err(bad(format!("id {id} used twice"))),
            }
        }
        let mut characters = Vec::new();
        let wholes = pieces
            .iter()
            .map(|piece| CharacterRange::of(piece.as_ref()?, &mut characters));
        let wholes = wholes.map(Option::unwrap_or_default).collect();
        let class_of = pieces.iter().map(|piece| piece.as_ref()?.class).collect();
        let mut vocabulary = Self {
            pieces,
            class_of,
            wholes,
            characters,
            classes,
            bytes,
            expressible: None,
            plain: Box::default(),
            plain_range: 0..0,
        };
        vocabulary.plain = (0..0x800).map(|c| vocabulary.can_express(c)).collect();
        let ranges = vocabulary.plain.chunk_by(|a, b| a == b);
        let mut from = 0;
        for range in ranges {
            let to = from + range.len() as u32;
            let longest = vocabulary.plain_range.len();
            if range.first() == Some(&true) && range.len() > longest {
                vocabulary.plain_range = from..to;
            }
            from = to;
        }
        let basic_plane = 0..=0xFFFF;
        vocabulary.expressible = basic_plane
            .clone()
            .find(|&c| vocabulary.can_express(c))
            .zip(basic_plane.rev().find(|&c| vocabulary.can_express(c)));
        Ok(vocabulary)
    }

    /// One past the largest id.
    pub(crate) fn len(&self) -> usize {
        self.pieces.len()
    }

    pub(crate) fn piece(&self, id: u32) -> Option<&Piece> {
        self.pieces.get(id as usize)?.as_ref()
    }

    /// The characters of an id that stands for whole ones; empty otherwise.
    #[inline]
    pub(crate) fn whole(&self, id: u32) -> &[u32] {
        let whole = self.wholes.get(id as usize).copied().unwrap_or_default();
        let end = whole.start + whole.len;
        self.characters.get(whole.start..end).unwrap_or_default()
    }

    pub(crate) fn class(&self, id: u32) -> Option<&Class> {
        let class = (*self.class_of.get(id as usize)?)?;
        self.classes.get(usize::from(class))
    }

    pub(crate) fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// Every id's class, in order.
    pub(crate) fn class_indices(&self) -> impl Iterator<Item = Option<u16>> + '_ {
        self.class_of.iter().copied()
    }

    /// Lowest and highest character that the encoder can write.
    pub(crate) fn expressible(&self) -> Option<(u32, u32)> {
        self.expressible
    }

    /// True if this is one of the usual characters and the encoder can write it.
    #[inline]
    pub(crate) fn is_plain(&self, character: u32) -> bool {
        self.plain
            .get(character as usize)
            .copied()
            .unwrap_or_default()
    }

    /// The longest range of usual characters that the encoder can write; empty if there is none.
    pub(crate) fn plain_range(&self) -> &Range<u32> {
        &self.plain_range
    }

    /// True if the encoder can write this character.
    pub(crate) fn can_express(&self, character: u32) -> bool {
        char::from_u32(character).is_some_and(|c| {
            let mut buffer = [0; 4];
            c.encode_utf8(&mut buffer).bytes().all(|byte| {
                self.bytes
                    .get(usize::from(byte))
                    .copied()
                    .unwrap_or_default()
            })
        })
    }

    /// The expressible character nearest to a wanted one (which may lie outside Unicode); of two
    /// equally near ones the one nearer to `zero`, the character of coefficient 0.
    pub(crate) fn nearest(&self, wanted: i64, zero: i64) -> Option<u32> {
        let (low, high) = self.expressible?;
        if let Some(exact) = u32::try_from(wanted).ok().filter(|&c| self.can_express(c)) {
            return Some(exact);
        }
        let start = wanted.clamp(i64::from(low), i64::from(high));
        let inward = if start > zero { -1 } else { 1 };
        // Both ends are expressible, so one of the two directions ends in the range.
        (0..=i64::from(high - low)).find_map(|distance| {
            [start + inward * distance, start - inward * distance]
                .into_iter()
                .filter(|c| (i64::from(low)..=i64::from(high)).contains(c))
                .filter_map(|c| u32::try_from(c).ok())
                .find(|&c| self.can_express(c))
        })
    }
}

/// The byte that a symbol of the byte-level alphabet stands for.
///
/// Printable Latin-1 stands for itself; the other 68 bytes, in order, are written U+0100 and up.
pub(crate) fn byte_of_symbol(symbol: char) -> Option<u8> {
    match symbol {
        '!'..='~' | '\u{A1}'..='\u{AC}' | '\u{AE}'..='\u{FF}' => u8::try_from(symbol as u32).ok(),
        '\u{100}'..='\u{120}' => u8::try_from(symbol as u32 - 0x100).ok(),
        '\u{121}'..='\u{142}' => u8::try_from(symbol as u32 - 0x121 + 0x7F).ok(),
        '\u{143}' => Some(0xAD),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_exactly_one_symbol() {
        let mut seen: Vec<u8> = ('\0'..='\u{FFFF}').filter_map(byte_of_symbol).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..=255).collect::<Vec<u8>>());
    }
}
