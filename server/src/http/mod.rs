//! HTTP routes: the page, the two WebSockets, health, metrics, the policy's tokenizer for the page, the scorer and episodes.
//!
//! - `routes`: paths and handlers; `state`: their shared state
//! - `files`: the page embedded in the binary
//! - `guard`: security headers of every response
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
