//! Time in the page.

use leptos::prelude::window;

/// Milliseconds since the page was opened.
pub(crate) fn now_millis() -> f64 {
    window()
        .performance()
        .map_or(0.0, |performance| performance.now())
}
