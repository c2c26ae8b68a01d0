//! A prompt with gaps for the question.
//!
//! The gaps are found by rendering a template with a question that no text of its own contains, between white space that
//! tells whether the template trims it.

/// White space around a stand-in, which a template keeps whole or trims whole.
const BEFORE: &str = "\n\u{2003}";
const AFTER: &str = "\u{2003}\n";
/// Its innermost character: left alone, something else than white space was trimmed.
const INNERMOST: char = '\u{2003}';

/// A question in place of any other.
#[derive(Debug)]
pub(super) struct StandIn(&'static str);

/// Two of different length and words. Quotation marks, a line break, brackets and capitals show whether a template
/// escapes or changes what it prints; the characters at both ends are of no language.
pub(super) const STAND_INS: [StandIn; 2] = [
    StandIn("\u{E000}Is 'it'\nthe \"Red\" <cube> & {{ 1 }}?\u{E001}"),
    StandIn(
        "\u{E000}Where would one, \"then\",\nput the 'Other' two <things> & {{ 2 }}, after all of this?\u{E001}",
    ),
];

impl StandIn {
    /// The question as a template gets it.
    pub(super) fn question(&self) -> String {
        format!("{BEFORE}{}{AFTER}", self.0)
    }
}

/// Ends of the question that a template trims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gap {
    trims_start: bool,
    trims_end: bool,
}

impl Gap {
    fn of(self, question: &str) -> &str {
        match (self.trims_start, self.trims_end) {
            (true, true) => question.trim(),
            (true, false) => question.trim_start(),
            (false, true) => question.trim_end(),
            (false, false) => question,
        }
    }
}

/// The text around the gaps for a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Skeleton {
    start: String,
    /// Each gap with the text after it.
    rest: Vec<(Gap, String)>,
}

impl Skeleton {
    /// The skeleton of what a template wrote for a stand-in, or the reason why there is none.
    pub(super) fn of(output: &str, stand_in: &StandIn) -> Result<Self, &'static str> {
        const CHANGED: &str = "it changes the words of the question, which is not followed";
        let mut parts = output.split(stand_in.0);
        let mut start = parts.next().unwrap_or_default();
        let mut rest: Vec<(Gap, &str)> = Vec::new();
        for part in parts {
            let before = match rest.last_mut() {
                Some((_, text)) => text,
                None => &mut start,
            };
            let trims_start = match before.strip_suffix(BEFORE) {
                Some(text) => {
                    *before = text;
                    false
                }
                None if before.ends_with(INNERMOST) => return Err(CHANGED),
                None => true,
            };
            let (trims_end, text) = match part.strip_prefix(AFTER) {
                Some(text) => (false, text),
                None if part.starts_with(INNERMOST) => return Err(CHANGED),
                None => (true, part),
            };
            let gap = Gap {
                trims_start,
                trims_end,
            };
            rest.push((gap, text));
        }
        if rest.is_empty() {
            return Err(
                "it does not write the question, or changes its words, which is not followed",
            );
        }
        Ok(Self {
            start: start.to_owned(),
            rest: rest
                .into_iter()
                .map(|(gap, text)| (gap, text.to_owned()))
                .collect(),
        })
    }

    /// The prompt with `question` in its gaps.
    pub(super) fn around(&self, question: &str) -> String {
        let mut prompt = self.start.clone();
        for (gap, text) in &self.rest {
            prompt.push_str(gap.of(question));
            prompt.push_str(text);
        }
        prompt
    }
}
