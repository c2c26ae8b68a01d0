//! Chat prompts: a question in the format of the checkpoint.
//!
//! Published folders contain a template in the Jinja language (`chat_template.jinja`), rendered as in the
//! reference's processor, except that it cannot look into the question. A plain VLM without one gets the format of its family:
//!
//! ```text
//! {images}<|im_start|>user
//! {question}<|im_end|>
//! <|im_start|>assistant
//! ```
//!
//! where one image is `<|image|>` and several are `Image 1<|image|>Image 2<|image|>…`.

use field_files::Limit;
use layers::ConfigError;
use serde::Deserialize;

use crate::checkpoint::config::{Config, Kind};
use crate::checkpoint::files::Files;
use crate::checkpoint::processor_config::ProcessorConfig;
use crate::checkpoint::unknown_keys;
use crate::error::{AskError, LoadError, parse_json};
use crate::input::template::{Template, TemplateError};
use crate::input::tokenizer::{
    IMAGE, TOKENIZER_CONFIG_FILE, TextTokenizer, TokenizerConfig, image_token_in,
};

/// File name in a checkpoint's folder.
const TEMPLATE_FILE: &str = "chat_template.jinja";
/// The template as older writers store it, wrapped in JSON.
const TEMPLATE_JSON_FILE: &str = "chat_template.json";
/// File with the tokens that end an answer.
pub(crate) const GENERATION_FILE: &str = "generation_config.json";

/// Chat format of a checkpoint.
#[derive(Debug, Clone)]
pub(crate) struct Chat {
    format: Format,
    /// Tokens that end an answer.
    stops: Vec<u32>,
}

#[derive(Debug, Clone)]
enum Format {
    Template(Template),
    /// The format of the family, at the top of this file.
    Family,
    /// None: a policy without a template, trained for actions alone.
    Actions,
    /// A policy's template that cannot be read, with the error.
    Broken(String),
    /// A policy's file that only answers need and that cannot be read, with the error.
    Unreadable(String),
}

