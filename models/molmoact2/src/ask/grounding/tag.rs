//! One tag with its attributes.

/// Names of tags that hold marks.
pub(super) const NAMES: [&str; 5] = ["points", "point", "tracks", "boxes", "box"];

/// `<name key="value" …>label</name>`, or without label and end.
#[derive(Debug)]
pub(super) struct Tag<'a> {
    pub(super) name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
    label: Option<&'a str>,
    /// Bytes from `<` to the end.
    pub(super) len: usize,
}

impl<'a> Tag<'a> {
    /// The value of the first attribute of that name.
    pub(super) fn attribute(&self, name: &str) -> Option<&'a str> {
        self.attributes
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    }

    /// Content of the tag, or the attribute with the same meaning.
    pub(super) fn label(&self) -> String {
        self.label
            .filter(|label| !label.is_empty())
            .or_else(|| self.attribute("label"))
            .or_else(|| self.attribute("alt"))
            .unwrap_or_default()
            .to_owned()
    }
}

/// Reads the tag that `text` begins with.
pub(super) fn read(text: &str) -> Option<Tag<'_>> {
    let inside = text.strip_prefix('<')?;
    let name_len = inside.find(|c: char| !c.is_ascii_alphabetic())?;
    let (name, mut rest) = inside.split_at_checked(name_len)?;
    let name = NAMES.into_iter().find(|known| *known == name)?;
    let mut attributes = Vec::new();
    let closed = loop {
        let spaced = rest.trim_start();
        if let Some(after) = spaced.strip_prefix("/>") {
            rest = after;
            break true;
        }
        if let Some(after) = spaced.strip_prefix('>') {
            rest = after;
            break false;
        }
        if spaced.len() == rest.len() {
            return None;
        }
        let (key, value) = spaced.split_once("=\"")?;
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return None;
        }
        let (value, after) = value.split_once('"')?;
        attributes.push((key, value));
        rest = after;
    };
    let mut label = None;
    if !closed && let Some((inner, after)) = ended(rest) {
        label = Some(inner);
        rest = after;
    }
    Some(Tag {
        name,
        attributes,
        label,
        len: text.len() - rest.len(),
    })
}

/// Splits at the end tag, of any of the names, if no other tag comes before it.
fn ended(rest: &str) -> Option<(&str, &str)> {
    let (label, end) = rest.split_at_checked(rest.find('<')?)?;
    let end = end.strip_prefix("</")?;
    let (name, after) = end.split_once('>')?;
    NAMES.contains(&name).then_some((label, after))
}
