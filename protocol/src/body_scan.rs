//! Scan of a MessagePack body before it is decoded: nesting depth and number of values.
//!
//! A decoder skips unknown fields, so a frame full of them costs no memory. Skipping deeply nested fields would use up the
//! stack, and skipping millions of them takes seconds. This scan reads only markers and lengths, in a loop, and stops at the
//! limits.

/// Deepest nesting. The messages of this crate need five; the rest is reserved for future fields.
pub(crate) const MAX_DEPTH: usize = 12;

/// Checks a MessagePack body before it is decoded.
///
/// # Errors
/// The reason, if the body nests deeper than [`MAX_DEPTH`], has more than `max_values` values (keys counted, the elements
/// of byte strings and texts not), has a text longer than `max_text_bytes`, which a decoder may quote in its error, or
/// announces more than it holds. Bytes after the first value are ignored.
pub(crate) fn check(body: &[u8], max_values: usize, max_text_bytes: usize) -> Result<(), String> {
    // Remaining values of each open list or map.
    let mut open = [0_u64; MAX_DEPTH];
    let mut depth = 0;
    let mut values = 0_usize;
    let mut rest = body;
    loop {
        values += 1;
        if values > max_values {
            return Err(format!("more than {max_values} values"));
        }
        let Item {
            children,
            skip,
            after,
        } = item(rest)?;
        if skip > max_text_bytes as u64 && rest.first().is_some_and(is_text) {
            return Err(format!(
                "a text of {skip} bytes, at most {max_text_bytes} are accepted"
            ));
        }
        let length = after.len();
        rest = usize::try_from(skip)
            .ok()
            .and_then(|skip| after.get(skip..))
            .ok_or_else(|| format!("a value of {skip} bytes is announced, {length} follow"))?;
        if children > 0 {
            // Every value has at least one byte.
            if children > rest.len() as u64 {
                return Err(format!(
                    "a list of {children} values is announced, {} bytes follow",
                    rest.len()
                ));
            }
            let Some(level) = open.get_mut(depth) else {
                return Err(format!("values nest deeper than {MAX_DEPTH}"));
            };
            *level = children;
            depth += 1;
            continue;
        }
        // The value is complete, and so is every list whose last element it is.
        loop {
            let Some(level) = depth.checked_sub(1).and_then(|top| open.get_mut(top)) else {
                return Ok(());
            };
            *level -= 1;
            if *level > 0 {
                break;
            }
            depth -= 1;
        }
    }
}

/// Extent of a value, from its marker.
struct Item<'a> {
    /// Number of values inside it; a map has two per entry.
    children: u64,
    /// Length of its content in bytes.
    skip: u64,
    /// The bytes behind the marker and the length.
    after: &'a [u8],
}

fn is_text(marker: &u8) -> bool {
    matches!(marker, 0xa0..=0xbf | 0xd9..=0xdb)
}

fn item(bytes: &[u8]) -> Result<Item<'_>, String> {
    let cut = || "it ends in the middle of a value".to_owned();
    let (marker, after) = bytes.split_first().ok_or_else(cut)?;
    let plain = |children, skip| {
        Ok(Item {
            children,
            skip,
            after,
        })
    };
    let counted = |width: usize, make: fn(u64) -> (u64, u64)| {
        let (length, after) = after.split_at_checked(width).ok_or_else(cut)?;
        let count = length
            .iter()
            .fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
        let (children, skip) = make(count);
        Ok(Item {
            children,
            skip,
            after,
        })
    };
    let content = |count| (0, count);
    // One more byte is the type of the extension.
    let extension = |count| (0, count + 1);
    let elements = |count| (count, 0);
    let entries = |count| (2 * count, 0);
    match *marker {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => plain(0, 0),
        0x80..=0x8f => plain(2 * u64::from(marker & 0x0f), 0),
        0x90..=0x9f => plain(u64::from(marker & 0x0f), 0),
        0xa0..=0xbf => plain(0, u64::from(marker & 0x1f)),
        0xc1 => Err("the marker 0xc1 is not used in MessagePack".to_owned()),
        0xc4 | 0xd9 => counted(1, content),
        0xc5 | 0xda => counted(2, content),
        0xc6 | 0xdb => counted(4, content),
        0xc7 => counted(1, extension),
        0xc8 => counted(2, extension),
        0xc9 => counted(4, extension),
        0xcc | 0xd0 => plain(0, 1),
        0xcd | 0xd1 => plain(0, 2),
        0xca | 0xce | 0xd2 => plain(0, 4),
        0xcb | 0xcf | 0xd3 => plain(0, 8),
        0xd4..=0xd8 => plain(0, 1 + (1 << (marker - 0xd4))),
        0xdc => counted(2, elements),
        0xdd => counted(4, elements),
        0xde => counted(2, entries),
        0xdf => counted(4, entries),
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn complete_values_pass_and_are_counted() {
        // {"a": [1, 2.0, nil], "b": bin(2)}
        let body = b"\x82\xa1a\x93\x01\xca\x40\x00\x00\x00\xc0\xa1b\xc4\x02xy";
        assert_eq!(check(body, 8, 9), Ok(()));
        assert_eq!(check(body, 7, 9), Err("more than 7 values".to_owned()));
        for cut in 0..body.len() {
            assert!(check(&body[..cut], 8, 9).is_err(), "{cut} bytes");
        }
        assert!(check(b"\xa3abc", 1, 2).is_err_and(|reason| reason.contains("a text of 3")));
        for empty in [&b"\x80"[..], b"\x90", b"\xa0", b"\xc4\x00", b"\xde\x00\x00"] {
            assert_eq!(check(empty, 1, 0), Ok(()));
        }
    }

    #[test]
    fn nesting_and_announced_lengths_are_limited() {
        let nested = |depth: usize| [vec![0x91; depth], vec![0xc0]].concat();
        assert_eq!(check(&nested(12), 100, 9), Ok(()));
        assert!(check(&nested(13), 100, 9).is_err_and(|reason| reason.contains("deeper than 12")));
        assert!(check(&nested(1 << 20), 1 << 21, 9).is_err());
        for announced in [
            &b"\xdd\xff\xff\xff\xff"[..],
            b"\xdf\xff\xff\xff\xff",
            b"\xdb\xff\xff\xff\xff",
            b"\xc6\xff\xff\xff\xff",
            b"\xc9\xff\xff\xff\xff",
            b"\xd8\x01",
        ] {
            assert!(
                check(announced, usize::MAX, usize::MAX).is_err(),
                "{announced:02x?}"
            );
        }
    }
}
