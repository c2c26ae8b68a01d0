//! Decoding of views into the RGB images that a policy takes, with the decoding cost checked first.
//!
//! A few bytes of JPEG may stand for gigabytes of pixels, or for an image that is drawn in a thousand passes. So the size
//! in the JPEG's header is compared with the announced one, the passes are counted, and both are bounded before a single
//! pixel is decoded.

use datasets::images::{SCANS, VIEWS_PIXELS};
use image::{DynamicImage, ImageDecoder as _, codecs::jpeg::JpegDecoder};
use policies::policy::PolicyError;
use protocol::{View, ViewEncoding, robot::Observation};
use std::io::Cursor;
use vision::RgbImage;

/// Pixels times passes beyond which decoding takes tens of milliseconds.
const HEAVY_PIXELS: usize = 4_500_000;
/// JPEG bytes beyond which decoding may take as long.
const HEAVY_BYTES: usize = 1 << 20;

/// Cost of decoding the views of an observation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Bytes of the decoded images.
    pub(crate) bytes: usize,
    /// Additional bytes that the most expensive image needs while it is decoded.
    pub(crate) scratch_bytes: usize,
    /// True if decoding takes long enough to delay other robots.
    pub(crate) is_heavy: bool,
}

/// Cost of decoding the views of these cameras. Reads the announced sizes and the bytes of small files, never pixels.
///
/// # Errors
/// [`PolicyError`] if a view is missing, or if the views are too large to be decoded many times a second.
pub(crate) fn cost(observation: &Observation, cameras: &[String]) -> Result<Cost, PolicyError> {
    let mut pixels = 0;
    let mut effort = 0_usize;
    let mut jpeg_bytes = 0;
    let mut scratch_bytes = 0;
    for camera in cameras {
        let view = view_of(observation, camera)?;
        let view_pixels = view.width as usize * view.height as usize;
        pixels += view_pixels;
        if view.encoding == ViewEncoding::Jpeg {
            jpeg_bytes += view.data.len();
            let passes = if view.data.len() > HEAVY_BYTES {
                1
            } else {
                scans(&view.data)
            };
            effort = effort.saturating_add(view_pixels.saturating_mul(passes));
            // Three channels; with more than one pass also coefficients of two bytes each.
            scratch_bytes = scratch_bytes.max(view_pixels * if passes > 1 { 9 } else { 3 });
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
        scratch_bytes,
        is_heavy: effort > HEAVY_PIXELS || jpeg_bytes > HEAVY_BYTES,
    })
}

/// Decodes a camera's view as RGB.
///
/// # Errors
/// [`PolicyError`] naming the camera if its view is missing, holds depth or does not decode.
pub(crate) fn image_of(observation: &Observation, camera: &str) -> Result<RgbImage, PolicyError> {
    decode(view_of(observation, camera)?)
}

/// Checks that a view matches its announced size and encoding, without decoding it.
///
/// # Errors
/// A message naming the view: a JPEG of another size, without a header, or of too many passes.
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

/// Opens a JPEG and checks its size and number of passes. Only the header is read.
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

/// Counts start-of-scan markers. This is an upper bound: markers inside other segments (a thumbnail) are counted too, and
/// entropy-coded data cannot contain one.
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

    fn observation(views: Vec<View>) -> Observation {
        Observation {
            sequence: 1,
            captured_at_micros: 1,
            state: vec![0.0],
            commanded: Vec::new(),
            views,
        }
    }

    /// The same file with its scans repeated: decoders draw each of them.
    fn repeat_scans(jpeg: &[u8], times: usize) -> Vec<u8> {
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
    fn a_jpeg_of_the_announced_size_is_decoded() {
        for scans in [None, Some(4)] {
            let data = jpeg_of(40, 30, scans);
            let observation = observation(vec![view("eye", ViewEncoding::Jpeg, (40, 30), data)]);
            let image = image_of(&observation, "eye").unwrap();
            assert_eq!((image.width(), image.height()), (40, 30));
            let cost = cost(&observation, &["eye".to_owned()]).unwrap();
            assert!(!cost.is_heavy, "{cost:?}");
        }
    }

    #[test]
    fn another_size_than_announced_is_refused_before_a_pixel_is_decoded() {
        // Cut off behind the header: decoding it would fail with another message.
        let mut data = jpeg_of(400, 300, None);
        let at = data
            .windows(2)
            .position(|pair| pair == [0xff, 0xda])
            .unwrap();
        data.truncate(at + 20);
        let small = view("eye", ViewEncoding::Jpeg, (40, 30), data);
        let message = image_of(&observation(vec![small.clone()]), "eye")
            .unwrap_err()
            .reason;
        assert!(
            message.contains("announced as 40x30") && message.contains("400x300"),
            "{message}"
        );
        assert_eq!(check(&small).unwrap_err(), message);
    }

    #[test]
    fn a_jpeg_of_too_many_scans_is_refused() {
        let data = repeat_scans(&jpeg_of(64, 48, Some(4)), 100);
        assert!(scans(&data) > 400);
        let observation = observation(vec![view("eye", ViewEncoding::Jpeg, (64, 48), data)]);
        let message = image_of(&observation, "eye").unwrap_err().reason;
        assert!(
            message.contains("scans") && message.contains("baseline"),
            "{message}"
        );
    }

    #[test]
    fn many_passes_or_many_pixels_or_many_bytes_are_heavy() {
        let is_heavy = |view: View| {
            let cameras = [view.name.clone()];
            cost(&observation(vec![view]), &cameras).unwrap().is_heavy
        };
        let small = jpeg_of(64, 48, Some(4));
        let honest = view("eye", ViewEncoding::Jpeg, (640, 480), small.clone());
        assert!(!is_heavy(honest));
        let passes = repeat_scans(&small, 10);
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
    fn views_of_too_many_pixels_are_refused() {
        let views: Vec<View> = ["a", "b", "c"]
            .map(|name| view(name, ViewEncoding::Jpeg, (1920, 1080), vec![0; 100]))
            .into();
        let cameras: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
        assert!(
            cost(&observation(views), &cameras).is_ok(),
            "three of full HD"
        );
        let large = vec![view("a", ViewEncoding::Jpeg, (4096, 4096), vec![0; 100])];
        let message = cost(&observation(large), &cameras[..1]).unwrap_err().reason;
        assert!(message.contains("16.8 million pixels"), "{message}");
        let missing = cost(&observation(Vec::new()), &cameras[..1])
            .unwrap_err()
            .reason;
        assert!(missing.contains("no view \"a\""), "{missing}");
    }
}
