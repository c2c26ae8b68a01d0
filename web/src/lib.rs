//! The studio's page: what a visitor sees of a robot and of the policy that moves it.
//!
//! The page renders state and sends commands; it computes nothing. Action tokens are decoded in the
//! compute worker (`wasm/`), everything else comes ready from the studio. What there is to decide is
//! plain Rust with native tests:
//!
//! - [`situation`]: what the robot is doing, in one sentence
//! - [`stopping`]: a stop, from the press to the studio's answer
//! - [`pending`]: an instruction, until the studio is known to have it
//! - [`reconnect`]: whether the wire is alive, and when to dial again
//! - [`address`]: where the studio is, at the root of a host or beneath it
//! - [`history`]: the joints' recent past
//! - [`decisions`]: the recent chunks, their decodes, and which one is looked at
//! - [`unfold`]: a chunk as it unfolds from its tokens
//! - [`stream`]: the decision that is being written
//! - [`asking`]: a question about the scene and its answer
//! - [`trial`]: a chunk that the visitor changes
//! - [`heat`]: coefficients as colours, frequencies in Hz
//! - [`compute`]: what the page knows about its worker
//! - [`prompt`]: a prompt cut into words, marks and folded images
//! - [`units`]: normalised values in robot units
//! - [`plot`]: the geometry of a joint's plot
//! - [`colour`]: depth as colour
//! - [`depth`]: what the policy saw in depth
//! - [`scorer`]: which scorer there is, and how far this tab is with it
//! - [`footage`]: where the frames of a scored video come from, and which of them are shown
//! - [`following`]: when the scoring of a robot begins and ends
//! - [`scoring`]: one job of scoring
//! - [`curves`]: the geometry of its curves
//! - [`findings`]: what they say
//! - [`score_wire`]: the same job on the studio's device
//! - [`figures`]: numbers as people read them
//!
//! The panels are in `ui`, which exists in a browser only. `README.md` lists the hooks for tests.

pub mod address;
pub mod asking;
pub mod colour;
pub mod compute;
pub mod curves;
pub mod decisions;
pub mod depth;
pub mod figures;
pub mod findings;
pub mod following;
pub mod footage;
pub mod heat;
pub mod history;
pub mod pending;
pub mod plot;
pub mod prompt;
pub mod reconnect;
pub mod score_wire;
pub mod scorer;
pub mod scoring;
pub mod situation;
pub mod stopping;
pub mod stream;
pub mod trial;
pub mod unfold;
pub mod units;

#[cfg(target_family = "wasm")]
pub mod ui;
