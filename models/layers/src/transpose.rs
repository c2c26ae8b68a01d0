//! Turning a matrix around, some rows at a time.

/// Columns and rows of a block, so that both sides stay in cache.
const BLOCK: usize = 64;

/// Writes the transpose of `source` (rows of `columns` values) into `target`, a matrix `width` wide,
/// starting at column `first`.
pub(crate) fn transpose_into<T>(
    source: &[f32],
    columns: usize,
    target: &mut [T],
    width: usize,
    first: usize,
    convert: &impl Fn(f32) -> T,
) {
    let rows = source.len() / columns.max(1);
    for row_block in (0..rows).step_by(BLOCK) {
        for column_block in (0..columns).step_by(BLOCK) {
            for row in row_block..(row_block + BLOCK).min(rows) {
                let values = source.iter().skip(row * columns + column_block);
                let end = (column_block + BLOCK).min(columns);
                for (column, &value) in (column_block..end).zip(values) {
                    if let Some(slot) = target.get_mut(column * width + first + row) {
                        *slot = convert(value);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::transpose_into;

    #[test]
    fn two_matrices_are_transposed_side_by_side() {
        let (rows, columns) = (70, 130);
        let source: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
        let width = rows + 3;
        let mut target = vec![-1.0; columns * width];
        transpose_into(&source, columns, &mut target, width, 3, &|value| value);
        for row in 0..rows {
            for column in 0..columns {
                assert_eq!(
                    target[column * width + 3 + row],
                    source[row * columns + column]
                );
            }
        }
        assert!(target.chunks(width).all(|line| line[..3] == [-1.0; 3]));
    }
}
