//! The learned positions of the vision tower, for a grid of another shape than they were learned on.

use crate::video_input::{Grid, merge_order};

/// A square table of position embeddings.
#[derive(Debug, Clone)]
pub(crate) struct PositionTable {
    /// `[side * side, width]`.
    values: Vec<f32>,
    side: usize,
    width: usize,
}

/// Two neighbouring places of the table, and how far towards the second.
#[derive(Clone, Copy)]
struct Between {
    first: usize,
    second: usize,
    share: f32,
}

impl PositionTable {
    /// From `[side * side, width]`.
    pub(crate) fn new(values: Vec<f32>, side: usize, width: usize) -> Self {
        Self {
            values,
            side,
            width,
        }
    }

    /// Embeddings of every patch of `grid`, in the order of the patches, `[patches, width]`: bilinear between the
    /// table's places, with corners on corners.
    pub(crate) fn on(&self, grid: Grid, merge: usize) -> Vec<f32> {
        let rows = self.between(grid.rows);
        let columns = self.between(grid.columns);
        let mut values = Vec::with_capacity(grid.patches() * self.width);
        for (row, column) in merge_order(grid, merge) {
            let (Some(row), Some(column)) = (rows.get(row), columns.get(column)) else {
                continue;
            };
            let corners = [
                (
                    row.first,
                    column.first,
                    (1.0 - row.share) * (1.0 - column.share),
                ),
                (row.first, column.second, (1.0 - row.share) * column.share),
                (row.second, column.first, row.share * (1.0 - column.share)),
                (row.second, column.second, row.share * column.share),
            ];
            let start = values.len();
            values.resize(start + self.width, 0.0);
            for (row, column, weight) in corners {
                let from = (row * self.side + column) * self.width;
                let corner = self.values.iter().skip(from).take(self.width);
                for (sum, value) in values.iter_mut().skip(start).zip(corner) {
                    *sum += value * weight;
                }
            }
        }
        values
    }

    /// `count` places spread evenly over the side, in `f32` and from both ends as `torch.linspace` counts them.
    fn between(&self, count: usize) -> Vec<Between> {
        let last = self.side.saturating_sub(1);
        let end = last as f32;
        let step = if count > 1 {
            end / (count - 1) as f32
        } else {
            0.0
        };
        (0..count)
            .map(|index| {
                let at = if count == 1 || index < count / 2 {
                    step * index as f32
                } else {
                    end - step * (count - 1 - index) as f32
                };
                let first = (at as usize).min(last);
                Between {
                    first,
                    second: (first + 1).min(last),
                    share: at - first as f32,
                }
            })
            .collect()
    }
}
