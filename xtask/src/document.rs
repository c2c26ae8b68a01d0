//! The page's `index.html`. Links with the attribute `data-trunk` name the parts of the page; the build replaces them by
//! links to the built files.

use anyhow::{Context as _, Result};

const LINK: &str = "<link data-trunk";

/// A link with trunk's attributes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link<'a> {
    attributes: &'a str,
}

impl<'a> Link<'a> {
    /// The value of an attribute.
    pub(crate) fn attribute(self, name: &str) -> Option<&'a str> {
        let (_, after) = self.attributes.split_once(&format!(" {name}=\""))?;
        let (value, _) = after.split_once('"')?;
        Some(value)
    }
}

/// The document with each link replaced by the result of `replacement`.
pub(crate) fn with_links_replaced(
    document: &str,
    mut replacement: impl FnMut(Link<'_>) -> Result<String>,
) -> Result<String> {
    let mut built = String::with_capacity(document.len());
    let mut rest = document;
    while let Some((before, after)) = rest.split_once(LINK) {
        let (attributes, after) = after
            .split_once('>')
            .with_context(|| format!("{LINK} without a closing bracket"))?;
        built.push_str(before);
        built.push_str(&replacement(Link { attributes })?);
        rest = after;
    }
    built.push_str(rest);
    Ok(built)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn links_are_replaced_and_everything_else_stays() {
        let document = "<head>\n<link data-trunk rel=\"css\" href=\"a.css\">\n<link rel=\"help\" href=\"b\"><p>";
        let built = with_links_replaced(document, |link| {
            assert_eq!(link.attribute("rel"), Some("css"));
            assert_eq!(link.attribute("data-type"), None);
            Ok(format!("[{}]", link.attribute("href").unwrap()))
        });
        assert_eq!(
            built.unwrap(),
            "<head>\n[a.css]\n<link rel=\"help\" href=\"b\"><p>"
        );
    }

    #[test]
    fn a_link_that_is_not_closed_is_refused() {
        assert!(
            with_links_replaced("<link data-trunk rel=\"css\"", |_| Ok(String::new())).is_err()
        );
    }
}
