//! Folders of pictures as tools write them.

use super::{checkpoint, json, made, numbers, score, text};
use serde_json::Value;
use std::{fs, io::Cursor, process::Output};

const COUNT: usize = 12;

fn picture(index: usize) -> image::RgbImage {
    image::RgbImage::from_fn(64, 48, |x, y| {
        image::Rgb([
            (x * 3) as u8,
            (y * 4 + 7 * index as u32) as u8,
            (20 * index) as u8,
        ])
    })
}

fn bytes(picture: &image::DynamicImage, format: image::ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn png(index: usize) -> Vec<u8> {
    bytes(&picture(index).into(), image::ImageFormat::Png)
}

fn folder(name: &str, file: impl Fn(usize) -> (String, Vec<u8>)) -> made::Folder {
    let folder = made::Folder::new(name);
    for index in 0..COUNT {
        let (name, bytes) = file(index);
        fs::write(folder.file(&name), bytes).unwrap();
    }
    folder
}

fn ask(folder: &made::Folder) -> Output {
    let arguments = [
        "--frames",
        folder.str(),
        "--fps",
        "4",
        "--pre-resize",
        "64",
        "--prefixes",
        "4",
        "--json",
    ];
    score(&checkpoint(), &arguments)
}

fn curve(folder: &made::Folder) -> Vec<f64> {
    let score: Value = json(&ask(folder));
    assert_eq!(score["frames"], COUNT);
    numbers(&score["log_probs"])
}

fn near(one: &[f64], other: &[f64], within: f64) {
    assert_eq!(one.len(), other.len());
    for (one, other) in one.iter().zip(other) {
        assert!((one - other).abs() <= within, "{one} and {other}");
    }
}

#[test]
fn names_are_in_the_order_of_counting() {
    let padded = curve(&folder("padded", |index| {
        (format!("frame_{index:05}.png"), png(index))
    }));
    for (name, first) in [("unpadded", 1), ("over", 9995)] {
        let folder = folder(name, |index| {
            (format!("frame_{}.png", first + index), png(index))
        });
        assert_eq!(curve(&folder), padded, "{name}");
    }
}

#[test]
fn what_is_doubtful_about_the_order_is_said() {
    let mixed = folder("mixed", |index| {
        let name = if index % 2 == 0 { "left" } else { "right" };
        (format!("{name}_{index}.png"), png(index))
    });
    let output = ask(&mixed);
    assert!(output.status.success());
    assert!(
        text(&output.stderr).contains("more than one pattern"),
        "{}",
        text(&output.stderr)
    );
    let gap = folder("gap", |index| {
        (
            format!("{}.png", if index > 6 { index + 5 } else { index }),
            png(index),
        )
    });
    assert!(text(&ask(&gap).stderr).contains("from 6 to 12"));
}

/// An orientation tag: the picture is to be shown turned or mirrored so.
fn exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    tiff.extend([orientation, 0, 0, 0, 0, 0, 0]);
    tiff
}

fn jpeg_with(tiff: &[u8], jpeg: &[u8]) -> Vec<u8> {
    let mut segment = b"Exif\0\0".to_vec();
    segment.extend(tiff);
    let length = (segment.len() + 2) as u16;
    let mut marked = jpeg[..2].to_vec();
    marked.extend([0xff, 0xe1]);
    marked.extend(length.to_be_bytes());
    marked.extend(segment);
    marked.extend(&jpeg[2..]);
    marked
}

fn png_with(tiff: &[u8], png: &[u8]) -> Vec<u8> {
    // After the signature and the header.
    let (before, after) = png.split_at(8 + 25);
    let mut chunk = b"eXIf".to_vec();
    chunk.extend(tiff);
    let mut crc = !0_u32;
    for byte in &chunk {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (0_u32.wrapping_sub(crc & 1)));
        }
    }
    let mut marked = before.to_vec();
    marked.extend((tiff.len() as u32).to_be_bytes());
    marked.extend(&chunk);
    marked.extend((!crc).to_be_bytes());
    marked.extend(after);
    marked
}

#[test]
fn pictures_stand_as_their_orientation_says() {
    let turned =
        |index: usize| -> image::DynamicImage { image::imageops::rotate90(&picture(index)).into() };
    let twin = curve(&folder("turned", |index| {
        (
            format!("{index}.png"),
            bytes(&turned(index), image::ImageFormat::Png),
        )
    }));
    let lying = curve(&folder("lying", |index| {
        (format!("{index}.png"), png(index))
    }));
    assert!(
        lying
            .iter()
            .zip(&twin)
            .any(|(one, other)| (one - other).abs() > 0.01)
    );
    let tagged = folder("png-exif", |index| {
        (format!("{index}.png"), png_with(&exif(6), &png(index)))
    });
    near(&curve(&tagged), &twin, 1e-6);
    let jpeg = |picture: &image::DynamicImage| bytes(picture, image::ImageFormat::Jpeg);
    let jpegs = curve(&folder("turned-jpeg", |index| {
        (format!("{index}.jpg"), jpeg(&turned(index)))
    }));
    let tagged = folder("jpeg-exif", |index| {
        (
            format!("{index}.jpg"),
            jpeg_with(&exif(6), &jpeg(&picture(index).into())),
        )
    });
    near(&curve(&tagged), &jpegs, 0.05);
}

