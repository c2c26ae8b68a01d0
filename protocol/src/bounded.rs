//! Deserialisers that stop at a limit, for fields that a peer fills.
//!
//! A check after the decoding comes too late: by then sixteen million tiny values of one frame are half a gigabyte of
//! structs. These refuse an announced length at once, and a longer one than announced at the first value too many.

use serde::{
    Deserialize, Deserializer, Serialize as _, Serializer,
    de::{Error, SeqAccess, Visitor},
};
use std::{fmt, marker::PhantomData};

/// Bytes of an offending text that are shown.
const SHOWN_BYTES: usize = 32;

/// A text of at most so many bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text<const MAX: usize>(pub(crate) String);

struct TextVisitor<const MAX: usize>;

impl<const MAX: usize> TextVisitor<MAX> {
    fn check<E: Error>(text: &str) -> Result<(), E> {
        if text.len() <= MAX {
            return Ok(());
        }
        Err(E::custom(format_args!(
            "the text {:?} has {} bytes, at most {MAX} are taken",
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

/// A text.
pub(crate) fn text<'de, const MAX: usize, D>(from: D) -> Result<String, D::Error>
where
    D: Deserializer<'de>,
{
    Text::<MAX>::deserialize(from).map(|text| text.0)
}

/// A text that may be absent.
pub(crate) fn optional_text<'de, const MAX: usize, D>(from: D) -> Result<Option<String>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(Option::<Text<MAX>>::deserialize(from)?.map(|text| text.0))
}

/// At most `COUNT` texts of at most `MAX` bytes each.
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

fn too_many<E: Error>(found: usize, most: usize) -> E {
    E::custom(format_args!(
        "a list of {found} values, at most {most} are taken"
    ))
}

/// At most `COUNT` values.
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
                "{bytes} bytes in one piece, at most {MAX} are taken"
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

    /// Some libraries write bytes as a list of numbers.
    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Vec<u8>, A::Error> {
        ListVisitor::<u8, MAX>(PhantomData).visit_seq(list)
    }
}

/// At most `MAX` bytes.
pub(crate) fn bytes<'de, const MAX: usize, D>(from: D) -> Result<Vec<u8>, D::Error>
where
    D: Deserializer<'de>,
{
    from.deserialize_byte_buf(BytesVisitor::<MAX>)
}

/// The beginning of a text, of at most `most` bytes, with an ellipsis where it is cut.
pub fn shortened(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut end = most.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let (beginning, _) = text.split_at(end);
    format!("{beginning}…")
}

/// Writes at most `MAX` bytes of a text: messages of the studio must arrive, however long a cause is.
pub(crate) fn shortened_text<const MAX: usize, S>(text: &str, to: S) -> Result<S::Ok, S::Error>
where
    S: Serializer,
{
    if text.len() <= MAX {
        return to.serialize_str(text);
    }
    to.serialize_str(&shortened(text, MAX))
}

/// The same of a text that may be absent.
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

/// The same of several texts, of which the first `COUNT` are written.
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
