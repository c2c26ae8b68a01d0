//! HTTP: the page, the two WebSockets, health, metrics, the policy's tokenizer for the page, and the scorer.
//!
//! - [`routes`]: paths and handlers; `state`: what they share
//! - [`files`]: the page inside the binary
//! - `guard`: what every answer says to the browser
//! - `scorer`: the scorer's files, and scoring on the studio
//! - `episodes`: recorded episodes and their videos

mod episodes;
mod files;
mod guard;
pub(crate) mod routes;
mod scorer;
pub(crate) mod state;

pub use files::{PageInfo, page_info};
pub(crate) use routes::router;
