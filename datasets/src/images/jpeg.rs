//! The memory that JPEGs take beside their pixels, by their headers.

/// Bytes of a coefficient.
const COEFFICIENT_BYTES: u64 = 2;
/// Components that a picture has at most.
const MOST_COMPONENTS: u64 = 4;

/// Bytes of the coefficients that are held while a picture of `pixels` is decoded: those of all of it where it comes in
/// several passes, none in other pictures.
pub(super) fn coefficients(bytes: &[u8], pixels: u64) -> u64 {
    if !is_jpeg(bytes) {
        return 0;
    }
    let samples = match frame(bytes) {
        Some(Frame { kind, .. }) if !is_progressive(kind) => return 0,
        Some(frame) => frame.samples_per_64_pixels(),
        // A header that is not understood could be any.
        None => None,
    };
    pixels
        .saturating_mul(samples.unwrap_or(MOST_COMPONENTS * 64))
        .saturating_mul(COEFFICIENT_BYTES)
        / 64
}

/// How often the bytes of a file are held while it is decoded: the decoder of JPEG keeps them for itself too.
pub(super) fn copies(bytes: &[u8]) -> u64 {
    if is_jpeg(bytes) { 2 } else { 1 }
}

fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xd8\xff")
}

/// Whether the mark of a frame is that of one which comes in several passes.
fn is_progressive(kind: u8) -> bool {
    matches!(kind, 0xC2 | 0xC6 | 0xCA | 0xCE)
}

/// The header of a frame (SOF).
struct Frame<'a> {
    /// The second byte of its mark.
    kind: u8,
    /// What follows its length.
    body: &'a [u8],
}

impl Frame<'_> {
    /// Samples of all components together, of which one of full size has 64.
    fn samples_per_64_pixels(&self) -> Option<u64> {
        let count = usize::from(*self.body.get(5)?);
        let factors: Vec<(u64, u64)> = self
            .body
            .get(6..)?
            .chunks_exact(3)
            .take(count)
            .filter_map(|component| component.get(1))
            .map(|factors| (u64::from(factors >> 4), u64::from(factors & 15)))
            .collect();
        let most = |of: fn(&(u64, u64)) -> u64| factors.iter().map(of).max();
        let whole = most(|factors| factors.0)?.checked_mul(most(|factors| factors.1)?)?;
        let samples: u64 = factors.iter().map(|(across, down)| across * down).sum();
        (samples * 64).checked_div(whole)
    }
}

/// The header of the first frame, found by the lengths of what is before it.
fn frame(bytes: &[u8]) -> Option<Frame<'_>> {
    let mut rest = bytes.get(2..)?;
    loop {
        // Marks may have fill bytes in front.
        while let [0xFF, 0xFF, ..] = rest {
            rest = rest.get(1..)?;
        }
        let [0xFF, kind, high, low, ..] = *rest else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let body = rest.get(4..)?.get(..length.checked_sub(2)?)?;
        match kind {
            // Tables and extensions of the kind are between those of frames.
            0xC4 | 0xC8 | 0xCC => {}
            0xC0..=0xCF => return Some(Frame { kind, body }),
            // A picture that begins before its header.
            0xD8..=0xDA => return None,
            _ => {}
        }
        rest = rest.get(2 + length..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of one frame, behind an extension that holds another.
    fn header(kind: u8, factors: &[u8]) -> Vec<u8> {
        let mut bytes = b"\xff\xd8\xff\xe1\0\x08\xff\xc2ab\0\0\xff\xff".to_vec();
        bytes.extend([kind, 0, 8 + 3 * factors.len() as u8, 8, 0, 16, 0, 16]);
        bytes.push(factors.len() as u8);
        for factor in factors {
            bytes.extend([1, *factor, 0]);
        }
        bytes
    }

    #[test]
    fn coefficients_are_held_of_pictures_in_several_passes() {
        assert_eq!(coefficients(&header(0xC0, &[0x11; 3]), 1000), 0);
        assert_eq!(coefficients(&header(0xC2, &[0x11; 3]), 1000), 6000);
        assert_eq!(coefficients(&header(0xC2, &[0x22, 0x11, 0x11]), 1000), 3000);
        // Not understood: four components of full size.
        assert_eq!(coefficients(b"\xff\xd8\xff\xda", 1000), 8000);
        assert_eq!(coefficients(b"\x89PNG", 1000), 0);
    }
}
