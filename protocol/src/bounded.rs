//! Deserializers that stop at a limit, for fields that a peer fills.
//!
//! A check after decoding would be too late: by then sixteen million tiny values of one frame are half a gigabyte of
//! structs. These functions refuse an announced length over the limit at once, and a list that is longer than announced at
//! the first excess value.

use serde::{
    Deserialize, Deserializer, Serialize as _, Serializer,
    de::{Error, SeqAccess, Visitor},
};
use std::{fmt, marker::PhantomData};

/// Bytes of an oversized text that an error quotes.
const SHOWN_BYTES: usize = 32;

/// Text of at most `MAX` bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text<const MAX: usize>(pub(crate) String);

struct TextVisitor<const MAX: usize>;

impl<const MAX: usize> TextVisitor<MAX> {
    fn check<E: Error>(text: &str) -> Result<(), E> {
        if text.len() <= MAX {
            return Ok(());
        }
        Err(E::custom(format_args!(
            "the text {:?} has {} bytes, at most {MAX} are accepted",
            shortened(text, SHOWN_BYTES),
            text.len()
        )))
    }
}

impl<const MAX: usize> Visitor<'_> for TextVisitor<MAX> {
    type Value = Text<MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a text of at most {MAX} bytes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Self::check(text)?;
        Ok(Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
        Self::check(&text)?;
        Ok(Text(text))
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(TextVisitor)
    }
}

/// Reads a text of at most `MAX` bytes.
pub(crate) fn text<'de, const MAX: usize, D>(from: D) -> Result<String, D::Error>
where
    D: Deserializer<'de>,
{
    Text::<MAX>::deserialize(from).map(|text| text.0)
}

/// Reads a text of at most `MAX` bytes that may be absent.
pub(crate) fn optional_text<'de, const MAX: usize, D>(from: D) -> Result<Option<String>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(Option::<Text<MAX>>::deserialize(from)?.map(|text| text.0))
}

/// Reads at most `COUNT` texts of at most `MAX` bytes each.
pub(crate) fn texts<'de, const COUNT: usize, const MAX: usize, D>(
    from: D,
) -> Result<Vec<String>, D::Error>
where
    D: Deserializer<'de>,
{
    let texts: Vec<Text<MAX>> = list::<_, COUNT, _>(from)?;
    Ok(texts.into_iter().map(|text| text.0).collect())
}

struct ListVisitor<T, const COUNT: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const COUNT: usize> Visitor<'de> for ListVisitor<T, COUNT> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {COUNT} values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let announced = list.size_hint().unwrap_or_default();
        if announced > COUNT {
            return Err(too_many(announced, COUNT));
        }
        let mut values = Vec::with_capacity(announced);
        while let Some(value) = list.next_element()? {
            if values.len() == COUNT {
                return Err(too_many(COUNT + 1, COUNT));
            }
            values.push(value);
        }
        Ok(values)
    }
}

fn too_many<E: Error>(found: usize, max: usize) -> E {
    E::custom(format_args!(
        "a list of {found} values, at most {max} are accepted"
    ))
}

/// Reads a list of at most `COUNT` values.
pub(crate) fn list<'de, T, const COUNT: usize, D>(from: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    from.deserialize_seq(ListVisitor::<T, COUNT>(PhantomData))
}

struct BytesVisitor<const MAX: usize>;

impl<const MAX: usize> BytesVisitor<MAX> {
    fn check<E: Error>(bytes: usize) -> Result<(), E> {
        if bytes > MAX {
            return Err(E::custom(format_args!(
                "a field of {bytes} bytes, at most {MAX} are accepted"
            )));
        }
        Ok(())
    }
}

impl<'de, const MAX: usize> Visitor<'de> for BytesVisitor<MAX> {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX} bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Self::check(bytes.len())?;
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Self::check(bytes.len())?;
        Ok(bytes)
    }

    /// Accepts a list of numbers too, because some libraries write bytes in that way.
    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Vec<u8>, A::Error> {
        ListVisitor::<u8, MAX>(PhantomData).visit_seq(list)
    }
}

/// Reads at most `MAX` bytes.
pub(crate) fn bytes<'de, const MAX: usize, D>(from: D) -> Result<Vec<u8>, D::Error>
where
    D: Deserializer<'de>,
{
    from.deserialize_byte_buf(BytesVisitor::<MAX>)
}

/// Returns the beginning of a text, at most `max_bytes` long, with an ellipsis if it was cut. A limit below the length of an
/// ellipsis (3 bytes) gives the ellipsis alone.
pub fn shortened(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let mut end = max_bytes.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let (beginning, _) = text.split_at(end);
    format!("{beginning}…")
}

/// Writes at most `MAX` bytes of a text, so that a long cause never prevents a message of the studio from being sent.
pub(crate) fn shortened_text<const MAX: usize, S>(text: &str, to: S) -> Result<S::Ok, S::Error>
where
    S: Serializer,
{
    if text.len() <= MAX {
        return to.serialize_str(text);
    }
    to.serialize_str(&shortened(text, MAX))
}

/// Writes at most `MAX` bytes of a text that may be absent.
pub(crate) fn shortened_optional_text<const MAX: usize, S>(
    text: &Option<String>,
    to: S,
) -> Result<S::Ok, S::Error>
where
    S: Serializer,
{
    let text = text.as_deref().map(|text| shortened(text, MAX));
    text.serialize(to)
}

/// Writes the first `COUNT` texts, at most `MAX` bytes of each.
pub(crate) fn shortened_texts<const COUNT: usize, const MAX: usize, S>(
    texts: &[String],
    to: S,
) -> Result<S::Ok, S::Error>
where
    S: Serializer,
{
    to.collect_seq(texts.iter().take(COUNT).map(|text| shortened(text, MAX)))
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(shortened("arm", 3), "arm");
        assert_eq!(shortened("robot", 4), "r…");
        assert_eq!(shortened("äöü", 5), "ä…");
        assert_eq!(shortened("äöü", 4), "…");
        assert_eq!(shortened("anything", 1), "…");
    }
}
