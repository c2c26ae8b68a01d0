//! OpenFAST action tokens: action chunk <-> token ids.
//!
//! A chunk is `[horizon, dims]` normalised actions (about -1..=1). Encoding takes the orthonormal
//! DCT-II over time (`dct.rs`), multiplies by `scale`, rounds half to even, subtracts `min_token`,
//! writes each whole number as the Unicode character of that number, frequency outer and dimension
//! inner, and hands the text to a byte-level BPE (`bpe.rs`). Decoding walks back (`decode.rs`).
//!
//! # Example
//!
//! ```
//! use openfast::{Alphabet, Chunk, FitOptions, Shape, fit};
//!
//! // Fifty chunks of eight time steps of two joints, normalized to -1..=1.
//! let shape = Shape { horizon: 8, dims: 2 };
//! let curve = |start: usize| (0..16).map(move |at| (0.2 * (start + at) as f32).sin());
//! let recorded: Vec<Vec<f32>> = (0..50).map(|start| curve(start).collect()).collect();
//! let chunks: Vec<Chunk<'_>> = recorded
//!     .iter()
//!     .map(|values| Chunk { values, shape })
//!     .collect();
//!
//! // A tokenizer is fitted to them, with an alphabet in which no coefficient is missing.
//! let options = FitOptions {
//!     vocab_size: 256,
//!     alphabet: Alphabet::Complete,
//!     ..FitOptions::default()
//! };
//! let fitted = fit(&chunks, &options, &|_| ())?;
//! let tokenizer = fitted.tokenizer();
//!
//! let chunk = &recorded[7];
//! let encoded = tokenizer.encode(chunk, shape)?;
//! assert!(encoded.lost.is_empty());
//! assert!(encoded.ids.len() < chunk.len());
//!
//! let decoded = tokenizer.decode(&encoded.ids, shape)?;
//! for (decoded, given) in decoded.iter().zip(chunk) {
//!     assert!((decoded - given).abs() < 0.15);
//! }
//!
//! // A stream that is not a whole chunk is an error, where the reference returns zeros.
//! assert!(tokenizer.decode(&encoded.ids[1..], shape).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A published tokenizer is loaded from its folder instead: [`FastTokenizer::from_dir`].
//!
//! # The map
//!
//! - [`FastTokenizer`]: loads a tokenizer folder, has the meaning of every id.
//! - [`FastTokenizer::encode`]: the reference's ids, and the coefficients it would have lost unsaid.
//! - [`FastTokenizer::decode`]: strict; [`FastTokenizer::decode_as_reference`] is the reference
//!   with its faults, for comparison; [`FastTokenizer::decode_partial`] draws half a stream.
//! - [`FastTokenizer::encode_batch`], [`FastTokenizer::decode_batch`]: many chunks of one shape.
//! - [`VlmVocabulary`]: FAST ids <-> a model's own ids, read from its checkpoint.
//! - [`Grammar`]: the next ids under which a stream under generation still decodes.
//! - [`basis`]: the transform as a matrix, for a GPU.
//!
//! No network, no device, no files beyond [`FastTokenizer::from_dir`]; builds for wasm.
//!
//! # The files
//!
//! `UniversalActionProcessor.fit(...).save_pretrained(folder)` (lerobot 0.6.1) writes three files;
//! two matter here and `tokenizer_config.json` is not read.
//!
//! - `processor_config.json` has, at the top level, `scale`, `min_token`, `vocab_size`,
//!   `time_horizon` and `action_dim` (null unless given to `fit`), and `processor_class`.
//!   `min_token` is the smallest quantised coefficient of the fit data, a negative number;
//!   the largest is not stored. `vocab_size` is the requested size: BPE training stops early when no
//!   pair occurs twice, so the vocabulary can be smaller, and ids from there up to what a VLM
//!   reserves decode to nothing.
//! - `tokenizer.json` is a BPE without unknown token, normaliser or added tokens, with a `ByteLevel`
//!   pre-tokenizer (no prefix space, GPT-2 word split) and decoder. Merges are pairs, or in older
//!   files lines. Transformers 5 saves the file in `bpe_tokenizer/` for Physical Intelligence's
//!   class. Switched-off word splitting, `ignore_merges` and added tokens that are taken wherever
//!   they stand are honoured as the `tokenizers` crate does; what else could change an id
//!   (dropout, unknown token, byte fallback, prefixes, other parts) is refused with its name.
//!
//! # Coefficients that a fitted tokenizer cannot express
//!
//! `fit` seeds the alphabet with the raw characters 0..=max-min, but encoding never produces raw
//! control characters, spaces or bytes above 126: it produces their byte-level symbols. Those enter
//! the vocabulary only if they occurred in the fit data. Hence:
//!
//! - Every coefficient that occurred in the fit data can be expressed, wherever it later stands.
//! - A coefficient whose character is 33..=126 and at most max-min can be expressed even if it never
//!   occurred (the raw character and its symbol are the same).
//! - Any other coefficient that never occurred is a **hole**: the BPE drops the character without a
//!   word, the stream is one coefficient short, and the reference decodes it to all zeros.
//!   So are coefficients above the fit data's largest, with few exceptions.
//! - Of a character of two bytes only one may be missing. The BPE then drops half a character, the
//!   other half is U+FFFD to the reference, the count is right, and it decodes to garbage: a
//!   coefficient of 65533 + `min_token`. Strict decoding refuses every stream that lost bytes,
//!   because what remains is never as many whole characters.
//! - A coefficient below `min_token` is raised to `min_token`: it decodes, to something else.
//! - The raw control characters' ids exist and would decode, but no encoder emits them
//!   ([`FastTokenizer::token_len`] is `None`, strict decoding refuses them). A vocabulary spends
//!   `max - min` ids on the alphabet whether used or not, so the range must stay well below
//!   `vocab_size`.
//! - Characters above 127 take two bytes, each with its token, which may merge with a
//!   neighbour's: tokens then end inside characters. Decoding and grammar keep track of that.
//!
//! [`Encoded::lost`] lists what was dropped or raised. [`FastTokenizer::encode_nearest`] takes the
//! nearest expressible coefficient instead, for training targets that must decode.
//!
//! # Bad input: the reference and this crate
//!
//! | input | reference | here |
//! |---|---|---|
//! | NaN or infinity anywhere | `OverflowError` from `chr` | [`EncodeError::NotFinite`] |
//! | horizon 0 | `ValueError` from SciPy | [`EncodeError::BadShape`] |
//! | zero dimensions | no ids, decoded as zeros | [`EncodeError::BadShape`] |
//! | coefficient beyond Unicode, or a surrogate | `ValueError`, `TypeError` | [`EncodeError::NoCharacter`] |
//! | coefficient that is a hole or too large | dropped, or half of it | the same ids, listed in [`Encoded::lost`] |
//! | wrong number of coefficients | zeros and a log line | [`DecodeError::WrongCount`] |
//! | id outside the vocabulary | skipped | [`DecodeError::UnknownId`] |
//! | bytes that are no character | coefficient 65533 + `min_token` | [`DecodeError::BrokenCharacter`] |
//!
//! # Precision
//!
//! The reference encodes in float32 and decodes in float64. Encoding here sums in float64, rounds
//! once to float32, and multiplies by the scale in float32. That differs from the reference only
//! where its own float32 error crosses a rounding tie; the golden tests count those.

mod batch;
mod bpe;
mod config;
mod dct;
mod decode;
mod encode;
mod error;
#[cfg(not(target_arch = "wasm32"))]
mod fit;
mod grammar;
mod shape;
mod split;
mod tokenizer;
mod utf8;
mod vlm;
mod vocabulary;

pub use batch::BatchError;
pub use config::ProcessorConfig;
pub use decode::{PartialChunk, ReferenceDecode};
pub use encode::{Encoded, LostCoefficient};
pub use error::{DecodeError, EncodeError, GrammarError, LoadError};
#[cfg(not(target_arch = "wasm32"))]
pub use fit::{Alphabet, Chunk, FitError, FitOptions, Fitted, Phase, Progress, fit};
pub use grammar::Grammar;
pub use shape::Shape;
pub use tokenizer::{FastTokenizer, basis};
pub use vlm::{VlmError, VlmVocabulary};
