//! Depth codes to a depth image: the decoder of the VQ-VAE that the codes come from.
//!
//! Not needed for acting; it visualizes the depth map that the policy wrote. The layout is that of the published
//! `vae-final.pt` (the depth VQ-VAE of "All in Tokens", arXiv 2301.02229), read from the tensors' shapes:
//!
//! | tensors | what |
//! |---|---|
//! | `_vq_vae._embedding` | codebook, `[codes, width]` |
//! | `decoder.0` | 1x1 convolution, then ReLU |
//! | `decoder.2`, `decoder.3`, … `.net.{0,2,4}` | residual blocks: 3x3, ReLU, 3x3, ReLU, 1x1, added to the input |
//! | `decoder.{4, 6, …}` | transposed 4x4 convolutions of stride 2, each followed by ReLU and doubling the picture |
//! | `decoder.{last}` | 1x1 convolution to one channel |
//!
//! The published one has 128 codes of width 512, two blocks of 256 channels and five doublings: 10x10 codes become
//! 320x320 pixels. Its encoder and the running means of its training are ignored. A `.pt` file is a pickle, which is a
//! program; `convert.py` beside this crate turns it into safetensors without running it.
//!
//! Separate from the policy's crate because the browser's compute worker decodes too and needs nothing else of the policy.
//!
//! [`DepthDecoder`] reads the file and decodes codes to a [`DepthImage`].

mod decoder;
mod depth_image;
mod error;

pub use decoder::DepthDecoder;
pub use depth_image::DepthImage;
pub use error::DepthDecoderError;

/// Name of the converted file beside a checkpoint.
pub const FILE_NAME: &str = "depth_decoder.safetensors";
