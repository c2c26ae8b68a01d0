//! Drawing of points and boxes on an image.

use anyhow::Context as _;
use field_files::write_whole;
use molmoact2::grounding::{Markup, Shapes};
use std::{
    io::{Cursor, Write as _},
    path::Path,
};
use vision::RgbImage;

/// One colour per label, from Okabe and Ito's palette for colour-blind readers; repeats after seven.
const COLOURS: [[u8; 3]; 7] = [
    [230, 159, 0],
    [86, 180, 233],
    [0, 158, 115],
    [240, 228, 66],
    [0, 114, 178],
    [213, 94, 0],
    [204, 121, 167],
];

/// Writes an image with its marks. `index` is its position in the question.
pub(super) fn write(
    image: &RgbImage,
    index: usize,
    marks: &[Markup],
    path: &Path,
) -> anyhow::Result<()> {
    let (width, height) = (image.width(), image.height());
    let mut canvas = Canvas {
        width,
        height,
        data: image.data().to_vec(),
        // A mark of a VGA image is a few pixels wide; larger images get larger ones.
        stroke: (width.min(height) / 240).max(1) as f32,
    };
    for (markup, colour) in marks.iter().zip(COLOURS.iter().cycle()) {
        match &markup.shapes {
            Shapes::Points(points) => points
                .iter()
                .filter(|point| point.image == index)
                .for_each(|point| canvas.point(point.x, point.y, *colour)),
            Shapes::Boxes(boxes) => {
                boxes
                    .iter()
                    .filter(|area| area.image == index)
                    .for_each(|area| {
                        canvas.frame([area.left, area.top, area.right, area.bottom], *colour);
                    });
            }
        }
    }
    let size = |side: usize| u32::try_from(side).context("the image is too large to be written");
    let context = || format!("cannot write {}", path.display());
    let format = image::ImageFormat::from_path(path).with_context(context)?;
    let mut file = Cursor::new(Vec::new());
    image::write_buffer_with_format(
        &mut file,
        &canvas.data,
        size(width)?,
        size(height)?,
        image::ExtendedColorType::Rgb8,
        format,
    )
    .with_context(context)?;
    write_whole(path, |output| output.write_all(file.get_ref())).with_context(context)
}

struct Canvas {
    width: usize,
    height: usize,
    data: Vec<u8>,
    stroke: f32,
}

impl Canvas {
    /// Colours every pixel whose centre `inside` accepts.
    fn fill(&mut self, colour: [u8; 3], inside: impl Fn(f32, f32) -> bool) {
        for (row, line) in self.data.chunks_exact_mut(self.width * 3).enumerate() {
            for (column, pixel) in line.chunks_exact_mut(3).enumerate() {
                if inside(column as f32 + 0.5, row as f32 + 0.5) {
                    pixel.copy_from_slice(&colour);
                }
            }
        }
    }

    /// A disc with a white and a black rim, visible on anything.
    fn point(&mut self, x: f32, y: f32, colour: [u8; 3]) {
        for (radius, colour) in [(6.0, [0; 3]), (5.0, [255; 3]), (3.5, colour)] {
            let reach = radius * self.stroke;
            self.fill(colour, |column, row| (column - x).hypot(row - y) <= reach);
        }
    }

    /// A frame of two strokes, black outside.
    fn frame(&mut self, [left, top, right, bottom]: [f32; 4], colour: [u8; 3]) {
        // Keeps the stroke visible at the border of the image.
        let (right, bottom) = (right.min(self.width as f32), bottom.min(self.height as f32));
        for (reach, colour) in [(2.5, [0; 3]), (1.5, colour)] {
            let reach = reach * self.stroke;
            self.fill(colour, |x, y| {
                let outside = (left - x).max(x - right).max(top - y).max(y - bottom);
                outside.abs() <= reach
            });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn only_marks_of_the_image_are_drawn() {
        let sizes = [[100, 80], [100, 80]];
        let text = "<points coords=\"1 1 500 500;2 2 100 100\">a</points><boxes coords=\"1 1 10 10 90 90\">b</boxes>";
        let marks = molmoact2::grounding::parse(text, &sizes);
        let path = std::env::temp_dir().join(format!("marks-{}.png", std::process::id()));
        let grey = RgbImage::new(100, 80, vec![128; 100 * 80 * 3]).unwrap();
        write(&grey, 0, &marks, &path).unwrap();
        let drawn = image::open(&path).unwrap().into_rgb8();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(drawn.dimensions(), (100, 80));
        assert_eq!(drawn.get_pixel(50, 40).0, COLOURS[0]);
        assert_eq!(drawn.get_pixel(10, 40).0, COLOURS[1]);
        assert_eq!(drawn.get_pixel(50, 71).0, COLOURS[1]);
        assert_eq!(drawn.get_pixel(20, 20).0, [128; 3]);
        assert_eq!(drawn.get_pixel(2, 2).0, [128; 3]);
    }
}
