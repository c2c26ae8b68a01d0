//! Text to token ids and back.

use field_files::tokenizer_json;
use layers::ConfigError;
use tokenizers::Tokenizer;

use crate::config::{self, Config};
use crate::error::ScoreError;
use crate::layout::{VISION_END, VISION_START};

/// File name in a model folder.
pub(crate) const FILE: &str = "tokenizer.json";

/// A checkpoint's tokenizer.
#[derive(Debug, Clone)]
pub struct TextTokenizer {
    tokenizer: Tokenizer,
    vocab_size: usize,
    /// Added tokens as text, longest first.
    special: Vec<String>,
}

impl TextTokenizer {
    /// Reads the `bytes` of `tokenizer.json` and holds the ids of the vision tokens against `config`.
    ///
    /// # Errors
    /// [`ConfigError::BadFile`] or [`ConfigError::BadValue`].
    pub fn new(bytes: &[u8], config: &Config) -> Result<Self, ConfigError> {
        let text = tokenizer_json::bounded(bytes)
            .map_err(|error| ConfigError::bad_json(FILE, "", &error))?;
        let refused = |error: tokenizers::Error| ConfigError::bad_file(FILE, "", error.to_string());
        let mut tokenizer = Tokenizer::from_bytes(&text).map_err(refused)?;
        // The file may say how texts were cut and filled up when it was saved; the reference sets both aside for each call.
        tokenizer
            .with_padding(None)
            .with_truncation(None)
            .map_err(refused)?;
        for (key, token, id) in [
            (
                "vision_start_token_id",
                VISION_START,
                config.vision_start_token_id,
            ),
            (
                "vision_end_token_id",
                VISION_END,
                config.vision_end_token_id,
            ),
            ("video_token_id", "<|video_pad|>", config.video_token_id),
            ("image_token_id", "<|image_pad|>", config.image_token_id),
        ] {
            let found = tokenizer.token_to_id(token);
            if found != Some(id) {
                let there =
                    found.map_or_else(|| "is not there".to_owned(), |found| format!("is {found}"));
                return Err(ConfigError::bad_value(
                    config::FILE,
                    key,
                    format!("makes {token} id {id}, but in {FILE} it {there}"),
                ));
            }
        }
        let mut special: Vec<String> = tokenizer
            .get_added_tokens_decoder()
            .into_values()
            .map(|token| token.content)
            .filter(|token| !token.is_empty())
            .collect();
        special.sort_by_key(|token| (std::cmp::Reverse(token.len()), token.clone()));
        Ok(Self {
            tokenizer,
            vocab_size: config.text.vocab_size,
            special,
        })
    }

    /// Ids of a text in which special tokens stand as themselves. Nothing is added before or after.
    ///
    /// Text between two special tokens is tokenised by itself, so a prompt may be cut at special tokens and
    /// its pieces encoded one by one; anywhere else a cut changes the ids.
    ///
    /// # Errors
    /// [`ScoreError::Tokenizer`], and [`ScoreError::UnknownToken`] where the tokenizer has more tokens than the model.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, ScoreError> {
        let encoding =
            self.tokenizer
                .encode(text, false)
                .map_err(|error| ScoreError::Tokenizer {
                    reason: error.to_string(),
                })?;
        let ids = encoding.get_ids().to_vec();
        match ids.iter().find(|id| **id as usize >= self.vocab_size) {
            Some(&id) => Err(ScoreError::UnknownToken {
                id,
                vocab_size: self.vocab_size,
            }),
            None => Ok(ids),
        }
    }

    /// Refuses text from outside that contains a special token.
    ///
    /// # Errors
    /// [`ScoreError::SpecialInText`].
    pub fn check_plain(&self, text: &str) -> Result<(), ScoreError> {
        match self
            .special
            .iter()
            .find(|token| text.contains(token.as_str()))
        {
            Some(token) => Err(ScoreError::SpecialInText {
                token: token.clone(),
            }),
            None => Ok(()),
        }
    }

    /// Size of the model's vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The id of a token, if there is such a token.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// Text of ids, special tokens left out; bytes that are no UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// [`ScoreError::Tokenizer`].
    pub fn decode(&self, ids: &[u32]) -> Result<String, ScoreError> {
        self.tokenizer
            .decode(ids, true)
            .map_err(|error| ScoreError::Tokenizer {
                reason: error.to_string(),
            })
    }
}
