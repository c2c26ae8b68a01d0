//! What a camera's view becomes for people: JPEG for colour, eight bits for depth.

use super::view_decoding;
use jpeg_encoder::{ColorType, Encoder};
use protocol::{View, ViewEncoding};
use std::io;

/// A good picture at a tenth of the bytes.
const JPEG_QUALITY: u8 = 80;
/// Depth that becomes 1 (white end of the page's scale), millimetres.
const NEAREST_MM: u16 = 200;
/// Depth that becomes 255, millimetres.
const FARTHEST_MM: u16 = 1200;

/// Converts a robot's view; a JPEG passes through untouched if it is what it is announced as.
///
/// # Errors
/// In words, naming the view, when the picture cannot be compressed, or is one that nobody should decode.
pub fn for_viewers(view: &View) -> Result<View, String> {
    within(view, usize::MAX)
}

/// The same in at most so many bytes, and in no more memory than that: what is larger would reach nobody.
///
/// # Errors
/// In addition, when the picture takes more.
pub(crate) fn within(view: &View, most_bytes: usize) -> Result<View, String> {
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

/// Bytes that are written, up to a limit.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
    /// More was to be written.
    is_over: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.most {
            self.is_over = true;
            return Err(io::Error::other("more bytes than are shown"));
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
    let mut written = Bounded {
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

/// 0 stays 0 (no reading); everything else is 1 to 255 from near to far.
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
    fn a_view_takes_no_more_bytes_than_can_be_shown() {
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
            assert_eq!(within(view, bytes).unwrap(), for_viewers(view).unwrap());
            let words = within(view, bytes - 1).unwrap_err();
            assert!(
                words.contains("\"overview\" is too large to be shown"),
                "{words}"
            );
        }
    }

    #[test]
    fn a_jpeg_of_another_size_than_announced_reaches_nobody() {
        let raw = View {
            name: "overview".to_owned(),
            encoding: ViewEncoding::Rgb8,
            width: 40,
            height: 30,
            data: vec![200; 40 * 30 * 3],
        };
        let honest = for_viewers(&raw).unwrap();
        assert_eq!(for_viewers(&honest).unwrap(), honest);
        let liar = View {
            width: 41,
            ..honest
        };
        let words = for_viewers(&liar).unwrap_err();
        assert!(
            words.contains("41x30") && words.contains("40x30"),
            "{words}"
        );
    }
}
