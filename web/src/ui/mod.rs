//! The panels, and what connects them to the studio, the worker and the keyboard.
//!
//! - [`state`]: everything the page knows, as signals
//! - [`socket`]: the wire to the studio
//! - [`clock`]: what has to happen a few times a second, in a hidden tab too
//! - [`stop`]: stops as they are pressed, sent and told
//! - [`worker`]: the wire to the compute worker
//! - [`canvas_image`]: camera images onto canvases
//! - one module per panel: [`header`], [`cameras`], [`command`], [`trace`] (with [`timeline`],
//!   [`joints`], [`depth`], [`stages`]), [`action_tokens`] ,
//!   [`ask`], [`score`], [`compute`], [`dock`], [`notices`], [`problems`]
//! - [`keyboard`], [`settings`]: the keyboard, and what the visitor's browser remembers

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
mod problems;
mod robot_selection;
mod score;
mod send;
mod settings;
mod shown_decision;
mod socket;
mod stages;
mod state;
mod stop;
mod stop_press;
mod time;
mod timeline;
mod trace;
mod wire;
mod worker;

use leptos::prelude::*;

use state::Studio;

/// Puts the page into the document's body.
pub fn start() {
    console_error_panic_hook::set_once();
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
        <a class="skip" href="#command">"Skip to the command"</a>
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
