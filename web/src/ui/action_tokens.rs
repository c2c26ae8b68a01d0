//! The action tokens of a decision: the tokens, their coefficients, and the resulting motion.
//!
//! Three views of the same data. The scrubber below them shows how the motion builds up from the tokens; a token that is
//! pointed at is marked in all views.

mod decode_check;
mod heatmap;
mod scrubber;
mod token_list;
mod trajectories;

use leptos::prelude::*;
use protocol::viewer::{TokensOrigin, Trace};

use super::shown_decision::shown_trace;
use super::state::Studio;
use super::worker::requests;
use decode_check::DecodeCheck;
use heatmap::HeatMap;
use scrubber::Scrubber;
use token_list::TokenList;
use trajectories::Trajectories;

use crate::decisions::Decisions;
use crate::partial_decode::{DecodeView, TokenInput, TokenSource};
use crate::what_if::WhatIf;

/// State shared by the views.
#[derive(Clone, Copy)]
pub(crate) struct TokenPanel {
    pub(crate) view: Memo<DecodeView>,
    /// The token under the pointer.
    pub(crate) hovered: RwSignal<Option<usize>>,
    /// The selected token.
    pub(crate) chosen: RwSignal<Option<usize>>,
    /// Names of the dimensions, for people.
    pub(crate) names: Memo<Vec<String>>,
    /// Units of the dimensions, as the protocol names them.
    pub(crate) units: Memo<Vec<String>>,
    pub(crate) rate_hz: Memo<f32>,
    /// A chunk that the viewer edits.
    pub(crate) what_if: RwSignal<Option<WhatIf>>,
}

impl TokenPanel {
    fn new(studio: Studio) -> Self {
        let joint = move |pick: fn(&protocol::JointDescription) -> String| {
            Memo::new(move |_| {
                studio
                    .robot()
                    .map(|robot| robot.joints.iter().map(pick).collect::<Vec<_>>())
                    .unwrap_or_default()
            })
        };
        Self {
            view: Memo::new(move |_| {
                studio
                    .partial_decoder
                    .with(crate::partial_decode::PartialDecoder::view)
            }),
            hovered: RwSignal::new(None),
            chosen: RwSignal::new(None),
            names: joint(|joint| crate::format::plain_name(&joint.name)),
            units: joint(|joint| joint.unit.clone()),
            rate_hz: Memo::new(move |_| studio.robot().map_or(30.0, |robot| robot.control_rate_hz)),
            what_if: studio.what_if,
        }
    }

    /// The marked token.
    pub(crate) fn marked(self) -> Option<usize> {
        self.hovered.get().or_else(|| self.chosen.get())
    }

    /// Name of a dimension.
    pub(crate) fn name(self, dim: usize) -> String {
        self.names
            .with(|names| names.get(dim).cloned())
            .unwrap_or_else(|| format!("Dimension {}", dim + 1))
    }

    pub(crate) fn unit(self, dim: usize) -> String {
        self.units
            .with(|units| units.get(dim).cloned())
            .unwrap_or_default()
    }
}

/// The stream in view: the viewer's edit, else the incomplete stream while the page follows along, else the decision in
/// view.
fn input(studio: Studio) -> Option<TokenInput> {
    let what_if = studio.what_if.with(|what_if| {
        let what_if = what_if.as_ref()?;
        let (version, tokens) = what_if.written()?;
        Some(TokenInput {
            source: TokenSource::WhatIf(*version),
            tokens: tokens.clone(),
            ended: true,
            rows: what_if.base().rows,
            dims: what_if.base().dims,
        })
    });
    if what_if.is_some() {
        return what_if;
    }
    let is_pinned = studio.decisions.with(Decisions::is_pinned);
    let stream = studio.stream.with(|stream| {
        stream
            .newest()
            .filter(|_| !is_pinned)
            .map(|newest| TokenInput {
                source: TokenSource::Stream(newest.observation_sequence),
                tokens: newest.tokens.clone(),
                ended: false,
                rows: newest.rows,
                dims: newest.dims,
            })
    });
    stream.or_else(|| {
        studio.decisions.with(|decisions| {
            let decision = decisions.shown()?;
            let trace = &decision.trace;
            (!trace.action_tokens.is_empty()).then(|| TokenInput {
                source: TokenSource::Decision(decision.number),
                tokens: trace.action_tokens.clone(),
                ended: true,
                rows: trace.rows,
                dims: trace.dims,
            })
        })
    })
}

