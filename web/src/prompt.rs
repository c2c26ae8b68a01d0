//! A prompt split into text, special tokens of the model, and folded images.

/// A segment of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Plain text, including line breaks.
    Text(String),
    /// A special token of the model.
    SpecialToken {
        /// Its name, without the brackets: `state_127`, `|im_start|`.
        name: String,
        /// Its family, for styling.
        family: TokenFamily,
    },
    /// A run of image patches.
    Image {
        /// Number of patches.
        patches: u32,
    },
}

/// Family of a special token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFamily {
    /// Turns of the conversation.
    Frame,
    /// Images.
    Image,
    /// The robot's state, one token per joint.
    State,
    /// Setup and control mode.
    Setup,
    /// Start of actions or depth codes.
    Output,
    /// Any other token.
    Other,
}

impl TokenFamily {
    /// Class name for the style sheet.
    pub fn class(self) -> &'static str {
        match self {
            Self::Frame => "frame",
            Self::Image => "image",
            Self::State => "state",
            Self::Setup => "setup",
            Self::Output => "output",
            Self::Other => "other",
        }
    }

    fn of(name: &str) -> Self {
        let bare = name.trim_matches('|');
        let starts = |prefixes: &[&str]| prefixes.iter().any(|p| bare.starts_with(p));
        if bare == "im_patch"
            || bare == "image"
            || starts(&["im_col", "im_low", "low_res", "frame_"])
        {
            Self::Image
        } else if name.starts_with('|') {
            Self::Frame
        } else if matches!(bare, "im_start" | "im_end") {
            Self::Image
        } else if starts(&["state_"]) {
            Self::State
        } else if starts(&["setup_", "control_"]) {
            Self::Setup
        } else if starts(&["action_", "depth_"]) {
            Self::Output
        } else {
            Self::Other
        }
    }
}

/// Splits `prompt` into segments. `<name>` and `<|name|>` are special tokens when the name is one word; an unmatched
/// bracket remains text. Runs of `<im_patch>` are folded, also when written `<im_patch>×196`.
pub fn segments(prompt: &str) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut rest = prompt;
    while let Some(start) = rest.find('<') {
        let (words, from_bracket) = rest.split_at(start);
        push_text(&mut segments, words);
        match special_token_at_start(from_bracket) {
            Some((name, after)) => {
                rest = push_special_token(&mut segments, name, after);
            }
            None => {
                push_text(&mut segments, "<");
                rest = from_bracket.get(1..).unwrap_or_default();
            }
        }
    }
    push_text(&mut segments, rest);
    segments
}

fn special_token_at_start(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('<')?.split_once('>')?;
    let is_name = !name.is_empty()
        && name.len() <= 40
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '|' | '-' | '.'));
    is_name.then_some((name, after))
}

fn push_special_token<'a>(segments: &mut Vec<Segment>, name: &str, after: &'a str) -> &'a str {
    if name != "im_patch" {
        let family = TokenFamily::of(name);
        segments.push(Segment::SpecialToken {
            name: name.to_owned(),
            family,
        });
        return after;
    }
    let (patches, after) = repetitions(after);
    if let Some(Segment::Image { patches: sum }) = segments.last_mut() {
        *sum = sum.saturating_add(patches);
    } else {
        segments.push(Segment::Image { patches });
    }
    after
}

/// Parses `×196`, `x196` or `*196` after a special token; without it the count is 1.
fn repetitions(after: &str) -> (u32, &str) {
    let Some(digits) = after.strip_prefix(['×', 'x', '*']) else {
        return (1, after);
    };
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    let (number, rest) = digits.split_at(end);
    number.parse().map_or((1, after), |n| (n, rest))
}

fn push_text(segments: &mut Vec<Segment>, words: &str) {
    if words.is_empty() {
        return;
    }
    if let Some(Segment::Text(before)) = segments.last_mut() {
        before.push_str(words);
    } else {
        segments.push(Segment::Text(words.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(name: &str, family: TokenFamily) -> Segment {
        Segment::SpecialToken {
            name: name.into(),
            family,
        }
    }

    fn words(text: &str) -> Segment {
        Segment::Text(text.into())
    }

    #[test]
    fn a_prompt_becomes_text_special_tokens_and_images() {
        let prompt = "<|im_end|>Image 1<im_start><im_patch><im_patch><im_patch><im_end><|im_start|>user\nThe task is to push. <state_start><state_127><state_end><action_output>";
        assert_eq!(
            segments(prompt),
            [
                mark("|im_end|", TokenFamily::Frame),
                words("Image 1"),
                mark("im_start", TokenFamily::Image),
                Segment::Image { patches: 3 },
                mark("im_end", TokenFamily::Image),
                mark("|im_start|", TokenFamily::Frame),
                words("user\nThe task is to push. "),
                mark("state_start", TokenFamily::State),
                mark("state_127", TokenFamily::State),
                mark("state_end", TokenFamily::State),
                mark("action_output", TokenFamily::Output),
            ]
        );
    }

    #[test]
    fn a_written_repetition_folds_too() {
        assert_eq!(
            segments("<im_patch>×196."),
            [Segment::Image { patches: 196 }, words(".")]
        );
        assert_eq!(
            segments("<im_patch>x"),
            [Segment::Image { patches: 1 }, words("x")]
        );
    }

    #[test]
    fn an_instruction_with_brackets_of_its_own_stays_text() {
        assert_eq!(
            segments("a < b and <not a mark> c"),
            [words("a < b and <not a mark> c")]
        );
        assert_eq!(segments(""), []);
        assert_eq!(segments("<"), [words("<")]);
        assert_eq!(segments("<😀>"), [words("<😀>")]);
    }
}
