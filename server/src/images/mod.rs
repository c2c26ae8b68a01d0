//! Camera views: decoding for the policy, encoding for viewers, and the memory that both may use.
//!
//! - `view_decoding`: pixels for a policy, with the decoding cost checked first
//! - [`view_encoding`]: JPEG and eight-bit depth for viewers
//! - `view_publishing`: rate and concurrency limits for encoding views
//! - `budget`: byte budget for one robot's images

pub(crate) mod budget;
pub(crate) mod view_decoding;
pub mod view_encoding;
pub(crate) mod view_publishing;
