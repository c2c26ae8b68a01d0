//! JSON as Python's `json` module writes and reads it.
//!
//! That is more than the standard: `NaN`, `Infinity` and `-Infinity` stand where a number was not finite, a key that is
//! given twice means its last value, and editors put a byte order mark in front. A number beyond the range of a float,
//! `1e999`, is infinite, and nesting may go hundreds of levels deep. A value that nobody asks for may be anything; one that
//! is asked for and is not finite is an error that says so, and where.
//!
//! Memory is bounded by counting the values first: a tree of a hundred thousand objects takes thousands of times what
//! its text does.

mod numbers;
mod scan;

use std::borrow::Cow;
use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::foreign::Foreign;

pub use numbers::maybe_finite;
use scan::Words;

/// Most values of one text. The largest tokenizers have 1.3 million.
pub const MOST_VALUES: usize = 1_500_000;
/// Most objects of one text, each of which takes 600 bytes as a tree.
pub const MOST_OBJECTS: usize = 100_000;

/// A text that is no JSON, or not that of the type asked for. Its words follow a file's name and a colon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// Where in the text, such as `action.q99[2]`; empty for the whole.
    path: String,
    reason: String,
    instead: Option<Foreign>,
}

impl JsonError {
    fn whole(reason: impl fmt::Display) -> Self {
        Self {
            path: String::new(),
            reason: reason.to_string(),
            instead: None,
        }
    }

    fn foreign(foreign: Foreign) -> Self {
        Self {
            path: String::new(),
            reason: format!("it {foreign}"),
            instead: Some(foreign),
        }
    }

    /// The complaint of a parser about a text of `bytes` bytes that it cannot read, or cannot read to its end.
    fn syntax(error: serde_json::Error, bytes: usize) -> Self {
        if error.is_eof() {
            Self::foreign(Foreign::CutShort {
                bytes: bytes as u64,
            })
        } else {
            Self::whole(error)
        }
    }

    /// A value that is well-formed and not taken, at `path`.
    pub(crate) fn at(path: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self {
            path: path.into(),
            ..Self::whole(reason)
        }
    }

    /// The thing in place of the whole text, where that is the fault: another file, or one that was never finished.
    #[must_use]
    pub fn instead(&self) -> Option<&Foreign> {
        self.instead.as_ref()
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for JsonError {}

/// Reads `bytes` as JSON of the type `T`.
///
/// # Errors
/// [`JsonError`] with the key: for text that is no JSON, for something else in its place (a pointer of Git LFS, a web
/// page), for more than [`MOST_VALUES`] values, and for values of another type than `T` has there.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    read_standard(&standard(bytes)?, bytes.len())
}

/// Reads `bytes` as JSON of the type `T`, in which what is not finite is null: for what may as well not be there.
///
/// # Errors
/// As [`parse`].
pub fn parse_with_nulls<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    read_standard(&replaced(bytes, Words::Null)?, bytes.len())
}

fn read_standard<T: DeserializeOwned>(text: &[u8], bytes: usize) -> Result<T, JsonError> {
    match typed(text, bytes) {
        // Only a tree keeps the last of two.
        Err(error) if error.reason.contains("duplicate field") => from_value(&tree(text, bytes)?),
        read => read,
    }
}

/// Reads a tree as the type `T`.
///
/// # Errors
/// [`JsonError`] with the key, for values of another type than `T` has there.
pub fn from_value<T: DeserializeOwned>(tree: &Value) -> Result<T, JsonError> {
    serde_path_to_error::deserialize(tree).map_err(|error| located(error, 0))
}

/// `bytes` as standard JSON: without a byte order mark, with the texts `"NaN"`, `"Infinity"` and `"-Infinity"` in place of
/// those words and of numbers that no float holds, and with null for what is nested deeper than any reader looks. For
/// readers that are not [`parse`].
///
/// # Errors
/// [`JsonError`] where this is something else than JSON, holds more values than are read, or is nested deeper than Python
/// reads.
pub fn standard(bytes: &[u8]) -> Result<Cow<'_, [u8]>, JsonError> {
    replaced(bytes, Words::Text)
}

fn replaced(bytes: &[u8], by: Words) -> Result<Cow<'_, [u8]>, JsonError> {
    if let Some(foreign) = Foreign::instead(bytes, bytes.len() as u64) {
        return Err(JsonError::foreign(foreign));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(JsonError::whole(
            "it is UTF-16 text; JSON is UTF-8: save it again as that",
        ));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    scan::rewritten(bytes, by)
}

/// Reads standard JSON as the type `T`. `bytes` is the length of the text before it became standard, for messages.
pub(crate) fn typed<T: DeserializeOwned>(text: &[u8], bytes: usize) -> Result<T, JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read =
        serde_path_to_error::deserialize(&mut reader).map_err(|error| located(error, bytes))?;
    reader.end().map_err(JsonError::whole)?;
    Ok(read)
}

fn tree(text: &[u8], bytes: usize) -> Result<Value, JsonError> {
    serde_json::from_slice(text).map_err(|error| JsonError::syntax(error, bytes))
}