fn refused(file: &str, error: &TemplateError) -> LoadError {
    LoadError::Config(ConfigError::BadFile {
        file: file.to_owned(),
        place: "chat template: ".to_owned(),
        reason: error.to_string(),
    })
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ids {
    One(u32),
    Several(Vec<u32>),
}

#[derive(Deserialize)]
struct Generation {
    eos_token_id: Option<Ids>,
}

#[derive(Deserialize)]
struct Wrapped {
    chat_template: String,
}

impl Chat {
    /// Reads the template and the tokens that end an answer.
    pub(crate) fn read(
        files: &Files,
        config: &Config,
        processor: &ProcessorConfig,
        tokenizer: &TextTokenizer,
    ) -> Result<Self, LoadError> {
        let is_policy = config.kind == Kind::Policy;
        let found = match template(files, processor) {
            // Trained for actions alone, so it has no answers to end.
            Ok(None) if is_policy => Ok((None, Vec::new())),
            found => found.and_then(|template| Ok((template, ends(files)?))),
        };
        // Actions need neither the template nor the tokens that end an answer.
        let (template, mut stops, unreadable) = match found {
            Ok((template, stops)) => (template, stops, None),
            Err(error) if is_policy => (None, Vec::new(), Some(error.to_string())),
            Err(error) => return Err(error),
        };
        if stops.is_empty() {
            stops.push(config.eos_token_id.unwrap_or_else(|| tokenizer.bos()));
        }
        let name = |id: u32| tokenizer.token(id).unwrap_or_default();
        let bos_token = name(tokenizer.bos());
        let eos_token = stops.first().map(|id| name(*id)).unwrap_or_default();
        let format = match (template, config.kind) {
            (Some((file, text)), kind) => match Template::new(text, &bos_token, &eos_token) {
                Ok(template) => Format::Template(template),
                Err(error @ TemplateError::Unbounded { .. }) => {
                    return Err(refused(file, &error));
                }
                Err(error) if kind == Kind::Policy => Format::Broken(error.to_string()),
                Err(error) => return Err(refused(file, &error)),
            },
            (None, Kind::VisionLanguage) => Format::Family,
            (None, Kind::Policy) => unreadable.map_or(Format::Actions, Format::Unreadable),
        };
        Ok(Self { format, stops })
    }

    /// True if the checkpoint can answer questions.
    pub(crate) fn can_answer(&self) -> bool {
        matches!(self.format, Format::Template(_) | Format::Family)
    }

    /// Reason why it cannot answer questions, if its files are at fault.
    pub(crate) fn fault(&self) -> Option<&str> {
        match &self.format {
            Format::Broken(reason) | Format::Unreadable(reason) => Some(reason),
            Format::Template(_) | Format::Family | Format::Actions => None,
        }
    }

    /// True if this token ends an answer.
    pub(crate) fn ends(&self, id: u32) -> bool {
        self.stops.contains(&id)
    }

    /// The prompt for one question about `images` images, each of them as `<|image|>`.
    pub(crate) fn text(&self, question: &str, images: usize) -> Result<String, AskError> {
        if let Some(token) = image_token_in(question) {
            return Err(AskError::ImageToken {
                token: token.to_owned(),
            });
        }
        if question.trim().is_empty() {
            return Err(AskError::Empty);
        }
        match &self.format {
            Format::Actions => Err(AskError::ActionsOnly),
            Format::Broken(reason) => Err(AskError::Template {
                reason: reason.clone(),
            }),
            Format::Unreadable(reason) => Err(AskError::Unreadable {
                reason: reason.clone(),
            }),
            Format::Family => Ok(family(question, images)),
            Format::Template(template) => {
                let text =
                    template
                        .render(question, images)
                        .map_err(|error| AskError::Template {
                            reason: error.to_string(),
                        })?;
                let shown = text.matches(IMAGE).count();
                if shown == images {
                    Ok(text)
                } else {
                    Err(AskError::Template {
                        reason: format!("it shows {shown} images where {images} were given"),
                    })
                }
            }
        }
    }
}

/// The tokens that end an answer by `generation_config.json`; none where it is absent or names none.
pub(crate) fn ends(files: &Files) -> Result<Vec<u32>, LoadError> {
    let given = match files.find(GENERATION_FILE)? {
        Some(bytes) => {
            unknown_keys::check_settings(
                &bytes,
                GENERATION_FILE,
                &["eos_token_id", "bos_token_id"],
                &[],
            )?;
            parse_json::<Generation>(GENERATION_FILE, &bytes)?.eos_token_id
        }
        None => None,
    };
    Ok(match given {
        Some(Ids::One(id)) => vec![id],
        Some(Ids::Several(ids)) => ids,
        None => Vec::new(),
    })
}

fn family(question: &str, images: usize) -> String {
    let shown: String = match images {
        1 => IMAGE.to_owned(),
        count => (1..=count).map(|k| format!("Image {k}{IMAGE}")).collect(),
    };
    format!("{shown}<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n")
}

/// The template and its file, from the first of the known locations.
fn template(
    files: &Files,
    processor: &ProcessorConfig,
) -> Result<Option<(&'static str, String)>, LoadError> {
    let (file, text) = if let Some(bytes) = files.find(TEMPLATE_FILE)? {
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            LoadError::Config(ConfigError::BadFile {
                file: TEMPLATE_FILE.to_owned(),
                place: String::new(),
                reason: error.to_string(),
            })
        })?;
        (
            TEMPLATE_FILE,
            text.trim_start_matches('\u{feff}').to_owned(),
        )
    } else if let Some(bytes) = files.find(TEMPLATE_JSON_FILE)? {
        let wrapped: Wrapped = parse_json(TEMPLATE_JSON_FILE, &bytes)?;
        (TEMPLATE_JSON_FILE, wrapped.chat_template)
    } else if let Some(template) = &processor.chat_template {
        (crate::checkpoint::processor_config::FILE, template.clone())
    } else if let Some(bytes) = files.find(TOKENIZER_CONFIG_FILE)? {
        // This can also be a list of named templates; no known checkpoint has one.
        let read: TokenizerConfig = parse_json(TOKENIZER_CONFIG_FILE, &bytes)?;
        let text = read
            .chat_template
            .and_then(|template| template.as_str().map(str::to_owned));
        match text {
            Some(text) => (TOKENIZER_CONFIG_FILE, text),
            None => return Ok(None),
        }
    } else {
        return Ok(None);
    };
    // The limit of a template file applies in every location.
    if text.len() as u64 > Limit::TEMPLATE.0 {
        return Err(LoadError::Config(ConfigError::BadFile {
            file: file.to_owned(),
            place: "chat template: ".to_owned(),
            reason: format!(
                "it has {} bytes; at most {} are read: no template is that long",
                text.len(),
                Limit::TEMPLATE.0
            ),
        }));
    }
    Ok(Some((file, text)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn chat(format: Format) -> Chat {
        Chat {
            format,
            stops: vec![2],
        }
    }

    fn template(text: &str) -> Result<Template, TemplateError> {
        Template::new(text.to_owned(), "<|im_end|>", "<|im_end|>")
    }

    #[test]
    fn a_template_that_raises_says_why() {
        let raises =
            "{% if messages[0].role == 'user' %}{{ raise_exception('no users') }}{% endif %}";
        let error = chat(Format::Template(template(raises).unwrap()))
            .text("What?", 1)
            .unwrap_err();
        assert!(error.to_string().contains("no users"), "{error}");
    }

    #[test]
    fn a_template_that_hides_an_image_is_refused() {
        let hides = "<|image|>{{ (messages[0].content|last).text }}";
        let chat = chat(Format::Template(template(hides).unwrap()));
        assert!(chat.text("What?", 1).is_ok());
        let error = chat.text("What?", 2).unwrap_err();
        assert!(
            error.to_string().contains("shows 1 images where 2"),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_question_is_refused() {
        let chat = chat(Format::Family);
        assert!(matches!(chat.text(" \n", 1), Err(AskError::Empty)));
        assert!(matches!(
            chat.text("an <im_patch>", 1),
            Err(AskError::ImageToken { .. })
        ));
        assert_eq!(
            chat.text("Why?", 0).unwrap(),
            "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"
        );
    }

    #[test]
    fn a_template_without_an_end_is_refused_before_anybody_asks() {
        let endless =
            "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
        let error = refused(TEMPLATE_FILE, &template(endless).unwrap_err()).to_string();
        assert!(
            error.contains("chat template") && error.contains("too much"),
            "{error}"
        );
    }

    #[test]
    fn a_policy_without_a_template_says_that_it_cannot_talk() {
        let chat = chat(Format::Actions);
        assert!(!chat.can_answer());
        assert!(matches!(chat.text("Why?", 1), Err(AskError::ActionsOnly)));
    }
}