#[component]
pub(crate) fn ActionTokensPanel() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let panel = TokenPanel::new(studio);
    provide_context(panel);
    let input = Memo::new(move |_| input(studio));
    Effect::new(move |_| {
        let input = input.get();
        studio
            .partial_decoder
            .update(|partial_decoder| partial_decoder.select(input));
    });
    Effect::new(move |_| {
        // Any change may make a request due.
        studio.partial_decoder.track();
        studio.compute.track();
        requests::decode_partially(studio);
    });
    Effect::new(move |_| {
        studio.what_if.track();
        requests::encode_what_if(studio);
    });
    // An edit belongs to its decision.
    let shown = Memo::new(move |_| {
        studio
            .decisions
            .with(|decisions| decisions.shown().map(|decision| decision.number))
    });
    Effect::new(move |_| {
        shown.track();
        studio.what_if.set(None);
    });
    // The selection does not carry over to another stream.
    let source = Memo::new(move |_| panel.view.with(|view| view.source));
    Effect::new(move |_| {
        source.track();
        panel.hovered.set(None);
        panel.chosen.set(None);
    });
    let trace = shown_trace(studio);
    let has_any = Memo::new(move |_| panel.view.with(|view| view.source.is_some()));
    let is_held = Memo::new(move |_| studio.decisions.with(Decisions::is_pinned));
    let summary = move || {
        panel.view.with(|view| match view.source {
            Some(TokenSource::Stream(_)) => Some("being generated now".to_owned()),
            Some(TokenSource::WhatIf(_)) => {
                Some(format!("{} tokens for your change", view.tokens.len()))
            }
            Some(_) => trace.with(|trace| trace.as_ref().map(trace_summary)),
            None => None,
        })
    };
    let known = move || panel.view.with(DecodeView::known).to_string();
    let all = move || panel.view.with(DecodeView::coefficients).to_string();
    view! {
        <section
            class="panel action-tokens"
            aria-labelledby="tokens-title"
            data-testid="unfold"
            data-source=move || source.get().map_or("none", TokenSource::name)
            data-decision=move || match source.get() {
                Some(TokenSource::Decision(number)) => Some(number.to_string()),
                _ => None,
            }
            data-tokens=move || panel.view.with(|view| view.count).to_string()
            data-of-tokens=move || panel.view.with(|view| view.tokens.len()).to_string()
            data-known=known
            data-of-coefficients=all
        >
            <div class="title-row">
                <h2 id="tokens-title">
                    "What it wrote"
                    <span class="quiet num" class:live-writing=move || {
                        matches!(source.get(), Some(TokenSource::Stream(_)))
                    }>{summary}</span>
                </h2>
                <button
                    type="button"
                    class="live-button on"
                    data-testid="unfold-live"
                    hidden=move || !is_held.get()
                    on:click=move |_| studio.decisions.update(Decisions::follow)
                >"Back to live"</button>
            </div>
            <Show
                when=move || has_any.get()
                fallback=move || view! { <EmptyNote/> }
            >
                <div class="tokens-grid">
                    <TokenList/>
                    <HeatMap/>
                    <Trajectories/>
                </div>
                <Scrubber/>
                <Fault/>
            </Show>
            <DecodeCheck/>
        </section>
    }
}

fn trace_summary(trace: &Trace) -> String {
    let count = trace.action_tokens.len();
    match trace.tokens_origin {
        TokensOrigin::Generated => format!("{count} action tokens, generated by the policy"),
        TokensOrigin::Encoded => {
            format!("a motion, encoded as {count} action tokens for this page")
        }
    }
}

/// Note shown before the first decision, and for one without tokens.
#[component]
fn EmptyNote() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let has_decision = move || {
        studio
            .decisions
            .with(|decisions| decisions.shown().is_some())
    };
    view! {
        <div class="tokens-empty">
            <div class="ghost" aria-hidden="true">
                {(0..24).map(|_| view! { <span></span> }).collect_view()}
            </div>
            <p class="empty-note" data-testid="unfold-empty">
                {move || if has_decision() {
                    "This decision has no action tokens."
                } else {
                    "There are no action tokens yet. A few tokens encode a motion. Each token stands for coefficients, \
                     low frequencies first, and the coefficients make up the path of every joint. Give the robot \
                     an instruction to see it here."
                }}
            </p>
        </div>
    }
}

/// The fault that ends the decode.
#[component]
fn Fault() -> impl IntoView {
    let panel = expect_context::<TokenPanel>();
    let fault = Memo::new(move |_| {
        panel.view.with(|view| {
            view.failure
                .clone()
                .map(|reason| (None, reason))
                .or_else(|| {
                    let fault = view.full.as_ref()?.fault.as_ref()?;
                    Some((fault.position, fault.reason.clone()))
                })
        })
    });
    move || {
        fault.get().map(|(position, reason)| {
            let headline = match position {
                Some(position) => format!(
                    "The stream cannot be decoded beyond token {}.",
                    position + 1
                ),
                None => "These tokens do not make a chunk.".to_owned(),
            };
            view! {
                <div class="verdict bad" role="alert" data-testid="unfold-fault" data-position=position.map(|p| p.to_string())>
                    <div>
                        <p>{headline}</p>
                        <p class="quiet">{reason}". The part before it is shown; none of it is sent to a robot."</p>
                    </div>
                </div>
            }
        })
    }
}
