//! Depth reasoning: the cells of a depth map as text and outlines, and the depth image that the worker decodes.

use protocol::depth::{DepthMode, DepthReasoning};
use protocol::worker::{DepthDrawing, DrawOutcome};
use protocol::{View, ViewEncoding};

use crate::depth_colors::DepthColors;
use crate::latest::Latest;

/// Digits that distinguish a cell near the threshold (0.996) from the threshold.
const COSINE_DIGITS: usize = 4;

/// One cell of a depth map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// Index, from 0, row by row.
    pub index: usize,
    /// Row, from 0.
    pub row: usize,
    /// Column, from 0.
    pub column: usize,
    /// Its depth code.
    pub code: u32,
    /// True if the policy generated it in this decision.
    pub regenerated: bool,
    /// Cosine similarity of the camera's image there with the previous one; absent without an image to compare with.
    pub cosine: Option<f32>,
}

/// The cell with this index.
pub fn cell(depth: &DepthReasoning, index: usize) -> Option<Cell> {
    let columns = depth.columns.max(1) as usize;
    Some(Cell {
        index,
        row: index / columns,
        column: index % columns,
        code: *depth.codes.get(index)?,
        regenerated: *depth.regenerated.get(index)?,
        cosine: depth.similarity.get(index).copied(),
    })
}

/// All cells, row by row.
pub fn cells(depth: &DepthReasoning) -> Vec<Cell> {
    (0..depth.codes.len())
        .filter_map(|index| cell(depth, index))
        .collect()
}

/// A cosine with four digits, never rounded across the threshold.
pub fn cosine_text(cosine: f32, threshold: f32) -> String {
    let shift = 10_f64.powi(COSINE_DIGITS as i32);
    let scaled = f64::from(cosine) * shift;
    let edge = (f64::from(threshold) * shift).round();
    let rounded = if cosine < threshold {
        scaled.round().min(edge - 1.0)
    } else {
        scaled.round().max(edge)
    };
    format!("{:.COSINE_DIGITS$}", rounded / shift)
}

/// Fate of a cell, regenerated or replayed, with its cosine.
pub fn cell_reason(cell: &Cell, threshold: f32) -> String {
    match cell.cosine {
        Some(cosine) => {
            let text = cosine_text(cosine, threshold);
            if cell.regenerated {
                format!("regenerated: cosine {text}, below {threshold}")
            } else {
                format!("replayed: cosine {text}, not below {threshold}")
            }
        }
        None if cell.regenerated => "regenerated".to_owned(),
        None => "replayed".to_owned(),
    }
}

/// Description of a cell, also for screen readers.
pub fn cell_text(cell: &Cell, threshold: f32) -> String {
    format!(
        "Row {}, column {}: code {}, {}",
        cell.row + 1,
        cell.column + 1,
        cell.code,
        cell_reason(cell, threshold)
    )
}

/// Numbers of regenerated and replayed cells.
pub fn counts(depth: &DepthReasoning) -> String {
    let (all, written) = (depth.codes.len(), depth.written());
    format!(
        "{written} of {all} cells regenerated, {} replayed",
        all - written.min(all)
    )
}

/// Reason of these numbers, for a policy that reasons in this mode.
pub fn reason(depth: &DepthReasoning, mode: DepthMode) -> String {
    let passes = match depth.forwards {
        1 => "1 pass".to_owned(),
        passes => format!("{passes} passes"),
    };
    if !depth.similarity.is_empty() {
        return format!(
            "A cell is regenerated where the camera\u{2019}s image differs from that of the previous decision: cosine \
             similarity below {}. This took {passes} through the language model.",
            depth.threshold
        );
    }
    let cause = match mode {
        DepthMode::Adaptive => {
            "There was no earlier image to compare with, so every cell was generated"
        }
        DepthMode::Free => "The policy chose how many cells to generate",
        DepthMode::Full | DepthMode::Off => "Every cell is generated in every decision",
    };
    format!("{cause}. This took {passes} through the language model.")
}

