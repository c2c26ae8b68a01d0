//! Ids of robots: a robot's name in the form for URLs, messages and file names.

use sha2::{Digest as _, Sha256};

/// Most characters of a name in its id.
const MAX_CHARS: usize = 64;
/// Bytes of the hash in an id, two digits each.
const HASH_BYTES: usize = 8;
/// Separator of characters and hash. An id without a hash never contains it.
const SEPARATOR: char = '~';

/// Returns the id of a name: its letters, digits, `-` and `_` in lower case, with `-` for everything else.
///
/// Capitals and spaces do not distinguish robots: `Arm A` and `arm-a` are the same robot. If more of the name is lost,
/// because it is too long or has other characters, a hash of the full name follows: different names are different robots,
/// each with its own stop.
pub(crate) fn of_name(name: &str) -> String {
    let name = name.trim();
    let mut id: String = name
        .chars()
        .take(MAX_CHARS)
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() || c == '_' => c.to_ascii_lowercase(),
            _ => '-',
        })
        .collect();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ');
    let is_unambiguous = name.len() <= MAX_CHARS && name.chars().all(is_plain);
    if id.is_empty() {
        id.push_str("robot");
    }
    if !is_unambiguous {
        id.push(SEPARATOR);
        id.push_str(&hash(name));
    }
    id
}

/// Returns the id that versions without hashes gave to a robot whose id has one. Their latches are files with that name.
pub(crate) fn without_hash(robot_id: &str) -> Option<&str> {
    robot_id.rsplit_once(SEPARATOR).map(|(id, _)| id)
}

fn hash(name: &str) -> String {
    use std::fmt::Write as _;
    let digest = Sha256::digest(name.as_bytes());
    let bytes = digest.iter().take(HASH_BYTES);
    bytes.fold(String::new(), |mut hash, byte| {
        write!(hash, "{byte:02x}").ok();
        hash
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_are_their_ids() {
        let longest = "x".repeat(64);
        for (name, id) in [
            ("arm", "arm"),
            ("Arm A", "arm-a"),
            (" so101_left-2 ", "so101_left-2"),
            ("  ", "robot"),
            (longest.as_str(), longest.as_str()),
        ] {
            assert_eq!(of_name(name), id);
            assert_eq!(without_hash(id), None);
        }
    }

    #[test]
    fn names_that_differ_only_in_lost_characters_have_different_ids() {
        let long = "x".repeat(64);
        let names = [
            "Arm ä".to_owned(),
            "Arm ö".to_owned(),
            "机械臂一".to_owned(),
            "机械臂二".to_owned(),
            "arm.1".to_owned(),
            "arm/1".to_owned(),
            "arm 1".to_owned(),
            format!("{long}1"),
            format!("{long}2"),
            long,
        ];
        let mut ids: Vec<_> = names.iter().map(|name| of_name(name)).collect();
        let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '~');
        assert!(ids.iter().all(|id| id.chars().all(is_safe)), "{ids:?}");
        assert!(ids.iter().all(|id| id.len() <= 81), "{ids:?}");
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), names.len());
    }

    #[test]
    fn an_id_with_a_hash_yields_the_id_of_earlier_versions() {
        // printf 'Arm ä' | sha256sum
        assert_eq!(of_name(" Arm ä"), "arm--~d60a9d993cf17eb4");
        assert_eq!(without_hash("arm--~d60a9d993cf17eb4"), Some("arm--"));
    }
}
