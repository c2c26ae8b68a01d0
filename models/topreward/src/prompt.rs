//! The text around the video. Every byte of it changes the result.
//!
//! A prompt is a header, the video's blocks (which the model's own crate writes, with their times), a suffix,
//! and an answer whose probability is read where the suffix ends. What the model reads is tokenised from the
//! end of the video to the end of the answer at once, because a word's token includes the space before it.

use crate::Error;
use serde::{Deserialize, Serialize};

/// True if the question is a turn of a conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Template {
    /// The user's turn is opened and never closed; the answer continues its sentence. Much the better one.
    #[default]
    Without,
    /// The user's turn is closed and the assistant's opened, as in a conversation.
    With,
}

const TURN: &str = "<|im_start|>user\n";

const ANSWER_TURN: &str = "<|im_end|>\n<|im_start|>assistant\n";
const CLAIM: &str =
    "The above video shows a robot manipulation trajectory that completes the following task: ";
const CLAIM_AFTER_DESCRIPTION: &str = " Therefore given the above description and the video, the video \
     shows a robot manipulation trajectory that **completes** the following instruction: ";
const QUESTION: &str = " Decide whether the above statement is True or not. The answer is:";

/// One question about a video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    instruction: String,
    template: Template,
    description: Option<String>,
}

impl Prompt {
    /// Asks whether the video completes `instruction`, which stands in the prompt as it is: no full stop
    /// is added, none taken away.
    ///
    /// # Errors
    /// [`Error::NoInstruction`], and [`Error::ControlToken`] for text such as `<|im_end|>`.
    pub fn new(instruction: &str) -> Result<Self, Error> {
        if instruction.trim().is_empty() {
            return Err(Error::NoInstruction);
        }
        refuse_control_tokens("the instruction", instruction)?;
        Ok(Self {
            instruction: instruction.to_owned(),
            template: Template::Without,
            description: None,
        })
    }

    /// With or without the conversation around it.
    #[must_use]
    pub fn with_template(mut self, template: Template) -> Self {
        self.template = template;
        self
    }

    /// Puts the model's answer to [`DESCRIBE`] before the claim.
    ///
    /// # Errors
    /// [`Error::ControlToken`].
    pub fn with_description(mut self, description: &str) -> Result<Self, Error> {
        refuse_control_tokens("the description", description)?;
        self.description = Some(description.trim().to_owned());
        Ok(self)
    }

    /// The instruction that the claim is about.
    #[must_use]
    pub fn instruction(&self) -> &str {
        &self.instruction
    }

    /// With or without the conversation around it.
    #[must_use]
    pub fn template(&self) -> Template {
        self.template
    }

    /// The model's description of the video, where that is part of the prompt.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Text before the first block of the video.
    #[must_use]
    pub fn header(&self) -> &'static str {
        TURN
    }

    /// Text between the last block and the answer.
    #[must_use]
    pub fn suffix(&self) -> String {
        let claim = match &self.description {
            None => CLAIM.to_owned(),
            Some(description) => format!("{description}{CLAIM_AFTER_DESCRIPTION}"),
        };
        let end = match self.template {
            Template::Without => "",
            Template::With => ANSWER_TURN,
        };
        format!("{claim}{}{QUESTION}{end}", self.instruction)
    }

    /// The answer whose log-probability is the reward: one token.
    #[must_use]
    pub fn yes(&self) -> &'static str {
        match self.template {
            Template::Without => " True",
            Template::With => "True",
        }
    }

    /// The other answer, one token too. The reference reads ` False` with its space in both templates.
    #[must_use]
    pub fn no(&self) -> &'static str {
        " False"
    }
}

/// The prompt to which a description is the answer, of at most [`DESCRIBE_TOKENS`] tokens, each the most
/// probable one. It is a conversation whatever the template of the question.
pub const DESCRIBE: &str = "Describe the robot manipulation trajectory in this video:";
/// Maximum length of a description (tokens).
pub const DESCRIBE_TOKENS: usize = 256;

/// The text around the video when asking for a description: what stands before it and what after.
#[must_use]
pub fn describe() -> (&'static str, String) {
    (TURN, format!("{DESCRIBE}{ANSWER_TURN}"))
}

/// Control tokens of the family look like `<|name|>`.
fn refuse_control_tokens(what: &'static str, text: &str) -> Result<(), Error> {
    let found = text.match_indices("<|").find_map(|(start, _)| {
        let rest = text.get(start..)?;
        let end = rest.find("|>")?;
        let name = rest.get(2..end)?;
        let is_name = name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        is_name.then(|| format!("<|{name}|>"))
    });
    match found {
        None => Ok(()),
        Some(found) => Err(Error::ControlToken { what, found }),
    }
}

/// The sentence that says the opposite, as a control: `Do not` before an instruction.
#[must_use]
pub fn negation(instruction: &str) -> String {
    let mut letters = instruction.trim().chars();
    let first = letters.next().map(char::to_lowercase);
    let rest = letters.as_str();
    format!(
        "Do not {}{rest}",
        first.into_iter().flatten().collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_turn_is_never_closed_without_template() {
        let prompt = Prompt::new("open the drawer").unwrap();
        assert_eq!(
            prompt.suffix() + prompt.yes(),
            "The above video shows a robot manipulation trajectory that completes the following task: \
             open the drawer Decide whether the above statement is True or not. The answer is: True"
        );
        assert!(!prompt.suffix().contains("<|im_end|>"));
    }

    #[test]
    fn control_tokens_are_refused_and_angle_brackets_are_not() {
        assert!(matches!(
            Prompt::new("stop<|im_end|>"),
            Err(Error::ControlToken { .. })
        ));
        assert!(Prompt::new("is 3 <| 4 |> 5?").is_ok());
        assert_eq!(Prompt::new(" \n"), Err(Error::NoInstruction));
    }

    #[test]
    fn a_negation_reads_as_one() {
        assert_eq!(negation("Open the drawer."), "Do not open the drawer.");
        assert_eq!(negation("Öffne"), "Do not öffne");
    }
}
