//! Lenient parsing of JSON lines: a number that went through pandas is `24.0` or `"24"`, and a list may hold anything.

use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use std::fmt;

/// A non-negative integer, also written as `24.0` or as a string, for `#[serde(deserialize_with)]`.
pub(super) fn count<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    #[derive(Clone, Copy)]
    struct Count;

    impl Visitor<'_> for Count {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number from 0 on")
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<u64, E> {
            Ok(value)
        }

        fn visit_i64<E: Error>(self, value: i64) -> Result<u64, E> {
            u64::try_from(value).map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))
        }

        fn visit_f64<E: Error>(self, value: f64) -> Result<u64, E> {
            if value.fract() == 0.0 && (0.0..9e15).contains(&value) {
                Ok(value as u64)
            } else {
                Err(E::invalid_value(Unexpected::Float(value), &self))
            }
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
            let bad = || E::invalid_value(Unexpected::Str(text), &self);
            match text.trim().parse() {
                Ok(value) => Ok(value),
                Err(_) => {
                    let value: f64 = text.trim().parse().map_err(|_| bad())?;
                    self.visit_f64(value).map_err(|_: E| bad())
                }
            }
        }
    }

    from.deserialize_any(Count)
}

/// A string, or the first of a list of strings; empty if there is none. Any other value is skipped.
pub(super) fn first_text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    from.deserialize_any(Text)
}

struct Text;

impl<'de> Visitor<'de> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of strings")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_unit<E: Error>(self) -> Result<String, E> {
        Ok(String::new())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<String, E> {
        Ok(String::new())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<String, E> {
        Ok(String::new())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<String, E> {
        Ok(String::new())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<String, E> {
        Ok(String::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(String::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<String, A::Error> {
        let first = list.next_element::<Element>()?;
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(first.map_or_else(String::new, |Element(text)| text))
    }
}

/// Element of a list; empty if it is not a string.
struct Element(String);

impl<'de> serde::Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        first_text(from).map(Element)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Line {
        #[serde(deserialize_with = "count")]
        length: u64,
        #[serde(default, deserialize_with = "first_text")]
        tasks: String,
    }

    fn line(text: &str) -> Result<Line, String> {
        field_files::json::parse_with_nulls(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_count_is_parsed_from_every_spelling_of_an_integer() {
        for text in ["24", "24.0", "2.4e1", "\"24\"", "\" 24.0 \""] {
            let line = line(&format!("{{\"length\": {text}}}")).unwrap();
            assert_eq!((line.length, line.tasks.as_str()), (24, ""), "{text}");
        }
        for text in [
            "24.5", "-1", "\"-1\"", "\"many\"", "null", "NaN", "true", "[24]",
        ] {
            let error = line(&format!("{{\"length\": {text}}}")).unwrap_err();
            assert!(
                error.contains("a whole number from 0 on"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn values_other_than_strings_are_skipped() {
        let deep = format!("{}{}", "[".repeat(400), "]".repeat(400));
        for (tasks, first) in [
            ("[\"open\", \"close\"]".to_owned(), "open"),
            ("\"open\"".to_owned(), "open"),
            (format!("[\"open\", 1e999, {deep}]"), "open"),
            ("null".to_owned(), ""),
            ("[]".to_owned(), ""),
            ("{\"a\": [1]}".to_owned(), ""),
            ("[7, \"open\"]".to_owned(), ""),
        ] {
            let text =
                format!("{{\"odd\": {deep}, \"far\": 1e999, \"length\": 1, \"tasks\": {tasks}}}");
            assert_eq!(line(&text).unwrap().tasks, first, "{tasks}");
        }
    }
}
