//! The page in the browser: panels, state, and the connections to the studio and the compute worker.
//!
//! Modules import only from groups above their own:
//!
//! - Leaves: [`time`], [`settings`] (browser storage and URL), [`canvas_image`] (images on a canvas), [`segment`] (an option
//!   of a segmented control), [`panics`] (the end of a page that has failed), [`socket_handle`] (the WebSocket),
//!   `worker::handle`
//! - [`state`]: the page's state, as signals
//! - Actions on the state: [`send`], [`stop`], [`socket`] (reconnecting, ticks), [`stop_press`], [`commands`],
//!   [`shown_decision`], [`worker`] (requests, starting and restarting)
//! - Panels: [`header`], [`notices`], [`problems`], [`cameras`], [`command`], [`ask`], [`trace`] (with [`timeline`],
//!   [`joints`], [`depth`], [`stages`]), [`score`], [`action_tokens`], [`compute`], [`dock`]
//! - Messages in: [`dispatch`] (of the studio) and `worker::dispatch`, with [`robot_selection`]
//! - [`clock`] (timers) and [`keyboard`] (shortcuts)

#![allow(
    unreachable_pub,
    reason = "leptos makes the inner function of a component `pub` whatever is written"
)]

mod action_tokens;
mod ask;
mod cameras;
mod canvas_image;
mod clock;
mod command;
mod commands;
mod compute;
mod depth;
mod dispatch;
mod dock;
mod header;
mod joints;
mod keyboard;
mod notices;
mod panics;
mod problems;
mod robot_selection;
mod score;
mod segment;
mod send;
mod settings;
mod shown_decision;
mod socket;
mod socket_handle;
mod stages;
mod state;
mod stop;
mod stop_press;
mod time;
mod timeline;
mod trace;
mod worker;

use leptos::prelude::*;

use state::Studio;

/// Puts the page into the document's body.
pub fn start() {
    panics::watch();
    if let Some(placeholder) = document().get_element_by_id("before") {
        placeholder.remove();
    }
    leptos::mount::mount_to_body(Page);
}

#[component]
fn Page() -> impl IntoView {
    settings::go_to_root();
    let studio = Studio::new();
    provide_context(studio);
    dispatch::start(studio);
    worker::dispatch::start(studio);
    socket::tick(studio);
    clock::start(studio);
    worker::lifecycle::start_after_first_frame(studio);
    clock::start_redraw(studio);
    keyboard::listen(studio);
    view! {
        <a class="skip" href="#command">"Skip to the instruction"</a>
        <header::Header/>
        <notices::Notices/>
        <problems::Problems/>
        <main>
            <div class="column">
                <cameras::Cameras/>
                <command::CommandPanel/>
                <ask::AskPanel/>
            </div>
            <div class="column">
                <trace::TracePanel/>
            </div>
            <div class="column wide">
                <score::ScorePanel/>
                <action_tokens::ActionTokensPanel/>
                <compute::ComputePanel/>
            </div>
        </main>
        <dock::Dock/>
    }
}
