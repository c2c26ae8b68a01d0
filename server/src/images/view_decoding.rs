//! The pixels of views, as a policy wants them, and what they cost before anybody pays for them.
//!
//! A JPEG is a promise: a few bytes may stand for gigabytes of pixels, or for a picture that is drawn a thousand times.
//! So its size is read from its header and held against what was announced, its passes are counted, and both are
//! bounded, before a single pixel is decoded.

use datasets::images::{SCANS, VIEWS_PIXELS};
use image::{DynamicImage, ImageDecoder as _, codecs::jpeg::JpegDecoder};
use policies::policy::PolicyError;
use protocol::{View, ViewEncoding, robot::Observation};
use std::io::Cursor;
use vision::RgbImage;

/// Pixels times passes beyond which decoding takes tens of milliseconds.
const HEAVY_PIXELS: usize = 4_500_000;
/// Bytes of JPEGs beyond which the same is to be feared.
const HEAVY_BYTES: usize = 1 << 20;

/// What it takes to decode the views of an observation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Bytes of the decoded pictures.
    pub(crate) bytes: usize,
    /// Bytes that the largest of them needs beside that while it is decoded.
    pub(crate) on_the_way: usize,
    /// It takes long enough to be in somebody's way.
    pub(crate) is_heavy: bool,
}

/// What the views of these cameras cost. Looks at announcements and at the bytes of small files, never at pixels.
///
/// # Errors
/// [`PolicyError`] when one is missing, or when they are too large to be decoded many times a second.
pub(crate) fn cost(observation: &Observation, cameras: &[String]) -> Result<Cost, PolicyError> {
    let mut pixels = 0;
    let mut effort = 0_usize;
    let mut jpeg_bytes = 0;
    let mut on_the_way = 0;
    for camera in cameras {
        let view = view_of(observation, camera)?;
        let own = view.width as usize * view.height as usize;
        pixels += own;
        if view.encoding == ViewEncoding::Jpeg {
            jpeg_bytes += view.data.len();
            let passes = if view.data.len() > HEAVY_BYTES {
                1
            } else {
                scans(&view.data)
            };
            effort = effort.saturating_add(own.saturating_mul(passes));
            // Three colours; coefficients of two bytes when there is more than one pass.
            on_the_way = on_the_way.max(own * if passes > 1 { 9 } else { 3 });
        }
    }
    if pixels as u64 > VIEWS_PIXELS {
        return Err(PolicyError::new(format!(
            "the views {} have {:.1} million pixels together; at most {:.0} million are decoded, send smaller images",
            cameras.join(", "),
            pixels as f64 / 1e6,
            VIEWS_PIXELS as f64 / 1e6
        )));
    }
    Ok(Cost {
        bytes: pixels * 3,
        on_the_way,
        is_heavy: effort > HEAVY_PIXELS || jpeg_bytes > HEAVY_BYTES,
    })
}

/// The view of a camera as RGB.
///
/// # Errors
/// [`PolicyError`] naming the camera when it is missing, is a depth view, or does not decode.
pub(crate) fn image_of(observation: &Observation, camera: &str) -> Result<RgbImage, PolicyError> {
    decode(view_of(observation, camera)?)
}

/// Whether a view is what it is announced as, without decoding it.
///
/// # Errors
/// In words, naming the view: a JPEG of another size, one without a header, one of too many passes.
pub(crate) fn check(view: &View) -> Result<(), String> {
    match view.encoding {
        ViewEncoding::Jpeg => jpeg(view).map(drop),
        ViewEncoding::Rgb8 | ViewEncoding::DepthMillimetresU16 | ViewEncoding::DepthGray8 => Ok(()),
    }
}

fn view_of<'a>(observation: &'a Observation, camera: &str) -> Result<&'a View, PolicyError> {
    observation
        .views
        .iter()
        .find(|view| view.name == camera)
        .ok_or_else(|| PolicyError::new(format!("the observation has no view {camera:?}")))
}

fn decode(view: &View) -> Result<RgbImage, PolicyError> {
    match view.encoding {
        ViewEncoding::Rgb8 => rgb(view, view.data.clone()),
        ViewEncoding::Jpeg => {
            let decoder = jpeg(view).map_err(PolicyError::new)?;
            let decoded = DynamicImage::from_decoder(decoder).map_err(|error| {
                PolicyError::new(format!("view {:?} is not a JPEG: {error}", view.name))
            })?;
            rgb(view, decoded.into_rgb8().into_raw())
        }
        ViewEncoding::DepthMillimetresU16 | ViewEncoding::DepthGray8 => Err(PolicyError::new(
            format!("view {:?} holds depth, the policy wants colour", view.name),
        )),
    }
}

/// A JPEG of the announced size and of not too many passes, with its header read.
fn jpeg(view: &View) -> Result<JpegDecoder<Cursor<&[u8]>>, String> {
    let passes = scans(&view.data);
    if passes > SCANS {
        return Err(format!(
            "view {:?} is a JPEG of {passes} scans; at most {SCANS} are decoded, send a baseline JPEG",
            view.name
        ));
    }
    let decoder = JpegDecoder::new(Cursor::new(view.data.as_slice()))
        .map_err(|error| format!("view {:?} is not a JPEG: {error}", view.name))?;
    let (width, height) = decoder.dimensions();
    if (width, height) != (view.width, view.height) {
        return Err(format!(
            "view {:?} is announced as {}x{}, its JPEG is {width}x{height}",
            view.name, view.width, view.height
        ));
    }
    Ok(decoder)
}

