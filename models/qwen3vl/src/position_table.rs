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

    /// `count` places spread evenly over the side, in `f32` and from both ends as `torch.linspace` counts them, which
    /// fuses the step and the subtraction from the end.
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
                    (-step).mul_add((count - 1 - index) as f32, end)
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

#[cfg(test)]
mod tests {
    use super::PositionTable;

    /// Of `torch.linspace(0, side - 1, count)`, torch 2.11.0: places that rounding twice would miss by the last bit.
    #[test]
    fn places_are_torchs_to_the_bit() {
        for (side, count, index, place) in [
            (8, 16, 10, 4.666_666_5_f32),
            (8, 19, 15, 5.833_333_5),
            (8, 20, 12, 4.421_052_5),
            (64, 258, 132, 32.357_975),
            (64, 258, 134, 32.848_247),
            (64, 258, 136, 33.338_52),
            (64, 259, 136, 33.209_3),
            (64, 259, 144, 35.162_792),
        ] {
            let places = PositionTable::new(Vec::new(), side, 0).between(count);
            let found = places
                .get(index)
                .map(|between| between.first as f32 + between.share);
            assert_eq!(found, Some(place), "{side} {count} {index}");
        }
    }
}
