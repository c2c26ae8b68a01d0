//! Regular expressions of a tokenizer, which are compiled when it is loaded.
//!
//! A class of Unicode such as `\w` compiles to some fifty kilobytes, so what is compiled is bounded by the length of the
//! expressions and by what they repeat.

use serde_json::Value;

use crate::json::JsonError;

/// Most bytes of all expressions together; published ones have up to seven hundred.
const MOST_BYTES: usize = 2_048;
/// Most counted repetitions, such as `{1,3}`, and the largest of their numbers.
const MOST_REPETITIONS: usize = 8;
const MOST_TIMES: u64 = 32;

/// Holds the expressions of the sections against the limits.
///
/// # Errors
/// [`JsonError`] with the section that goes beyond one.
pub(super) fn check(sections: &[(&str, &[Value])]) -> Result<(), JsonError> {
    let (mut bytes, mut repetitions) = (0, 0);
    for (part, rules) in sections {
        let mut waiting: Vec<&Value> = rules.iter().collect();
        while let Some(value) = waiting.pop() {
            match value {
                Value::Array(list) => waiting.extend(list),
                Value::Object(keys) => {
                    for (key, value) in keys {
                        // Fixed texts are compiled too.
                        if let ("Regex" | "String", Some(pattern)) = (key.as_str(), value.as_str())
                        {
                            bytes += pattern.len();
                            if key == "Regex" {
                                let (count, times) = repeated(pattern);
                                repetitions += count;
                                if times > MOST_TIMES {
                                    return Err(JsonError::at(
                                        *part,
                                        format_args!(
                                            "has a regular expression that repeats something {times} times; at most \
                                             {MOST_TIMES} times is taken"
                                        ),
                                    ));
                                }
                            }
                        }
                        waiting.push(value);
                    }
                }
                _ => {}
            }
        }
        if bytes > MOST_BYTES || repetitions > MOST_REPETITIONS {
            return Err(JsonError::at(
                *part,
                format_args!(
                    "has regular expressions of more than {MOST_BYTES} bytes or {MOST_REPETITIONS} counted repetitions; no \
                     more are taken"
                ),
            ));
        }
    }
    Ok(())
}

/// Number of counted repetitions in an expression, and the largest of their numbers.
fn repeated(pattern: &str) -> (usize, u64) {
    let (mut count, mut most) = (0, 0);
    for (at, _) in pattern.match_indices('{') {
        // The number of a character.
        if pattern[..at].ends_with("\\x") || pattern[..at].ends_with("\\u") {
            continue;
        }
        let inside = pattern[at + 1..].split('}').next().unwrap_or_default();
        let is_count = |c: char| c.is_ascii_digit() || c == ',' || c == ' ';
        if inside.is_empty() || !inside.chars().all(is_count) {
            continue;
        }
        count += 1;
        for number in inside.split(',') {
            let digits = number.trim();
            let times = if digits.is_empty() {
                0
            } else {
                digits.parse().unwrap_or(u64::MAX)
            };
            most = most.max(times);
        }
    }
    (count, most)
}
