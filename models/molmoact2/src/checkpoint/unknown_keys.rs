//! Damaged keys of JSON files.
//!
//! Many keys are optional. A key with a flipped bit would count as absent, and the robot would move by another rule
//! than its checkpoint's. So a key that differs in one character from a known, absent one is refused.

use layers::ConfigError;
use serde_json::{Map, Value};

use crate::error::{LoadError, parse_json};

/// Refuses an object with a key that resembles an absent one of `known`. `place` is the path of the object in
/// `file`, such as `text_config.`, or empty.
///
/// # Errors
/// [`ConfigError::BadFile`] with both keys.
pub(crate) fn check(
    keys: &Map<String, Value>,
    known: &[&str],
    file: &str,
    place: &str,
) -> Result<(), LoadError> {
    let absent = || known.iter().filter(|key| !keys.contains_key(**key));
    for key in keys.keys().filter(|key| !known.contains(&key.as_str())) {
        if let Some(meant) = absent().find(|meant| differs_in_one_character(key, meant)) {
            return Err(LoadError::Config(ConfigError::BadFile {
                file: file.to_owned(),
                place: place.to_owned(),
                reason: format!("{key:?} is no key of it; is it {meant:?}, damaged?"),
            }));
        }
    }
    Ok(())
}

/// Keys that identify the larger files of a checkpoint.
const KEYS_OF_OTHER_FILES: [&str; 6] = [
    "model_type",
    "metadata_by_tag",
    "image_processor",
    "added_tokens",
    "weight_map",
    "min_token",
];

/// Refuses a file of optional settings that is another file of a checkpoint or has a damaged key. `foreign` are
/// further keys that it cannot have.
///
/// # Errors
/// [`ConfigError::BadFile`].
pub(crate) fn check_settings(
    bytes: &[u8],
    file: &str,
    known: &[&str],
    foreign: &[&str],
) -> Result<(), LoadError> {
    let raw: Value = parse_json(file, bytes)?;
    let Some(keys) = raw.as_object() else {
        // Parsing reports it.
        return Ok(());
    };
    let mut foreign = KEYS_OF_OTHER_FILES.iter().chain(foreign);
    match foreign.find(|key| keys.contains_key(**key)) {
        Some(key) => Err(LoadError::Config(ConfigError::BadFile {
            file: file.to_owned(),
            place: String::new(),
            reason: format!(
                "it has {key:?}, which belongs into another file of a checkpoint; were they exchanged?"
            ),
        })),
        None => check(keys, known, file, ""),
    }
}

/// Valid keys that differ from a known key in one character.
const SIMILAR_KEYS: [&str; 1] = ["task"];

/// True if two keys differ in one character. Quantiles are distinct keys: `q50` is not a damaged `q10`.
fn differs_in_one_character(key: &str, meant: &str) -> bool {
    if SIMILAR_KEYS.contains(&key) {
        return false;
    }
    let is_quantile = |key: &str| {
        key.strip_prefix('q')
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit()))
    };
    if is_quantile(key) && is_quantile(meant) {
        return false;
    }
    let same_length = key.chars().count() == meant.chars().count();
    let differing = key.chars().zip(meant.chars()).filter(|(a, b)| a != b);
    same_length && differing.count() == 1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::check;

    fn refused(keys: &serde_json::Value) -> Option<String> {
        let known = ["norm_mode", "mask", "q10"];
        let found = check(keys.as_object().unwrap(), &known, "stats.json", "");
        found.err().map(|error| error.to_string())
    }

    #[test]
    fn a_key_one_character_off_is_refused_with_the_one_that_was_meant() {
        let error = refused(&json!({"norm_modd": "none"})).unwrap();
        assert!(
            error.contains("stats.json")
                && error.contains("\"norm_modd\"")
                && error.contains("\"norm_mode\""),
            "{error}"
        );
        assert!(refused(&json!({"Mask": []})).is_some());
    }

    #[test]
    fn other_keys_and_those_beside_the_real_one_pass() {
        for keys in [
            json!({}),
            json!({"norm_mode": 1, "norm_modd": 1}),
            json!({"fps": 10, "task": 1, "masks": []}),
            json!({"q50": []}),
        ] {
            assert_eq!(refused(&keys), None, "{keys}");
        }
    }
}
