//! The decision in view.

use leptos::prelude::*;
use protocol::viewer::Trace;

use super::state::Studio;

/// The trace of the decision in view.
pub(crate) fn shown_trace(studio: Studio) -> Memo<Option<Trace>> {
    Memo::new(move |_| {
        studio
            .decisions
            .with(|decisions| decisions.shown().map(|decision| decision.trace.clone()))
    })
}

/// Keeps the decision in view while its parts are inspected.
pub(crate) fn pin_shown(studio: Studio) {
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
