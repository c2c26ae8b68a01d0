//! The action tokens in order, each in the colors of its frequencies.

use leptos::prelude::*;
use protocol::viewer::TokensOrigin;
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, KeyboardEvent};

use super::TokenPanel;
use crate::coefficients;
use crate::ui::shown_decision::pin_shown;
use crate::ui::state::Studio;

/// Number of coefficients of a token that are listed per line.
const MAX_LISTED: usize = 4;

/// Appearance of one token.
#[derive(Debug, Clone, PartialEq)]
struct TokenChip {
    class: String,
    style: String,
    about: String,
}

#[component]
pub(crate) fn TokenList() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let panel = expect_context::<TokenPanel>();
    let origin = Memo::new(move |_| {
        studio.decisions.with(|decisions| {
            decisions
                .shown()
                .map(|decision| match decision.trace.tokens_origin {
                    TokensOrigin::Generated => "generated",
                    TokensOrigin::Encoded => "encoded",
                })
        })
    });
    let chips = Memo::new(move |_| chips(panel));
    let tokens = move || {
        panel.view.with(|view| {
            view.tokens
                .clone()
                .into_iter()
                .enumerate()
                .collect::<Vec<_>>()
        })
    };
    let on_key = move |event: KeyboardEvent| {
        let count = panel.view.with_untracked(|view| view.tokens.len());
        let Some(last) = count.checked_sub(1) else {
            return;
        };
        let at = panel.chosen.get_untracked().unwrap_or(0);
        let then = match event.key().as_str() {
            "ArrowRight" | "ArrowDown" => (at + 1).min(last),
            "ArrowLeft" | "ArrowUp" => at.saturating_sub(1),
            "Home" => 0,
            "End" => last,
            _ => return,
        };
        event.prevent_default();
        focus(then);
    };
    view! {
        <figure class="picture">
            <figcaption>"Tokens" <span class="quiet">"in the order written"</span></figcaption>
            <ol
                class="token-list num"
                data-testid="trace-tokens"
                data-origin=move || origin.get()
                on:keydown=on_key
                on:mouseleave=move |_| panel.hovered.set(None)
            >
                <For each=tokens key=|token| *token let((index, id))>
                    <li>{token_button(studio, panel, chips, index, id)}</li>
                </For>
            </ol>
            <About/>
        </figure>
    }
}

fn token_button(
    studio: Studio,
    panel: TokenPanel,
    chips: Memo<Vec<TokenChip>>,
    index: usize,
    id: u32,
) -> impl IntoView {
    let part = move |pick: fn(&TokenChip) -> &String| {
        move || {
            chips.with(|chips| {
                chips
                    .get(index)
                    .map(|token_button| pick(token_button).clone())
            })
        }
    };
    let is_entry = move || panel.chosen.get().unwrap_or(0) == index;
    view! {
        <button
            type="button"
            class=part(|token_button| &token_button.class)
            style=part(|token_button| &token_button.style)
            data-token=index.to_string()
            tabindex=move || if is_entry() { "0" } else { "-1" }
            aria-pressed=move || (panel.chosen.get() == Some(index)).to_string()
            aria-label=move || part(|token_button| &token_button.about)().map(|about| format!("Token {}, id {id}: {about}", index + 1))
            on:mouseenter=move |_| panel.hovered.set(Some(index))
            on:focus=move |_| {
                pin_shown(studio);
                panel.chosen.set(Some(index));
            }
            on:click=move |_| {
                pin_shown(studio);
                panel.chosen.set(Some(index));
            }
        >{id}</button>
    }
}

fn focus(index: usize) {
    let token_button = document()
        .query_selector(&format!("[data-token=\"{index}\"]"))
        .ok()
        .flatten();
    if let Some(token_button) =
        token_button.and_then(|token_button| token_button.dyn_into::<HtmlElement>().ok())
    {
        token_button.focus().ok();
    }
}

