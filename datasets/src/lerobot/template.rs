//! Path templates of `meta/info.json`, in Python's format language: `videos/chunk-{episode_chunk:03d}/{video_key}/…`.

use super::DataSetError;

/// Value of a placeholder.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Number(u64),
    Text(&'a str),
}

/// Fills every `{name}` or `{name:03d}` of a template.
///
/// # Errors
/// [`DataSetError::Template`] for an unknown name, an invalid width, or an unclosed brace.
pub(super) fn fill(
    key: &'static str,
    template: &str,
    values: &[(&str, Value<'_>)],
) -> Result<String, DataSetError> {
    let bad = |problem: String| DataSetError::Template { key, problem };
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let (placeholder, after) = after
            .split_once('}')
            .ok_or_else(|| bad(format!("({template:?}) has a {{ that is never closed")))?;
        rest = after;
        let (name, format) = placeholder.split_once(':').unwrap_or((placeholder, ""));
        let value = values.iter().find(|(known, _)| *known == name);
        match value.map(|(_, value)| *value) {
            Some(Value::Text(text)) => filled.push_str(text),
            Some(Value::Number(number)) => {
                let width = format.trim_end_matches('d');
                let width = if width.is_empty() {
                    0
                } else {
                    width
                        .parse::<usize>()
                        .ok()
                        .filter(|width| *width <= 20)
                        .ok_or_else(|| {
                            bad(format!("({template:?}) asks for the format {format:?}"))
                        })?
                };
                filled.push_str(&format!("{number:0width$}"));
            }
            None => {
                let known: Vec<&str> = values.iter().map(|(known, _)| *known).collect();
                return Err(bad(format!(
                    "({template:?}) asks for {name:?}; known are {}",
                    known.join(", ")
                )));
            }
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn placeholders_are_formatted_as_in_python() {
        let values = [
            ("episode_chunk", Value::Number(2)),
            ("episode_index", Value::Number(1_234_567)),
            ("video_key", Value::Text("observation.images.top")),
        ];
        let template =
            "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4";
        assert_eq!(
            fill("video_path", template, &values).unwrap(),
            "videos/chunk-002/observation.images.top/episode_1234567.mp4"
        );
        assert_eq!(fill("video_path", "{episode_chunk}", &values).unwrap(), "2");
        for (template, word) in [
            ("{file_index:03d}", "file_index"),
            ("{episode_chunk:03x}", "03x"),
            ("a{episode_chunk", "never closed"),
        ] {
            let error = fill("video_path", template, &values)
                .unwrap_err()
                .to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