/// The border between regenerated and replayed cells and around the regenerated ones, as an SVG path in which a cell is
/// one unit wide.
pub fn outline(depth: &DepthReasoning) -> String {
    let columns = depth.columns.max(1) as usize;
    let is_written = |row: i64, column: i64| {
        let (Ok(row), Ok(column)) = (usize::try_from(row), usize::try_from(column)) else {
            return false;
        };
        column < columns
            && depth
                .regenerated
                .get(row * columns + column)
                .copied()
                .unwrap_or(false)
    };
    let mut path = String::new();
    for (index, written) in depth.regenerated.iter().enumerate() {
        if !written {
            continue;
        }
        let (row, column) = (index / columns, index % columns);
        let (y, x) = (row as i64, column as i64);
        for (neighbour, step) in [
            ((y - 1, x), format!("M{x} {y}h1")),
            ((y + 1, x), format!("M{x} {}h1", y + 1)),
            ((y, x - 1), format!("M{x} {y}v1")),
            ((y, x + 1), format!("M{} {y}v1", x + 1)),
        ] {
            if !is_written(neighbour.0, neighbour.1) {
                path.push_str(&step);
            }
        }
    }
    path
}

/// The replayed cells as an SVG path, to be dimmed.
pub fn replayed(depth: &DepthReasoning) -> String {
    let columns = depth.columns.max(1) as usize;
    depth
        .regenerated
        .iter()
        .enumerate()
        .filter(|(_, written)| !**written)
        .map(|(index, _)| format!("M{} {}h1v1h-1z", index % columns, index / columns))
        .collect()
}

/// A decoded depth map as an image: the nearest point is bright, the farthest dark.
pub fn paint(drawing: &DepthDrawing, colors: &DepthColors) -> View {
    let values = drawing.floats();
    let least = values.iter().copied().fold(f32::INFINITY, f32::min);
    let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let range = (most - least).max(1e-8);
    rgb(
        drawing.width,
        drawing.height,
        values.iter().map(|value| {
            let nearness = (value - least) / range;
            colors.of(255 - (nearness * 254.0).round().clamp(0.0, 254.0) as u8)
        }),
    )
}

/// The codes as an image with one pixel per cell, colored by number.
pub fn paint_codes(depth: &DepthReasoning, known: u32, colors: &DepthColors) -> View {
    let last = known.saturating_sub(1).max(1) as f32;
    let cells = depth.rows() * depth.columns as usize;
    let codes = depth.codes.iter().map(|code| {
        let share = (*code as f32 / last).clamp(0.0, 1.0);
        colors.of(1 + (share * 254.0).round() as u8)
    });
    rgb(
        depth.columns,
        depth.rows() as u32,
        codes.chain(std::iter::repeat(colors.of(0))).take(cells),
    )
}

fn rgb(width: u32, height: u32, pixels: impl Iterator<Item = [u8; 4]>) -> View {
    View {
        name: String::new(),
        encoding: ViewEncoding::Rgb8,
        width,
        height,
        data: pixels.flat_map(|[r, g, b, _]| [r, g, b]).collect(),
    }
}

/// The worker's newest depth image, and the request in flight.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DepthImages {
    request: Latest<Vec<u32>>,
    drawn: Option<(Vec<u32>, DrawOutcome)>,
}

impl DepthImages {
    /// The number of a request for these codes; `None` if their image is there or another request is in flight.
    pub fn next_request(&mut self, codes: &[u32]) -> Option<u64> {
        if !self.request.is_free() || self.outcome_for(codes).is_some() {
            return None;
        }
        self.request.send(codes.to_vec())
    }

    /// Stores an answer; one that is not awaited is ignored.
    pub fn answered(&mut self, id: u64, outcome: DrawOutcome) {
        if let Some(codes) = self.request.answered(id) {
            self.drawn = Some((codes, outcome));
        }
    }

    /// Follows a restart of the worker, which has lost the request in flight.
    pub fn restart(&mut self) {
        self.request.reset();
        self.drawn = None;
    }

