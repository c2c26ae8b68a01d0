//! JSON in files: one value in a file, or one in each line.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use crate::foreign::Foreign;
use crate::json::{JsonError, parse, parse_with_nulls};
use crate::limit::{Limit, ReadError, open, read};

/// Most bytes of a line: the statistics of an episode of hundreds of columns have less.
const MOST_LINE_BYTES: u64 = 4 << 20;
/// Broken lines that are told of one by one.
const MOST_TOLD: usize = 20;

/// Reads a file as JSON of the type `T`, as [`json::parse`](crate::json::parse) does.
///
/// # Errors
/// [`ReadError`], which names the file.
pub fn read_json<T: DeserializeOwned>(path: &Path, limit: Limit) -> Result<T, ReadError> {
    parse(&read(path, limit)?).map_err(|error| of(path, error))
}

/// Reads a file as a tree, in which what is not finite is null.
///
/// # Errors
/// [`ReadError`], which names the file.
pub fn read_json_tree(path: &Path, limit: Limit) -> Result<Value, ReadError> {
    parse_with_nulls(&read(path, limit)?).map_err(|error| of(path, error))
}

/// Reads a file of one value per line, in which what is not finite is null. `each` is given the values, `broken` is told
/// of the lines that are none, in words that name the file and the line: of the first twenty, and how many more there are.
/// Only a line is in memory at a time.
///
/// # Errors
/// [`ReadError`] for a file that is something else, or has a line of more than 4 MiB.
pub fn read_json_lines<T: DeserializeOwned>(
    path: &Path,
    each: &mut dyn FnMut(T),
    broken: &mut dyn FnMut(String),
) -> Result<(), ReadError> {
    let failed = |source| ReadError::opening(path, source);
    let (opened, size) = open(path)?;
    let mut file = BufReader::new(opened);
    let start = file.fill_buf().map_err(failed)?;
    if let Some(foreign) = Foreign::instead(start, size) {
        return Err(ReadError::foreign(path, foreign));
    }
    if is_utf16(start)
        && let Err(error) = parse::<IgnoredAny>(UTF16)
    {
        return Err(of(path, error));
    }
    let mut bad_lines = 0;
    let mut line = Vec::new();
    for number in 1_usize.. {
        line.clear();
        let read = (&mut file)
            .take(MOST_LINE_BYTES + 1)
            .read_until(b'\n', &mut line)
            .map_err(failed)?;
        if read == 0 {
            break;
        }
        if read as u64 > MOST_LINE_BYTES {
            return Err(ReadError::TooLarge {
                file: format!("line {number} of {}", path.display()),
                size: read as u64,
                limit: MOST_LINE_BYTES,
            });
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let place = path.display();
        match parse_with_nulls(&line) {
            Ok(value) => each(value),
            Err(_) if bad_lines >= MOST_TOLD => bad_lines += 1,
            Err(_) if !line.ends_with(b"\n") => broken(format!(
                "{place}: the last line ({number}) was never finished, as after an interrupted recording, copy or download"
            )),
            Err(error) => {
                bad_lines += 1;
                broken(format!("{place}, line {number}: {error}"));
            }
        }
    }
    if let Some(more) = bad_lines.checked_sub(MOST_TOLD).filter(|more| *more > 0) {
        broken(format!(
            "{}: {more} more of its lines cannot be read",
            path.display()
        ));
    }
    Ok(())
}

/// The mark that UTF-16 begins with.
const UTF16: &[u8] = b"\xff\xfe";

/// True if a text is UTF-16, with or without its mark.
fn is_utf16(start: &[u8]) -> bool {
    start.starts_with(UTF16)
        || start.starts_with(b"\xfe\xff")
        || matches!(start, [b'{' | b'[', 0, ..] | [0, b'{' | b'[', ..])
}

/// The error of a file by that of its text.
fn of(path: &Path, error: JsonError) -> ReadError {
    match error.instead() {
        Some(foreign) => ReadError::foreign(path, foreign.clone()),
        None => ReadError::Json {
            file: path.display().to_string(),
            error: Box::new(error),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn with_file<T>(name: &str, bytes: &[u8], test: impl FnOnce(&Path) -> T) -> T {
        // Tests run side by side.
        static FILES: AtomicUsize = AtomicUsize::new(0);
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let path = std::env::temp_dir().join(format!("json-{process}-{number}-{name}"));
        std::fs::write(&path, bytes).unwrap();
        let tested = test(&path);
        std::fs::remove_file(path).unwrap();
        tested
    }

    #[test]
    fn a_file_is_named_with_what_is_wrong_with_it() {
        let said = |bytes: &[u8]| {
            with_file("wrong", bytes, |path| {
                read_json::<Vec<f64>>(path, Limit::SETTINGS)
                    .unwrap_err()
                    .to_string()
            })
        };
        for (bytes, words) in [
            (&b"[1, NaN]"[..], "wrong: [1]: "),
            (b"[1, 2", "wrong was never finished"),
            (b"", "wrong has 0 bytes"),
            (b"PK\x03\x04", "wrong is a zip archive"),
            (b"[1] 2", "wrong: trailing"),
        ] {
            assert!(said(bytes).contains(words), "{words}: {}", said(bytes));
        }
        with_file("whole", b"\xef\xbb\xbf[1, NaN]", |path| {
            let tree = read_json_tree(path, Limit::SETTINGS).unwrap();
            assert_eq!(tree, serde_json::json!([1, null]));
        });
    }

    fn listed(bytes: &[u8]) -> (Result<(), ReadError>, Vec<Value>, Vec<String>) {
        let (mut values, mut broken) = (Vec::new(), Vec::new());
        let read = with_file("lines", bytes, |path| {
            read_json_lines(path, &mut |value| values.push(value), &mut |words| {
                broken.push(words);
            })
        });
        (read, values, broken)
    }

    #[test]
    fn lines_are_read_one_by_one_and_a_broken_one_costs_itself() {
        let (read, values, broken) = listed(b"\xef\xbb\xbf{\"a\": NaN}\r\n\n{oops}\n[2]\n{\"b\": ");
        read.unwrap();
        assert_eq!(
            values,
            [serde_json::json!({"a": null}), serde_json::json!([2])]
        );
        assert!(
            broken[0].contains("lines, line 3") && broken[1].contains("last line (5) was never"),
            "{broken:?}"
        );
        assert_eq!(broken.len(), 2);
        let (_, _, broken) = listed(&b"?\n".repeat(500));
        assert_eq!(broken.len(), 21);
        assert!(broken[20].contains("480 more"), "{}", broken[20]);
    }

    #[test]
    fn a_file_that_is_none_of_lines_is_told_by_its_cause() {
        let said = |bytes: &[u8]| listed(bytes).0.unwrap_err().to_string();
        assert!(said(b"version https://git-lfs.github.com/spec/v1\nsize 1\n").contains("Git LFS"));
        assert!(said(b"").contains("0 bytes"));
        let line = "{\"episode_index\": 0}\n{\"episode_index\": 1}\n";
        for (mark, is_big_endian) in [
            (Some([0xff, 0xfe]), false),
            (Some([0xfe, 0xff]), true),
            (None, false),
            (None, true),
        ] {
            let units = line.encode_utf16().map(|unit| {
                if is_big_endian {
                    unit.to_be_bytes()
                } else {
                    unit.to_le_bytes()
                }
            });
            let bytes: Vec<u8> = mark.into_iter().chain(units).flatten().collect();
            assert!(said(&bytes).contains("it is UTF-16 text; JSON is UTF-8"));
        }
        let long = [b"1\n\"".to_vec(), vec![b'x'; 5 << 20]].concat();
        assert!(said(&long).contains("line 2 of"), "{}", said(&long));
    }
}
