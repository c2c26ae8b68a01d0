//! A prompt cut into what a person reads: words, the model's own marks, and folded images.

/// One piece of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Plain words, line breaks included.
    Words(String),
    /// A token of the model's own, without its brackets: `state_127`, `|im_start|`.
    Mark {
        /// What stands between the brackets.
        name: String,
        /// What family it belongs to, for styling.
        family: Family,
    },
    /// A run of image patches.
    Image {
        /// How many patches, where the prompt says.
        patches: u32,
    },
}

/// What a mark stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Who speaks, begins and ends.
    Frame,
    /// Around and inside images.
    Image,
    /// The robot's state, one token per joint.
    State,
    /// Set-up and control mode.
    Setup,
    /// Where actions (or depth) begin.
    Output,
    /// Anything else.
    Other,
}

impl Family {
    /// For styles.
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

/// Cuts `prompt` into pieces. `<name>` and `<|name|>` are marks when the name is one word; a bracket
/// that closes nothing stays a word. Runs of `<im_patch>` fold, also when written `<im_patch>×196`.
pub fn pieces(prompt: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = prompt;
    while let Some(start) = rest.find('<') {
        let (words, from_bracket) = rest.split_at(start);
        push_words(&mut pieces, words);
        match mark_at_start(from_bracket) {
            Some((name, after)) => {
                rest = push_mark(&mut pieces, name, after);
            }
            None => {
                push_words(&mut pieces, "<");
                rest = from_bracket.get(1..).unwrap_or_default();
            }
        }
    }
    push_words(&mut pieces, rest);
    pieces
}

fn mark_at_start(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('<')?.split_once('>')?;
    let is_name = !name.is_empty()
        && name.len() <= 40
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '|' | '-' | '.'));
    is_name.then_some((name, after))
}

fn push_mark<'a>(pieces: &mut Vec<Piece>, name: &str, after: &'a str) -> &'a str {
    if name != "im_patch" {
        let family = Family::of(name);
        pieces.push(Piece::Mark {
            name: name.to_owned(),
            family,
        });
        return after;
    }
    let (patches, after) = repetitions(after);
    if let Some(Piece::Image { patches: sum }) = pieces.last_mut() {
        *sum = sum.saturating_add(patches);
    } else {
        pieces.push(Piece::Image { patches });
    }
    after
}

/// Reads `×196`, `x196` or `*196` after a mark; otherwise it stands once.
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

fn push_words(pieces: &mut Vec<Piece>, words: &str) {
    if words.is_empty() {
        return;
    }
    if let Some(Piece::Words(before)) = pieces.last_mut() {
        before.push_str(words);
    } else {
        pieces.push(Piece::Words(words.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(name: &str, family: Family) -> Piece {
        Piece::Mark {
            name: name.into(),
            family,
        }
    }

    fn words(text: &str) -> Piece {
        Piece::Words(text.into())
    }

    #[test]
    fn a_prompt_becomes_words_marks_and_images() {
        let prompt = "<|im_end|>Image 1<im_start><im_patch><im_patch><im_patch><im_end><|im_start|>user\nThe task is to push. <state_start><state_127><state_end><action_output>";
        assert_eq!(
            pieces(prompt),
            [
                mark("|im_end|", Family::Frame),
                words("Image 1"),
                mark("im_start", Family::Image),
                Piece::Image { patches: 3 },
                mark("im_end", Family::Image),
                mark("|im_start|", Family::Frame),
                words("user\nThe task is to push. "),
                mark("state_start", Family::State),
                mark("state_127", Family::State),
                mark("state_end", Family::State),
                mark("action_output", Family::Output),
            ]
        );
    }

    #[test]
    fn a_written_repetition_folds_too() {
        assert_eq!(
            pieces("<im_patch>×196."),
            [Piece::Image { patches: 196 }, words(".")]
        );
        assert_eq!(
            pieces("<im_patch>x"),
            [Piece::Image { patches: 1 }, words("x")]
        );
    }

    #[test]
    fn a_sentence_with_brackets_of_its_own_stays_a_sentence() {
        assert_eq!(
            pieces("a < b and <not a mark> c"),
            [words("a < b and <not a mark> c")]
        );
        assert_eq!(pieces(""), []);
        assert_eq!(pieces("<"), [words("<")]);
        assert_eq!(pieces("<😀>"), [words("<😀>")]);
    }
}