/// Marks that begin a scan, at most this many more than there are: those inside of other segments (a thumbnail) are
/// counted too, and nothing that a decoder would take for one is missed. Picture data cannot hold one.
fn scans(jpeg: &[u8]) -> usize {
    let mut count = 0;
    let mut rest = jpeg;
    while let Some(at) = rest.iter().position(|byte| *byte == 0xff) {
        rest = rest.get(at + 1..).unwrap_or_default();
        if rest.first() == Some(&0xda) {
            count += 1;
        }
    }
    count
}

fn rgb(view: &View, data: Vec<u8>) -> Result<RgbImage, PolicyError> {
    RgbImage::new(view.width as usize, view.height as usize, data)
        .map_err(|error| PolicyError::new(format!("view {:?}: {error}", view.name)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use jpeg_encoder::{ColorType, Encoder};

    fn jpeg_of(width: u16, height: u16, progressive_scans: Option<u8>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, 80);
        if let Some(scans) = progressive_scans {
            encoder.set_progressive_scans(scans);
        }
        let grey = vec![120; usize::from(width) * usize::from(height) * 3];
        encoder
            .encode(&grey, width, height, ColorType::Rgb)
            .unwrap();
        bytes
    }

    fn view(
        name: &str,
        encoding: ViewEncoding,
        (width, height): (u32, u32),
        data: Vec<u8>,
    ) -> View {
        View {
            name: name.to_owned(),
            encoding,
            width,
            height,
            data,
        }
    }

    fn seen(views: Vec<View>) -> Observation {
        Observation {
            sequence: 1,
            captured_at_micros: 1,
            state: vec![0.0],
            commanded: Vec::new(),
            views,
        }
    }

    /// The same file with its scans said again and again: decoders draw each of them.
    fn bomb(jpeg: &[u8], times: usize) -> Vec<u8> {
        let at = jpeg
            .windows(2)
            .position(|pair| pair == [0xff, 0xda])
            .unwrap();
        let (head, scans) = jpeg.split_at(at);
        let scans = &scans[..scans.len() - 2];
        let mut bytes = head.to_vec();
        for _ in 0..times {
            bytes.extend_from_slice(scans);
        }
        bytes.extend_from_slice(&[0xff, 0xd9]);
        bytes
    }

    #[test]
    fn an_honest_picture_is_decoded() {
        for scans in [None, Some(4)] {
            let data = jpeg_of(40, 30, scans);
            let observation = seen(vec![view("eye", ViewEncoding::Jpeg, (40, 30), data)]);
            let image = image_of(&observation, "eye").unwrap();
            assert_eq!((image.width(), image.height()), (40, 30));
            let cost = cost(&observation, &["eye".to_owned()]).unwrap();
            assert!(!cost.is_heavy, "{cost:?}");
        }
    }

    #[test]
    fn another_size_than_announced_is_refused_before_a_pixel_is_decoded() {
        // Cut off behind the header: decoding it would fail in other words.
        let mut data = jpeg_of(400, 300, None);
        let at = data
            .windows(2)
            .position(|pair| pair == [0xff, 0xda])
            .unwrap();
        data.truncate(at + 20);
        let small = view("eye", ViewEncoding::Jpeg, (40, 30), data);
        let words = image_of(&seen(vec![small.clone()]), "eye")
            .unwrap_err()
            .reason;
        assert!(
            words.contains("announced as 40x30") && words.contains("400x300"),
            "{words}"
        );
        assert_eq!(check(&small).unwrap_err(), words);
    }

    #[test]
    fn a_picture_that_is_drawn_again_and_again_is_refused_in_words() {
        let data = bomb(&jpeg_of(64, 48, Some(4)), 100);
        assert!(scans(&data) > 400);
        let observation = seen(vec![view("eye", ViewEncoding::Jpeg, (64, 48), data)]);
        let words = image_of(&observation, "eye").unwrap_err().reason;
        assert!(
            words.contains("scans") && words.contains("baseline"),
            "{words}"
        );
    }

    #[test]
    fn many_passes_or_many_pixels_or_many_bytes_are_heavy() {
        let is_heavy = |view: View| {
            let cameras = [view.name.clone()];
            cost(&seen(vec![view]), &cameras).unwrap().is_heavy
        };
        let small = jpeg_of(64, 48, Some(4));
        let honest = view("eye", ViewEncoding::Jpeg, (640, 480), small.clone());
        assert!(!is_heavy(honest));
        let passes = bomb(&small, 10);
        assert!(is_heavy(view(
            "eye",
            ViewEncoding::Jpeg,
            (640, 480),
            passes
        )));
        assert!(is_heavy(view(
            "eye",
            ViewEncoding::Jpeg,
            (2000, 2000),
            small
        )));
        let bytes = vec![0; HEAVY_BYTES + 1];
        assert!(is_heavy(view("eye", ViewEncoding::Jpeg, (64, 48), bytes)));
    }

    #[test]
    fn more_pixels_than_a_studio_can_decode_are_refused_in_words() {
        let views: Vec<View> = ["a", "b", "c"]
            .map(|name| view(name, ViewEncoding::Jpeg, (1920, 1080), vec![0; 100]))
            .into();
        let cameras: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
        assert!(cost(&seen(views), &cameras).is_ok(), "three of full HD");
        let large = vec![view("a", ViewEncoding::Jpeg, (4096, 4096), vec![0; 100])];
        let words = cost(&seen(large), &cameras[..1]).unwrap_err().reason;
        assert!(words.contains("16.8 million pixels"), "{words}");
        let missing = cost(&seen(Vec::new()), &cameras[..1]).unwrap_err().reason;
        assert!(missing.contains("no view \"a\""), "{missing}");
    }
}
