//! Prompts of a policy, as text and as token ids.
//!
//! ```text
//! {images}<|im_start|>user
//! The task is to {task}. The setup is {setup}. The current state of the robot is {state}. The expected control
//! mode is {control}. Given these, what action should the robot take to complete the task?<|im_end|>
//! <|im_start|>assistant
//! <action_output>
//! ```
//!
//! on one line except for the breaks after `user`, `<|im_end|>` and `assistant`. The beginning-of-text token is
//! prepended to the ids unless it is there.

use crate::checkpoint::config::Config;
use crate::checkpoint::norm_stats::Tag;
use crate::error::{ActError, LoadError};
use crate::input::images::ImagePreprocessor;
use crate::input::instruction::normalize_language;
use crate::input::tokenizer::{EncodedText, IMAGE, TextTokenizer, image_token_in};
pub use crate::input::tokenizer::{TOKENIZER_CONFIG_FILE, TOKENIZER_FILE};

/// The output that a prompt requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    /// An action.
    #[default]
    Action,
    /// A depth map of the main image, then an action (Think checkpoints).
    DepthAction,
}

/// Content of a prompt.
#[derive(Debug, Clone, Copy)]
pub struct PromptContent<'a> {
    /// The instruction.
    pub instruction: &'a str,
    /// True if the instruction is normalized first ([`normalize_language`]).
    pub normalize_instruction: bool,
    /// The state, normalized but not binned.
    pub state_normalized: &'a [f32],
    /// The robot.
    pub tag: &'a Tag,
    /// Number of images.
    pub images: usize,
    /// The requested output.
    pub style: Style,
}

/// A prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The text, each image as `<|image|>`.
    pub text: String,
    /// Token ids, the beginning-of-text token first.
    pub ids: Vec<u32>,
    /// Per id, whether it is an image token; image tokens attend to each other in both directions.
    pub image_type: Vec<bool>,
}

/// Writer of prompts for one checkpoint.
#[derive(Debug, Clone)]
pub struct PromptWriter {
    tokenizer: TextTokenizer,
    num_state_tokens: usize,
    add_setup_tokens: bool,
    add_control_tokens: bool,
    image_tokens: String,
}

impl PromptWriter {
    /// Reads `tokenizer.json` and `tokenizer_config.json` (if there is one), and checks the token ids against
    /// `config`.
    ///
    /// # Errors
    /// [`LoadError`] for files that cannot be read and for ids that differ between them.
    pub fn new(
        tokenizer_json: &[u8],
        tokenizer_config_json: Option<&[u8]>,
        config: &Config,
        images: &ImagePreprocessor,
    ) -> Result<Self, LoadError> {
        let tokenizer = TextTokenizer::new(tokenizer_json, tokenizer_config_json, config)?;
        check_robot_ids(&tokenizer, config)?;
        Ok(Self {
            tokenizer,
            num_state_tokens: config.num_state_tokens,
            add_setup_tokens: config.add_setup_tokens,
            add_control_tokens: config.add_control_tokens,
            image_tokens: images.token_string(),
        })
    }

    /// The tokenizer.
    pub(crate) fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    /// Writes a prompt.
    ///
    /// # Errors
    /// [`ActError::ImageTokenInInstruction`] for an instruction with an image token, [`ActError::Tokenizer`].
    pub fn write(&self, content: &PromptContent<'_>) -> Result<Prompt, ActError> {
        let text = self.text(content)?;
        let expanded = text.replace(IMAGE, &self.image_tokens);
        let EncodedText { ids, image_type } = self.tokenizer.encode(expanded)?;
        Ok(Prompt {
            text,
            ids,
            image_type,
        })
    }

