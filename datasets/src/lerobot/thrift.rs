//! The compact encoding of Apache Thrift, as much of it as parquet's footers and page headers are looked through with
//! before a reader is let loose on them: what they announce decides how much memory they will take.
//!
//! Source: `doc/specs/thrift-compact-protocol.md` of Apache Thrift.

/// Bytes that are read from the front; `None` is what is no Thrift.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thrift<'a> {
    rest: &'a [u8],
}

/// Kinds of values, as they are numbered on the wire.
pub(super) const I32: u8 = 5;
pub(super) const LIST: u8 = 9;
pub(super) const STRUCT: u8 = 12;

/// Nothing in a parquet file is nested more deeply.
const DEPTH: usize = 24;

impl<'a> Thrift<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many bytes are left.
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

    /// A whole number.
    pub(super) fn number(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some(((value >> 1) as i64) ^ -((value & 1) as i64))
    }

    /// The next field of a struct: its number and its kind; kind 0 at the end. `last` is the field before.
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

    /// The head of a list: kind and number of its elements.
    pub(super) fn list(&mut self) -> Option<(u8, usize)> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => usize::try_from(self.varint()?).ok()?,
            short => usize::from(short),
        };
        // An element takes a byte at least.
        (count <= self.left()).then_some((head & 0x0F, count))
    }

    /// Steps over a value of a field.
    pub(super) fn skip(&mut self, kind: u8) -> Option<()> {
        self.step_over(kind, false, DEPTH)
    }

    fn step_over(&mut self, kind: u8, in_list: bool, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            // Truth values are in the kind itself, but for those of lists.
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
                    self.step_over(kind, true, depth)?;
                }
            }
            11 => {
                let count = usize::try_from(self.varint()?).ok()?;
                if count > 0 {
                    let kinds = self.byte()?;
                    for _ in 0..count {
                        self.step_over(kinds >> 4, true, depth)?;
                        self.step_over(kinds & 0x0F, true, depth)?;
                    }
                }
            }
            STRUCT => {
                let mut last = 0;
                loop {
                    match self.field(&mut last)? {
                        (_, 0) => break,
                        (_, kind) => self.step_over(kind, false, depth)?,
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
    fn fields_lists_and_what_is_stepped_over_are_those_of_the_specification() {
        // {1: 3, 2: [{1: "ab"}, {}], 18: true, 19: -1}, and a byte that is somebody else's.
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
    fn lengths_that_are_lies_and_depths_without_end_are_no_thrift() {
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
