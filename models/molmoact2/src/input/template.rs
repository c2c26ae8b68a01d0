//! A chat template in the Jinja language, rendered within bounds.
//!
//! A template comes with a checkpoint and is a program: two nested loops run for a day, and `"a" * 10 ** 9` takes a
//! gigabyte. The engine counts the instructions and the bytes of a template (its *fuel*), and stops at hundreds of
//! times the cost of published templates. The count has gaps: a list that holds the same list twice, nested forty
//! times, is small until it is printed or measured. So a template is parsed and rendered on a separate thread with
//! a time limit ([`sandbox::LIMIT`]), its output is counted by the byte, and a template that exceeded the time
//! limit is never rendered again.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, Output, State, context, escape_formatter};

use sandbox::{Watch, with_room};

mod sandbox;

/// Fuel of one rendering: an instruction costs one, and so do 64 bytes of output. Published templates take a few
/// hundred plus the length of the question; this limit is reached within a second and 13 MiB.
const FUEL: u64 = 200_000;

/// Maximum depth of nested calls, recursive loops and nested values.
const DEEPEST: usize = 100;

/// Maximum number of bytes of one printed value.
const OUTPUT: usize = 1 << 20;

/// Name of the only template of an environment.
const NAME: &str = "chat_template";

/// A template, ready to be rendered.
#[derive(Clone)]
pub(crate) struct Template {
    environment: Arc<Environment<'static>>,
    /// Set after a rendering exceeded its time or memory; its thread may still run.
    given_up: Arc<AtomicBool>,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").finish_non_exhaustive()
    }
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
    /// It is not valid Jinja, or it raised an error.
    #[error("{reason}")]
    Failed {
        /// Message of the engine.
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
    /// Reads a template.
    ///
    /// # Errors
    /// [`TemplateError::Failed`] if it is not valid Jinja.
    pub(crate) fn new(text: String) -> Result<Self, TemplateError> {
        with_room(Watch::TimeAndMemory, || Self::read(text))
    }

    fn read(text: String) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        // The settings of the reference's environment.
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()?;
        environment.set_syntax(syntax);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(DEEPEST);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |reason: String| -> Result<Value, _> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, reason))
        });
        environment.set_formatter(print);
        environment.add_template_owned(NAME, text)?;
        Ok(Self {
            environment: Arc::new(environment),
            given_up: Arc::default(),
        })
    }

    /// Renders small trial questions, before any other use.
    ///
    /// # Errors
    /// [`TemplateError::Unbounded`]. Other errors are ignored: a template that refuses these questions can accept
    /// others.
    pub(crate) fn try_out(&self, bos_token: &str, eos_token: &str) -> Result<(), TemplateError> {
        for images in 0..=2 {
            let tried = self.watched(
                Watch::TimeAndMemory,
                "What is there?",
                images,
                bos_token,
                eos_token,
            );
            if let Err(error @ TemplateError::Unbounded { .. }) = tried {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Renders a question about `images` images.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub(crate) fn render(
        &self,
        question: &str,
        images: usize,
        bos_token: &str,
        eos_token: &str,
    ) -> Result<String, TemplateError> {
        self.watched(Watch::Time, question, images, bos_token, eos_token)
    }

    fn watched(
        &self,
        watch: Watch,
        question: &str,
        images: usize,
        bos_token: &str,
        eos_token: &str,
    ) -> Result<String, TemplateError> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(TemplateError::Unbounded {
                reason: "it was given up before".to_owned(),
            });
        }
        let environment = self.environment.clone();
        let [question, bos_token, eos_token] = [question, bos_token, eos_token].map(str::to_owned);
        let written = with_room(watch, move || {
            written(&environment, &question, images, &bos_token, &eos_token)
        });
        // A rendering that ran out of fuel has ended, and the next question can be shorter.
        if let Err(TemplateError::Unbounded { reason }) = &written
            && !reason.contains("fuel")
        {
            self.given_up.store(true, Ordering::Relaxed);
        }
        written
    }
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
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::sandbox::LIMIT;
    use super::*;

    fn rendered(text: &str) -> Result<String, TemplateError> {
        Template::new(text.to_owned())?.render("What?", 1, "<s>", "</s>")
    }

    #[test]
    fn whatever_goes_on_for_ever_or_unfolds_is_stopped_at_once() {
        for text in [
            "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
            "{% for a in range(10 ** 9) %}x{% endfor %}",
            "{{ 'a' * 10 ** 9 }}",
            "{{ ('a' * 10 ** 7)|length }}",
            "{{ ([0] * 10 ** 9)|length }}",
            "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x|length }}",
            "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x|length }}",
            "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x.replace('a', ns.x) %}{% endfor %}{{ ns.x|length }}",
            "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x|replace('a', ns.x) %}{% endfor %}{{ ns.x|length }}",
            "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x.join([ns.x, ns.x, ns.x]) %}{% endfor %}{{ ns.x|length }}",
            "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x]|join(ns.x) %}{% endfor %}{{ ns.x|length }}",
            "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x %}{{ ns.x }}{{ ns.x }}{% endset %}{% endfor %}{{ ns.x|length }}",
            "{{ 'a'|indent(10 ** 9) }}{{ ('a\n' * 1000)|indent(10 ** 6) }}",
            "{{ range(10 ** 9)|list|length }}",
            "{{ range(10 ** 9)|sum }}",
            "{{ range(10 ** 9)|sort|first }}",
            "{{ range(10 ** 9)|reverse|first }}{{ range(10 ** 9)|map('string')|join('x')|length }}",
            "{{ range(10 ** 9)|batch(2)|list|length }}",
            "{{ (range(10 ** 5)|list|string) * 1000 }}",
            "{{ 7 in range(10 ** 9) }}{{ -1 in range(10 ** 9) }}{{ range(10 ** 9)|max }}",
            "{% set ns = namespace(x='aaaaaaaa' * 9999) %}{% for i in range(99999) %}{% if 'b' in ns.x %}{% endif %}{% endfor %}",
            "{% set ns = namespace(x='aaaaaaaa' * 9999) %}{% for i in range(99999) %}{{ ns.x.count('b') }}{{ ns.x.find('b') }}{% endfor %}",
            "{% set ns = namespace(x='aaaaaaaa' * 9999) %}{% for i in range(99999) %}{% if ns.x.upper() == ns.x.lower() %}{% endif %}{% endfor %}",
        ] {
            match rendered(text) {
                Err(TemplateError::Unbounded { .. }) => {}
                // Refused for another reason, or cheap in this engine.
                Err(TemplateError::Failed { reason }) => println!("{text}: {reason}"),
                Ok(short) => assert!(short.len() < 1 << 20, "{text}: {} bytes", short.len()),
            }
        }
        for text in [
            "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
            "{{ 'a' * 10 ** 9 }}",
            "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        ] {
            let refused = rendered(text).unwrap_err();
            assert!(
                matches!(refused, TemplateError::Unbounded { .. }),
                "{text}: {refused}"
            );
        }
    }

    #[test]
    fn what_the_engine_does_not_count_is_given_up_and_not_asked_again() {
        for text in [
            "{% set ns = namespace(x=[0]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
            "{% set ns = namespace(x=[0]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x|length }}",
        ] {
            let template = Template::new(text.to_owned()).unwrap();
            let began = std::time::Instant::now();
            assert!(matches!(
                template.try_out("", ""),
                Err(TemplateError::Unbounded { .. })
            ));
            assert!(began.elapsed() < 4 * LIMIT);
        }
        let slow = "{% set ns = namespace(x=[0]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x ~ '' }}";
        let template = Template::new(slow.to_owned()).unwrap();
        assert!(template.try_out("", "").is_err());
        let again = template.render("What?", 1, "", "").unwrap_err().to_string();
        assert!(again.contains("given up before"), "{again}");
    }

    #[test]
    fn a_long_question_is_within_the_bounds() {
        let text = "{% for m in messages %}{% for c in m.content %}{% if c.type == 'text' %}{{ c.text.strip() }}{% endif %}\
                    {% endfor %}{% endfor %}";
        let template = Template::new(text.to_owned()).unwrap();
        let question = "long ".repeat(100_000);
        let rendered = template.render(&question, 8, "", "").unwrap();
        assert_eq!(rendered, question.trim());
    }

    #[test]
    fn nothing_that_is_nested_or_chained_ends_the_stack() {
        let around = |open: &str, close: &str| {
            format!("{{{{ {}0{} }}}}", open.repeat(5000), close.repeat(5000))
        };
        let chain = |first: &str, link: &str| {
            format!("{{{{ {first}{} }}}}", link.repeat((120 << 10) / link.len()))
        };
        for refused in [
            around("[", "]"),
            around("(", ")"),
            around("{'a':", "}"),
            format!(
                "{}{}",
                "{% if 1 %}".repeat(5000),
                "{% endif %}".repeat(5000)
            ),
            "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}".to_owned(),
        ] {
            assert!(rendered(&refused).is_err(), "{}", &refused[..40]);
        }
        for text in [
            chain("", "-") + "1",
            chain("1", "+1"),
            chain("'a'", "~1"),
            chain("1", "|string"),
            chain("messages", ".a"),
            chain("messages", "[0]"),
            chain("1", " and 1"),
            chain("1", "<1"),
            chain("1", " if 1"),
            chain("", "not ") + "1",
            chain("messages", "()"),
            chain("1", " is int"),
        ] {
            // Any result will do, as long as there is one.
            let _ = rendered(&text);
        }
        for wrap in ["[ns.x]", "{'a': ns.x}", "namespace(x=ns.x)"] {
            for show in ["", "{{ ns.x }}", "{% if ns.x == ns.x %}{% endif %}"] {
                let text = format!(
                    "{{% set ns = namespace(x=[0]) %}}{{% for i in range(15000) %}}{{% set ns.x = {wrap} %}}{{% endfor %}}{show}"
                );
                let _ = rendered(&text);
            }
        }
    }
}
