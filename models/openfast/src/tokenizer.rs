//! Loading a tokenizer and asking it what its ids mean.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use field_files::Limit;

use crate::bpe::Bpe;
use crate::config::Layout;
use crate::dct::{self, Dct};
use crate::vocabulary::Vocabulary;
use crate::{LoadError, ProcessorConfig, Shape};

/// An OpenFAST tokenizer: action chunk to token ids and back. Cheap to clone, free to share.
///
/// ```no_run
/// use openfast::{FastTokenizer, Shape};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tokenizer = FastTokenizer::from_dir("models/nano/molmoact2/openfast".as_ref())?;
/// let shape = Shape { horizon: 16, dims: 6 };
/// let encoded = tokenizer.encode(&[0.25; 16 * 6], shape)?;
/// let decoded = tokenizer.decode(&encoded.ids, shape)?;
/// assert!(decoded.iter().all(|action| (action - 0.25).abs() < 0.05));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct FastTokenizer {
    pub(crate) inner: Arc<Inner>,
}

/// Number of transforms that are kept, and the longest horizon among them: 8 MiB at most.
const KEPT_TRANSFORMS: usize = 8;
const KEPT_HORIZON: usize = 256;

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) bpe: Bpe,
    pub(crate) config: ProcessorConfig,
    pub(crate) vocabulary: Vocabulary,
    /// Transforms of the horizons used last, so that the usual chunk needs no new table.
    transforms: Mutex<Vec<Arc<Dct>>>,
}

impl Inner {
    /// The coefficient that a character stands for. `None` only beyond 32 bits.
    fn coefficient(&self, character: u32) -> Option<i32> {
        i32::try_from(character)
            .ok()?
            .checked_add(self.config.min_token)
    }
}

impl FastTokenizer {
    /// Loads `tokenizer.json` and `processor_config.json` from a folder. Where the first is not in
    /// it, it may be in its subfolder `bpe_tokenizer`: transformers 5 saves it there for the
    /// class that Physical Intelligence publishes.
    ///
    /// # Errors
    /// When a file is missing or is not what [`Self::from_bytes`] accepts.
    pub fn from_dir(dir: &Path) -> Result<Self, LoadError> {
        let (tokenizer, config) = Self::files(dir)?;
        Self::from_bytes(&tokenizer, &config)
    }

    /// The contents of the two files of a folder, as [`Self::from_dir`] finds them: `tokenizer.json` first.
    ///
    /// # Errors
    /// When a file is missing, is not what its name says, or is too large to be that.
    pub fn files(dir: &Path) -> Result<(Vec<u8>, Vec<u8>), LoadError> {
        let read = |name: &str| field_files::read(&dir.join(name), Limit::of(name));
        let tokenizer = match read("tokenizer.json") {
            // What is said to be missing is the usual place.
            Err(missing) if missing.is_missing() => match read("bpe_tokenizer/tokenizer.json") {
                Err(deeper) if deeper.is_missing() => Err(missing),
                deeper => deeper,
            },
            read => read,
        }?;
        Ok((tokenizer, read("processor_config.json")?))
    }

    /// Loads from the contents of the two files.
    ///
    /// # Errors
    /// When either is not valid JSON of its kind, when the tokenizer is not a byte-level BPE
    /// without normaliser and prefix space, or when `scale` or `min_token` is missing or unusable.
    pub fn from_bytes(
        tokenizer_json: &[u8],
        processor_config_json: &[u8],
    ) -> Result<Self, LoadError> {
        let config = ProcessorConfig::parse(processor_config_json)?;
        let contents = Layout::read(tokenizer_json)?;
        // First, because it refuses ids that would take tables beyond all measure.
        let vocabulary = Vocabulary::new(&contents.vocab, &contents.added)?;
        let bpe = Bpe::new(&contents)?;
        Ok(Self {
            inner: Arc::new(Inner {
                bpe,
                config,
                vocabulary,
                transforms: Mutex::default(),
            }),
        })
    }

    /// The contents of `processor_config.json`.
    #[must_use]
    pub fn config(&self) -> &ProcessorConfig {
        &self.inner.config
    }

