#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use super::sandbox::LIMIT;
use super::*;

/// A question about one image, by a template that ends with the question.
fn rendered(text: &str) -> Result<String, TemplateError> {
    let text = format!("{text}{{{{ (messages[0].content|last).text }}}}");
    Template::new(text, "<s>", "</s>")?.render("What?", 1)
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
fn what_the_engine_does_not_count_is_given_up_while_loading() {
    for text in [
        "{% set ns = namespace(x=[0]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=[0]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x|length }}",
        // With some numbers of images only.
        "{% set ns = namespace(x=[0]) %}{% if messages[0].content|length == 12 %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] \
         %}{% endfor %}{% endif %}{{ ns.x }}{{ (messages[0].content|last).text }}",
    ] {
        let began = std::time::Instant::now();
        let refused = rendered(text).unwrap_err();
        assert!(
            matches!(refused, TemplateError::Unbounded { .. }),
            "{text}: {refused}"
        );
        assert!(began.elapsed() < 4 * LIMIT);
    }
}

/// What would take all memory for some questions is never run for one.
#[test]
fn a_template_that_waits_for_a_question_never_sees_one() {
    let text = "{% set ns = namespace(x=[0]) %}{% if 'drawer' in (messages[0].content|last).text %}{% for i in range(60) %}\
                {% set ns.x = [ns.x, ns.x] %}{% endfor %}{% endif %}Q: {{ (messages[0].content|last).text }} \
                {{ (ns.x ~ '')|length }}";
    let template = Template::new(text.to_owned(), "", "").unwrap();
    let began = std::time::Instant::now();
    assert_eq!(
        template.render("Where is the box?", 1).unwrap(),
        "Q: Where is the box? 3"
    );
    assert_eq!(
        template.render("Where is the drawer?", 1).unwrap(),
        "Q: Where is the drawer? 3"
    );
    assert!(began.elapsed() < LIMIT);
}

#[test]
fn a_prompt_is_what_the_engine_would_have_written() {
    let engine = |text: &str, question: &str, images: usize| {
        let environment = environment(text.to_owned()).unwrap();
        written(&environment, question, images, "<s>", "</s>").unwrap()
    };
    let last = "(messages[0].content|last).text";
    for text in [
        format!("<s>user\n{{{{ {last} }}}}</s>\n<s>assistant\n"),
        format!(
            "{{{{ bos_token }}}}{{% for c in messages[0].content %}}{{{{ c.type }}}} {{% endfor %}}{{{{ {last}|trim }}}}"
        ),
        format!("a \n{{{{ {last}.strip() }}}} b {{{{ {last} }}}}{{{{ {last}.rstrip() }}}}"),
        format!("{{{{ 'x' ~ {last}.lstrip() + eos_token }}}}"),
        format!("{{% set ns = namespace(t='') %}}{{% set ns.t = ns.t ~ {last} %}}{{{{ ns.t }}}}"),
    ] {
        let template = Template::new(text.clone(), "<s>", "</s>").unwrap();
        for question in [
            "What?",
            " \n two words \t",
            "\u{2003}<b>'a' & \"b\" {{ x }}\u{2003}",
        ] {
            for images in [0, 1, 3] {
                assert_eq!(
                    template.render(question, images).unwrap(),
                    engine(&text, question, images),
                    "{text}"
                );
            }
        }
    }
}

#[test]
fn what_is_made_of_the_words_of_a_question_is_not_followed() {
    for text in [
        "{{ messages[0].content }}",
        "{{ (messages[0].content|last).text|upper }}",
        "{{ (messages[0].content|last).text|length }}",
        "{{ (messages[0].content|last).text|replace('\n', ' ') }}",
        "{{ (messages[0].content|last).text.strip('\n') }}",
        "{{ (messages[0].content|last).text }}{{ (messages[0].content|last).text|length }}",
        "no question at all",
    ] {
        let template = Template::new(text.to_owned(), "", "").unwrap();
        match template.render("What?", 1) {
            Err(TemplateError::Failed { reason }) => {
                assert!(reason.contains("question"), "{text}: {reason}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    let template = Template::new("{{ (messages[0].content|last).text }}".to_owned(), "", "");
    let error = template
        .unwrap()
        .render("What?", MOST_IMAGES + 1)
        .unwrap_err();
    assert!(error.to_string().contains("32 images"), "{error}");
}

#[test]
fn a_long_question_is_within_the_bounds() {
    let text = "{% for m in messages %}{% for c in m.content %}{% if c.type == 'text' %}{{ c.text.strip() }}{% endif %}\
                {% endfor %}{% endfor %}";
    let template = Template::new(text.to_owned(), "", "").unwrap();
    let question = "long ".repeat(100_000);
    let rendered = template.render(&question, 8).unwrap();
    assert_eq!(rendered, question.trim());
}

#[test]
fn nothing_that_is_nested_or_chained_ends_the_stack() {
    let around =
        |open: &str, close: &str| format!("{{{{ {}0{} }}}}", open.repeat(5000), close.repeat(5000));
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
