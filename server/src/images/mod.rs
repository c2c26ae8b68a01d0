//! Camera views: from a robot's bytes to pixels, and from there to what people are shown.
//!
//! - [`view_decoding`]: pixels for a policy, and what they cost before they are decoded
//! - [`view_encoding`]: JPEG and eight-bit depth for viewers
//! - [`showing`]: when views are made ready for viewers
//! - [`budget`]: the bytes that one robot's images may take

pub(crate) mod budget;
pub(crate) mod showing;
pub(crate) mod view_decoding;
pub mod view_encoding;