    /// One past the largest id of the BPE. The VLM may reserve more ids than this
    /// (MolmoAct2 reserves 2048); those decode to nothing and are unknown here.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.inner.vocabulary.len()
    }

    /// Number of coefficients that begin in this id, or `None` when the id is unknown or no encoder
    /// emits it. The lengths of a decodable stream add up to `horizon * dims`. An id that only
    /// continues a multi-byte character has length 0.
    #[must_use]
    pub fn token_len(&self, id: u32) -> Option<usize> {
        self.inner.vocabulary.class(id).map(|class| class.begun)
    }

    /// True if encoding can write this quantised coefficient. Otherwise it drops it, as a whole or in
    /// part, and for the 2048 surrogates, which are no characters, it gives an error.
    #[must_use]
    pub fn can_express(&self, coefficient: i32) -> bool {
        u32::try_from(i64::from(coefficient) - i64::from(self.inner.config.min_token))
            .is_ok_and(|character| self.inner.vocabulary.can_express(character))
    }

    /// Number of ids that an encoder can emit. The others waste vocabulary and model capacity.
    #[must_use]
    pub fn reachable_ids(&self) -> usize {
        self.inner.vocabulary.class_indices().flatten().count()
    }

    /// The lowest and the highest quantised coefficient that encoding can write, or `None` when it
    /// can write none. Only characters of the basic plane count, up to U+FFFF: a vocabulary with the
    /// bytes of longer characters can write coefficients from `65536 + min_token` on as well, for
    /// which [`Self::can_express`] answers, but which no normalised action comes near.
    #[must_use]
    pub fn expressible_range(&self) -> Option<(i32, i32)> {
        let (low, high) = self.inner.vocabulary.expressible()?;
        Some((self.inner.coefficient(low)?, self.inner.coefficient(high)?))
    }

    /// The quantised coefficients within [`Self::expressible_range`] that encoding cannot write,
    /// lowest first. A range that reaches beyond the surrogates (U+D800 to U+DFFF) has those 2048
    /// among them, whatever the vocabulary: encoding does not drop them, it gives
    /// [`crate::EncodeError::NoCharacter`], as the reference raises.
    #[must_use]
    pub fn holes(&self) -> Vec<i32> {
        self.expressible_range()
            .map(|(low, high)| (low..=high).filter(|&c| !self.can_express(c)).collect())
            .unwrap_or_default()
    }

    /// The quantised coefficients that this id stands for. `None` when the id is unknown, when no
    /// encoder emits it, and when it begins or ends inside a character: alone it stands for none.
    #[must_use]
    pub fn token_coefficients(&self, id: u32) -> Option<Vec<i32>> {
        self.inner.vocabulary.class(id)?;
        let piece = self.inner.vocabulary.piece(id)?;
        std::str::from_utf8(&piece.bytes)
            .ok()?
            .chars()
            .map(|character| self.inner.coefficient(character as u32))
            .collect()
    }

    pub(crate) fn dct(&self, horizon: usize) -> Arc<Dct> {
        // A transform that a panic interrupted is not in the list, so the list is sound.
        let lock = || {
            self.inner
                .transforms
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(known) = lock().iter().find(|dct| dct.horizon() == horizon) {
            return Arc::clone(known);
        }
        let dct = Arc::new(Dct::new(horizon));
        if horizon <= KEPT_HORIZON {
            let mut transforms = lock();
            if transforms.len() >= KEPT_TRANSFORMS {
                transforms.remove(0);
            }
            transforms.push(Arc::clone(&dct));
        }
        dct
    }
}

/// The orthonormal DCT basis, `[horizon, horizon]`, frequency outer: value `[k, t]` is what
/// coefficient k adds to time step t. A chunk is `transpose(basis) x (coefficients / scale)`.
///
/// Empty when the horizon is 0 or above [`Shape::MAX_HORIZON`].
#[must_use]
pub fn basis(horizon: usize) -> Vec<f32> {
    if !(1..=Shape::MAX_HORIZON).contains(&horizon) {
        return Vec::new();
    }
    dct::basis(horizon)
        .into_iter()
        .map(|value| value as f32)
        .collect()
}
