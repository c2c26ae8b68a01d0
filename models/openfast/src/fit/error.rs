//! Errors of fitting a tokenizer.

use std::path::PathBuf;

use crate::config::SCALES;
use crate::vocabulary::Vocabulary;
use crate::{EncodeError, LoadError, Shape};

/// A tokenizer could not be fitted or written.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// There is nothing to fit to.
    #[error("there is no chunk to fit to")]
    NoChunks,
    /// A chunk cannot be encoded.
    #[error("chunk {index}: {source}")]
    Chunk {
        /// Index of the chunk, from 0.
        index: usize,
        /// The problem with it.
        source: EncodeError,
    },
    /// Chunks of different robots in one fit.
    #[error(
        "chunk {index} has {got} dimensions, the first has {first}; fit one tokenizer per number of dimensions, or pad the chunks to the same number"
    )]
    MixedDims {
        /// Index of the chunk, from 0.
        index: usize,
        /// Its dimensions.
        got: usize,
        /// The first chunk's dimensions.
        first: usize,
    },
    /// A shape was declared that a chunk does not have.
    #[error("chunk {index} has shape {got}, but {declared} is to be declared for all")]
    NotAsDeclared {
        /// Index of the chunk, from 0.
        index: usize,
        /// Its shape.
        got: Shape,
        /// The declared shape.
        declared: Shape,
    },
    /// The scale cannot be used.
    #[error("the scale is {0}; it must be {SCALES}")]
    BadScale(f64),
    /// The vocabulary size cannot be used.
    #[error("the vocabulary size is {0}; it must be 1 to {max}", max = Vocabulary::MAX_IDS)]
    BadVocabSize(u32),
    /// The coefficients spread wider than the vocabulary has ids. The reference asserts this too.
    #[error(
        "the quantised coefficients run from {lowest} to {highest}, which takes {} ids before the first merge, but the vocabulary size is {vocab_size}; are the actions normalised to [-1, 1]? If so, take a vocabulary size of {} or more, or a scale below {:.3}", highest - lowest + 1, highest - lowest + 100, scale * f64::from(*vocab_size) / f64::from(highest - lowest)
    )]
    RangeTooWide {
        /// Smallest coefficient.
        lowest: i32,
        /// Largest coefficient.
        highest: i32,
        /// The requested size.
        vocab_size: u32,
        /// The requested scale.
        scale: f64,
    },
    /// The coefficients spread wider than there are characters to write them with.
    #[error(
        "the quantised coefficients run from {lowest} to {highest}, and there are not that many characters; normalise the actions to [-1, 1]"
    )]
    NoCharacters {
        /// Smallest coefficient.
        lowest: f64,
        /// Largest coefficient.
        highest: f64,
    },
    /// The complete alphabet alone is larger than the vocabulary.
    #[error(
        "the complete alphabet of these coefficients has {symbols} symbols, the vocabulary size is {vocab_size}; take a larger one"
    )]
    AlphabetTooLarge {
        /// Symbols needed.
        symbols: usize,
        /// The requested size.
        vocab_size: u32,
    },
    /// The BPE trainer refused.
    #[error("the BPE trainer failed: {0}")]
    Bpe(String),
    /// The fitted tokenizer cannot be loaded, which is a bug in this crate.
    #[error("the fitted tokenizer does not load: {0}")]
    Load(#[from] LoadError),
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}
