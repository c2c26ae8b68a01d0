//! Memory that decoding a JPEG takes beside its pixels, estimated from its header.

/// Size of a DCT coefficient (bytes).
const COEFFICIENT_BYTES: u64 = 2;
/// Maximum number of components of an image.
const MOST_COMPONENTS: u64 = 4;

/// Memory of the coefficients held while an image of `pixels` pixels is decoded (bytes): those of the whole image if it
/// is progressive, otherwise 0.
pub(super) fn coefficients(bytes: &[u8], pixels: u64) -> u64 {
    if !is_jpeg(bytes) {
        return 0;
    }
    let samples = match frame(bytes) {
        Some(Frame { kind, .. }) if !is_progressive(kind) => return 0,
        Some(frame) => frame.samples_per_64_pixels(),
        // An unknown header could be progressive.
        None => None,
    };
    pixels
        .saturating_mul(samples.unwrap_or(MOST_COMPONENTS * 64))
        .saturating_mul(COEFFICIENT_BYTES)
        / 64
}

/// Number of copies of the file held while it is decoded. The JPEG decoder keeps one itself.
pub(super) fn copies(bytes: &[u8]) -> u64 {
    if is_jpeg(bytes) { 2 } else { 1 }
}

fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xd8\xff")
}

/// True if the marker of a frame (SOF) is that of a progressive image.
fn is_progressive(kind: u8) -> bool {
    matches!(kind, 0xC2 | 0xC6 | 0xCA | 0xCE)
}

/// Header of a frame (SOF).
struct Frame<'a> {
    /// Second byte of its marker.
    kind: u8,
    /// Bytes after its length field.
    body: &'a [u8],
}

impl Frame<'_> {
    /// Samples of all components per 64 pixels. A component without subsampling has 64.
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

/// Header of the first frame, found by skipping the segments before it.
fn frame(bytes: &[u8]) -> Option<Frame<'_>> {
    let mut rest = bytes.get(2..)?;
    loop {
        // Markers may be preceded by fill bytes.
        while let [0xFF, 0xFF, ..] = rest {
            rest = rest.get(1..)?;
        }
        let [0xFF, kind, high, low, ..] = *rest else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let body = rest.get(4..)?.get(..length.checked_sub(2)?)?;
        match kind {
            // Markers of tables and extensions within the range of frame markers.
            0xC4 | 0xC8 | 0xCC => {}
            0xC0..=0xCF => return Some(Frame { kind, body }),
            // The image data begins before a frame header.
            0xD8..=0xDA => return None,
            _ => {}
        }
        rest = rest.get(2 + length..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame header after an application segment that contains another.
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
    fn coefficients_of_progressive_images_are_counted() {
        assert_eq!(coefficients(&header(0xC0, &[0x11; 3]), 1000), 0);
        assert_eq!(coefficients(&header(0xC2, &[0x11; 3]), 1000), 6000);
        assert_eq!(coefficients(&header(0xC2, &[0x22, 0x11, 0x11]), 1000), 3000);
        // Unknown: four components without subsampling.
        assert_eq!(coefficients(b"\xff\xd8\xff\xda", 1000), 8000);
        assert_eq!(coefficients(b"\x89PNG", 1000), 0);
    }
}
