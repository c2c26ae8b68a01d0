//! Keys of JSON files that are damaged rather than absent.
//!
//! Many keys may be absent and then mean something. One with a turned bit would count as absent and the robot would move
//! by another rule than its checkpoint's, so it is told apart: it differs from a key that is read in one character.

use serde_json::{Map, Value};

use crate::error::{LoadError, parse_json};

/// Refuses an object in which a key looks like one of `known` that is not there. `place` says where the object stands in
/// `file`, such as `text_config.`, or nothing.
///
/// # Errors
/// [`LoadError::BadFile`] with both keys.
pub(crate) fn check(
    keys: &Map<String, Value>,
    known: &[&str],
    file: &str,
    place: &str,
) -> Result<(), LoadError> {
    let absent = || known.iter().filter(|key| !keys.contains_key(**key));
    for key in keys.keys().filter(|key| !known.contains(&key.as_str())) {
        if let Some(meant) = absent().find(|meant| differs_in_one_character(key, meant)) {
            return Err(LoadError::BadFile {
                file: file.to_owned(),
                place: place.to_owned(),
                reason: format!("{key:?} is no key of it; is it {meant:?}, damaged?"),
            });
        }
    }
    Ok(())
}

/// Keys that tell the larger files of a checkpoint.
const KEYS_OF_OTHER_FILES: [&str; 6] = [
    "model_type",
    "metadata_by_tag",
    "image_processor",
    "added_tokens",
    "weight_map",
    "min_token",
];

/// Refuses a file of settings, all of which may be absent, that is another file of a checkpoint or in which one of `known`
/// is damaged. `foreign` are further keys that it cannot have.
///
/// # Errors
/// [`LoadError::BadFile`].
pub(crate) fn check_settings(
    bytes: &[u8],
    file: &str,
    known: &[&str],
    foreign: &[&str],
) -> Result<(), LoadError> {
    let raw: Value = parse_json(file, bytes)?;
    let Some(keys) = raw.as_object() else {
        // Reading it says so.
        return Ok(());
    };
    let mut foreign = KEYS_OF_OTHER_FILES.iter().chain(foreign);
    match foreign.find(|key| keys.contains_key(**key)) {
        Some(key) => Err(LoadError::BadFile {
            file: file.to_owned(),
            place: String::new(),
            reason: format!(
                "it has {key:?}, which belongs into another file of a checkpoint; were they exchanged?"
            ),
        }),
        None => check(keys, known, file, ""),
    }
}

/// Words that files of checkpoints have as keys, one character from another key and meaning what they say.
const SIMILAR_KEYS: [&str; 1] = ["task"];

/// Whether two keys differ in one character. Quantiles are keys of their own: `q50` is no damaged `q10`.
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
    #![allow(clippy::unwrap_used)]

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