fn chips(panel: TokenPanel) -> Vec<TokenChip> {
    let marked = panel.marked();
    let rate_hz = panel.rate_hz.get();
    panel.view.with(|view| {
        let changed = panel
            .what_if
            .with(|what_if| {
                what_if
                    .as_ref()
                    .map(|what_if| what_if.changed_tokens(&view.tokens))
            })
            .unwrap_or_default();
        let spans = view.spans();
        let (rows, dims) = view.full.as_ref().map_or((1, 1), |full| {
            (full.rows as usize, full.dims.max(1) as usize)
        });
        let fault = view
            .full
            .as_ref()
            .and_then(|full| full.fault.as_ref()?.position);
        (0..view.tokens.len())
            .map(|index| {
                let span = spans.get(index);
                let mut class = "token".to_owned();
                if index >= view.count {
                    class.push_str(" later");
                }
                if marked == Some(index) {
                    class.push_str(" marked");
                }
                if changed.contains(&index) {
                    class.push_str(" changed");
                }
                let is_fault = fault.is_some_and(|at| at as usize == index);
                let (style, about) = match span {
                    _ if is_fault => {
                        class.push_str(" fault");
                        (String::new(), "cannot be decoded".to_owned())
                    }
                    None if view.full.is_none() => (String::new(), "not decoded yet".to_owned()),
                    None => {
                        class.push_str(" unread");
                        (String::new(), "not decoded, it follows a fault".to_owned())
                    }
                    Some(span) if span.is_empty() => {
                        class.push_str(" empty");
                        (
                            String::new(),
                            "completes the previous coefficient".to_owned(),
                        )
                    }
                    Some(span) => {
                        let first = span.start / dims;
                        let last = (span.end - 1) / dims;
                        let hz =
                            |k| coefficients::hertz_text(coefficients::hertz(k, rows, rate_hz));
                        let count = match span.len() {
                            1 => "1 coefficient".to_owned(),
                            count => format!("{count} coefficients"),
                        };
                        let about = if first == last {
                            format!("{count} at {} Hz", hz(first))
                        } else {
                            format!("{count} from {} to {} Hz", hz(first), hz(last))
                        };
                        (
                            format!(
                                "--from: {:.3}; --to: {:.3}",
                                coefficients::band(first, rows),
                                coefficients::band(last, rows)
                            ),
                            about,
                        )
                    }
                };
                TokenChip {
                    class,
                    style,
                    about,
                }
            })
            .collect()
    })
}

/// Description of the marked token.
#[component]
fn About() -> impl IntoView {
    let panel = expect_context::<TokenPanel>();
    let listed = Memo::new(move |_| {
        let index = panel.marked()?;
        let rate_hz = panel.rate_hz.get();
        panel.view.with(|view| {
            let id = view.tokens.get(index)?;
            let full = view.full.as_ref()?;
            let dims = full.dims.max(1) as usize;
            let headline = format!("Token {} of {}, id {id}", index + 1, view.tokens.len());
            let Some(span) = view.spans().get(index).cloned() else {
                return Some((headline, vec![], "It cannot be decoded.".to_owned()));
            };
            let mut lines: Vec<(String, String)> = vec![];
            let mut listed = 0;
            for at in span.clone() {
                let value = full.coefficients.get(at).copied().unwrap_or(0);
                if value == 0 || listed >= 3 * MAX_LISTED {
                    continue;
                }
                listed += 1;
                let hz = coefficients::hertz_text(coefficients::hertz(
                    at / dims,
                    full.rows as usize,
                    rate_hz,
                ));
                let what = format!("{} {}", panel.name(at % dims), coefficients::signed(value));
                match lines.last_mut().filter(|(before, _)| *before == hz) {
                    Some((_, text)) => {
                        text.push_str(", ");
                        text.push_str(&what);
                    }
                    None => lines.push((hz, what)),
                }
            }
            let values = full.coefficients.get(span.clone()).unwrap_or_default();
            let zeros = values.iter().filter(|value| **value == 0).count();
            let rest = values.len() - zeros - listed;
            let foot = match (values.len(), zeros, rest) {
                (0, _, _) => "It completes the previous coefficient.".to_owned(),
                (_, 0, 0) => String::new(),
                (_, zeros, 0) if lines.is_empty() => format!("{zeros} zeros only."),
                (_, zeros, 0) => format!("and {zeros} × 0"),
                (_, zeros, rest) => format!("{rest} more, and {zeros} × 0"),
            };
            Some((headline, lines, foot))
        })
    });
    view! {
        <div class="about num" data-testid="token-about">
            {move || match listed.get() {
                None => view! {
                    <p class="quiet">"Point at a token, or choose one with the arrow keys, to see what it stands for."</p>
                }.into_any(),
                Some((headline, lines, foot)) => view! {
                    <p class="about-title">{headline}</p>
                    <dl>
                        {lines.into_iter().map(|(hz, text)| view! { <dt>{hz}" Hz"</dt><dd>{text}</dd> }).collect_view()}
                    </dl>
                    <p class="quiet">{foot}</p>
                }.into_any(),
            }}
        </div>
    }
}