#[test]
fn files_that_are_no_pictures_are_passed_over() {
    let clean = folder("clean", |index| (format!("{index:03}.png"), png(index)));
    let expected = curve(&clean);
    for index in 0..COUNT {
        let name = format!("._{index:03}.png");
        fs::write(
            clean.file(&name),
            b"\0\x05\x16\x07\0\x02\0\0Mac OS X        ",
        )
        .unwrap();
    }
    for name in [
        ".DS_Store",
        "Thumbs.db",
        ".hidden.jpg",
        "__MACOSX/000.png",
        "000.png.part",
        "desktop.ini",
    ] {
        fs::write(clean.file(name), "junk").unwrap();
    }
    assert_eq!(curve(&clean), expected);
}

#[test]
fn a_picture_is_what_its_bytes_are_and_what_is_none_is_named_by_its_cause() {
    let sixteen = folder("sixteen", |index| {
        let deep = image::DynamicImage::from(picture(index)).into_rgb16();
        (
            format!("{index}.png"),
            bytes(&deep.into(), image::ImageFormat::Png),
        )
    });
    let plain = folder("plain", |index| (format!("{index}.png"), png(index)));
    near(&curve(&sixteen), &curve(&plain), 1e-6);
    let misnamed = folder("misnamed", |index| (format!("{index}.jpg"), png(index)));
    near(&curve(&misnamed), &curve(&plain), 1e-6);
    // Motion photos: a film after the picture, larger than that.
    let photo = |index: usize| bytes(&picture(index).into(), image::ImageFormat::Jpeg);
    let photos = folder("photos", |index| (format!("{index}.jpg"), photo(index)));
    let moving = folder("moving", |index| {
        let film = [&b"\0\0\0\x18ftypmp42"[..], &[7; 9000]].concat();
        (format!("{index}.jpg"), [photo(index), film].concat())
    });
    near(&curve(&moving), &curve(&photos), 1e-9);

    let whole = png(0);
    let jpeg = bytes(&picture(0).into(), image::ImageFormat::Jpeg);
    // A header of 20,000 by 20,000 pixels: nothing is made room for.
    let mut huge = whole.clone();
    huge[16..24].copy_from_slice(&[0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20]);
    let crc = {
        let mut crc = !0_u32;
        for byte in &huge[12..29] {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = (crc >> 1) ^ (0xedb8_8320 & (0_u32.wrapping_sub(crc & 1)));
            }
        }
        !crc
    };
    huge[29..33].copy_from_slice(&crc.to_be_bytes());
    for (broken, words) in [
        (&whole[..whole.len() - 40], "never finished"),
        (&jpeg[..jpeg.len() - 40], "never finished"),
        (b"", "0 bytes"),
        (
            b"version https://git-lfs.github.com/spec/v1\nsize 5\n",
            "Git LFS",
        ),
        (&huge, "20000x20000"),
        (
            b"GIF89a, which is neither",
            "neither a PNG nor a supported JPEG",
        ),
    ] {
        let folder = folder("broken", |index| {
            (
                format!("{index}.png"),
                if index == 0 {
                    broken.to_vec()
                } else {
                    png(index)
                },
            )
        });
        let output = ask(&folder);
        assert_eq!(output.status.code(), Some(1), "{words}");
        let said = text(&output.stderr);
        assert!(
            said.contains(words) && said.contains("0.png"),
            "{words}: {said}"
        );
    }
    let others = made::Folder::new("others");
    fs::write(others.file("a.webp"), "RIFF").unwrap();
    fs::write(others.file("camera/000.png"), png(0)).unwrap();
    let said = text(&ask(&others).stderr);
    assert!(
        said.contains("1 .webp files") && said.contains("1 folders"),
        "{said}"
    );
}

#[test]
fn a_single_image_is_scored_as_a_video_of_one_frame() {
    let one = made::Folder::new("one");
    fs::write(one.file("shot.png"), png(3)).unwrap();
    let score = json(&ask(&one));
    assert_eq!(
        (&score["frames"], &score["prefix_lengths"]),
        (&serde_json::json!(1), &serde_json::json!([1]))
    );
    assert_eq!(numbers(&score["log_probs"]).len(), 1);
    // No order of one: nothing is claimed of progress.
    assert_eq!(
        (&score["voc"], &score["static_voc"]),
        (&Value::Null, &Value::Null)
    );
}
