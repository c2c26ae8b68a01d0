//! The end of a JPEG, found by its markers.
//!
//! The two bytes of the end occur in a preview before the picture, too, and after the end anything may follow: phones put a
//! short film there (motion photos), larger than the picture. So the markers are followed from the beginning.

/// Start of a picture.
const START: u8 = 0xd8;
/// End of a picture.
const END: u8 = 0xd9;
/// Start of a scan: what follows its header has no length.
const SCAN: u8 = 0xda;

/// True if bytes are a JPEG that lacks its end. Decoders fill what is missing with grey, without a word.
pub(super) fn is_cut(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, START, 0xff]) && end(bytes).is_none()
}

/// The place after the end of the picture.
fn end(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    loop {
        at = marker(bytes, at)?;
        match *bytes.get(at)? {
            END => return Some(at + 1),
            // Markers without a length.
            0x01 | 0xd0..=START => at += 1,
            kind => {
                let length = [*bytes.get(at + 1)?, *bytes.get(at + 2)?];
                at += 1 + usize::from(u16::from_be_bytes(length)).max(2);
                if kind == SCAN {
                    at = scan_end(bytes, at)?;
                }
            }
        }
    }
}

/// The place of the next marker's second byte. Bytes that are none are passed over, as decoders do.
fn marker(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let mut pairs = rest.windows(2);
    pairs
        .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff))
        .map(|place| from + place + 1)
}

/// The place of the marker after the compressed pixels: a marker in them is a zero, which stands for the byte before it, or a
/// restart.
fn scan_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let place = marker(bytes, at)?;
        if !matches!(bytes.get(place)?, 0xd0..=0xd7) {
            return Some(place - 1);
        }
        at = place + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Header, a preview with an end of its own, tables, a scan with a stuffed byte and a restart, another scan.
    fn picture() -> Vec<u8> {
        let mut bytes = vec![0xff, START];
        bytes.extend([0xff, 0xe1, 0, 8, 0xff, START, 1, 2, 0xff, END]);
        bytes.extend([0xff, 0xff, 0xdb, 0, 4, 5, 5]);
        for _ in 0..2 {
            bytes.extend([0xff, SCAN, 0, 3, 1, 7, 7, 0xff, 0, 7, 0xff, 0xd3, 7, 7]);
        }
        bytes.extend([0xff, END]);
        bytes
    }

    #[test]
    fn every_cut_is_seen_and_whatever_follows_is_not() {
        let whole = picture();
        assert_eq!(end(&whole), Some(whole.len()));
        for length in 3..whole.len() {
            assert!(is_cut(&whole[..length]), "{length}");
        }
        // A film, far larger than the picture; and another picture, cut short.
        for more in [
            [&b"\0\0\0\x18ftypmp42"[..], &[7; 5000]].concat(),
            whole[..20].to_vec(),
        ] {
            assert!(!is_cut(&[&whole[..], &more].concat()));
        }
        assert!(!is_cut(b"\x89PNG"));
    }
}
