//! What a camera's view becomes for people: JPEG for colour, eight bits for depth.

use super::view_decoding;
use jpeg_encoder::{ColorType, Encoder};
use protocol::{View, ViewEncoding};

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
    view_decoding::check(view)?;
    let (encoding, data) = match view.encoding {
        ViewEncoding::Jpeg | ViewEncoding::DepthGray8 => (view.encoding, view.data.clone()),
        ViewEncoding::Rgb8 => (ViewEncoding::Jpeg, jpeg(view)?),
        ViewEncoding::DepthMillimetresU16 => (ViewEncoding::DepthGray8, gray_of_depth(&view.data)),
    };
    Ok(View {
        name: view.name.clone(),
        encoding,
        width: view.width,
        height: view.height,
        data,
    })
}

fn jpeg(view: &View) -> Result<Vec<u8>, String> {
    let side = |pixels: u32| {
        u16::try_from(pixels).map_err(|_| format!("view {:?} is too large for JPEG", view.name))
    };
    let mut bytes = Vec::with_capacity(view.data.len() / 8);
    Encoder::new(&mut bytes, JPEG_QUALITY)
        .encode(
            &view.data,
            side(view.width)?,
            side(view.height)?,
            ColorType::Rgb,
        )
        .map_err(|error| format!("view {:?} cannot be compressed: {error}", view.name))?;
    Ok(bytes)
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
