#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::*;
use image::{ExtendedColorType, ImageEncoder as _, codecs::png::PngEncoder};

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let pixels = vec![7; (width * height) as usize];
    PngEncoder::new(&mut bytes)
        .write_image(&pixels, width, height, ExtendedColorType::L8)
        .unwrap();
    bytes
}

/// 64 by 48 pixels.
fn jpeg() -> Vec<u8> {
    let mut jpeg = Cursor::new(Vec::new());
    DynamicImage::new_rgb8(64, 48)
        .write_to(&mut jpeg, image::ImageFormat::Jpeg)
        .unwrap();
    jpeg.into_inner()
}

fn within(pixels: u64, memory: u64) -> PictureLimits {
    PictureLimits {
        pixels,
        memory,
        ..PictureLimits::ASKED
    }
}

#[test]
fn the_size_is_checked_before_a_pixel_is_decoded() {
    // The file, one byte per decoded pixel, and three per converted pixel.
    let memory = png(20, 10).len() as u64 + 800;
    let image = decode(&png(20, 10), &"a.png", within(200, memory)).unwrap();
    let image = rgb(image, &"a.png").unwrap();
    assert_eq!((image.width(), image.height()), (20, 10));
    for (limits, expected) in [
        (within(199, memory), "20x10".to_owned()),
        (
            within(200, memory - 1),
            format!("takes {memory} bytes, at most {}", memory - 1),
        ),
    ] {
        let error = decode(&png(20, 10), &"a.png", limits).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("a.png") && error.contains(&expected),
            "{error}"
        );
    }
    // A header that announces 65535 by 65535 pixels, without data.
    let mut forged = png(1, 1);
    forged[16..24].copy_from_slice(&[0, 0, 255, 255, 0, 0, 255, 255]);
    for limits in [PictureLimits::ASKED, PictureLimits::FRAME] {
        assert!(decode(&forged, &"b.png", limits).is_err());
    }
    let long = decode(&png(MOST_SIDE + 1, 1), &"long.png", PictureLimits::FRAME);
    assert!(long.unwrap_err().to_string().contains("32769x1"));
}

#[test]
fn files_that_are_not_images_are_refused_with_their_cause() {
    let (whole, jpeg) = (png(20, 10), jpeg());
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 5\n";
    for (bytes, expected) in [
        (&lfs[..], "Git LFS"),
        (b"GIF89a", "neither a PNG nor a supported JPEG"),
        (b"", "0 bytes"),
        (&whole[..whole.len() / 2], "never finished"),
        (&jpeg[..jpeg.len() - 40], "never finished"),
    ] {
        let error = decode(bytes, &"c.png", PictureLimits::ASKED).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("c.png") && error.contains(expected),
            "{error}"
        );
    }
    assert!(decode(&jpeg, &"c.jpg", PictureLimits::ASKED).is_ok());
    // A motion photo: a film after the picture, larger than that.
    let moving = [&jpeg[..], b"\0\0\0\x18ftypmp42", &[7; 9000]].concat();
    assert!(decode(&moving, &"m.jpg", PictureLimits::ASKED).is_ok());
    let cut = [&jpeg[..jpeg.len() - 40], &[7; 9000]].concat();
    assert!(decode(&cut, &"m.jpg", PictureLimits::ASKED).is_err());
}

#[test]
fn images_are_rotated_by_their_orientation_tag() {
    // A quarter turn, as of a phone held upright.
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06".to_vec();
    exif.extend([0; 6]);
    let mut tagged = jpeg()[..2].to_vec();
    tagged.extend([0xff, 0xe1]);
    tagged.extend((exif.len() as u16 + 2).to_be_bytes());
    tagged.extend(exif);
    tagged.extend(&jpeg()[2..]);
    let size = |bytes: &[u8]| {
        let image = decode(bytes, &"e.jpg", PictureLimits::ASKED).unwrap();
        (image.width(), image.height())
    };
    assert_eq!(size(&jpeg()), (64, 48));
    assert_eq!(size(&tagged), (48, 64));
}

/// A PNG with `chunks` (kind and content) after its header.
fn png_with(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut bytes = png(4, 4);
    // The signature and the header.
    let rest = bytes.split_off(33);
    for (kind, content) in chunks {
        bytes.extend((content.len() as u32).to_be_bytes());
        let named = [&kind[..], content].concat();
        let mut crc = flate2::Crc::new();
        crc.update(&named);
        bytes.extend(named);
        bytes.extend(crc.sum().to_be_bytes());
    }
    bytes.extend(rest);
    bytes
}

/// `count` zeros, compressed.
fn packed(count: u64) -> Vec<u8> {
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::copy(
        &mut std::io::Read::take(std::io::repeat(0), count),
        &mut packer,
    )
    .unwrap();
    packer.finish().unwrap()
}

#[test]
fn data_beside_the_pixels_is_bounded() {
    // A profile of 512 MiB in half a megabyte is not decompressed; the pixels decode without it.
    let bomb = [b"icc\0\0".to_vec(), packed(512 << 20)].concat();
    let image = decode(
        &png_with(&[(b"iCCP", bomb)]),
        &"p.png",
        PictureLimits::ASKED,
    )
    .unwrap();
    assert_eq!((image.width(), image.height()), (4, 4));
    // Texts are accepted up to a size.
    let text = |bytes: usize| [b"Comment\0".to_vec(), vec![b'a'; bytes]].concat();
    let few = png_with(&[(b"tEXt", text(1 << 20))]);
    assert!(decode(&few, &"t.png", PictureLimits::ASKED).is_ok());
    let many = png_with(&vec![(b"tEXt", text(1 << 20)); 20]);
    let error = decode(&many, &"t.png", PictureLimits::ASKED).unwrap_err();
    assert!(
        error.to_string().contains("t.png") && error.to_string().contains("profiles or texts"),
        "{error}"
    );
}

#[test]
fn the_memory_of_decoding_is_checked_before_it_is_allocated() {
    // 8192 by 8192 pixels of four channels of 16 bits: 512 MiB, in a file of some kilobytes.
    let mut forged = png(1, 1);
    forged[16..26].copy_from_slice(&[0, 0, 32, 0, 0, 0, 32, 0, 16, 6]);
    let mut crc = flate2::Crc::new();
    crc.update(&forged[12..29]);
    forged[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    let error = decode(&forged, &"deep.png", PictureLimits::FRAME).unwrap_err();
    assert!(error.to_string().contains("8 bits per channel"), "{error}");
    // A quarter turn needs both copies.
    let mut turned = png(20, 10);
    let rest = turned.split_off(33);
    let exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    let tagged = png_with(&[(b"eXIf", exif)]);
    turned.extend(&tagged[33..tagged.len() - (png(4, 4).len() - 33)]);
    turned.extend(rest);
    let memory = turned.len() as u64 + 800;
    let image = decode(&turned, &"turned.png", within(200, memory)).unwrap();
    assert_eq!((image.width(), image.height()), (10, 20));
    assert!(decode(&turned, &"turned.png", within(200, memory - 1)).is_err());
}
