//! Depth reasoning of a policy: the mode, and the decoder of its depth codes.

use super::{options::PolicyOptions, policy::DepthInfo};
use depth_decoder::{DepthDecoder, DepthDecoderError, FILE_NAME};
use field_files::Limit;
use molmoact2::PolicyInfo;
use protocol::depth::DepthMode;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The options for depth cannot be applied to this policy.
#[derive(Debug, thiserror::Error)]
pub enum DepthError {
    /// The checkpoint was not trained to reason about depth.
    #[error(
        "it does not reason about depth (enable_depth_reasoning is not true in its config.json); \
         leave --depth and --depth-decoder out, or give a Think checkpoint"
    )]
    NotTrained,
    /// The decoder's file could not be read, has another format than its name says, or is too large.
    #[error("the depth decoder: {0}")]
    Read(#[from] field_files::ReadError),
    /// The file is not a depth decoder.
    #[error("{}: {source}", .file.display())]
    Decoder {
        /// The file.
        file: PathBuf,
        /// Error of the decoder.
        source: DepthDecoderError,
    },
    /// The decoder has a smaller codebook than the policy.
    #[error("{} decodes {known} codes, and the policy writes {written}; give the decoder of this policy", .file.display())]
    Codes {
        /// The file.
        file: PathBuf,
        /// Number of codes of the decoder.
        known: usize,
        /// Number of codes of the policy.
        written: usize,
    },
}

/// Description of a policy's depth reasoning, with the mode in `options` and the decoder in `options` or in `folder`; `None`
/// for a policy that does not reason about depth.
pub(super) fn depth_info(
    policy: &PolicyInfo,
    options: &PolicyOptions,
    folder: Option<&Path>,
) -> Result<Option<DepthInfo>, DepthError> {
    let Some(cells) = policy.depth_cells else {
        let is_requested = options.depth.is_some_and(|mode| mode != DepthMode::Off);
        if is_requested || options.depth_decoder.is_some() {
            return Err(DepthError::NotTrained);
        }
        return Ok(None);
    };
    let named = match (&options.depth_decoder, folder) {
        (Some(file), _) => Some(file.clone()),
        (None, Some(folder)) => {
            let file = folder.join(FILE_NAME);
            field_files::is_there(&file)?.then_some(file)
        }
        (None, None) => None,
    };
    let decoder = match named {
        Some(file) => Some(decoder(file, policy.depth_codes)?),
        None => None,
    };
    Ok(Some(DepthInfo {
        mode: options.depth.unwrap_or_default(),
        cells,
        codes: policy.depth_codes,
        decoder: decoder.map(Arc::new),
    }))
}

/// Reads a decoder and checks that it has all codes of the policy.
fn decoder(file: PathBuf, written: usize) -> Result<Vec<u8>, DepthError> {
    let bytes = field_files::read(&file, Limit::SMALL_WEIGHTS)?;
    match DepthDecoder::from_bytes(bytes.clone(), &layers::device::cpu()) {
        Ok(decoder) if decoder.codes() < written => Err(DepthError::Codes {
            file,
            known: decoder.codes(),
            written,
        }),
        Ok(_) => Ok(bytes),
        Err(source) => Err(DepthError::Decoder { file, source }),
    }
}
