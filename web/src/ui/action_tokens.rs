//! What the policy wrote: its tokens, the coefficients that they stand for, and the motion that these make.
//!
//! Three pictures of one thing. The scrubber below them shows how the motion grows out of the tokens; a token
//! that is pointed at is pointed at in all of them.

mod decode_check;
mod heatmap;
mod scrubber;
mod token_list;
mod trajectories;

use leptos::prelude::*;
use protocol::viewer::{TokensOrigin, Trace};

use super::state::Studio;
use super::worker;
use decode_check::Verdict;
use heatmap::HeatMap;
use scrubber::Scrubber;
use token_list::Chips;
use trajectories::Courses;

use crate::partial_decode::{Drawn, Source, Subject};
use crate::what_if::Trial;

/// What the pictures share.
#[derive(Clone, Copy)]
pub(crate) struct Wrote {
    pub(crate) drawn: Memo<Drawn>,
    /// The token under the pointer.
    pub(crate) hovered: RwSignal<Option<usize>>,
    /// The token that was chosen.
    pub(crate) chosen: RwSignal<Option<usize>>,
    /// Names of the dimensions, for people.
    pub(crate) names: Memo<Vec<String>>,
    /// Units of the dimensions, as the protocol names them.
    pub(crate) units: Memo<Vec<String>>,
    pub(crate) rate_hz: Memo<f32>,
    /// A chunk that the visitor changes.
    pub(crate) trial: RwSignal<Option<Trial>>,
}

impl Wrote {
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
            drawn: Memo::new(move |_| {
                studio
                    .unfolding
                    .with(crate::partial_decode::Unfolding::drawn)
            }),
            hovered: RwSignal::new(None),
            chosen: RwSignal::new(None),
            names: joint(|joint| crate::format::plain_name(&joint.name)),
            units: joint(|joint| joint.unit.clone()),
            rate_hz: Memo::new(move |_| studio.robot().map_or(30.0, |robot| robot.control_rate_hz)),
            trial: studio.trial,
        }
    }

    /// The token that the pictures point at.
    pub(crate) fn marked(self) -> Option<usize> {
        self.hovered.get().or_else(|| self.chosen.get())
    }

    /// A dimension's name.
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

/// Keeps the decision in view while a person looks at parts of it.
pub(crate) fn hold(studio: Studio) {
    let shown = studio
        .decisions
        .with_untracked(|decisions| decisions.shown().map(|decision| decision.number));
    let is_held = studio
        .decisions
        .with_untracked(crate::decisions::Decisions::is_pinned);
    if let (Some(number), false) = (shown, is_held) {
        studio.decisions.update(|decisions| decisions.pin(number));
    }
}

/// What is looked at: what the visitor tries, else the stream while the page follows along, else the decision in view.
fn subject(studio: Studio) -> Option<Subject> {
    let trial = studio.trial.with(|trial| {
        let trial = trial.as_ref()?;
        let (version, tokens) = trial.written()?;
        Some(Subject {
            source: Source::Trial(*version),
            tokens: tokens.clone(),
            ended: true,
            rows: trial.base().rows,
            dims: trial.base().dims,
        })
    });
    if trial.is_some() {
        return trial;
    }
    let is_pinned = studio.decisions.with(|decisions| decisions.is_pinned());
    let stream = studio.stream.with(|stream| {
        stream
            .newest()
            .filter(|_| !is_pinned)
            .map(|newest| Subject {
                source: Source::Stream(newest.observation_sequence),
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
            (!trace.action_tokens.is_empty()).then(|| Subject {
                source: Source::Decision(decision.number),
                tokens: trace.action_tokens.clone(),
                ended: true,
                rows: trace.rows,
                dims: trace.dims,
            })
        })
    })
}

