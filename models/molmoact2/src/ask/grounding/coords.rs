//! Coordinates of markup, in pixels.

use super::tag::Tag;
use super::{BoundingBox, Point};

/// Separators of the groups of different images.
const BETWEEN_IMAGES: [char; 4] = ['\t', ';', ':', ','];

/// One coordinate as written.
struct Number<'a>(&'a str);

impl Number<'_> {
    /// Its value if it consists of `min` to 4 digits and is at most `max`.
    fn value(&self, min: usize, max: u32) -> Option<u32> {
        let digits = self.0.bytes().all(|byte| byte.is_ascii_digit());
        let length = (min..=4).contains(&self.0.len());
        let value = self.0.parse().ok().filter(|value| *value <= max)?;
        (digits && length).then_some(value)
    }
}

/// One mark as written: image, number, `N` coordinates.
struct RawMark<'a, const N: usize> {
    image: usize,
    id: u32,
    numbers: [Number<'a>; N],
}

/// Splits `coords`; `None` unless every group is whole and names one of `images` images.
fn split<const N: usize>(coords: &str, images: usize) -> Option<Vec<RawMark<'_, N>>> {
    let mut marks = Vec::new();
    for group in coords.split(BETWEEN_IMAGES) {
        let mut words = group.split_ascii_whitespace();
        let image = image_number(words.next()?, images)?;
        let rest: Vec<&str> = words.collect();
        if rest.is_empty() || !rest.len().is_multiple_of(N + 1) {
            return None;
        }
        for chunk in rest.chunks_exact(N + 1) {
            let (id, numbers) = chunk.split_first()?;
            let numbers: Vec<Number<'_>> = numbers.iter().map(|word| Number(word)).collect();
            marks.push(RawMark {
                image,
                id: id.parse().ok()?,
                numbers: numbers.try_into().ok()?,
            });
        }
    }
    Some(marks)
}

/// Index of an image from its number: "1" or "1.0" is the first.
fn image_number(word: &str, images: usize) -> Option<usize> {
    let word = word.strip_suffix(".0").unwrap_or(word);
    let number: usize = word.parse().ok()?;
    number.checked_sub(1).filter(|image| *image < images)
}

/// Position along a side of `pixels` pixels.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "computed in f64, told in f32; images have far fewer than 2^52 pixels"
)]
fn pixels(share: f64, pixels: usize) -> f32 {
    (share * pixels as f64) as f32
}

/// Points in thousandths.
pub(super) fn points(coords: &str, sizes: &[[usize; 2]]) -> Option<Vec<Point>> {
    split::<2>(coords, sizes.len())?
        .into_iter()
        .map(|RawMark { image, id, numbers }| {
            let [width, height] = *sizes.get(image)?;
            let [x, y] = numbers.map(|number| number.value(3, 1000));
            Some(Point {
                image,
                id,
                x: pixels(f64::from(x?) / 1000.0, width),
                y: pixels(f64::from(y?) / 1000.0, height),
            })
        })
        .collect()
}

/// Boxes, in thousandths where every number has three digits, else in hundredths.
pub(super) fn boxes(coords: &str, sizes: &[[usize; 2]]) -> Option<Vec<BoundingBox>> {
    let marks = split::<4>(coords, sizes.len())?;
    let fine = marks
        .iter()
        .flat_map(|mark| &mark.numbers)
        .all(|number| number.0.len() >= 3);
    let scale = if fine { 1000 } else { 100 };
    marks
        .into_iter()
        .map(|RawMark { image, id, numbers }| {
            let [width, height] = *sizes.get(image)?;
            let [x1, y1, x2, y2] = numbers.map(|number| number.value(1, scale));
            let (x1, y1, x2, y2) = (x1?, y1?, x2?, y2?);
            let share = |value: u32| f64::from(value) / f64::from(scale);
            (x1 <= x2 && y1 <= y2).then(|| BoundingBox {
                image,
                id,
                left: pixels(share(x1), width),
                top: pixels(share(y1), height),
                right: pixels(share(x2), width),
                bottom: pixels(share(y2), height),
            })
        })
        .collect()
}

/// A decimal number in 0..=`max`, without sign or exponent.
fn decimal(word: &str, max: f64) -> Option<f64> {
    let plain = word
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value: f64 = word.parse().ok()?;
    (plain && (0.0..=max).contains(&value)).then_some(value)
}

/// Points as attributes `x` and `y`, or `x1`, `y1`, `x2`, …, in per cent.
pub(super) fn percent(tag: &Tag<'_>, [width, height]: [usize; 2]) -> Option<Vec<Point>> {
    let point = |id: u32, x: &str, y: &str| {
        Some(Point {
            image: 0,
            id,
            x: pixels(decimal(x.trim(), 100.0)? / 100.0, width),
            y: pixels(decimal(y.trim(), 100.0)? / 100.0, height),
        })
    };
    if let (Some(x), Some(y)) = (tag.attribute("x"), tag.attribute("y")) {
        return Some(vec![point(1, x, y)?]);
    }
    let mut points = Vec::new();
    for id in 1.. {
        let x = tag.attribute(&format!("x{id}"));
        let y = tag.attribute(&format!("y{id}"));
        match (x, y) {
            (Some(x), Some(y)) => points.push(point(id, x, y)?),
            (None, None) => break,
            _ => return None,
        }
    }
    (!points.is_empty()).then_some(points)
}

/// `[(x, y), …]` with fractions of the image's sides; also returns its length in bytes.
pub(super) fn tuples(text: &str, [width, height]: [usize; 2]) -> Option<(usize, Vec<Point>)> {
    let (inside, _) = text.strip_prefix('[')?.split_once(']')?;
    let mut points = Vec::new();
    let mut rest = inside.trim();
    for id in 1.. {
        let (pair, after) = rest.strip_prefix('(')?.split_once(')')?;
        let (x, y) = pair.split_once(',')?;
        let (x, y) = (x.trim(), y.trim());
        // Integers in brackets are mostly not fractions.
        if !(x.contains('.') && y.contains('.')) {
            return None;
        }
        points.push(Point {
            image: 0,
            id,
            x: pixels(decimal(x, 1.0)?, width),
            y: pixels(decimal(y, 1.0)?, height),
        });
        rest = after.trim();
        if rest.is_empty() {
            break;
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
    // Both brackets are one byte long.
    Some((inside.len() + 2, points))
}
