//! Integers in `.npy` files: int32 and int64, the types of index arrays.

use field_files::Limit;
use std::path::Path;

use super::{NpyError, header};

/// Reads an array of int64 or int32 of any shape, in row-major order.
///
/// # Errors
/// [`NpyError`] names the file and what is wrong with it.
pub fn read_whole_numbers(path: &Path) -> Result<Vec<i64>, NpyError> {
    let bytes = field_files::read(path, Limit::ARRAY)?;
    let not_npy = |reason: &str| NpyError::NotNpy {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    let (text, data) = header::split(&bytes).map_err(not_npy)?;
    let header = header::Header::parse(text).map_err(|reason| not_npy(&reason))?;
    let several = header.shape.iter().filter(|&&axis| axis > 1).count() > 1;
    if header.fortran_order && several {
        return Err(not_npy(
            "its integers are in column-major order; save it with `numpy.ascontiguousarray`",
        ));
    }
    let (width, values): (usize, Vec<i64>) = match header.descr.as_str() {
        "<i8" => (8, each(data, i64::from_le_bytes)),
        ">i8" => (8, each(data, i64::from_be_bytes)),
        "<i4" => (4, each(data, |raw| i64::from(i32::from_le_bytes(raw)))),
        ">i4" => (4, each(data, |raw| i64::from(i32::from_be_bytes(raw)))),
        other => {
            return Err(not_npy(&format!(
                "it holds dtype {other:?} where int64 is expected: save it with `array.astype(numpy.int64)`"
            )));
        }
    };
    let want = header
        .shape
        .iter()
        .try_fold(width, |size, &axis| size.checked_mul(axis));
    match want {
        Some(want) if want == data.len() => Ok(values),
        _ => Err(NpyError::WrongLength {
            path: path.to_owned(),
            want: want.unwrap_or(usize::MAX),
            got: data.len(),
            shape: header.shape,
        }),
    }
}

fn each<const N: usize>(data: &[u8], read: impl Fn([u8; N]) -> i64) -> Vec<i64> {
    let (values, _) = data.as_chunks::<N>();
    values.iter().map(|raw| read(*raw)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn read(name: &str, descr: &str, shape: &str, data: &[u8]) -> Result<Vec<i64>, NpyError> {
        let header =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        let path = std::env::temp_dir().join(format!("{name}-{}.npy", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let read = read_whole_numbers(&path);
        std::fs::remove_file(path).unwrap();
        read
    }

    #[test]
    fn both_sizes_and_both_orders_are_read() {
        let wide: Vec<u8> = [7_i64, -1].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(read("wide", "<i8", "(2,)", &wide).unwrap(), [7, -1]);
        let narrow: Vec<u8> = [7_i32, -1].iter().flat_map(|x| x.to_be_bytes()).collect();
        assert_eq!(read("narrow", ">i4", "(1, 2)", &narrow).unwrap(), [7, -1]);
    }

    #[test]
    fn other_kinds_and_lengths_are_refused() {
        let error = read("floats", "<f4", "(1,)", &[0; 4]).unwrap_err();
        assert!(error.to_string().contains("numpy.int64"), "{error}");
        let error = read("short", "<i8", "(2,)", &[0; 8]).unwrap_err();
        assert!(matches!(
            error,
            NpyError::WrongLength {
                want: 16,
                got: 8,
                ..
            }
        ));
    }
}
