//! The studio's page: what a visitor sees of a robot and of the policy that moves it.
//!
//! The page renders state and sends commands; it computes nothing. Action tokens are decoded in the
//! compute worker (`wasm/`), everything else comes ready from the studio. What there is to decide is
//! plain Rust with native tests:
//!
//! - [`status_text`]: what the robot is doing, in one sentence
//! - [`stopping`]: a stop, from the press to the studio's answer
//! - [`backoff`]: whether the wire is alive, and when to dial again
//! - [`latest`]: one request in flight, the newest wins
//! - [`studio_url`]: where the studio is, at the root of a host or beneath it
//! - [`joint_history`]: the joints' recent past
//! - [`decisions`]: the recent chunks, their decodes, and which one is looked at
//! - [`partial_decode`]: a chunk as it unfolds from its tokens
//! - [`token_stream`]: the decision that is being written
//! - [`scene_question`]: a question about the scene and its answer
//! - [`what_if`]: a chunk that the visitor changes
//! - [`coefficients`]: coefficients as colours, frequencies in Hz
//! - [`compute`]: what the page knows about its worker
//! - [`prompt`]: a prompt cut into words, marks and folded images
//! - [`units`]: normalised values in robot units
//! - [`plot`]: the geometry of a joint's plot
//! - [`depth_colors`]: depth as colour
//! - [`depth`]: what the policy saw in depth
//! - [`scorer`]: which scorer there is, and how far this tab is with it
//! - [`frame_sampling`]: where the frames of a scored video come from, and which of them are shown
//! - [`auto_score`]: when the scoring of a robot begins and ends
//! - [`score_job`]: one job of scoring
//! - [`curves`]: the geometry of its curves
//! - [`score_summary`]: what they say
//! - [`score_http`]: the same job on the studio's device
//! - [`format`]: numbers as people read them
//!
//! The panels are in `ui`, which exists in a browser only. `README.md` lists the hooks for tests.

pub mod auto_score;
pub mod backoff;
pub mod coefficients;
pub mod compute;
pub mod curves;
pub mod decisions;
pub mod depth;
pub mod depth_colors;
pub mod format;
pub mod frame_sampling;
pub mod joint_history;
pub mod latest;
pub mod partial_decode;
pub mod plot;
pub mod prompt;
pub mod scene_question;
pub mod score_http;
pub mod score_job;
pub mod score_summary;
pub mod scorer;
pub mod status_text;
pub mod stopping;
pub mod studio_url;
pub mod token_stream;
pub mod units;
pub mod what_if;

#[cfg(target_family = "wasm")]
pub mod ui;
