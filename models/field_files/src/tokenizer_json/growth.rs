//! How many times longer the rules of a tokenizer can make a text.

use serde_json::Value;

use crate::json::JsonError;

/// Most times that the rules of one section may multiply the length of a text. Published ones do so up to twelve times.
const MOST_GROWTH: u64 = 64;
/// Most rules of one section; published ones have up to five.
const MOST_RULES: usize = 16;

/// The factor of a single rule, or the reason why it cannot be bounded.
type Factor = fn(kind: &str, rule: &Value) -> Result<u64, String>;

/// The growth in bytes by normalizers.
pub(super) fn of_normalizer(sections: &[Value]) -> Result<u64, JsonError> {
    of("normalizer", "normalizers", sections, |kind, rule| {
        Ok(match kind {
            "NFC" | "NFD" => 3,
            // A ligature of eighteen letters.
            "NFKC" | "NFKD" => 11,
            "Lowercase" | "ByteLevel" => 2,
            "Strip" | "StripAccents" | "Nmt" => 1,
            "BertNormalizer" => 10,
            "Prepend" => 1 + text(rule, "prepend")?.len() as u64,
            "Replace" => replaced(rule)?,
            other => {
                return Err(format!(
                    "is of type {other}, which is not taken: it may make any length of a text"
                ));
            }
        })
    })
}

/// The growth in bytes by what splits a text into words.
pub(super) fn of_pre_tokenizer(sections: &[Value]) -> Result<u64, JsonError> {
    of("pre_tokenizer", "pretokenizers", sections, |kind, rule| {
        Ok(match kind {
            "ByteLevel" => 2,
            "Metaspace" => 4.max(
                rule.get("replacement")
                    .and_then(Value::as_str)
                    .map_or(0, str::len) as u64,
            ),
            _ => 1,
        })
    })
}

/// The growth in tokens by what puts tokens around a text.
pub(super) fn of_post_processor(sections: &[Value]) -> Result<u64, JsonError> {
    of("post_processor", "processors", sections, |kind, rule| {
        if kind != "TemplateProcessing" {
            return Ok(1);
        }
        let pieces = |key: &str| rule.get(key).and_then(Value::as_array).map_or(0, Vec::len);
        let special = rule.get("special_tokens").and_then(Value::as_object);
        let ids = special.into_iter().flatten().map(|(_, token)| {
            let ids = token.get("ids").and_then(Value::as_array);
            ids.map_or(0, Vec::len)
        });
        let longest = ids.max().unwrap_or(0).max(1);
        Ok((pieces("single").max(1) * longest) as u64)
    })
}

/// The growth in bytes by decoders.
pub(super) fn of_decoder(sections: &[Value]) -> Result<u64, JsonError> {
    of("decoder", "decoders", sections, |kind, rule| {
        Ok(match kind {
            // A byte that is no character becomes three.
            "ByteLevel" | "ByteFallback" => 3,
            "Replace" => replaced(rule)?,
            "WordPiece" | "BPEDecoder" | "CTC" | "Metaspace" => 2,
            _ => 1,
        })
    })
}

/// The growth by all rules of a section, of which each is applied to the result of the one before. `list` is the key under
/// which a sequence keeps its rules.
fn of(part: &str, list: &str, sections: &[Value], factor: Factor) -> Result<u64, JsonError> {
    let (mut growth, mut count) = (1_u64, 0);
    let mut waiting: Vec<&Value> = sections.iter().collect();
    while let Some(rule) = waiting.pop() {
        let bad = |reason: String| JsonError::at(part, reason);
        let Some(kind) = rule.get("type").and_then(Value::as_str) else {
            return Err(bad("has no type".to_owned()));
        };
        if kind == "Sequence" {
            let rules = rule.get(list).and_then(Value::as_array);
            waiting.extend(rules.into_iter().flatten());
        } else {
            growth = growth.saturating_mul(factor(kind, rule).map_err(bad)?);
        }
        count += 1;
        if count > MOST_RULES {
            return Err(JsonError::at(
                part,
                format_args!("has more than {MOST_RULES} rules; no more are taken"),
            ));
        }
    }
    if growth > MOST_GROWTH {
        return Err(JsonError::at(
            part,
            format_args!(
                "may make a text {growth} times as long; at most {MOST_GROWTH} times is taken"
            ),
        ));
    }
    Ok(growth)
}

/// The factor of a rule that puts `content` in place of a pattern.
fn replaced(rule: &Value) -> Result<u64, String> {
    let content = text(rule, "content")?.len() as u64;
    let pattern = rule.get("pattern");
    let fixed = pattern.and_then(|pattern| pattern.get("String")?.as_str());
    match fixed {
        Some("") => Err("replaces nothing by something, which has no end".to_owned()),
        Some(fixed) => Ok(content.div_ceil(fixed.len() as u64).max(1)),
        // Also between two characters.
        None if content == 0 => Ok(1),
        None => Err(
            "replaces what a regular expression finds, which is not taken; a fixed text is"
                .to_owned(),
        ),
    }
}

fn text<'a>(rule: &'a Value, key: &str) -> Result<&'a str, String> {
    rule.get(key)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("has a rule without the text {key:?}"))
}
