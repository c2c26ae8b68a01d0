//! Fitting a tokenizer to action chunks, as the reference's `fit` does.
//!
//! The chunks are transformed and quantised by the encoder's own arithmetic, written as text, split
//! by the byte-level pre-tokenizer and handed to the `tokenizers` crate's BPE trainer, the very one
//! that the reference calls, with the reference's settings. So the same chunks give the same
//! vocabulary and the same merges, unless a coefficient lies within float32 error of a rounding tie.
//!
//! Only natively: a browser has no data set to fit to.

mod alphabet;
mod error;
mod files;

use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::tokenizer::{
    OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer as _, Trainer as _,
};
use tokenizers::{NormalizerWrapper, TokenizerImpl};

use crate::config::usable_scale;
use crate::dct::{self, Dct};
use crate::vocabulary::Vocabulary;
use crate::{EncodeError, Shape};

pub use alphabet::Alphabet;
pub use error::FitError;
pub use files::Fitted;

/// A BPE between byte-level parts, as `ByteLevelBPETokenizer` builds it.
type ByteLevelBpe = TokenizerImpl<BPE, NormalizerWrapper, ByteLevel, ByteLevel, ByteLevel>;

/// Pairs that occur less often are not merged.
const MIN_FREQUENCY: u64 = 2;
/// Longest token, in symbols.
const MAX_TOKEN_SYMBOLS: usize = 10_000;
/// One past the last character below the surrogates, which are none.
const CHARACTERS: u32 = 0xD800;

/// One chunk of normalised actions to fit to.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    /// `[horizon, dims]`, row-major.
    pub values: &'a [f32],
    /// Its shape.
    pub shape: Shape,
}

/// Options of a fit.
#[derive(Debug, Clone, PartialEq)]
pub struct FitOptions {
    /// Factor of the orthonormal coefficients before rounding: larger is finer and costs
    /// more tokens. The reference's default is 10.
    pub scale: f64,
    /// Maximum number of ids. The reference's default is 1024.
    pub vocab_size: u32,
    /// Written to `processor_config.json`, so that decoding needs no shape. Every chunk must then
    /// have it.
    pub declared: Option<Shape>,
    /// Symbols that are in the vocabulary whether or not they occur.
    pub alphabet: Alphabet,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            scale: 10.0,
            vocab_size: 1024,
            declared: None,
            alphabet: Alphabet::AsReference,
        }
    }
}

/// Phase of a fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Transforming and quantising; counted in chunks.
    Transform,
    /// Splitting and counting; counted in chunks.
    Words,
    /// Merging the most frequent pairs, in one piece that reports no steps.
    Merges,
}

/// Progress of a fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The phase.
    pub phase: Phase,
    /// Chunks done in this phase.
    pub done: usize,
    /// Chunks to do in this phase; 0 in [`Phase::Merges`].
    pub total: usize,
}

/// Quantized coefficients of all chunks.
struct Quantized {
    /// One after the other; whole numbers.
    values: Vec<f32>,
    /// End of each chunk in `values`.
    ends: Vec<usize>,
    lowest: f32,
    highest: f32,
}