fn located(error: serde_path_to_error::Error<serde_json::Error>, bytes: usize) -> JsonError {
    if error.inner().is_eof() {
        return JsonError::syntax(error.into_inner(), bytes);
    }
    let path = error.path().to_string();
    let mut reason = error.into_inner().to_string();
    for word in ["NaN", "Infinity", "-Infinity"] {
        let found = format!("string \"{word}\"");
        if reason.contains(&found) {
            reason = reason.replace(&found, &format!("{word}, which is not a finite number"));
        }
    }
    JsonError {
        path: if path == "." { String::new() } else { path },
        reason,
        instead: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Stats {
        scale: f64,
        #[serde(default, deserialize_with = "maybe_finite")]
        q99: Option<Vec<f32>>,
    }

    #[test]
    fn what_python_writes_is_read() {
        let text = b"\xef\xbb\xbf{\"mean\": NaN, \"a\\\"NaN\": [-Infinity, Infinity], \"scale\": 2, \"scale\": 3}";
        let read: Stats = parse(text).unwrap();
        assert_eq!(
            read,
            Stats {
                scale: 3.0,
                q99: None
            }
        );
        let tree: Value = parse(text).unwrap();
        assert_eq!(tree["mean"], "NaN");
        assert_eq!(tree["a\"NaN"][0], "-Infinity");
        let read: Stats = parse(br#"{"scale": 1, "q99": [1, 2.5, NaN, null, Infinity]}"#).unwrap();
        let q99 = read.q99.unwrap();
        assert_eq!(q99[..2], [1.0, 2.5]);
        assert!(q99[2].is_nan() && q99[3].is_nan() && q99[4] == f32::INFINITY);
        let read: Stats = parse(br#"{"scale": 1, "q99": null}"#).unwrap();
        assert_eq!(read.q99, None);
        let tree: Value = parse_with_nulls(text).unwrap();
        assert_eq!(tree["mean"], Value::Null);
        assert_eq!(tree["a\"NaN"], serde_json::json!([null, null]));
    }

    #[test]
    fn what_is_needed_and_not_finite_is_named_with_its_place() {
        let text = br#"{"arm": {"scale": NaN}}"#;
        let error = parse::<BTreeMap<String, Stats>>(text)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("arm.scale") && error.contains("NaN"),
            "{error}"
        );
        let error = from_value::<Stats>(&parse(br#"{"scale": -Infinity}"#).unwrap()).unwrap_err();
        assert!(
            error.to_string().contains("scale: invalid type: -Infinity"),
            "{error}"
        );
        let error = parse::<Stats>(br#"{"scale": 1, "q99": ["many"]}"#).unwrap_err();
        assert!(error.to_string().contains("q99"), "{error}");
    }

    #[test]
    fn what_nobody_asks_for_may_be_beyond_all_range_and_nested_deep() {
        let deep = [b"[".repeat(500), b"]".repeat(500)].concat();
        let deep = String::from_utf8(deep).unwrap();
        let text = format!(r#"{{"a": 1e999, "b": {deep}, "scale": 2, "c": {{"d": {deep}}}}}"#);
        let read: Stats = parse(text.as_bytes()).unwrap();
        assert_eq!(read.scale, 2.0);
        let tree: Value = parse(text.as_bytes()).unwrap();
        assert_eq!(
            (&tree["a"], &tree["scale"]),
            (&"Infinity".into(), &2.into())
        );
        // One that is asked for is named.
        let error = parse::<Stats>(br#"{"scale": -1e999}"#).unwrap_err();
        assert!(
            error.to_string().contains("scale: invalid type: -Infinity"),
            "{error}"
        );
        let read: Stats = parse(br#"{"scale": 1, "q99": [1e999]}"#).unwrap();
        assert_eq!(read.q99, Some(vec![f32::INFINITY]));
    }

    #[test]
    fn what_is_no_json_says_what_it_is() {
        let said = |bytes: &[u8]| parse::<Value>(bytes).unwrap_err().to_string();
        assert!(said(b"version https://git-lfs.github.com/spec/v1\nsize 1\n").contains("Git LFS"));
        assert!(said(b"\xff\xfe{\0}\0").contains("UTF-16"));
        assert!(said(b"").contains("0 bytes"));
        assert!(said(b"{} {}").contains("trailing"));
        assert!(said(b"{\"a\": N}").contains("expected value"));
        let cut = said(b"{\"a\": [1, 2");
        assert!(
            cut.contains("never finished") && cut.contains("after 11 bytes"),
            "{cut}"
        );
        let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
        assert!(said(&deep).contains("1000 levels"), "{}", said(&deep));
    }

    #[test]
    fn a_text_of_too_many_values_is_refused_before_it_is_read() {
        let many = format!("[{}0]", "0,".repeat(MOST_VALUES));
        let error = parse::<Value>(many.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("values"), "{error}");
        let objects = format!("[{}0]", "{},".repeat(MOST_OBJECTS + 1));
        assert!(parse::<Value>(objects.as_bytes()).is_err());
        let text = format!("\"{}\"", ",".repeat(MOST_VALUES));
        assert!(parse::<Value>(text.as_bytes()).is_ok());
    }
}