    /// Outcome for these codes.
    pub fn outcome_for(&self, codes: &[u32]) -> Option<&DrawOutcome> {
        self.drawn
            .as_ref()
            .filter(|(drawn, _)| drawn == codes)
            .map(|(_, outcome)| outcome)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use protocol::worker::ComputeKind;

    fn depth() -> DepthReasoning {
        DepthReasoning {
            camera: "overview".into(),
            codes: vec![0, 9, 5, 5],
            columns: 2,
            regenerated: vec![true, true, false, true],
            similarity: vec![0.5, 0.995_96, 0.999, 0.2],
            threshold: 0.996,
            forwards: 6,
            frame: None,
        }
    }

    #[test]
    fn a_cell_says_what_happened_to_it_and_why() {
        let depth = depth();
        assert_eq!(counts(&depth), "3 of 4 cells regenerated, 1 replayed");
        // Rounded to nearest, 0.99596 would appear equal to the threshold.
        assert_eq!(
            cell_text(&cell(&depth, 1).unwrap(), 0.996),
            "Row 1, column 2: code 9, regenerated: cosine 0.9959, below 0.996"
        );
        assert_eq!(
            cell_text(&cell(&depth, 2).unwrap(), 0.996),
            "Row 2, column 1: code 5, replayed: cosine 0.9990, not below 0.996"
        );
        assert_eq!(cell(&depth, 4), None);
        assert_eq!(cosine_text(1.000_000_1, 0.996), "1.0000");
        let text = reason(&depth, DepthMode::Adaptive);
        assert!(text.contains("below 0.996") && text.contains("6 passes"));
        let first = DepthReasoning {
            similarity: vec![],
            ..depth
        };
        assert!(cell_reason(&cell(&first, 0).unwrap(), 0.996) == "regenerated");
        assert!(reason(&first, DepthMode::Adaptive).contains("no earlier image"));
        assert!(reason(&first, DepthMode::Full).contains("in every decision"));
    }

    #[test]
    fn the_outline_goes_round_regenerated_cells_and_not_between_them() {
        let path = outline(&depth());
        // Between cells 0 and 1, and between 1 and 3, there is no line.
        assert!(!path.contains("M1 0v1") && !path.contains("M1 1h1"));
        // Between 0 and the replayed 2, and between that and 3, there is one.
        assert!(path.contains("M0 1h1") && path.contains("M1 1v1"));
        assert_eq!(path.matches('M').count(), 8);
        assert_eq!(replayed(&depth()), "M0 1h1v1h-1z");
    }

    #[test]
    fn the_nearest_point_is_the_brightest() {
        let drawing = DepthDrawing {
            computed_on: ComputeKind::Cpu,
            width: 3,
            height: 1,
            values: [0.0_f32, 2.0, 1.0].map(f32::to_le_bytes).concat(),
            micros: 1,
        };
        let view = paint(&drawing, &DepthColors::default());
        assert!(view.validate("picture").is_ok());
        let light = |at: usize| {
            view.data[at * 3..at * 3 + 3]
                .iter()
                .map(|v| u32::from(*v))
                .sum::<u32>()
        };
        assert!(light(1) > light(2) && light(2) > light(0));
        let codes = paint_codes(
            &DepthReasoning {
                codes: vec![0, 9, 5],
                regenerated: vec![true; 3],
                similarity: vec![],
                ..depth()
            },
            10,
            &DepthColors::default(),
        );
        assert!(
            codes.validate("codes").is_ok(),
            "a row that is not full is filled up"
        );
    }

    #[test]
    fn one_image_is_requested_at_a_time_and_none_twice() {
        let mut depth_images = DepthImages::default();
        let id = depth_images.next_request(&[1, 2]).unwrap();
        assert_eq!(
            depth_images.next_request(&[3, 4]),
            None,
            "the worker is busy"
        );
        let failed = || DrawOutcome::Failed {
            reason: "x".to_owned(),
        };
        depth_images.answered(id + 1, failed());
        assert_eq!(depth_images.outcome_for(&[1, 2]), None);
        depth_images.answered(id, failed());
        assert_eq!(depth_images.outcome_for(&[1, 2]), Some(&failed()));
        assert_eq!(depth_images.next_request(&[1, 2]), None, "it is there");
        assert!(depth_images.next_request(&[3, 4]).is_some());
        depth_images.restart();
        assert!(depth_images.next_request(&[3, 4]).is_some());
    }
}
