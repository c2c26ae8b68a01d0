//! Errors of a decoder's file and of codes.

use layers::CheckpointError;

/// Codes could not be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DepthDecoderError {
    /// The file.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The file could not be read, is not what its name says, or is too large to be that.
    #[error(transparent)]
    Read(#[from] field_files::ReadError),
    /// The tensors are not those of a depth decoder.
    #[error("{name} has shape {shape:?}; {want}")]
    Layout {
        /// The tensor.
        name: String,
        /// Its shape, empty if it is not there.
        shape: Vec<usize>,
        /// The expected shape.
        want: &'static str,
    },
    /// A code the codebook does not have.
    #[error("cell {cell} holds code {code}; the depth decoder has codes below {codes}")]
    BadCode {
        /// Index of the cell, from 0.
        cell: usize,
        /// The code.
        code: u32,
        /// Number of codes of the decoder.
        codes: usize,
    },
    /// The codes do not fill the grid.
    #[error("{codes} codes do not fill a grid of {rows}x{columns} cells")]
    WrongGrid {
        /// Codes given.
        codes: usize,
        /// Rows of cells.
        rows: usize,
        /// Cells of a row.
        columns: usize,
    },
    /// The picture could not be fetched from the device.
    #[error("the picture cannot be read back from the device: {reason}")]
    ReadBack {
        /// Message of the backend.
        reason: String,
    },
}
