//! Compared with files written by NumPy: `tests/goldens/npy/generate.py`.

use super::*;

fn goldens() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/goldens/npy")
}

/// Values of every valid file, in its precision: thirds from -2 on.
fn expected(shape: &[usize], kind: Kind) -> Vec<f32> {
    let count: usize = shape.iter().product();
    (0..count)
        .map(|index| {
            let value = index as f64 / 3.0 - 2.0;
            match kind {
                Kind::Float16 => f16::from_f64(value).to_f32(),
                Kind::Float32 | Kind::Float64 => value as f32,
            }
        })
        .collect()
}

#[test]
fn arrays_of_every_order_and_precision_are_read() {
    for (name, shape, kind) in [
        ("plain", &[2, 3, 4][..], Kind::Float32),
        ("big_endian", &[2, 3, 4], Kind::Float32),
        ("fortran", &[2, 3, 4], Kind::Float32),
        ("fortran_big_endian", &[2, 3, 4], Kind::Float64),
        ("float64", &[2, 3, 4], Kind::Float64),
        ("float16", &[2, 3, 4], Kind::Float16),
        ("matrix", &[3, 4], Kind::Float32),
        ("fortran_matrix", &[3, 4], Kind::Float32),
        ("vector", &[5], Kind::Float32),
        ("scalar", &[], Kind::Float32),
        ("no_chunks", &[0, 3, 4], Kind::Float32),
        ("version_2", &[2, 3, 4], Kind::Float32),
        ("version_3", &[2, 3, 4], Kind::Float32),
    ] {
        let array = read(&goldens().join(name).with_extension("npy")).unwrap();
        assert_eq!(array.shape, shape, "{name}");
        assert_eq!(array.kind, kind, "{name}");
        assert_eq!(array.values, expected(shape, kind), "{name}");
    }
}

#[test]
fn other_dtypes_are_refused_by_name() {
    for (name, description) in [
        ("object", "Python objects"),
        ("int64", "whole numbers"),
        ("bool", "booleans"),
        ("complex", "complex numbers"),
        ("text", "text"),
        ("records", "records"),
        ("longdouble", "another size"),
    ] {
        let error = read(&goldens().join(name).with_extension("npy")).unwrap_err();
        assert!(
            matches!(error, NpyError::WrongKind { .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().contains(description), "{error}");
    }
}

#[test]
fn damaged_files_are_refused() {
    let intact = std::fs::read(goldens().join("plain.npy")).unwrap();
    let path = Path::new("some.npy");
    for length in 0..intact.len() {
        let error = parse(&intact[..length], path).unwrap_err();
        if length >= 128 {
            let NpyError::WrongLength { got, want: 96, .. } = error else {
                panic!("{error}")
            };
            assert_eq!(got, length - 128);
            assert!(error.to_string().contains("cut short"), "{error}");
        } else {
            assert!(
                matches!(error, NpyError::NotNpy { .. }),
                "{length}: {error}"
            );
        }
    }
    let longer = [intact.as_slice(), &[0]].concat();
    let error = parse(&longer, path).unwrap_err().to_string();
    assert!(error.contains("too long"), "{error}");
    for (from, to) in [
        ("NUMPY", "NUMPI"),
        ("(2, 3, 4)", "(2, -3,4)"),
        ("(2, 3, 4)", "[2, 3, 4]"),
        ("'shape'", "'shope'"),
        ("False", "Wrong"),
        ("{'descr'", " 'descr'"),
    ] {
        let at = intact
            .windows(from.len())
            .position(|w| w == from.as_bytes())
            .unwrap();
        let mut broken = intact.clone();
        broken[at..at + to.len()].copy_from_slice(to.as_bytes());
        let error = parse(&broken, path).unwrap_err();
        assert!(matches!(error, NpyError::NotNpy { .. }), "{from}: {error}");
    }
    // A shape whose product exceeds 64 bits.
    let huge =
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999, 9999999999999), }";
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((huge.len() as u16).to_le_bytes());
    bytes.extend(huge.bytes());
    assert!(matches!(parse(&bytes, path), Err(NpyError::NotNpy { .. })));
    let missing = read(Path::new("/does/not/exist.npy")).unwrap_err();
    assert!(
        missing.to_string().contains("/does/not/exist.npy"),
        "{missing}"
    );
}

#[test]
fn written_files_are_those_of_numpy() {
    for (name, shape) in [
        ("plain", &[2, 3, 4][..]),
        ("matrix", &[3, 4]),
        ("vector", &[5]),
        ("scalar", &[]),
        ("no_chunks", &[0, 3, 4]),
    ] {
        let path = std::env::temp_dir().join(format!("npy-{}-{name}.npy", std::process::id()));
        write(&path, shape, &expected(shape, Kind::Float32)).unwrap();
        let written = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let numpy = std::fs::read(goldens().join(name).with_extension("npy")).unwrap();
        assert_eq!(written, numpy, "{name}");
        assert!(write(&path, &[7], &[0.0]).is_err());
        assert!(!path.exists());
    }
}