/// Fits a tokenizer to chunks of normalised actions.
///
/// Chunks may have different horizons, all must have the same dimensions. `progress` is called at
/// every phase's beginning and after every chunk, from any thread.
///
/// # Errors
/// When there is no chunk, when a chunk's shape or values cannot be used, when an option is out of
/// range, and when the coefficients spread wider than `vocab_size` allows; see [`FitError`].
pub fn fit(
    chunks: &[Chunk<'_>],
    options: &FitOptions,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Fitted, FitError> {
    check(chunks, options)?;
    let quantized = transform(chunks, options.scale as f32, progress)?;
    let (min_token, span) = range(&quantized, options)?;
    let alphabet = options.alphabet.symbols(span);
    if options.alphabet == Alphabet::Complete && alphabet.len() > options.vocab_size as usize {
        return Err(FitError::AlphabetTooLarge {
            symbols: alphabet.len(),
            vocab_size: options.vocab_size,
        });
    }
    let mut trainer = BpeTrainer::builder()
        .vocab_size(options.vocab_size as usize)
        .min_frequency(MIN_FREQUENCY)
        .initial_alphabet(alphabet)
        .max_token_length(Some(MAX_TOKEN_SYMBOLS))
        // Its own bar would write to standard output.
        .show_progress(false)
        .build();
    let bpe = |error: tokenizers::Error| FitError::Bpe(error.to_string());
    let byte_level = ByteLevel::new(false, true, true);
    let total = chunks.len();
    let texts = quantized.texts(min_token).enumerate().map(|(done, text)| {
        let phase = Phase::Words;
        progress(Progress { phase, done, total });
        text
    });
    trainer
        .feed(texts, |text| words(text, &byte_level))
        .map_err(bpe)?;
    progress(Progress {
        phase: Phase::Merges,
        done: 0,
        total: 0,
    });
    let mut model = BPE::default();
    trainer.train(&mut model).map_err(bpe)?;
    let mut tokenizer = ByteLevelBpe::new(model);
    tokenizer
        .with_pre_tokenizer(Some(byte_level))
        .with_post_processor(Some(ByteLevel::default().trim_offsets(false)))
        .with_decoder(Some(ByteLevel::default()));
    Fitted::new(&tokenizer, min_token, options)
}

fn check(chunks: &[Chunk<'_>], options: &FitOptions) -> Result<(), FitError> {
    if !usable_scale(options.scale) {
        return Err(FitError::BadScale(options.scale));
    }
    if !(1..=Vocabulary::MAX_IDS).contains(&options.vocab_size) {
        return Err(FitError::BadVocabSize(options.vocab_size));
    }
    let first = chunks.first().ok_or(FitError::NoChunks)?.shape;
    for (index, chunk) in chunks.iter().enumerate() {
        let shape = chunk.shape;
        let source = match shape.values() {
            None => EncodeError::BadShape(shape),
            Some(want) if want != chunk.values.len() => EncodeError::WrongLength {
                got: chunk.values.len(),
                want,
                shape,
            },
            Some(_) => match chunk.values.iter().position(|value| !value.is_finite()) {
                Some(at) => EncodeError::NotFinite {
                    step: at / shape.dims,
                    dim: at % shape.dims,
                    value: chunk.values.get(at).copied().unwrap_or(f32::NAN),
                },
                None if shape.dims != first.dims => {
                    return Err(FitError::MixedDims {
                        index,
                        got: shape.dims,
                        first: first.dims,
                    });
                }
                None => match options.declared {
                    Some(declared) if declared != shape => {
                        return Err(FitError::NotAsDeclared {
                            index,
                            got: shape,
                            declared,
                        });
                    }
                    _ => continue,
                },
            },
        };
        return Err(FitError::Chunk { index, source });
    }
    Ok(())
}

/// The encoder's arithmetic: sums in float64, rounded to float32, scaled there, rounded half to even.
fn transform(
    chunks: &[Chunk<'_>],
    scale: f32,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Quantized, FitError> {
    let mut out = Quantized {
        values: Vec::with_capacity(chunks.iter().map(|chunk| chunk.values.len()).sum()),
        ends: Vec::with_capacity(chunks.len()),
        lowest: f32::INFINITY,
        highest: f32::NEG_INFINITY,
    };
    let mut dct: Option<Dct> = None;
    let mut workspace = dct::Workspace::default();
    let mut coefficients: Vec<f64> = Vec::new();
    for (done, chunk) in chunks.iter().enumerate() {
        progress(Progress {
            phase: Phase::Transform,
            done,
            total: chunks.len(),
        });
        let Shape { horizon, dims } = chunk.shape;
        let transform = match dct.take() {
            Some(same) if same.horizon() == horizon => same,
            _ => Dct::new(horizon),
        };
        transform.forward(chunk.values, dims, &mut workspace, &mut coefficients);
        for &coefficient in &coefficients {
            let value = (coefficient as f32 * scale).round_ties_even();
            out.lowest = out.lowest.min(value);
            out.highest = out.highest.max(value);
            out.values.push(value);
        }
        out.ends.push(out.values.len());
        dct = Some(transform);
    }
    Ok(out)
}

/// The smallest coefficient, and how many characters lie between it and the largest.
fn range(quantized: &Quantized, options: &FitOptions) -> Result<(i32, u32), FitError> {
    let (lowest, highest) = (f64::from(quantized.lowest), f64::from(quantized.highest));
    let span = highest - lowest;
    let reach = f64::from(char::MAX as u32);
    if span.is_nan() || span >= f64::from(CHARACTERS) || lowest.abs() > reach {
        return Err(FitError::NoCharacters { lowest, highest });
    }
    // Both fit: they were compared with the range of Unicode.
    let (min_token, span) = (lowest as i32, span as u32);
    if options.alphabet == Alphabet::AsReference && span > options.vocab_size {
        return Err(FitError::RangeTooWide {
            lowest: min_token,
            highest: highest as i32,
            vocab_size: options.vocab_size,
            scale: options.scale,
        });
    }
    Ok((min_token, span))
}

impl Quantized {
    /// One text per chunk: the character of each coefficient's distance from the smallest.
    fn texts(&self, min_token: i32) -> impl Iterator<Item = String> + Send + '_ {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(move |(start, &end)| {
            let values = self.values.get(start..end).unwrap_or_default();
            values
                .iter()
                // Exact: every coefficient lies within the range of Unicode here.
                .filter_map(|&value| u32::try_from(value as i32 - min_token).ok())
                .filter_map(char::from_u32)
                .collect()
        })
    }
}

/// The byte-level words of a text, as symbols.
fn words(text: &str, byte_level: &ByteLevel) -> tokenizers::Result<Vec<String>> {
    let mut split = PreTokenizedString::from(text);
    byte_level.pre_tokenize(&mut split)?;
    Ok(split
        .get_splits(OffsetReferential::Original, OffsetType::Byte)
        .into_iter()
        .map(|(word, _, _)| word.to_owned())
        .collect())
}
