//! A text of Python's `json` module, rewritten as standard JSON without reading it.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::{JsonError, MOST_OBJECTS, MOST_VALUES};

/// Levels of nesting that are read: every reader here looks less deep than ten. What lies deeper becomes null, because
/// nobody asks for it and a parser recurses along it.
const DEEPEST_READ: usize = 100;

/// Levels of nesting of a text. Python's own reader gives up there too.
const DEEPEST: usize = 1_000;

/// Digits of a number without exponent from which on it may be beyond the range of a float.
const LONG: usize = 300;

/// Substitute for a word or a number that is not finite.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    /// The word as a text.
    Text,
    Null,
}

const NAN: (&[u8], &[u8]) = (b"NaN", b"\"NaN\"");
const INFINITY: (&[u8], &[u8]) = (b"Infinity", b"\"Infinity\"");
const MINUS_INFINITY: (&[u8], &[u8]) = (b"-Infinity", b"\"-Infinity\"");

/// `bytes` as standard JSON, in which words and numbers that are not finite are replaced `by` something that is, and what
/// is nested too deep by null.
///
/// # Errors
/// [`JsonError`] for more values than are read, and for deeper nesting than any reader takes.
pub(super) fn rewritten(bytes: &[u8], by: Words) -> Result<Cow<'_, [u8]>, JsonError> {
    let mut scan = Scan {
        bytes,
        by,
        at: 0,
        values: 1,
        objects: 0,
        open: Vec::new(),
        deep: None,
        done: 0,
        text: None,
    };
    scan.run()?;
    Ok(scan.finish())
}

struct Scan<'a> {
    bytes: &'a [u8],
    by: Words,
    at: usize,
    values: usize,
    objects: usize,
    /// Closing brackets that are due, the innermost last.
    open: Vec<u8>,
    /// Start of the value that lies too deep to be read.
    deep: Option<usize>,
    /// The bytes before this one are in `text`.
    done: usize,
    /// The rewritten text, if it differs from `bytes`.
    text: Option<Vec<u8>>,
}

impl<'a> Scan<'a> {
    fn run(&mut self) -> Result<(), JsonError> {
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'"' => self.skip_string(),
                b',' | b':' => self.values += 1,
                b'[' | b'{' => self.enter(byte)?,
                b']' | b'}' => self.leave(byte)?,
                b'N' | b'I' | b'-' | b'0'..=b'9' => self.word(),
                _ => {}
            }
            self.at += 1;
            if self.values > MOST_VALUES || self.objects > MOST_OBJECTS {
                return Err(JsonError::whole(format_args!(
                    "it has more than {MOST_VALUES} values or {MOST_OBJECTS} objects, and no file of its kind has as many: \
                     it is not what its name says, or damaged"
                )));
            }
        }
        Ok(())
    }

    /// Goes to the quotation mark that ends the string which begins here.
    fn skip_string(&mut self) {
        self.at += 1;
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'"' => return,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    fn enter(&mut self, bracket: u8) -> Result<(), JsonError> {
        self.values += 1;
        if bracket == b'{' {
            self.objects += 1;
        }
        if self.open.len() >= DEEPEST {
            return Err(JsonError::whole(format_args!(
                "it is nested more than {DEEPEST} levels deep (byte {}), and no file of its kind is: it is not what its \
                 name says, or damaged",
                self.at
            )));
        }
        if self.open.len() == DEEPEST_READ {
            self.deep = Some(self.at);
        }
        self.open.push(if bracket == b'{' { b'}' } else { b']' });
        Ok(())
    }

    fn leave(&mut self, bracket: u8) -> Result<(), JsonError> {
        if self.open.last() == Some(&bracket) {
            self.open.pop();
            if self.open.len() == DEEPEST_READ
                && let Some(start) = self.deep.take()
            {
                self.put(start, self.at + 1, b"null");
            }
            return Ok(());
        }
        if self.deep.is_some() {
            return Err(JsonError::whole(format_args!(
                "at byte {} a bracket is closed that was not opened",
                self.at
            )));
        }
        // Whoever parses the text says so.
        Ok(())
    }

    /// A word that is no JSON, or a number, whose last byte becomes the current one.
    fn word(&mut self) {
        let bytes = self.bytes;
        let rest = bytes.get(self.at..).unwrap_or_default();
        let known = [NAN, INFINITY, MINUS_INFINITY];
        if let Some((word, quoted)) = known.into_iter().find(|(word, _)| rest.starts_with(word)) {
            self.replace(word.len(), quoted);
            return;
        }
        let number = |byte: &&u8| matches!(**byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.iter().take_while(number).count();
        // The N or I of something else.
        if length == 0 {
            return;
        }
        let digits = rest.get(..length).unwrap_or_default();
        if !beyond_range(digits) {
            self.at += length - 1;
        } else if digits.starts_with(b"-") {
            self.replace(length, MINUS_INFINITY.1);
        } else {
            self.replace(length, INFINITY.1);
        }
    }

    /// Puts the substitute of what is not finite in place of the next `length` bytes.
    fn replace(&mut self, length: usize, quoted: &[u8]) {
        let end = self.at + length;
        if self.deep.is_none() {
            match self.by {
                Words::Text => self.put(self.at, end, quoted),
                Words::Null => self.put(self.at, end, b"null"),
            }
        }
        self.at = end - 1;
    }

    fn put(&mut self, start: usize, end: usize, substitute: &[u8]) {
        let bytes = self.bytes;
        let before = bytes.get(self.done..start).unwrap_or_default();
        let room = bytes.len() + substitute.len();
        let text = self.text.get_or_insert_with(|| Vec::with_capacity(room));
        text.extend_from_slice(before);
        text.extend_from_slice(substitute);
        self.done = end;
    }

    fn finish(mut self) -> Cow<'a, [u8]> {
        // A text that ends within it lacks the brackets around it too, and whoever parses it says so.
        if let Some(start) = self.deep {
            self.put(start, self.bytes.len(), b"null");
        }
        match self.text {
            None => Cow::Borrowed(self.bytes),
            Some(mut text) => {
                text.extend_from_slice(self.bytes.get(self.done..).unwrap_or_default());
                Cow::Owned(text)
            }
        }
    }
}

