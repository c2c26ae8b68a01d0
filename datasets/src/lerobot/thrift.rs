//! The compact protocol of Apache Thrift, as far as it is needed to check parquet footers and page headers before they
//! are decoded: the sizes that they announce determine the memory that decoding takes.
//!
//! Source: `doc/specs/thrift-compact-protocol.md` of Apache Thrift.

/// Reader of Thrift bytes. Its methods return `None` for bytes that are not valid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thrift<'a> {
    rest: &'a [u8],
}

/// Type ids of values, as encoded.
pub(super) const I32: u8 = 5;
pub(super) const LIST: u8 = 9;
pub(super) const STRUCT: u8 = 12;

/// Maximum nesting; nothing in a parquet file is nested more deeply.
const DEPTH: usize = 24;

impl<'a> Thrift<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Number of bytes left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            value |= bits.checked_shl(shift).unwrap_or_default();
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A zigzag-encoded integer.
    pub(super) fn number(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some(((value >> 1) as i64) ^ -((value & 1) as i64))
    }

    /// Number and kind of the next field of a struct; kind 0 at the end. `last` is the number of the field before.
    pub(super) fn field(&mut self, last: &mut i64) -> Option<(i64, u8)> {
        let head = self.byte()?;
        let kind = head & 0x0F;
        if head == 0 {
            return Some((0, 0));
        }
        *last = match head >> 4 {
            0 => self.number()?,
            step => last.checked_add(i64::from(step))?,
        };
        Some((*last, kind))
    }

    /// Header of a list: kind and number of its elements.
    pub(super) fn list(&mut self) -> Option<(u8, usize)> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => usize::try_from(self.varint()?).ok()?,
            short => usize::from(short),
        };
        // An element takes at least one byte.
        (count <= self.left()).then_some((head & 0x0F, count))
    }

    /// Skips the value of a field.
    pub(super) fn skip(&mut self, kind: u8) -> Option<()> {
        self.skip_value(kind, false, DEPTH)
    }

    fn skip_value(&mut self, kind: u8, in_list: bool, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            // Booleans are encoded in the kind, except in lists.
            1 | 2 if !in_list => {}
            1..=3 => {
                self.byte()?;
            }
            4..=6 => {
                self.varint()?;
            }
            7 => self.take(8)?,
            8 => {
                let length = usize::try_from(self.varint()?).ok()?;
                self.take(length)?;
            }
            9 | 10 => {
                let (kind, count) = self.list()?;
                for _ in 0..count {
                    self.skip_value(kind, true, depth)?;
                }
            }
            11 => {
                let count = usize::try_from(self.varint()?).ok()?;
                if count > 0 {
                    let kinds = self.byte()?;
                    for _ in 0..count {
                        self.skip_value(kinds >> 4, true, depth)?;
                        self.skip_value(kinds & 0x0F, true, depth)?;
                    }
                }
            }
            STRUCT => {
                let mut last = 0;
                loop {
                    match self.field(&mut last)? {
                        (_, 0) => break,
                        (_, kind) => self.skip_value(kind, false, depth)?,
                    }
                }
            }
            13 => self.take(16)?,
            _ => return None,
        }
        Some(())
    }

    fn take(&mut self, bytes: usize) -> Option<()> {
        self.rest = self.rest.get(bytes..)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn fields_lists_and_skipped_values_follow_the_specification() {
        // {1: 3, 2: [{1: "ab"}, {}], 18: true, 19: -1}, and a byte after it.
        let bytes = [
            0x15, 6, 0x19, 0x2C, 0x18, 2, b'a', b'b', 0, 0, 0x01, 36, 0x15, 1, 0, 77,
        ];
        let mut whole = Thrift::new(&bytes);
        whole.skip(STRUCT).unwrap();
        assert_eq!(whole.left(), 1);
        let mut thrift = Thrift::new(&bytes);
        let mut last = 0;
        assert_eq!(thrift.field(&mut last), Some((1, I32)));
        assert_eq!(thrift.number(), Some(3));
        assert_eq!(thrift.field(&mut last), Some((2, LIST)));
        assert_eq!(thrift.list(), Some((STRUCT, 2)));
        thrift.skip(STRUCT).unwrap();
        thrift.skip(STRUCT).unwrap();
        assert_eq!(thrift.field(&mut last), Some((18, 1)));
        assert_eq!(thrift.field(&mut last), Some((19, I32)));
        assert_eq!(thrift.number(), Some(-1));
        assert_eq!(thrift.field(&mut last), Some((0, 0)));
    }

    #[test]
    fn false_lengths_and_endless_nesting_are_refused() {
        for bytes in [
            &[0x19, 0xFC, 0xFF, 0xFF, 0xFF, 0x0F][..],
            &[0x18, 0xFF, 0xFF, 0x7F, 1],
            &[0xFF; 32],
            &[0x1C; 4096],
            &[],
        ] {
            assert_eq!(Thrift::new(bytes).skip(STRUCT), None, "{bytes:?}");
        }
    }
}
