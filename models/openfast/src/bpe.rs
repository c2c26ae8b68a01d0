//! Byte-level byte-pair encoding of text, with the ids that `tokenizers` 0.22.2 gives.
//!
//! Text is split into words (`split.rs`), a word is taken as its UTF-8 bytes, each byte is a token,
//! and neighbours are merged in the order of the merge table. Bytes without a token vanish first,
//! so that what stood on both sides of them meets. Words are tiled directly (`tiling.rs`) where the
//! merge table allows it, else merged pair by pair (`merges.rs`).

mod merges;
mod pairs;
mod runs;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
mod tests;
mod tiling;
mod trie;

use std::collections::HashMap;

use crate::LoadError;
use crate::config::Contents;
use crate::split::{APOSTROPHE, Class, word_length};
use crate::vocabulary::byte_of_symbol;
use merges::{Merge, Merges, merge_word};
use tiling::{Path, Tiling};

#[derive(Debug)]
pub(crate) struct Bpe {
    /// The token of every byte.
    bytes: [Option<u32>; 256],
    merges: Merges,
    tiling: Option<Tiling>,
    /// Words that are tokens regardless of the merges.
    words: Option<HashMap<Box<[u8]>, u32>>,
    use_regex: bool,
    added: Vec<(Box<[u32]>, u32)>,
    /// Classes and bytes of the first characters, which are the usual ones.
    known: Box<[CharacterBytes; KNOWN_CHARACTERS]>,
}

/// Characters of at most two bytes.
const KNOWN_CHARACTERS: usize = 0x800;

/// A character's class and those of its bytes that have tokens, in one number, because it is looked up
/// for every coefficient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CharacterBytes(u32);

impl CharacterBytes {
    const CLASS: u32 = 0xFF00_0000;

    fn new(class: Class, bytes: &[u8]) -> Self {
        let [first, second] = [0, 1].map(|index| bytes.get(index).copied().unwrap_or_default());
        let kept = bytes.len().min(2) as u8;
        Self(u32::from_le_bytes([first, second, kept, class as u8]))
    }

    fn class(self) -> Class {
        let class = (self.0 >> 24) as u8;
        let all = [Class::Letter, Class::Number, Class::Space];
        let named = all.into_iter().find(|&named| named as u8 == class);
        named.unwrap_or(Class::Other)
    }

    /// Number of its bytes that have tokens, and these bytes.
    #[inline]
    fn spelled(self) -> (usize, [u8; 2]) {
        let kept = self.0 >> 16 & 3;
        (kept as usize, (self.0 as u16).to_le_bytes())
    }

    #[inline]
    fn is_like(self, other: Self) -> bool {
        (self.0 ^ other.0) & Self::CLASS == 0
    }
}

/// Memory for encoding, to be reused.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// Room for the bytes of a word that have tokens.
    bytes: Vec<u8>,
    path: Path,
    tokens: Vec<u32>,
}

impl Bpe {
    /// # Errors
    /// When a merge names a token that the vocabulary does not have.
    pub(crate) fn new(contents: &Contents) -> Result<Self, LoadError> {
        let mut bytes = [None; 256];
        for (token, &id) in &contents.vocab {
            let mut symbols = token.chars();
            if let (Some(symbol), None) = (symbols.next(), symbols.next())
                && let Some(place) =
                    byte_of_symbol(symbol).and_then(|b| bytes.get_mut(usize::from(b)))
            {
                *place = Some(id);
            }
        }
        let id = |token: &str| {
            contents
                .vocab
                .get(token)
                .copied()
                .ok_or_else(|| LoadError::NotFast {
                    part: "model.merges",
                    found: format!("about {token:?}, which the vocabulary does not have"),
                    want: "merges of its own tokens",
                })
        };
        let in_order = contents
            .merges
            .iter()
            .zip(0..)
            .map(|((left, right), rank)| {
                let made = id(&format!("{left}{right}"))?;
                Ok((id(left)?, id(right)?, Merge { rank, made }))
            })
            .collect::<Result<Vec<_>, LoadError>>()?;
        let merges = Merges::new(in_order.iter().copied());
        let ids = contents
            .vocab
            .values()
            .max()
            .map_or(0, |&id| id as usize + 1);
        let tiling = Tiling::new(&bytes, &in_order, &merges, ids);
        let words = contents.ignore_merges.then(|| {
            let spelled = contents.vocab.iter().filter_map(|(token, &id)| {
                let bytes: Option<Box<[u8]>> = token.chars().map(byte_of_symbol).collect();
                Some((bytes?, id))
            });
            spelled.collect()
        });
        let added = contents
            .added
            .iter()
            .map(|(content, id)| (content.chars().map(u32::from).collect::<Box<[u32]>>(), *id));
        let mut known = Box::new([CharacterBytes(0); KNOWN_CHARACTERS]);
        for (character, entry) in ('\0'..).zip(known.iter_mut()) {
            let mut buffer = [0; 4];
            let spelled = character.encode_utf8(&mut buffer).bytes();
            let has_token = |byte: &u8| bytes.get(usize::from(*byte)).copied().flatten().is_some();
            let kept: Vec<u8> = spelled.filter(has_token).collect();
            *entry = CharacterBytes::new(Class::of(character as u32), &kept);
        }
        Ok(Self {
            bytes,
            merges,
            tiling,
            words,
            use_regex: contents.use_regex,
            added: added.collect(),
            known,
        })
    }