/// True if this is a number of JSON that a float cannot hold, such as `1e999`, which Python reads as infinite.
fn beyond_range(number: &[u8]) -> bool {
    let may_be = number.len() > LONG || number.iter().any(|byte| matches!(byte, b'e' | b'E'));
    may_be
        && std::str::from_utf8(number)
            .ok()
            .and_then(|number| number.parse::<f64>().ok())
            .is_some_and(f64::is_infinite)
        && serde_json::from_slice::<IgnoredAny>(number).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn text(bytes: &[u8], by: Words) -> String {
        String::from_utf8(rewritten(bytes, by).unwrap().into_owned()).unwrap()
    }

    #[test]
    fn numbers_beyond_the_range_of_a_float_are_infinite() {
        let digits = "9".repeat(400);
        let bytes =
            format!("[1e999, -1E+999, {digits}, -{digits}, 1e308, 1e-999, 0e9999, \"1e999\"]");
        assert_eq!(
            text(bytes.as_bytes(), Words::Text),
            "[\"Infinity\", \"-Infinity\", \"Infinity\", \"-Infinity\", 1e308, 1e-999, 0e9999, \"1e999\"]"
        );
        assert_eq!(text(b"{\"a\": 1e999}", Words::Null), "{\"a\": null}");
        // No number of JSON stays as it is, for the parser to refuse.
        for bytes in [&b"[01e999]"[..], b"[1.e999]", b"[1e999e1]", b"[--1e999]"] {
            assert_eq!(text(bytes, Words::Text).as_bytes(), bytes);
        }
    }

    #[test]
    fn what_is_nested_too_deep_is_null_and_what_is_beside_it_stays() {
        let nest = |levels: usize, inside: &str| {
            format!("{}{inside}{}", "[".repeat(levels), "]".repeat(levels))
        };
        let read = text(
            format!(
                "{{\"a\": {}, \"b\": NaN}}",
                nest(900, "{\"x\": [\"]\", NaN]}")
            )
            .as_bytes(),
            Words::Null,
        );
        assert_eq!(
            read,
            format!("{{\"a\": {}, \"b\": null}}", nest(99, "null"))
        );
        // The deepest that is read.
        let whole = nest(DEEPEST_READ, "1");
        assert_eq!(text(whole.as_bytes(), Words::Null), whole);
        assert!(rewritten(nest(DEEPEST, "1").as_bytes(), Words::Null).is_ok());
        let error = rewritten(nest(DEEPEST + 1, "1").as_bytes(), Words::Null).unwrap_err();
        assert!(error.to_string().contains("1000 levels"), "{error}");
        let crossed = format!("{}{{]", "[".repeat(200));
        let error = rewritten(crossed.as_bytes(), Words::Null).unwrap_err();
        assert!(error.to_string().contains("byte 201"), "{error}");
        // A text that ends there is still one that ends early.
        assert_eq!(
            text("[".repeat(150).as_bytes(), Words::Null),
            format!("{}null", "[".repeat(DEEPEST_READ))
        );
    }
}
