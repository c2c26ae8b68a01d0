//! NumPy's `.npy` files: one array of numbers, read as float32 and written as float32.
//!
//! A file is the magic `\x93NUMPY`, a version, the length of a header, the header (a Python dictionary with
//! `descr`, `fortran_order` and `shape`) and the values. Reading accepts float16, float32 and float64 in either
//! byte order and either memory order, and refuses everything else with an error that names the dtype. Reading an array
//! of Python objects would mean executing code.

mod header;
mod integers;

use std::{
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use field_files::{Limit, ReadError, write_whole};
use half::f16;
use header::Header;

pub use integers::read_whole_numbers;

/// Maximum file size. A corpus for an action tokenizer can have hundreds of millions of values, and twice its bytes are
/// in memory while it is read.
const MAX_FILE: Limit = Limit(8 << 30);

/// An array in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Lengths of the axes, slowest first.
    pub shape: Vec<usize>,
    /// The values, row-major (C order).
    pub values: Vec<f32>,
    /// Number type in the file.
    pub kind: Kind,
}

/// Number type of a file's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// IEEE half precision.
    Float16,
    /// IEEE single precision.
    Float32,
    /// IEEE double precision.
    Float64,
}

impl Kind {
    /// NumPy's name of the type.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Float16 => "float16",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Float16 => 2,
            Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }
}

/// A `.npy` file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum NpyError {
    /// The file cannot be read, is a placeholder for another, or is too large.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file is not a valid `.npy` file.
    #[error("{} is not a .npy file: {reason}", path.display())]
    NotNpy {
        /// The file.
        path: PathBuf,
        /// Fault, for the reader of the message.
        reason: String,
    },
    /// The values are not floating-point numbers.
    #[error("{} holds {descr}; float32 is expected (float16 and float64 are converted): save it with `array.astype(numpy.float32)`", path.display())]
    WrongKind {
        /// The file.
        path: PathBuf,
        /// NumPy's description of the values.
        descr: String,
    },
    /// The size of the data contradicts the header.
    #[error("{} is {}: shape {shape:?} takes {want} bytes after the header, there are {got}", path.display(), if got < want { "cut short" } else { "too long" })]
    WrongLength {
        /// The file.
        path: PathBuf,
        /// The shape in the header.
        shape: Vec<usize>,
        /// Bytes that the shape takes.
        want: usize,
        /// Bytes after the header.
        got: usize,
    },
}

/// Reads a file.
///
/// # Errors
/// [`NpyError`] names the file and what is wrong with it.
pub fn read(path: &Path) -> Result<Array, NpyError> {
    read_within(path, MAX_FILE)
}

/// Reads a file of at most `limit` bytes, for arrays that are known to be small.
///
/// # Errors
/// As [`read`].
pub fn read_within(path: &Path, limit: Limit) -> Result<Array, NpyError> {
    parse(&field_files::read(path, limit)?, path)
}

fn parse(bytes: &[u8], path: &Path) -> Result<Array, NpyError> {
    let not_npy = |reason: &str| NpyError::NotNpy {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    let (header, data) = header::split(bytes).map_err(not_npy)?;
    let Header {
        descr,
        fortran_order,
        shape,
    } = Header::parse(header).map_err(|reason| not_npy(&reason))?;
    let (kind, big_endian) = kind(&descr).ok_or_else(|| NpyError::WrongKind {
        path: path.to_owned(),
        descr: described(&descr),
    })?;
    let want = shape
        .iter()
        .try_fold(kind.bytes(), |size, &axis| size.checked_mul(axis))
        .ok_or_else(|| not_npy(&format!("its shape {shape:?} is too large for memory")))?;
    if data.len() != want {
        return Err(NpyError::WrongLength {
            path: path.to_owned(),
            got: data.len(),
            shape,
            want,
        });
    }
    let values = numbers(data, kind, big_endian);
    let values = if fortran_order && shape.len() > 1 {
        row_major(&values, &shape)
    } else {
        values
    };
    Ok(Array {
        shape,
        values,
        kind,
    })
}

/// Number type and big-endian flag of a `descr`; `None` if it is not supported.
fn kind(descr: &str) -> Option<(Kind, bool)> {
    let (order, kind) = descr.split_at_checked(1)?;
    let big_endian = match order {
        "<" => false,
        ">" => true,
        "=" => cfg!(target_endian = "big"),
        _ => return None,
    };
    let kind = match kind {
        "f2" => Kind::Float16,
        "f4" => Kind::Float32,
        "f8" => Kind::Float64,
        _ => return None,
    };
    Some((kind, big_endian))
}

/// Description of a dtype for error messages.
fn described(descr: &str) -> String {
    let description = match descr.trim_start_matches(['<', '>', '|', '=']) {
        "O" => "Python objects",
        "b1" => "booleans",
        kind if kind.starts_with(['i', 'u']) => "whole numbers",
        kind if kind.starts_with('c') => "complex numbers",
        kind if kind.starts_with(['U', 'S']) => "text",
        kind if kind.starts_with('f') => "floating-point numbers of another size",
        kind if kind.starts_with('[') => "records",
        _ => "values of an unknown kind",
    };
    format!("{description} (dtype {descr:?})")
}

fn numbers(data: &[u8], kind: Kind, big_endian: bool) -> Vec<f32> {
    fn each<const N: usize>(data: &[u8], read: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        let (values, _) = data.as_chunks::<N>();
        values.iter().map(|bytes| read(*bytes)).collect()
    }
    match (kind, big_endian) {
        (Kind::Float16, false) => each(data, |bytes| f16::from_le_bytes(bytes).to_f32()),
        (Kind::Float16, true) => each(data, |bytes| f16::from_be_bytes(bytes).to_f32()),
        (Kind::Float32, false) => each(data, f32::from_le_bytes),
        (Kind::Float32, true) => each(data, f32::from_be_bytes),
        (Kind::Float64, false) => each(data, |bytes| f64::from_le_bytes(bytes) as f32),
        (Kind::Float64, true) => each(data, |bytes| f64::from_be_bytes(bytes) as f32),
    }
}

/// Column-major values (first axis fastest) in row-major order.
fn row_major(values: &[f32], shape: &[usize]) -> Vec<f32> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = 1;
    for &axis in shape {
        strides.push(stride);
        stride *= axis;
    }
    let mut index = vec![0; shape.len()];
    let mut out = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        let at: usize = index
            .iter()
            .zip(&strides)
            .map(|(i, stride)| i * stride)
            .sum();
        out.extend(values.get(at));
        // The last axis varies fastest.
        for (coordinate, &axis) in index.iter_mut().zip(shape).rev() {
            *coordinate += 1;
            if *coordinate < axis {
                break;
            }
            *coordinate = 0;
        }
    }
    out
}

/// Writes an array of float32 in row-major order, little-endian. The file is replaced atomically.
///
/// # Errors
/// When the file cannot be written, or the number of values differs from the shape.
pub fn write(path: &Path, shape: &[usize], values: &[f32]) -> io::Result<()> {
    if shape.iter().product::<usize>() != values.len() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{} values for shape {shape:?}", values.len()),
        ));
    }
    write_whole(path, |file| {
        let mut file = BufWriter::new(file);
        file.write_all(&header::write(shape))?;
        for value in values {
            file.write_all(&value.to_le_bytes())?;
        }
        file.flush()
    })
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
mod tests;
