//! Check that this browser's decode of the tokens equals what the robot was sent.

use leptos::prelude::*;
use protocol::viewer::{TokensOrigin, Trace};
use protocol::worker::{Comparison, DecodeOutcome, TokenizerOutcome};

use crate::compute::{Phase, kind_name, kind_phrase};
use crate::format;
use crate::partial_decode::TokenSource;
use crate::ui::shown_decision::shown_trace;
use crate::ui::state::Studio;

#[component]
pub(crate) fn DecodeCheck() -> impl IntoView {
    let studio = expect_context::<Studio>();
    let trace = shown_trace(studio);
    let decode = Memo::new(move |_| {
        studio.decisions.with(|decisions| {
            decisions
                .shown()
                .and_then(|decision| decision.decode.clone())
        })
    });
    let panel = expect_context::<super::TokenPanel>();
    let is_sent = Memo::new(move |_| {
        panel.view.with(|view| {
            !matches!(
                view.source,
                Some(TokenSource::Stream(_) | TokenSource::WhatIf(_))
            )
        })
    });
    move || {
        // Incomplete streams and edits were not sent to the robot.
        let trace = trace.get().filter(|_| is_sent.get())?;
        Some(match decode.get() {
            Some(DecodeOutcome::Compared(comparison)) => {
                comparison_view(&comparison, &trace, studio).into_any()
            }
            Some(DecodeOutcome::Failed { reason }) => not_decoded("failed", reason).into_any(),
            None => not_decoded("waiting", waiting_for(studio)).into_any(),
        })
    }
}

fn comparison_view(
    comparison: &Comparison,
    trace: &Trace,
    studio: Studio,
) -> impl IntoView + use<> {
    let is_equal = comparison.is_equal();
    let headline = match (is_equal, trace.tokens_origin) {
        (true, TokensOrigin::Encoded) => {
            "Your browser's decode equals what the robot was sent, up to the rounding of the tokens."
        }
        (true, _) => "Your browser's decode equals what the robot was sent.",
        (false, _) => "Your browser's decode differs from what the robot was sent.",
    };
    let worst = comparison.worst_dimension as usize;
    let joint = studio
        .robot()
        .and_then(|robot| robot.joints.get(worst).cloned());
    let in_units = joint.map(|joint| {
        format!(
            ", at most {}{} on {}",
            format::difference(comparison.max_difference_in_robot_units),
            format::unit_sign(&joint.unit),
            format::plain_name(&joint.name).to_lowercase()
        )
    });
    let details = format!(
        "Max difference {} of {} allowed (normalised){}. Computed on {} in {}, {}×{} values.",
        format::difference(comparison.max_difference),
        format::difference(comparison.tolerance),
        in_units.unwrap_or_default(),
        kind_phrase(comparison.computed_on),
        format::duration(comparison.micros),
        trace.rows,
        trace.dims,
    );
    view! {
        <div
            class="verdict"
            class:good=is_equal
            class:bad={!is_equal}
            data-testid="trace-decode"
            data-equal=is_equal.to_string()
            data-max-difference=format!("{:e}", comparison.max_difference)
            data-tolerance=format!("{:e}", comparison.tolerance)
            data-computed-on=kind_name(comparison.computed_on)
        >
            <CheckMark good={is_equal}/>
            <div>
                <p>{headline}</p>
                <p class="quiet num">{details}</p>
            </div>
        </div>
    }
}

fn not_decoded(state: &'static str, text: String) -> impl IntoView {
    view! {
        <div class="verdict" class:bad={state == "failed"} data-testid="trace-decode" data-state=state>
            <p class="quiet">{text}</p>
        </div>
    }
}

#[component]
fn CheckMark(good: bool) -> impl IntoView {
    let path = if good {
        "M5 10.5 l3.4 3.4 L15 7"
    } else {
        "M6 6 l8 8 M14 6 l-8 8"
    };
    view! {
        <svg class="verdict-mark" viewBox="0 0 20 20" width="22" height="22" aria-hidden="true">
            <circle cx="10" cy="10" r="9"/>
            <path d={path} fill="none" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/>
        </svg>
    }
}

/// The reason that there is no decode, or not yet.
fn waiting_for(studio: Studio) -> String {
    let has_tokenizer = studio
        .welcome
        .with(|welcome| welcome.as_ref().is_some_and(|w| w.policy.has_tokenizer));
    let has_tokens = studio.decisions.with(|decisions| {
        decisions
            .shown()
            .is_some_and(|d| !d.trace.action_tokens.is_empty())
    });
    if !has_tokenizer {
        return "This policy has no action tokenizer, so there is nothing to decode.".to_owned();
    }
    if !has_tokens {
        return "This decision has no action tokens.".to_owned();
    }
    studio
        .compute
        .with(|compute| match (&compute.phase, &compute.tokenizer) {
            (Phase::Dead { reason }, _) => reason.clone(),
            (_, Some(TokenizerOutcome::Failed { reason })) => reason.clone(),
            (Phase::Running, _) if compute.state() == "refused" => {
                "Not decoded: no device of this browser passed the self-test.".to_owned()
            }
            (Phase::Waiting | Phase::Loading { .. }, _) => {
                "Decoded here as soon as this tab's compute worker is loaded.".to_owned()
            }
            _ => "Decoding …".to_owned(),
        })
}