#[component]
pub(crate) fn WrotePanel() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let wrote = Wrote::new(studio);
    provide_context(wrote);
    let subject = Memo::new(move |_| subject(studio));
    Effect::new(move |_| {
        let subject = subject.get();
        studio.unfolding.update(|unfolding| unfolding.look(subject));
    });
    Effect::new(move |_| {
        // Whatever changed, there may be something to read now.
        studio.unfolding.track();
        studio.compute.track();
        worker::unfold(studio);
    });
    Effect::new(move |_| {
        studio.trial.track();
        worker::encode(studio);
    });
    // A trial belongs to the decision that it began with.
    let shown = Memo::new(move |_| {
        studio
            .decisions
            .with(|decisions| decisions.shown().map(|decision| decision.number))
    });
    Effect::new(move |_| {
        shown.track();
        studio.trial.set(None);
    });
    // A token of another stream is another token.
    let source = Memo::new(move |_| wrote.drawn.with(|drawn| drawn.source));
    Effect::new(move |_| {
        source.track();
        wrote.hovered.set(None);
        wrote.chosen.set(None);
    });
    let trace = super::trace::shown_trace(studio);
    let has_any = Memo::new(move |_| wrote.drawn.with(|drawn| drawn.source.is_some()));
    let is_held = Memo::new(move |_| studio.decisions.with(|decisions| decisions.is_pinned()));
    let summary = move || {
        wrote.drawn.with(|drawn| match drawn.source {
            Some(Source::Stream(_)) => Some("being written at this moment".to_owned()),
            Some(Source::Trial(_)) => {
                Some(format!("{} tokens for your change", drawn.tokens.len()))
            }
            Some(_) => trace.with(|trace| trace.as_ref().map(in_short)),
            None => None,
        })
    };
    let known = move || wrote.drawn.with(Drawn::known).to_string();
    let all = move || wrote.drawn.with(Drawn::coefficients).to_string();
    view! {
        <section
            class="panel wrote"
            aria-labelledby="wrote-title"
            data-testid="unfold"
            data-source=move || source.get().map_or("none", Source::word)
            data-decision=move || match source.get() {
                Some(Source::Decision(number)) => Some(number.to_string()),
                _ => None,
            }
            data-tokens=move || wrote.drawn.with(|drawn| drawn.count).to_string()
            data-of-tokens=move || wrote.drawn.with(|drawn| drawn.tokens.len()).to_string()
            data-known=known
            data-of-coefficients=all
        >
            <div class="title-row">
                <h2 id="wrote-title">
                    "What it wrote"
                    <span class="quiet num" class:live-writing=move || {
                        matches!(source.get(), Some(Source::Stream(_)))
                    }>{summary}</span>
                </h2>
                <button
                    type="button"
                    class="live-button on"
                    data-testid="unfold-live"
                    hidden=move || !is_held.get()
                    on:click=move |_| studio.decisions.update(|decisions| decisions.follow())
                >"Back to live"</button>
            </div>
            <Show
                when=move || has_any.get()
                fallback=move || view! { <Nothing/> }
            >
                <div class="wrote-grid">
                    <Chips/>
                    <HeatMap/>
                    <Courses/>
                </div>
                <Scrubber/>
                <Fault/>
            </Show>
            <Verdict/>
        </section>
    }
}

fn in_short(trace: &Trace) -> String {
    let count = trace.action_tokens.len();
    match trace.tokens_origin {
        TokensOrigin::Generated => format!("{count} action tokens, written by the policy"),
        TokensOrigin::Encoded => {
            format!("a motion, encoded as {count} action tokens for transport")
        }
    }
}

/// Before the first decision, and after one without tokens.
#[component]
fn Nothing() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let has_decision = move || {
        studio
            .decisions
            .with(|decisions| decisions.shown().is_some())
    };
    view! {
        <div class="wrote-nothing">
            <div class="ghost" aria-hidden="true">
                {(0..24).map(|_| view! { <span></span> }).collect_view()}
            </div>
            <p class="empty-note" data-testid="unfold-empty">
                {move || if has_decision() {
                    "This decision came without action tokens."
                } else {
                    "Nothing is written yet. A motion is written as a few tokens; each stands for coefficients, \
                     low frequencies first, and these make the path of every joint. Give the robot a sentence \
                     and watch it happen here."
                }}
            </p>
        </div>
    }
}

/// Why the stream cannot be read further.
#[component]
fn Fault() -> impl IntoView {
    let wrote = expect_context::<Wrote>();
    let fault = Memo::new(move |_| {
        wrote.drawn.with(|drawn| {
            drawn
                .failure
                .clone()
                .map(|reason| (None, reason))
                .or_else(|| {
                    let fault = drawn.whole.as_ref()?.fault.as_ref()?;
                    Some((fault.position, fault.reason.clone()))
                })
        })
    });
    move || {
        fault.get().map(|(position, reason)| {
            let headline = match position {
                Some(position) => format!(
                    "The stream cannot be read beyond token {}.",
                    position + 1
                ),
                None => "These tokens do not make a chunk.".to_owned(),
            };
            view! {
                <div class="verdict bad" role="alert" data-testid="unfold-fault" data-position=position.map(|p| p.to_string())>
                    <div>
                        <p>{headline}</p>
                        <p class="quiet">{reason}". What could be read before it is drawn; none of it goes to a robot."</p>
                    </div>
                </div>
            }
        })
    }
}
