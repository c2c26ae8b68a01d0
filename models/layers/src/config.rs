//! Settings files of a model: reading them as JSON, and errors that name the file and the key.

use field_files::json::{self, JsonError};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A settings file of a model, such as `config.json`, cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is not JSON, or a value in it has the wrong type or is missing.
    #[error("{file} cannot be used: {place}{reason}")]
    BadFile {
        /// Name of the file.
        file: String,
        /// The part of the file, such as `text_config: `, or nothing.
        place: String,
        /// The problem there.
        reason: String,
    },
    /// A value is well-formed but impossible, or contradicts another one.
    #[error("{file}: {key} {problem}")]
    BadValue {
        /// Name of the file.
        file: String,
        /// The key, with the section it is in.
        key: String,
        /// The problem with its value.
        problem: String,
    },
    /// The checkpoint requires something that its network does not compute.
    #[error("this checkpoint has {what}: {why}")]
    Unsupported {
        /// Key and value.
        what: String,
        /// Reason for the refusal.
        why: String,
    },
}

impl ConfigError {
    /// A [`ConfigError::BadFile`] with the `reason` in the part `place` of a file, such as `text_config: `.
    pub fn bad_file(
        file: impl Into<String>,
        place: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self::BadFile {
            file: file.into(),
            place: place.into(),
            reason: reason.into(),
        }
    }

    /// A [`ConfigError::BadFile`] for what [`field_files::json`] found in the part `place` of a file.
    pub fn bad_json(file: &str, place: &str, error: &JsonError) -> Self {
        Self::bad_file(file, place, error.to_string())
    }

    /// A [`ConfigError::BadValue`]. The problem follows the key: `is 3, not below vocab_size = 2`.
    pub fn bad_value(
        file: impl Into<String>,
        key: impl Into<String>,
        problem: impl Into<String>,
    ) -> Self {
        Self::BadValue {
            file: file.into(),
            key: key.into(),
            problem: problem.into(),
        }
    }

    /// A [`ConfigError::Unsupported`].
    pub fn unsupported(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Unsupported {
            what: what.into(),
            why: why.into(),
        }
    }
}

/// Reads the `bytes` of a settings file as JSON of the type `T`.
///
/// # Errors
/// [`ConfigError::BadFile`] with the key.
pub fn parse_config<T: DeserializeOwned>(file: &str, bytes: &[u8]) -> Result<T, ConfigError> {
    json::parse(bytes).map_err(|error| ConfigError::bad_json(file, "", &error))
}

/// Reads the section `key` of a settings file, or its top, as the type `T`.
///
/// # Errors
/// [`ConfigError::BadFile`] for a section that is missing, and with the key for a value of another type than `T` has.
pub fn config_section<T: DeserializeOwned>(
    file: &str,
    raw: &Value,
    key: Option<&str>,
) -> Result<T, ConfigError> {
    let (place, value) = match key {
        Some(key) => (format!("{key}: "), raw.get(key)),
        None => (String::new(), Some(raw)),
    };
    let Some(value) = value else {
        return Err(ConfigError::bad_file(file, place, "is missing"));
    };
    json::from_value(value).map_err(|error| ConfigError::bad_json(file, &place, &error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn errors_name_the_file_the_section_and_the_key() {
        let raw: Value =
            parse_config("config.json", br#"{"text_config": {"layers": "two"}}"#).unwrap();
        let found: Result<std::collections::BTreeMap<String, usize>, _> =
            config_section("config.json", &raw, Some("text_config"));
        let words = found.unwrap_err().to_string();
        assert!(
            words.starts_with("config.json cannot be used: text_config: layers: invalid type"),
            "{words}"
        );
        let missing = config_section::<Value>("config.json", &raw, Some("vision_config"));
        assert_eq!(
            missing.unwrap_err().to_string(),
            "config.json cannot be used: vision_config: is missing"
        );
        let broken = parse_config::<Value>("config.json", b"{\"a\": 1");
        let words = broken.unwrap_err().to_string();
        assert!(words.starts_with("config.json cannot be used: "), "{words}");
    }

    #[test]
    fn values_and_what_is_not_computed_are_refused_in_words() {
        assert_eq!(
            ConfigError::bad_value("config.json", "depth", "is 0").to_string(),
            "config.json: depth is 0"
        );
        assert_eq!(
            ConfigError::unsupported("act = \"relu\"", "\"silu\" is computed").to_string(),
            "this checkpoint has act = \"relu\": \"silu\" is computed"
        );
    }
}