    /// Appends the tokens of `text`, which must be Unicode characters.
    pub(crate) fn encode(&self, text: &[u32], workspace: &mut Workspace, ids: &mut Vec<u32>) {
        let mut from = 0;
        if !self.added.is_empty() {
            for at in 0..text.len() {
                if at < from {
                    continue;
                }
                // The longest of those that begin leftmost, as the library finds them.
                let rest = text.get(at..).unwrap_or_default();
                let found = self
                    .added
                    .iter()
                    .filter(|(content, _)| rest.starts_with(content))
                    .max_by_key(|(content, _)| content.len());
                if let Some((content, id)) = found {
                    self.encode_plain(text.get(from..at).unwrap_or_default(), workspace, ids);
                    ids.push(*id);
                    from = at + content.len();
                }
            }
        }
        self.encode_plain(text.get(from..).unwrap_or_default(), workspace, ids);
    }

    /// Appends the tokens of a text in which no added token stands.
    fn encode_plain(&self, text: &[u32], workspace: &mut Workspace, ids: &mut Vec<u32>) {
        let room = text.len() * 4;
        if workspace.bytes.len() < room {
            workspace.bytes.resize(room, 0);
        }
        let mut rest = text;
        while !rest.is_empty() {
            let bytes = &mut workspace.bytes;
            let (length, end) = self.plain_word(rest, bytes).unwrap_or_else(|| {
                let length = if self.use_regex {
                    word_length(rest, |character| self.class(character))
                } else {
                    rest.len()
                };
                (
                    length,
                    self.spell(rest.get(..length).unwrap_or_default(), bytes),
                )
            });
            let (word, after) = rest.split_at(length.clamp(1, rest.len()));
            rest = after;
            if let Some(id) = self.whole_word(word) {
                ids.push(id);
            } else {
                self.encode_word(end, workspace, ids);
            }
        }
    }

    fn class(&self, character: u32) -> Class {
        match self.known.get(character as usize) {
            Some(known) => known.class(),
            None => Class::of(character),
        }
    }

    /// The usual word, known characters of one class: its length, and spelled, the end of its bytes.
    /// Finds the same word as [`word_length`], and spells it on the way.
    fn plain_word(&self, text: &[u32], bytes: &mut [u8]) -> Option<(usize, usize)> {
        let first = *text.first()?;
        let like = *self.known.get(first as usize)?;
        if !self.use_regex || like.class() == Class::Space || first == APOSTROPHE {
            return None;
        }
        let (mut length, mut end) = (0, 0);
        for &character in text {
            let known = *self.known.get(character as usize)?;
            if !known.is_like(like) {
                break;
            }
            let (kept, spelled) = known.spelled();
            *bytes.get_mut(end..)?.first_chunk_mut()? = spelled;
            end += kept;
            length += 1;
        }
        Some((length, end))
    }

    /// Writes those bytes of the word that have tokens; gives their end.
    fn spell(&self, word: &[u32], bytes: &mut [u8]) -> usize {
        let mut end = 0;
        for &character in word {
            let mut buffer = [0; 4];
            let character = char::from_u32(character).unwrap_or(char::REPLACEMENT_CHARACTER);
            for byte in character.encode_utf8(&mut buffer).bytes() {
                if let (Some(_), Some(place)) = (self.byte(byte), bytes.get_mut(end)) {
                    *place = byte;
                    end += 1;
                }
            }
        }
        end
    }

    /// The token of a word that is taken whole.
    fn whole_word(&self, characters: &[u32]) -> Option<u32> {
        let words = self.words.as_ref()?;
        let word: String = characters
            .iter()
            .filter_map(|&c| char::from_u32(c))
            .collect();
        words.get(word.as_bytes()).copied()
    }

    /// Appends the tokens of the word in the workspace, which ends there.
    fn encode_word(&self, end: usize, workspace: &mut Workspace, ids: &mut Vec<u32>) {
        let Workspace {
            bytes,
            path,
            tokens,
        } = workspace;
        let bytes = bytes.get(..end).unwrap_or_default();
        if bytes.is_empty() {
            return;
        }
        if let Some(tiling) = &self.tiling
            && tiling.tile(bytes, path, ids)
        {
            return;
        }
        tokens.clear();
        tokens.extend(bytes.iter().filter_map(|&byte| self.byte(byte)));
        merge_word(&self.merges, tokens);
        ids.extend_from_slice(tokens);
    }

    fn byte(&self, byte: u8) -> Option<u32> {
        self.bytes.get(usize::from(byte)).copied().flatten()
    }
}
