//! Panel of one decision, from the instruction to the joints.

use leptos::prelude::*;

use super::depth::DepthBlock;
use super::joints::JointPlots;
use super::stages::Stages;
use super::state::Studio;
use super::timeline::Timeline;
use crate::prompt::{Segment, segments};

#[component]
pub(crate) fn TracePanel() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let has_any = Memo::new(move |_| {
        studio
            .decisions
            .with(|decisions| decisions.shown().is_some())
    });
    view! {
        <section class="panel trace" aria-labelledby="trace-title">
            <div class="title-row">
                <h2 id="trace-title">"Why it moved"</h2>
                <Timeline/>
            </div>
            <Show when=move || !has_any.get()>
                <p class="empty-note">
                    "Give the robot an instruction. Every decision of the policy then appears here: what it read, "
                    "how long it took, and where it plans to move the joints."
                </p>
            </Show>
            <JointPlots/>
            <Show when=move || has_any.get()>
                <Prompt/>
                <DepthBlock/>
                <Stages/>
            </Show>
        </section>
    }
}

#[component]
fn Prompt() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let prompt = Memo::new(move |_| {
        studio.decisions.with(|decisions| {
            decisions.shown().map(|d| {
                (
                    d.trace.instruction.clone(),
                    d.trace.prompt.clone(),
                    d.trace.prompt_tokens,
                )
            })
        })
    });
    let instruction =
        Memo::new(move |_| prompt.with(|p| p.as_ref().map(|p| p.0.clone()).unwrap_or_default()));
    let count = move || prompt.with(|p| p.as_ref().map_or(0, |p| p.2));
    let text =
        Memo::new(move |_| prompt.with(|p| p.as_ref().map(|p| p.1.clone()).unwrap_or_default()));
    view! {
        <div class="block">
            <h3>
                "What it read"
                <span class="quiet num">{move || format!("{} tokens", count())}</span>
            </h3>
            <p class="instruction">"\u{201c}"{instruction}"\u{201d}"</p>
            <div class="prompt" data-testid="trace-prompt" tabindex="0" role="region" aria-label="Prompt">
                {move || text.with(|text| segments(text).into_iter().map(segment_view).collect_view())}
            </div>
        </div>
    }
}

fn segment_view(segment: Segment) -> AnyView {
    match segment {
        Segment::Text(text) => view! { <span>{text}</span> }.into_any(),
        Segment::SpecialToken { name, family } => {
            view! { <span class=format!("mark-chip {}", family.class())>{name}</span> }.into_any()
        }
        Segment::Image { patches: 1 } => {
            view! { <span class="mark-chip image">"image"</span> }.into_any()
        }
        Segment::Image { patches } => {
            view! { <span class="mark-chip image">{format!("image, {patches} patches")}</span> }
                .into_any()
        }
    }
}
