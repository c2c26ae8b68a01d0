//! Encoding of camera views for viewers: JPEG for colour, eight bits per pixel for depth.

use super::view_decoding;
use jpeg_encoder::{ColorType, Encoder};
use protocol::{View, ViewEncoding};
use std::io;

/// Good quality at a tenth of the raw bytes.
const JPEG_QUALITY: u8 = 80;
/// Depth encoded as 1 (white end of the page's scale), in millimetres.
const NEAREST_MM: u16 = 200;
/// Depth encoded as 255, in millimetres.
const FARTHEST_MM: u16 = 1200;

/// Encodes a robot's view for viewers; a JPEG of the announced size passes through unchanged.
///
/// # Errors
/// A message naming the view if it cannot be encoded, or if decoding it would not be safe.
pub fn for_viewers(view: &View) -> Result<View, String> {
    for_viewers_within(view, usize::MAX)
}

/// Encodes a view in at most `most_bytes` bytes and in no more memory than that.
///
/// # Errors
/// As [`for_viewers`], and if the encoded view is larger.
pub(crate) fn for_viewers_within(view: &View, most_bytes: usize) -> Result<View, String> {
    view_decoding::check(view)?;
    let fits = |bytes: usize| {
        if bytes > most_bytes {
            return Err(too_large(view, most_bytes));
        }
        Ok(())
    };
    let (encoding, data) = match view.encoding {
        ViewEncoding::Jpeg | ViewEncoding::DepthGray8 => {
            fits(view.data.len())?;
            (view.encoding, view.data.clone())
        }
        ViewEncoding::Rgb8 => (ViewEncoding::Jpeg, jpeg(view, most_bytes)?),
        ViewEncoding::DepthMillimetresU16 => {
            fits(view.data.len() / 2)?;
            (ViewEncoding::DepthGray8, gray_of_depth(&view.data))
        }
    };
    Ok(View {
        name: view.name.clone(),
        encoding,
        width: view.width,
        height: view.height,
        data,
    })
}

fn too_large(view: &View, most_bytes: usize) -> String {
    format!(
        "view {:?} is too large to be shown: more than {:.1} MiB for viewers; send a smaller image",
        view.name,
        most_bytes as f64 / f64::from(1 << 20)
    )
}

/// A byte buffer with a size limit.
struct BoundedBuffer {
    bytes: Vec<u8>,
    most: usize,
    /// True once a write did not fit.
    is_over: bool,
}

impl io::Write for BoundedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.most {
            self.is_over = true;
            return Err(io::Error::other("the encoded view is too large"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn jpeg(view: &View, most_bytes: usize) -> Result<Vec<u8>, String> {
    let side = |pixels: u32| {
        u16::try_from(pixels).map_err(|_| format!("view {:?} is too large for JPEG", view.name))
    };
    let mut written = BoundedBuffer {
        bytes: Vec::with_capacity(most_bytes.min(view.data.len() / 8)),
        most: most_bytes,
        is_over: false,
    };
    let encoded = Encoder::new(&mut written, JPEG_QUALITY).encode(
        &view.data,
        side(view.width)?,
        side(view.height)?,
        ColorType::Rgb,
    );
    match encoded {
        Ok(()) => Ok(written.bytes),
        Err(_) if written.is_over => Err(too_large(view, most_bytes)),
        Err(error) => Err(format!(
            "view {:?} cannot be compressed: {error}",
            view.name
        )),
    }
}

fn gray_of_depth(little_endian: &[u8]) -> Vec<u8> {
    little_endian
        .chunks_exact(2)
        .map(|pair| match pair {
            [low, high] => gray(u16::from_le_bytes([*low, *high])),
            _ => 0,
        })
        .collect()
}

/// Maps a depth in millimetres to 1 to 255 from near to far; 0 (no reading) stays 0.
fn gray(depth_mm: u16) -> u8 {
    if depth_mm == 0 {
        return 0;
    }
    let clamped = depth_mm.clamp(NEAREST_MM, FARTHEST_MM) - NEAREST_MM;
    let span = u32::from(FARTHEST_MM - NEAREST_MM);
    let scaled = 1 + u32::from(clamped) * 254 / span;
    u8::try_from(scaled).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn depth_goes_from_one_to_255_and_no_reading_stays_zero() {
        assert_eq!(
            [0, 1, 200, 700, 1200, 9000].map(gray),
            [0, 1, 1, 128, 255, 255]
        );
    }

    #[test]
    fn a_raw_view_becomes_a_jpeg_of_the_same_size() {
        let view = View {
            name: "overview".to_owned(),
            encoding: ViewEncoding::Rgb8,
            width: 40,
            height: 30,
            data: vec![200; 40 * 30 * 3],
        };
        let shown = for_viewers(&view).unwrap();
        assert_eq!(shown.encoding, ViewEncoding::Jpeg);
        let decoded = image::load_from_memory(&shown.data).unwrap().into_rgb8();
        assert_eq!(decoded.dimensions(), (40, 30));
        assert!(
            decoded
                .pixels()
                .all(|p| p.0.iter().all(|c| c.abs_diff(200) <= 3))
        );
    }

    #[test]
    fn a_view_beyond_the_byte_limit_is_refused() {
        let noise = |bytes: usize| -> Vec<u8> {
            let numbers = (0..bytes as u32).map(|i| i.wrapping_mul(2_654_435_761) >> 24);
            numbers.map(|number| number as u8).collect()
        };
        let view = |encoding, data| View {
            name: "overview".to_owned(),
            encoding,
            width: 64,
            height: 48,
            data,
        };
        let raw = view(ViewEncoding::Rgb8, noise(64 * 48 * 3));
        let shown = for_viewers(&raw).unwrap();
        let bytes = shown.data.len();
        let depth = view(ViewEncoding::DepthMillimetresU16, noise(64 * 48 * 2));
        for (view, bytes) in [(&raw, bytes), (&shown, bytes), (&depth, 64 * 48)] {
            assert_eq!(
                for_viewers_within(view, bytes).unwrap(),
                for_viewers(view).unwrap()
            );
            let message = for_viewers_within(view, bytes - 1).unwrap_err();
            assert!(
                message.contains("\"overview\" is too large to be shown"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_jpeg_of_another_size_than_announced_is_refused() {
        let raw = View {
            name: "overview".to_owned(),
            encoding: ViewEncoding::Rgb8,
            width: 40,
            height: 30,
            data: vec![200; 40 * 30 * 3],
        };
        let valid = for_viewers(&raw).unwrap();
        assert_eq!(for_viewers(&valid).unwrap(), valid);
        let mislabelled = View { width: 41, ..valid };
        let message = for_viewers(&mislabelled).unwrap_err();
        assert!(
            message.contains("41x30") && message.contains("40x30"),
            "{message}"
        );
    }
}
