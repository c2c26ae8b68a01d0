//! Normalization of instructions to the form that the checkpoints were trained on.
//!
//! The rules are those of the reference's `_normalize_question_text`, including the white space and case folding of
//! Python's `re` and `str`. The exact wording decides the token ids, and a policy that was trained on "push the
//! cube" has never seen "Push the cube.".

/// Stripped from both ends.
const DELIMITERS: &str = "\"'`“”‘’[](){}";
/// Stripped from the end.
const PUNCTUATION: &str = ".,!?;:,…";
/// Stripped from the end after the punctuation.
const CLOSERS: &str = "\"'”’)]}";

/// Normalizes an instruction: one space between words, no surrounding quotes or brackets, no "task:" or "the task
/// is to" in front, no punctuation at the end, several sentences joined with "; ", all in lower case.
///
/// ```
/// use molmoact2::instruction::normalize_language;
/// assert_eq!(normalize_language("Task: \"Pick up  the CUP. Then wait!\""), "pick up the cup; then wait");
/// ```
#[must_use]
pub fn normalize_language(text: &str) -> String {
    let mut sentence = collapse_spaces(text);
    loop {
        let before = sentence.clone();
        let mut rest = trim(&before).trim_matches(|c| DELIMITERS.contains(c));
        rest = trim(rest);
        rest = trim(without_label(rest));
        rest = trim(without_opening(rest));
        for set in [PUNCTUATION, CLOSERS, PUNCTUATION] {
            rest = trim_end(rest.trim_end_matches(|c| set.contains(c)));
        }
        sentence = rest.to_owned();
        if sentence.is_empty() || sentence == before {
            break;
        }
    }
    let parts: Vec<&str> = sentence
        .split(['.', '!', '?'])
        .map(trim)
        .filter(|part| !part.is_empty())
        .collect();
    if parts.len() > 1 {
        sentence = parts.join("; ");
    }
    sentence.to_lowercase()
}

/// White space by Python's definition: Unicode's, and the four information separators.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

fn trim_end(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

fn collapse_spaces(text: &str) -> String {
    let words = text.split(is_space).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// "task:", "instruction -", "language_instruction:", "goal:" in front.
fn without_label(text: &str) -> &str {
    let label = [
        "task",
        "instruction",
        "language instruction",
        "language_instruction",
        "goal",
    ]
    .into_iter()
    .find_map(|label| {
        let rest = after(text, label)?.trim_start_matches(is_space);
        rest.strip_prefix([':', '-'])
    });
    label.map_or(text, |rest| rest.trim_start_matches(is_space))
}

/// "the task is to", "your task is to" in front.
fn without_opening(text: &str) -> &str {
    ["the", "your"]
        .into_iter()
        .find_map(|first| {
            let mut rest = after(text, first)?;
            for word in ["task", "is", "to"] {
                rest = after(after_spaces(rest)?, word)?;
            }
            after_spaces(rest)
        })
        .unwrap_or(text)
}

/// The text after at least one space.
fn after_spaces(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(is_space);
    (rest.len() < text.len()).then_some(rest)
}

/// The text after `word` (lower-case ASCII), ignoring case.
fn after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let mut rest = text.chars();
    for wanted in word.chars() {
        if !same_letter(rest.next()?, wanted) {
            return None;
        }
    }
    Some(rest.as_str())
}

/// Python's `re.IGNORECASE` also equates these with an ASCII letter: dotless and dotted i, long s, the kelvin sign.
fn same_letter(found: char, wanted: char) -> bool {
    found.to_ascii_lowercase() == wanted
        || matches!(
            (wanted, found),
            ('i', '\u{130}' | '\u{131}') | ('s', '\u{17f}') | ('k', '\u{212a}')
        )
}
