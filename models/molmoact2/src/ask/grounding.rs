//! Points and boxes in an answer.
//!
//! Forms that this family of models writes, with the source of each:
//!
//! | form | scale | source |
//! |---|---|---|
//! | `<points coords="1 1 361 691 2 412 690">cups</points>` | 0–1000 | `UnifiedPointFormatter` in `olmo/preprocessing/point_formatter.py` of github.com/allenai/molmo2 |
//! | `<tracks coords="1 1 259 340;2 1 248 335">cup</tracks>` | 0–1000 | the same |
//! | `<boxes coords="1 1 160 230 480 590">objects</boxes>` | 0–1000 with three digits, 0–100 with two | `BoxFormatter` in `experiments/olmo/preprocessing/box_formatter.py` of the MolmoAct2 training code |
//! | `<point x="63.5" y="44.5" alt="cup">cup</point>`, `<points x1="…" y1="…" x2="…" …>` | per cent | Molmo 1; `LegacyPointFormatting` in the first file |
//! | `[(0.461, 0.527), (0.498, 0.521)]` | 0–1 | the prompts of RoboPoint (arXiv 2406.10721) and RefSpatial (arXiv 2506.04308), part of Molmo2-ER's training |
//!
//! `coords` holds one group per image, divided by a tab or one of `;:,`. A group is the number of the image,
//! counted from 1 in the order of the prompt, then for every mark its number and its coordinates: x y of a point,
//! x1 y1 x2 y2 of a box. Points have three or four digits each. The last two forms name no image, so they are read
//! only for a single image.
//!
//! Anything else stays text: a wrong count, a number out of range, an image that was not shown, an attribute
//! without its quotes, a tag that the answer's end cut off.

use std::ops::Range;

mod coords;
mod tag;

/// A point in an image.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Point {
    /// Index of the image, from 0.
    pub image: usize,
    /// Number given by the model; equal numbers in several images denote the same thing.
    pub id: u32,
    /// Pixels from the left edge.
    pub x: f32,
    /// Pixels from the top edge.
    pub y: f32,
}

/// A rectangle in an image.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct BoundingBox {
    /// Index of the image, from 0.
    pub image: usize,
    /// Number given by the model.
    pub id: u32,
    /// Left side, in pixels from the left edge of the image.
    pub left: f32,
    /// Top side, in pixels from the top edge of the image.
    pub top: f32,
    /// Right side, in pixels from the left edge of the image.
    pub right: f32,
    /// Bottom side, in pixels from the top edge of the image.
    pub bottom: f32,
}

/// Points or boxes of one piece of markup.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shapes {
    /// Points.
    Points(Vec<Point>),
    /// Boxes.
    Boxes(Vec<BoundingBox>),
}

/// One piece of markup in an answer.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Markup {
    /// Byte range in the answer.
    pub span: Range<usize>,
    /// Label in the model's wording; can be empty.
    pub label: String,
    /// At least one point or box, in pixels of the images as they were given.
    #[serde(flatten)]
    pub shapes: Shapes,
}

/// Finds the points and boxes in `text`, an answer about images of `sizes` (width, height in pixels), in their
/// order.
#[must_use]
pub fn parse(text: &str, sizes: &[[usize; 2]]) -> Vec<Markup> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text
        .get(from..)
        .and_then(|rest| rest.find(['<', '[']))
        .map(|offset| from + offset)
    {
        let markup = text.get(at..).and_then(|rest| one(rest, sizes));
        from = match markup {
            Some((len, label, shapes)) => {
                let end = at + len;
                found.push(Markup {
                    span: at..end,
                    label,
                    shapes,
                });
                end
            }
            // Both openings are one byte long.
            None => at + 1,
        };
    }
    found
}

/// The answer for display, with each piece of markup replaced by its label.
#[must_use]
pub fn plain(text: &str, marks: &[Markup]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for mark in marks {
        out.push_str(text.get(from..mark.span.start).unwrap_or_default());
        out.push_str(&mark.label);
        from = mark.span.end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

/// Like [`plain`], for an unfinished answer: markup that is not complete yet is left out instead of shown as raw
/// coordinates.
#[must_use]
pub fn plain_so_far(text: &str, marks: &[Markup]) -> String {
    let from = marks.last().map_or(0, |mark| mark.span.end);
    let open = text
        .get(from..)
        .and_then(unfinished)
        .map_or(text.len(), |at| from + at);
    plain(text.get(..open).unwrap_or(text), marks)
}

/// Start of markup that the end of `text` cuts off.
fn unfinished(text: &str) -> Option<usize> {
    text.match_indices('<').find_map(|(at, opening)| {
        let rest = text.get(at + opening.len()..)?;
        // An end tag can belong to a tag that was read without it.
        let rest = rest.strip_prefix('/').unwrap_or(rest);
        let is_named = tag::NAMES.iter().any(|name| {
            let after = rest.strip_prefix(name);
            name.starts_with(rest) || after.is_some_and(|after| after.starts_with(' '))
        });
        // A complete one that was not understood stays text.
        (is_named && !rest.contains("</")).then_some(at)
    })
}

/// The markup that `text` begins with: its length in bytes, its label, its marks.
fn one(text: &str, sizes: &[[usize; 2]]) -> Option<(usize, String, Shapes)> {
    if text.starts_with('[') {
        let [size] = sizes else { return None };
        let (len, points) = coords::tuples(text, *size)?;
        return Some((len, String::new(), Shapes::Points(points)));
    }
    let tag = tag::read(text)?;
    let shapes = match (tag.name, tag.attribute("coords")) {
        ("points" | "tracks" | "point", Some(coords)) => {
            Shapes::Points(coords::points(coords, sizes)?)
        }
        ("boxes" | "box", Some(coords)) => Shapes::Boxes(coords::boxes(coords, sizes)?),
        ("point" | "points", None) => {
            let [size] = sizes else { return None };
            Shapes::Points(coords::percent(&tag, *size)?)
        }
        _ => return None,
    };
    Some((tag.len, tag.label(), shapes))
}