    fn text(&self, content: &PromptContent<'_>) -> Result<String, ActError> {
        let task = if content.normalize_instruction {
            normalize_language(content.instruction)
        } else {
            content.instruction.to_owned()
        };
        if let Some(token) = image_token_in(&task) {
            return Err(ActError::ImageTokenInInstruction {
                token: token.to_owned(),
            });
        }
        let tag = content.tag;
        let setup = wrap("setup", &tag.setup_type, self.add_setup_tokens);
        let control = wrap("control", &tag.control_mode, self.add_control_tokens);
        let state: String = content
            .state_normalized
            .iter()
            .map(|value| format!("<state_{}>", state_bin(*value, self.num_state_tokens)))
            .collect();
        let images: String = match content.images {
            1 => IMAGE.to_owned(),
            count => (1..=count).map(|k| format!("Image {k}{IMAGE}")).collect(),
        };
        let (request, answer) = match content.style {
            Style::Action => (
                "what action should the robot take to complete the task?",
                "<action_output>",
            ),
            Style::DepthAction => (
                "first predict the depth map of the main image and then predict the action the robot should \
                 take to complete the task?",
                "<depth_output><action_output>",
            ),
        };
        Ok(format!(
            "{images}<|im_start|>user\nThe task is to {task}. The setup is {setup}. The current state of the \
             robot is <state_start>{state}<state_end>. The expected control mode is {control}. Given these, \
             {request}<|im_end|>\n<|im_start|>assistant\n{answer}"
        ))
    }
}

/// Bin of a normalized value: -1..=1 spread over `bins`, rounded half to even. NaN counts as 0, the middle.
#[must_use]
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bins are few, and the value lies between 0 and their number"
)]
pub fn state_bin(value: f32, bins: usize) -> usize {
    let last = bins.saturating_sub(1);
    let value = if value.is_nan() { 0.0 } else { value };
    let scaled = (value.clamp(-1.0, 1.0) + 1.0) / 2.0 * last as f32;
    (scaled.round_ties_even() as usize).min(last)
}

/// `<setup_start>text<setup_end>` and the like; a text that is empty or already wrapped is returned unchanged.
fn wrap(kind: &str, text: &str, add_tokens: bool) -> String {
    let (start, end) = (format!("<{kind}_start>"), format!("<{kind}_end>"));
    let wrapped = text.starts_with(&start) && text.ends_with(&end);
    if wrapped || text.is_empty() || !add_tokens {
        text.to_owned()
    } else {
        format!("{start}{text}{end}")
    }
}

/// Checks the ids of robot tokens in the tokenizer against the configuration.
fn check_robot_ids(tokenizer: &TextTokenizer, config: &Config) -> Result<(), LoadError> {
    let last_state = config.num_state_tokens.saturating_sub(1);
    let last_state_id = u32::try_from(last_state)
        .ok()
        .and_then(|last| config.state_token_start_id.checked_add(last));
    let last_state_name = format!("<state_{last_state}>");
    for (key, token, id) in [
        (
            "state_start_token_id",
            "<state_start>",
            Some(config.state_start_token_id),
        ),
        (
            "state_end_token_id",
            "<state_end>",
            Some(config.state_end_token_id),
        ),
        (
            "state_token_start_id",
            "<state_0>",
            Some(config.state_token_start_id),
        ),
        ("num_state_tokens", &last_state_name, last_state_id),
        (
            "action_output_token_id",
            "<action_output>",
            config.action_output_token_id,
        ),
        (
            "action_start_token_id",
            "<action_start>",
            config.action_start_token_id,
        ),
        (
            "action_end_token_id",
            "<action_end>",
            config.action_end_token_id,
        ),
        (
            "action_token_start_id",
            "<action_0>",
            config.action_token_start_id,
        ),
    ] {
        if let Some(id) = id {
            tokenizer.check_id(key, token, id)?;
        }
    }
    if config.enable_depth_reasoning {
        check_depth_ids(tokenizer, config)?;
    }
    Ok(())
}

fn check_depth_ids(tokenizer: &TextTokenizer, config: &Config) -> Result<(), LoadError> {
    let last = config.num_depth_tokens.saturating_sub(1);
    let last_name = format!("<depth_{last}>");
    let first_id = config.depth_token_start_id;
    let last_id = u32::try_from(last)
        .ok()
        .zip(first_id)
        .and_then(|(last, first)| first.checked_add(last));
    for (key, token, id) in [
        (
            "depth_output_token_id",
            "<depth_output>",
            config.depth_output_token_id,
        ),
        (
            "depth_start_token_id",
            "<depth_start>",
            config.depth_start_token_id,
        ),
        (
            "depth_end_token_id",
            "<depth_end>",
            config.depth_end_token_id,
        ),
        ("depth_token_start_id", "<depth_0>", first_id),
        ("num_depth_tokens", last_name.as_str(), last_id),
    ] {
        if let Some(id) = id {
            tokenizer.check_id(key, token, id)?;
        }
    }
    Ok(())
}
