//! Windows of patches that image tokens pool.

use crate::ImageError;

/// The windows of an attention-pooled patch grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolingIndices {
    /// Image tokens along the height.
    pub rows: usize,
    /// Image tokens along the width.
    pub columns: usize,
    /// Patches per window.
    pub window: usize,
    /// `[rows * columns, window]`: patch numbers in the image's own grid, -1 where the window reaches over
    /// the edge.
    pub indices: Vec<i32>,
}

impl PoolingIndices {
    /// The same windows for an image whose patches start at `offset` in a longer row; -1 stays -1.
    pub fn shifted(&self, offset: i32) -> impl Iterator<Item = i32> + '_ {
        self.indices
            .iter()
            .map(move |index| if *index < 0 { -1 } else { index + offset })
    }
}

/// Splits a grid of `rows` x `columns` patches into windows, padding it to whole windows.
///
/// Half of the padding (rounded down) lies before the grid and the rest after it, as in the reference.
///
/// # Errors
/// [`ImageError::BadPooling`] when an extent is zero or the patches cannot be counted in 32 bits.
pub fn pooling_indices(
    rows: usize,
    columns: usize,
    window_rows: usize,
    window_columns: usize,
) -> Result<PoolingIndices, ImageError> {
    let bad = || ImageError::BadPooling {
        rows,
        columns,
        window_rows,
        window_columns,
    };
    if rows == 0 || columns == 0 || window_rows == 0 || window_columns == 0 {
        return Err(bad());
    }
    let patches = rows.checked_mul(columns).ok_or_else(bad)?;
    i32::try_from(patches).map_err(|_| bad())?;
    let window = window_rows.checked_mul(window_columns).ok_or_else(bad)?;
    let (out_rows, out_columns) = (rows.div_ceil(window_rows), columns.div_ceil(window_columns));
    let total = (out_rows * out_columns)
        .checked_mul(window)
        .ok_or_else(bad)?;
    i32::try_from(total).map_err(|_| bad())?;
    let before_rows = (out_rows * window_rows - rows) / 2;
    let before_columns = (out_columns * window_columns - columns) / 2;

    let patch_at = |padded_row: usize, padded_column: usize| {
        let row = padded_row
            .checked_sub(before_rows)
            .filter(|row| *row < rows);
        let column = padded_column
            .checked_sub(before_columns)
            .filter(|column| *column < columns);
        match (row, column) {
            (Some(row), Some(column)) => i32::try_from(row * columns + column).unwrap_or(-1),
            _ => -1,
        }
    };
    let mut indices = Vec::with_capacity(total);
    for out_row in 0..out_rows {
        for out_column in 0..out_columns {
            for row in 0..window_rows {
                for column in 0..window_columns {
                    indices.push(patch_at(
                        out_row * window_rows + row,
                        out_column * window_columns + column,
                    ));
                }
            }
        }
    }
    Ok(PoolingIndices {
        rows: out_rows,
        columns: out_columns,
        window,
        indices,
    })
}
