//! Byte-level byte-pair encoding of text, with the ids that `tokenizers` 0.22.2 gives.
//!
//! Text is split into words (`split.rs`), a word is taken as its UTF-8 bytes, each byte is a token,
//! and neighbours are merged in the order of the merge table. Bytes without a token vanish first,
//! so that what stood on both sides of them meets. Words are tiled directly (`tiling.rs`) where the
//! merge table allows it, else merged pair by pair (`merges.rs`). Nothing is kept between calls.

mod merges;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
mod tiling;
mod trie;

use std::collections::HashMap;
use std::sync::Arc;

use crate::LoadError;
use crate::config::Contents;
use crate::split::{Class, word_end};
use crate::vocabulary::byte_of_symbol;
use merges::{Merge, Merges, merge_word};
use tiling::{Path, Tiling};

#[derive(Debug)]
pub(crate) struct Bpe {
    /// The token of every byte.
    bytes: [Option<u32>; 256],
    merges: Arc<Merges>,
    tiling: Option<Tiling>,
    /// Words that are tokens whatever the merges say.
    words: Option<HashMap<Box<[u8]>, u32>>,
    use_regex: bool,
    added: Vec<(Box<[u32]>, u32)>,
    /// What the encoder must know of the first characters, which are the usual ones.
    known: Box<[Known; KNOWN]>,
}

/// Characters of at most two bytes.
const KNOWN: usize = 0x800;

#[derive(Debug, Clone, Copy)]
struct Known {
    class: Class,
    /// How many of its bytes have tokens.
    kept: u8,
    /// Those bytes.
    bytes: [u8; 2],
}

/// Memory for a text and its encoding, to be reused.
#[derive(Debug, Default)]
pub(crate) struct Text {
    /// The text.
    pub(crate) characters: Vec<u32>,
    classes: Vec<Class>,
    /// Bytes that have tokens.
    bytes: Vec<u8>,
    /// How many of these there are up to and with every character.
    ends: Vec<usize>,
    path: Path,
    word: Vec<u32>,
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
        let merges = Arc::new(Merges::new(in_order.iter().copied()));
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
        let mut known = Box::new(
            [Known {
                class: Class::Other,
                kept: 0,
                bytes: [0; 2],
            }; KNOWN],
        );
        for (character, entry) in ('\0'..).zip(known.iter_mut()) {
            entry.class = Class::of(character as u32);
            let mut buffer = [0; 4];
            for byte in character.encode_utf8(&mut buffer).bytes() {
                let has_token = bytes.get(usize::from(byte)).copied().flatten().is_some();
                if has_token && let Some(place) = entry.bytes.get_mut(usize::from(entry.kept)) {
                    *place = byte;
                    entry.kept += 1;
                }
            }
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

    /// Appends the tokens of `text.characters`, which must be Unicode characters.
    pub(crate) fn encode(&self, text: &mut Text, ids: &mut Vec<u32>) {
        let characters = std::mem::take(&mut text.characters);
        let mut from = 0;
        if !self.added.is_empty() {
            for at in 0..characters.len() {
                if at < from {
                    continue;
                }
                // The longest of those that begin leftmost, as the library finds them.
                let rest = characters.get(at..).unwrap_or_default();
                let found = self
                    .added
                    .iter()
                    .filter(|(content, _)| rest.starts_with(content))
                    .max_by_key(|(content, _)| content.len());
                if let Some((content, id)) = found {
                    self.encode_plain(characters.get(from..at).unwrap_or_default(), text, ids);
                    ids.push(*id);
                    from = at + content.len();
                }
            }
        }
        self.encode_plain(characters.get(from..).unwrap_or_default(), text, ids);
        text.characters = characters;
    }

    /// Appends the tokens of a text in which no added token stands.
    fn encode_plain(&self, characters: &[u32], text: &mut Text, ids: &mut Vec<u32>) {
        self.spell(characters, text);
        let Text {
            classes,
            bytes,
            ends,
            path,
            word,
            ..
        } = text;
        let mut from = 0;
        let mut first_byte = 0;
        while from < characters.len() {
            let to = if self.use_regex {
                word_end(characters, classes, from)
            } else {
                characters.len()
            };
            let end_byte = to.checked_sub(1).and_then(|last| ends.get(last));
            let end_byte = end_byte.copied().unwrap_or(bytes.len());
            let spelled = bytes.get(first_byte..end_byte).unwrap_or_default();
            let whole = characters.get(from..to).unwrap_or_default();
            if let Some(id) = self.whole_word(whole) {
                ids.push(id);
            } else if !spelled.is_empty() {
                self.encode_word(spelled, path, word, ids);
            }
            from = to;
            first_byte = end_byte;
        }
    }

    /// The bytes that have tokens, and the class, of every character.
    fn spell(&self, characters: &[u32], text: &mut Text) {
        let Text {
            classes,
            bytes,
            ends,
            ..
        } = text;
        classes.clear();
        bytes.clear();
        ends.clear();
        classes.reserve(characters.len());
        bytes.reserve(characters.len() * 2);
        ends.reserve(characters.len());
        for &character in characters {
            if let Some(known) = self.known.get(character as usize) {
                classes.push(known.class);
                if known.kept == 1 {
                    bytes.push(known.bytes[0]);
                } else {
                    bytes.extend(known.bytes.iter().take(usize::from(known.kept)));
                }
            } else {
                classes.push(Class::of(character));
                let mut buffer = [0; 4];
                let character = char::from_u32(character).unwrap_or(char::REPLACEMENT_CHARACTER);
                let spelled = character.encode_utf8(&mut buffer).bytes();
                bytes.extend(spelled.filter(|&byte| self.byte(byte).is_some()));
            }
            ends.push(bytes.len());
        }
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

    /// Appends the tokens of a word of which every byte has a token.
    fn encode_word(
        &self,
        spelled: &[u8],
        path: &mut Path,
        word: &mut Vec<u32>,
        ids: &mut Vec<u32>,
    ) {
        if let Some(tiling) = &self.tiling
            && tiling.tile(spelled, path, ids)
        {
            return;
        }
        word.clear();
        word.extend(spelled.iter().filter_map(|&byte| self.byte(byte)));
        merge_word(&self.merges, word);
        ids.extend_from_slice(word);
    }

    fn byte(&self, byte: u8) -> Option<u32> {
        self.bytes.get(usize::from(byte)).copied().flatten()
    }
}
