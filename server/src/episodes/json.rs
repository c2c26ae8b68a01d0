//! JSON files as programs write them: with `NaN` and `Infinity`, which Python's `json` writes and the standard does not
//! know, with a byte order mark, with either end of line, with a last line that was cut off.

use super::{Cause, DataSetError};
use std::{
    borrow::Cow,
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
};

/// Of a file that is one value: more than any data set's metadata.
const MOST_BYTES: u64 = 4 << 20;
/// Of a line.
const MOST_LINE_BYTES: u64 = 4 << 20;

/// Reads a file that is one value.
///
/// # Errors
/// [`DataSetError`] names the file and what is wrong with it.
pub(super) fn value(path: &Path) -> Result<serde_json::Value, DataSetError> {
    let file = open(path)?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|cause| unreadable(path, cause))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(too_large(path, "is longer than 4 MiB"));
    }
    if let Some(what) = Cause::of_first(&bytes) {
        return Err(DataSetError::NotItself {
            path: path.to_owned(),
            what,
        });
    }
    parse(&bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => DataSetError::NotItself {
            path: path.to_owned(),
            what: Cause::CutShort,
        },
        _ => DataSetError::Json {
            path: path.to_owned(),
            reason: error.to_string(),
        },
    })
}

/// Reads a file of one value per line. A line that is none is told to `broken`, with its number from 1 on.
///
/// # Errors
/// [`DataSetError`] for a file that is no such file at all, and what `each` answers.
pub(super) fn lines<T: serde::de::DeserializeOwned>(
    path: &Path,
    each: &mut dyn FnMut(T) -> Result<(), DataSetError>,
    broken: &mut dyn FnMut(String),
) -> Result<(), DataSetError> {
    let mut file = BufReader::new(open(path)?);
    let first = file.fill_buf().map_err(|cause| unreadable(path, cause))?;
    if let Some(what) = Cause::of_first(first.get(..first.len().min(512)).unwrap_or(first)) {
        return Err(DataSetError::NotItself {
            path: path.to_owned(),
            what,
        });
    }
    let mut line = Vec::new();
    for number in 1_usize.. {
        line.clear();
        let read = file.by_ref().take(MOST_LINE_BYTES + 1);
        let read = { read }
            .read_until(b'\n', &mut line)
            .map_err(|cause| unreadable(path, cause))?;
        if read == 0 {
            break;
        }
        if read as u64 > MOST_LINE_BYTES {
            return Err(too_large(path, "has a line of more than 4 MiB"));
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match parse(&line) {
            Ok(value) => each(value)?,
            Err(_) if !line.ends_with(b"\n") => broken(format!(
                "{}: the last line ({number}) was never finished, as after an interrupted recording, copy or download",
                path.display()
            )),
            Err(error) => broken(format!("{}, line {number}: {error}", path.display())),
        }
    }
    Ok(())
}

/// Parses what Python wrote; numbers that JSON does not know become null.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    serde_json::from_slice(&with_standard_numbers(bytes))
}

/// `NaN`, `Infinity` and `-Infinity` outside of texts, replaced by null.
fn with_standard_numbers(bytes: &[u8]) -> Cow<'_, [u8]> {
    const WORDS: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];
    let mut out: Option<Vec<u8>> = None;
    let (mut in_text, mut escaped) = (false, false);
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        let word = (!in_text)
            .then(|| WORDS.into_iter().find(|word| rest.starts_with(word)))
            .flatten();
        if let Some(word) = word {
            let done = bytes.len() - rest.len();
            out.get_or_insert_with(|| bytes.get(..done).unwrap_or_default().to_vec())
                .extend(b"null");
            rest = rest.get(word.len()..).unwrap_or_default();
            continue;
        }
        match (byte, in_text, escaped) {
            (_, true, true) => escaped = false,
            (b'\\', true, false) => escaped = true,
            (b'"', _, _) => in_text = !in_text,
            _ => {}
        }
        if let Some(out) = &mut out {
            out.push(byte);
        }
        rest = after;
    }
    out.map_or(Cow::Borrowed(bytes), Cow::Owned)
}

fn open(path: &Path) -> Result<File, DataSetError> {
    File::open(path).map_err(|cause| unreadable(path, cause))
}

fn unreadable(path: &Path, cause: std::io::Error) -> DataSetError {
    DataSetError::Read {
        path: path.to_owned(),
        cause,
    }
}

fn too_large(path: &Path, problem: &str) -> DataSetError {
    DataSetError::TooLarge {
        path: path.to_owned(),
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_python_writes_is_read_and_texts_are_left_alone() {
        let text = "\u{feff}{\"a\": NaN, \"b\": [Infinity,-Infinity, -1],\r\n \"NaN \\\" NaN\": \"-Infinity \\\\\"}";
        let value: serde_json::Value = parse(text.as_bytes()).unwrap();
        let expected =
            serde_json::json!({"a": null, "b": [null, null, -1], "NaN \" NaN": "-Infinity \\"});
        assert_eq!(value, expected);
        for wrong in ["{\"a\": NaNs}", "{\"a\": Nan}", "Infinit", "{"] {
            assert!(
                parse::<serde_json::Value>(wrong.as_bytes()).is_err(),
                "{wrong}"
            );
        }
    }
}
