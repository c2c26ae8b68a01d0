//! A plain question as the checkpoint wants it written.
//!
//! Published folders bring a template in the Jinja language (`chat_template.jinja`), which is rendered as the
//! reference's processor renders it. A plain VLM without one gets the format of its family:
//!
//! ```text
//! {images}<|im_start|>user
//! {question}<|im_end|>
//! <|im_start|>assistant
//! ```
//!
//! where one image is `<|image|>` and several are `Image 1<|image|>Image 2<|image|>…`.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, ErrorKind, context};
use serde::Deserialize;

use crate::config::{Config, Kind};
use crate::error::{LoadError, parse_json};
use crate::files::Files;
use crate::processor_config::ProcessorConfig;
use crate::spelling;
use crate::vlm::AskError;
use crate::words::{IMAGE, TOKENIZER_CONFIG_FILE, TokenizerConfig, Words, image_token_in};

/// File name in a checkpoint's folder.
const TEMPLATE_FILE: &str = "chat_template.jinja";
/// The same as older writers put it, wrapped in JSON.
const TEMPLATE_JSON_FILE: &str = "chat_template.json";
/// Says which tokens end an answer.
pub(crate) const GENERATION_FILE: &str = "generation_config.json";

/// How a checkpoint is spoken to.
#[derive(Debug, Clone)]
pub(crate) struct Chat {
    format: Format,
    /// Tokens that end an answer.
    stops: Vec<u32>,
    bos_token: String,
    eos_token: String,
}

#[derive(Debug, Clone)]
enum Format {
    Template(String),
    /// The one at the top of this file.
    Family,
    /// A policy without a template: it was made for actions alone.
    Actions,
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
    /// Looks for the template and for the tokens that end an answer.
    pub(crate) fn read(
        files: &Files,
        config: &Config,
        processor: &ProcessorConfig,
        words: &Words,
    ) -> Result<Self, LoadError> {
        let format = match (template(files, processor)?, config.kind) {
            (Some(template), _) => Format::Template(template),
            (None, Kind::VisionLanguage) => Format::Family,
            (None, Kind::Policy) => Format::Actions,
        };
        let mut stops = ends(files)?;
        if stops.is_empty() {
            stops.push(config.eos_token_id.unwrap_or_else(|| words.bos()));
        }
        let name = |id: u32| words.token(id).unwrap_or_default();
        Ok(Self {
            bos_token: name(words.bos()),
            eos_token: stops.first().map(|id| name(*id)).unwrap_or_default(),
            format,
            stops,
        })
    }

    /// Whether the checkpoint was made to be asked questions.
    pub(crate) fn can_answer(&self) -> bool {
        !matches!(self.format, Format::Actions)
    }

    /// Whether this token ends an answer.
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
            Format::Family => Ok(family(question, images)),
            Format::Template(template) => {
                let text = self.render(template, question, images)?;
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

    fn render(&self, template: &str, question: &str, images: usize) -> Result<String, AskError> {
        let failed = |error: minijinja::Error| AskError::Template {
            reason: error.to_string(),
        };
        let mut environment = Environment::new();
        // As the reference sets its own environment up.
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .map_err(failed)?;
        environment.set_syntax(syntax);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |reason: String| -> Result<Value, _> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, reason))
        });
        let image = context! { type => "image" };
        let mut content = vec![image; images];
        content.push(context! { type => "text", text => question });
        environment
            .render_str(
                template,
                context! {
                    messages => vec![context! { role => "user", content => content }],
                    add_generation_prompt => true,
                    bos_token => self.bos_token.as_str(),
                    eos_token => self.eos_token.as_str(),
                },
            )
            .map_err(failed)
    }
}

/// The tokens that end an answer by `generation_config.json`; none where it is absent or names none.
pub(crate) fn ends(files: &Files) -> Result<Vec<u32>, LoadError> {
    let given = match files.find(GENERATION_FILE)? {
        Some(bytes) => {
            spelling::check_settings(
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

/// The template, from the first of the places where writers put it.
fn template(files: &Files, processor: &ProcessorConfig) -> Result<Option<String>, LoadError> {
    if let Some(bytes) = files.find(TEMPLATE_FILE)? {
        let text = std::str::from_utf8(&bytes).map_err(|error| LoadError::BadFile {
            file: TEMPLATE_FILE.to_owned(),
            place: String::new(),
            reason: error.to_string(),
        })?;
        return Ok(Some(text.to_owned()));
    }
    if let Some(bytes) = files.find(TEMPLATE_JSON_FILE)? {
        let wrapped: Wrapped = parse_json(TEMPLATE_JSON_FILE, &bytes)?;
        return Ok(Some(wrapped.chat_template));
    }
    if let Some(template) = &processor.chat_template {
        return Ok(Some(template.clone()));
    }
    let Some(bytes) = files.find(TOKENIZER_CONFIG_FILE)? else {
        return Ok(None);
    };
    // Several named templates can stand here too; none of the known checkpoints does that.
    let read: TokenizerConfig = parse_json(TOKENIZER_CONFIG_FILE, &bytes)?;
    Ok(read
        .chat_template
        .and_then(|template| template.as_str().map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn chat(format: Format) -> Chat {
        Chat {
            format,
            stops: vec![2],
            bos_token: "<|im_end|>".to_owned(),
            eos_token: "<|im_end|>".to_owned(),
        }
    }

    #[test]
    fn a_template_that_raises_says_why() {
        let template =
            "{% if messages[0].role == 'user' %}{{ raise_exception('no users') }}{% endif %}";
        let error = chat(Format::Template(template.to_owned()))
            .text("What?", 1)
            .unwrap_err();
        assert!(error.to_string().contains("no users"), "{error}");
    }

    #[test]
    fn a_template_that_hides_an_image_is_refused() {
        let chat = chat(Format::Template(
            "<|image|>{{ messages[0].content }}".to_owned(),
        ));
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
    fn a_policy_without_a_template_says_that_it_cannot_talk() {
        let chat = chat(Format::Actions);
        assert!(!chat.can_answer());
        assert!(matches!(chat.text("Why?", 1), Err(AskError::ActionsOnly)));
    }
}
