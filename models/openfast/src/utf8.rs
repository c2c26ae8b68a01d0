//! State of a byte stream inside a UTF-8 character.
//!
//! A FAST token stands for bytes, and byte-level BPE may end a token in the middle of a character.
//! Whether a token may follow another therefore depends on what the bytes so far still owe; this
//! automaton says so one byte at a time, with the same verdicts as `str::from_utf8`.

/// The bytes that are missing to complete the current character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Pending {
    /// Nothing: the stream may end here.
    Nothing = 0,
    /// One continuation byte.
    One = 1,
    /// Two continuation bytes.
    Two = 2,
    /// Two, the first in `A0..=BF` (after `E0`, so that the character is not overlong).
    TwoAfterE0 = 3,
    /// Two, the first in `80..=9F` (after `ED`, so that it is no surrogate).
    TwoAfterEd = 4,
    /// Three continuation bytes.
    Three = 5,
    /// Three, the first in `90..=BF` (after `F0`).
    ThreeAfterF0 = 6,
    /// Three, the first in `80..=8F` (after `F4`, the end of Unicode).
    ThreeAfterF4 = 7,
}

impl Pending {
    /// Every state, those that owe fewer bytes first.
    pub(crate) const ALL: [Self; 8] = [
        Self::Nothing,
        Self::One,
        Self::Two,
        Self::TwoAfterE0,
        Self::TwoAfterEd,
        Self::Three,
        Self::ThreeAfterF0,
        Self::ThreeAfterF4,
    ];

    /// This state's bit in a set of states.
    pub(crate) const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// The state after one more byte, or `None` where no UTF-8 text has this byte here.
    pub(crate) const fn after(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Nothing, 0x00..=0x7F) | (Self::One, 0x80..=0xBF) => Self::Nothing,
            (Self::Nothing, 0xC2..=0xDF)
            | (Self::Two, 0x80..=0xBF)
            | (Self::TwoAfterE0, 0xA0..=0xBF)
            | (Self::TwoAfterEd, 0x80..=0x9F) => Self::One,
            (Self::Nothing, 0xE0) => Self::TwoAfterE0,
            (Self::Nothing, 0xED) => Self::TwoAfterEd,
            (Self::Nothing, 0xE1..=0xEF)
            | (Self::Three, 0x80..=0xBF)
            | (Self::ThreeAfterF0, 0x90..=0xBF)
            | (Self::ThreeAfterF4, 0x80..=0x8F) => Self::Two,
            (Self::Nothing, 0xF0) => Self::ThreeAfterF0,
            (Self::Nothing, 0xF4) => Self::ThreeAfterF4,
            (Self::Nothing, 0xF1..=0xF3) => Self::Three,
            _ => return None,
        })
    }

    /// The bits of the character so far, after one more byte. Whole once nothing is owed.
    pub(crate) fn bits_after(self, bits: u32, byte: u8) -> u32 {
        let byte = u32::from(byte);
        match (self, byte) {
            (Self::Nothing, 0xF0..) => byte & 0x07,
            (Self::Nothing, 0xE0..) => byte & 0x0F,
            (Self::Nothing, 0xC0..) => byte & 0x1F,
            (Self::Nothing, _) => byte,
            _ => bits << 6 | byte & 0x3F,
        }
    }

    /// The state after all of `bytes`.
    pub(crate) fn after_all(self, bytes: &[u8]) -> Option<Self> {
        bytes
            .iter()
            .try_fold(self, |state, &byte| state.after(byte))
    }
}

/// Number of characters that begin in `bytes` (continuation bytes belong to one that began earlier).
pub(crate) fn characters_begun(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte & 0xC0 != 0x80).count()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn agrees_with_the_standard_library_on_every_character() {
        let mut buffer = [0; 4];
        for character in '\0'..=char::MAX {
            let bytes = character.encode_utf8(&mut buffer).as_bytes();
            assert_eq!(Pending::Nothing.after_all(bytes), Some(Pending::Nothing));
            assert_eq!(characters_begun(bytes), 1);
            let read = bytes
                .iter()
                .fold((Pending::Nothing, 0), |(state, bits), &byte| {
                    (state.after(byte).unwrap(), state.bits_after(bits, byte))
                });
            assert_eq!(read.1, u32::from(character));
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_standard_library_on_any_bytes(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x80..=0xBFu8, 0xE0..=0xF4u8], 0..8)
        ) {
            let whole = Pending::Nothing.after_all(&bytes) == Some(Pending::Nothing);
            prop_assert_eq!(whole, std::str::from_utf8(&bytes).is_ok());
        }
    }
}
