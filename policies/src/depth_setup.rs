//! How a policy shall reason about depth, and the decoder that draws what it writes.

use super::{options::PolicyOptions, policy::DepthInfo};
use depth_decoder::{DepthDecoder, DepthDecoderError, FILE_NAME};
use field_files::Limit;
use molmoact2::PolicyInfo;
use protocol::depth::DepthMode;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// What was asked about depth cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum DepthError {
    /// The checkpoint was not trained for it.
    #[error(
        "it does not reason about depth (enable_depth_reasoning is not true in its config.json); \
         leave --depth and --depth-decoder out, or give a Think checkpoint"
    )]
    NotTrained,
    /// The decoder's file could not be read, is not what its name says, or is too large to be that.
    #[error("the depth decoder: {0}")]
    Read(#[from] field_files::ReadError),
    /// The file is no depth decoder.
    #[error("{}: {source}", .file.display())]
    Decoder {
        /// The file.
        file: PathBuf,
        /// What was wrong.
        source: DepthDecoderError,
    },
    /// The decoder is one for another codebook.
    #[error("{} draws {known} codes, the policy writes {written}; it belongs to another policy", .file.display())]
    Codes {
        /// The file.
        file: PathBuf,
        /// Codes of the decoder.
        known: usize,
        /// Codes of the policy.
        written: usize,
    },
}

/// What is known of a policy's depth: what `setup` asks for, and the decoder that it names or that lies in `folder`.
pub(super) fn depth_info(
    policy: &PolicyInfo,
    setup: &PolicyOptions,
    folder: Option<&Path>,
) -> Result<Option<DepthInfo>, DepthError> {
    let Some(cells) = policy.depth_cells else {
        let is_asked = setup.depth.is_some_and(|mode| mode != DepthMode::Off);
        if is_asked || setup.depth_decoder.is_some() {
            return Err(DepthError::NotTrained);
        }
        return Ok(None);
    };
    let named = match (&setup.depth_decoder, folder) {
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
        mode: setup.depth.unwrap_or_default(),
        cells,
        codes: policy.depth_codes,
        decoder: decoder.map(Arc::new),
    }))
}

/// The bytes of a decoder that reads and that knows all codes of the policy.
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
