//! Splitting text into words, as GPT-2's regular expression does.
//!
//! The expression is `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`:
//! no token crosses from one word to the next. Every character belongs to a word. It is written out
//! here because its alternatives need no backtracking, and a regular expression engine is most of
//! what the `tokenizers` crate weighs in a browser.

mod table;

/// Character classes of the expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// `[^\s\p{L}\p{N}]`
    Other,
    /// `\p{L}`
    Letter,
    /// `\p{N}`
    Number,
    /// `\s`
    Space,
}

impl Class {
    /// The class of a character.
    pub(crate) fn of(character: u32) -> Self {
        let after = table::RUNS.partition_point(|run| run >> 2 <= character);
        let run = after.checked_sub(1).and_then(|run| table::RUNS.get(run));
        match run.map_or(0, |run| run & 3) {
            1 => Self::Letter,
            2 => Self::Number,
            3 => Self::Space,
            _ => Self::Other,
        }
    }
}

const SPACE: u32 = ' ' as u32;
pub(crate) const APOSTROPHE: u32 = '\'' as u32;

/// Number of characters of the first word of `text`; zero only for empty text.
#[inline]
pub(crate) fn word_length(text: &[u32], class: impl Fn(u32) -> Class) -> usize {
    let Some(&first) = text.first() else { return 0 };
    if first == APOSTROPHE
        && let Some(length) = contraction(text.get(1..).unwrap_or_default())
    {
        return 1 + length;
    }
    // Number of characters of this class from `from` on.
    let run = |from: usize, wanted: Class| {
        let rest = text.iter().skip(from);
        rest.take_while(|&&next| class(next) == wanted).count()
    };
    let start = usize::from(first == SPACE);
    match text.get(start).map(|&next| class(next)) {
        Some(inside) if inside != Class::Space => start + run(start, inside),
        _ => {
            let length = run(0, Class::Space);
            // The last space before a word goes with the word, or stands alone.
            if length < text.len() && length > 1 {
                length - 1
            } else {
                length
            }
        }
    }
}

/// Number of characters of `text`, which follows an apostrophe, that belong to a contraction.
fn contraction(text: &[u32]) -> Option<usize> {
    let letter = |index: usize| text.get(index).copied().and_then(char::from_u32);
    match (letter(0)?, letter(1)) {
        ('s' | 't' | 'm' | 'd', _) => Some(1),
        ('r' | 'v', Some('e')) | ('l', Some('l')) => Some(2),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;
    use tokenizers::tokenizer::{
        OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer as _,
    };

    fn ours(text: &str) -> Vec<String> {
        let characters: Vec<u32> = text.chars().map(u32::from).collect();
        let mut rest = characters.as_slice();
        let mut words = Vec::new();
        while !rest.is_empty() {
            let (word, after) = rest.split_at(word_length(rest, Class::of));
            assert!(!word.is_empty());
            words.push(word.iter().map(|&c| char::from_u32(c).unwrap()).collect());
            rest = after;
        }
        words
    }

    fn theirs(text: &str) -> Vec<String> {
        let mut split = PreTokenizedString::from(text);
        let level = ByteLevel::new(false, true, true);
        level.pre_tokenize(&mut split).unwrap();
        split
            .get_splits(OffsetReferential::Original, OffsetType::Byte)
            .into_iter()
            .map(|(_, (from, to), _)| text.get(from..to).unwrap().to_owned())
            .filter(|word| !word.is_empty())
            .collect()
    }

    #[test]
    fn every_character_is_split_as_the_library_splits_it() {
        // Between a letter, a digit and a sign a character joins exactly one of them, or none if
        // it is white space; and white space parts from what follows it in its own way.
        for character in '\0'..=char::MAX {
            let text = format!("a{character}1{character}.{character}{character}b");
            assert_eq!(ours(&text), theirs(&text), "{:x}", character as u32);
        }
    }

    /// Text in which every alternative of the expression gets its turn.
    fn any_text() -> impl Strategy<Value = String> {
        let character = prop_oneof![
            4 => prop::sample::select(" '  stmdrevl'lxA12.!\u{7}\t\n\u{a0}\u{2003}éñß٣½Ⅷ…«𝔸🤖".chars().collect::<Vec<_>>()),
            1 => any::<char>(),
            1 => prop::char::range('\0', '\u{180}'),
        ];
        prop::collection::vec(character, 0..24).prop_map(|text| text.into_iter().collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn text_is_split_as_the_library_splits_it(text in any_text()) {
            prop_assert_eq!(ours(&text), theirs(&text));
        }
    }
}
