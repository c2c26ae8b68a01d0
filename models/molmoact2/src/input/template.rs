//! A chat template in the Jinja language, rendered within bounds.
//!
//! A template comes with a checkpoint and is a program: two nested loops run for a day, and `"a" * 10 ** 9` takes a
//! gigabyte. The engine counts the instructions and the bytes of a template (its *fuel*), and stops at hundreds of
//! times the cost of published templates. The count has gaps: a list that holds the same list twice, nested forty
//! times, is small until it is printed or measured, and a thread that does so cannot be ended. So a template runs only
//! while a checkpoint is loaded, on a thread with limits on time and memory ([`sandbox`]), once for each number of
//! images; one that exceeds a limit fails the load. It never sees a question, only two that stand in for any
//! ([`skeleton`]), and the question is put in their place later. A question thus neither steers the template nor sets it
//! off, and whoever asks waits for no program.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, Output, State, context, escape_formatter};

use sandbox::with_room;
use skeleton::{STAND_INS, Skeleton, StandIn};

mod sandbox;
mod skeleton;

/// Fuel of one rendering: an instruction costs one, and so do 64 bytes of output. Published templates take a few
/// hundred; this limit is reached within a second and 13 MiB.
const FUEL: u64 = 200_000;

/// Maximum depth of nested calls, recursive loops and nested values.
const DEEPEST: usize = 100;

/// Maximum number of bytes of one printed value.
const OUTPUT: usize = 1 << 20;

/// Name of the only template of an environment.
const NAME: &str = "chat_template";

/// Most images of a question. A robot shows at most eight.
const MOST_IMAGES: usize = 32;

/// A template: the prompts that it writes around any question, by the number of images.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    prompts: Arc<Vec<Result<Skeleton, String>>>,
}

/// A template could not be rendered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TemplateError {
    /// It exceeds the limits.
    #[error(
        "it does too much: a template renders a question within {FUEL} steps of 64 bytes and {DEEPEST} calls within calls, \
         and this one goes on ({reason}). Get the file again from where the checkpoint comes from"
    )]
    Unbounded {
        /// Message of the engine.
        reason: String,
    },
    /// It is not valid Jinja, it raised an error, or what it does with a question is not followed.
    #[error("{reason}")]
    Failed {
        /// Message of the engine, or the reason.
        reason: String,
    },
}

impl From<minijinja::Error> for TemplateError {
    fn from(error: minijinja::Error) -> Self {
        let reason = error.to_string();
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        // An error in a nested block is wrapped in the errors of its blocks.
        while let Some(one) = cause {
            if let Some(known) = one.downcast_ref::<minijinja::Error>() {
                let too_deep = known.kind() == ErrorKind::InvalidOperation
                    && known.to_string().contains("recursion limit");
                if known.kind() == ErrorKind::OutOfFuel || too_deep {
                    return Self::Unbounded { reason };
                }
            }
            cause = one.source();
        }
        Self::Failed { reason }
    }
}

/// Writer that accepts at most [`OUTPUT`] bytes.
struct Bounded<'a, 'b> {
    out: &'a mut Output<'b>,
    left: usize,
}

impl fmt::Write for Bounded<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.left = self.left.checked_sub(text.len()).ok_or(fmt::Error)?;
        self.out.write_str(text)
    }
}

/// Prints a value without escaping, as the engine does, up to a limit.
fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        // The engine's formatter handles undefined values.
        return escape_formatter(out, state, value);
    }
    let mut bounded = Bounded { out, left: OUTPUT };
    fmt::write(&mut bounded, format_args!("{value}"))
        .map_err(|_| Error::new(ErrorKind::OutOfFuel, "it prints too much"))
}

impl Template {
    /// Reads a template, and renders it for each number of images.
    ///
    /// # Errors
    /// [`TemplateError::Failed`] if it is not valid Jinja, [`TemplateError::Unbounded`] if it exceeds a limit. A number of
    /// images that it refuses is an error of [`Template::render`].
    pub(crate) fn new(
        text: String,
        bos_token: &str,
        eos_token: &str,
    ) -> Result<Self, TemplateError> {
        let [bos_token, eos_token] = [bos_token, eos_token].map(str::to_owned);
        let prompts = with_room(move |abandoned| {
            let environment = environment(text)?;
            let mut prompts = Vec::with_capacity(MOST_IMAGES + 1);
            for images in 0..=MOST_IMAGES {
                if abandoned.load(Ordering::Relaxed) {
                    // Nobody hears it.
                    return Err(TemplateError::Unbounded {
                        reason: "it was given up".to_owned(),
                    });
                }
                let around = |stand_in: &StandIn| {
                    let question = stand_in.question();
                    let output = written(&environment, &question, images, &bos_token, &eos_token)?;
                    Skeleton::of(&output, stand_in).map_err(|reason| TemplateError::Failed {
                        reason: reason.to_owned(),
                    })
                };
                prompts.push(match both(around) {
                    Ok(skeleton) => Ok(skeleton),
                    Err(TemplateError::Failed { reason }) => Err(reason),
                    Err(unbounded) => return Err(unbounded),
                });
            }
            Ok(prompts)
        })?;
        Ok(Self {
            prompts: Arc::new(prompts),
        })
    }

    /// The prompt for a question about `images` images.
    ///
    /// # Errors
    /// [`TemplateError::Failed`] for a number of images that the template refuses, and for too many.
    pub(crate) fn render(&self, question: &str, images: usize) -> Result<String, TemplateError> {
        match self.prompts.get(images) {
            Some(Ok(skeleton)) => Ok(skeleton.around(question)),
            Some(Err(reason)) => Err(TemplateError::Failed {
                reason: reason.clone(),
            }),
            None => Err(TemplateError::Failed {
                reason: format!("it was tried with up to {MOST_IMAGES} images, not with {images}"),
            }),
        }
    }
}

/// The skeleton that a template writes around both stand-ins.
fn both(
    around: impl Fn(&StandIn) -> Result<Skeleton, TemplateError>,
) -> Result<Skeleton, TemplateError> {
    let [first, second] = &STAND_INS;
    let skeleton = around(first)?;
    if around(second)? == skeleton {
        return Ok(skeleton);
    }
    Err(TemplateError::Failed {
        reason: "what it writes around a question depends on the question, which is not followed"
            .to_owned(),
    })
}

fn environment(text: String) -> Result<Environment<'static>, TemplateError> {
    let mut environment = Environment::new();
    // The settings of the reference's environment.
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()?;
    environment.set_syntax(syntax);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEEPEST);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function("raise_exception", |reason: String| -> Result<Value, _> {
        Err(minijinja::Error::new(ErrorKind::InvalidOperation, reason))
    });
    environment.set_formatter(print);
    environment.add_template_owned(NAME, text)?;
    Ok(environment)
}

fn written(
    environment: &Environment<'_>,
    question: &str,
    images: usize,
    bos_token: &str,
    eos_token: &str,
) -> Result<String, TemplateError> {
    let image = context! { type => "image" };
    let mut content = vec![image; images];
    content.push(context! { type => "text", text => question });
    let rendered = environment.get_template(NAME)?.render(context! {
        messages => vec![context! { role => "user", content => content }],
        add_generation_prompt => true,
        bos_token => bos_token,
        eos_token => eos_token,
    })?;
    Ok(rendered)
}

#[cfg(test)]
mod tests;
