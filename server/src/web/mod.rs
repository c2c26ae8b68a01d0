//! HTTP: the page, the two WebSockets, health, metrics, and the policy's tokenizer for the page.
//!
//! - [`routes`]: paths and handlers
//! - [`files`]: the page inside the binary

mod files;
pub(crate) mod routes;

pub use files::{PageInfo, page_info};
pub(crate) use routes::router;
