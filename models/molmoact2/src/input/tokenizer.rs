//! The text tokenizer of a checkpoint.

use std::collections::HashSet;

use field_files::tokenizer_json;
use layers::ConfigError;
use serde::Deserialize;
use tokenizers::Tokenizer;

use crate::checkpoint::config::Config;
use crate::checkpoint::unknown_keys;
use crate::error::{ActError, LoadError, bad_json, bad_value, parse_json};

/// File name in a policy folder.
pub const TOKENIZER_FILE: &str = "tokenizer.json";
/// File name in a policy folder.
pub const TOKENIZER_CONFIG_FILE: &str = "tokenizer_config.json";

/// Placeholder of an image in the text of a prompt.
pub(crate) const IMAGE: &str = "<|image|>";
/// Tokens that are reserved for images.
const IMAGE_TOKENS: [&str; 10] = [
    IMAGE,
    "<|video|>",
    "<im_start>",
    "<im_end>",
    "<im_patch>",
    "<im_col>",
    "<low_res_im_start>",
    "<im_low>",
    "<frame_start>",
    "<frame_end>",
];

/// The first image token in a text.
pub(crate) fn image_token_in(text: &str) -> Option<&'static str> {
    IMAGE_TOKENS.into_iter().find(|token| text.contains(token))
}

/// A checkpoint's tokenizer.
#[derive(Debug, Clone)]
pub(crate) struct TextTokenizer {
    tokenizer: Tokenizer,
    bos: u32,
    image_type_ids: HashSet<u32>,
}

/// A tokenized prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EncodedText {
    /// Token ids, the beginning-of-text token first.
    pub(crate) ids: Vec<u32>,
    /// Per id, whether it is an image token.
    pub(crate) image_type: Vec<bool>,
}

/// The keys of `tokenizer_config.json` that are read.
#[derive(Deserialize)]
pub(crate) struct TokenizerConfig {
    bos_token: Option<TokenName>,
    eos_token: Option<TokenName>,
    pub(crate) chat_template: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TokenName {
    Plain(String),
    Described { content: String },
}

impl TokenName {
    fn text(self) -> String {
        match self {
            Self::Plain(text) | Self::Described { content: text } => text,
        }
    }
}

impl TextTokenizer {
    /// Reads `tokenizer.json` (`bytes`) and `tokenizer_config.json` (if there is one), and checks the ids of image tokens
    /// against `config`.
    pub(crate) fn new(
        bytes: &[u8],
        tokenizer_config_json: Option<&[u8]>,
        config: &Config,
    ) -> Result<Self, LoadError> {
        let text =
            tokenizer_json::bounded(bytes).map_err(|error| bad_json(TOKENIZER_FILE, "", &error))?;
        let refused = |error: tokenizers::Error| {
            LoadError::Config(ConfigError::bad_file(TOKENIZER_FILE, "", error.to_string()))
        };
        let mut tokenizer = Tokenizer::from_bytes(&text).map_err(refused)?;
        // The file may say how texts were cut and filled up when it was saved; the reference sets both aside for each call.
        tokenizer
            .with_padding(None)
            .with_truncation(None)
            .map_err(refused)?;
        let bos = bos_id(&tokenizer, tokenizer_config_json, config)?;
        let tokenizer = Self {
            tokenizer,
            bos,
            image_type_ids: config.image_type_ids().into_iter().collect(),
        };
        for (key, token, id) in [
            (
                "image_start_token_id",
                "<im_start>",
                config.image_start_token_id,
            ),
            ("image_end_token_id", "<im_end>", config.image_end_token_id),
            ("image_patch_id", "<im_patch>", config.image_patch_id),
            ("image_col_id", "<im_col>", config.image_col_id),
            (
                "low_res_image_start_token_id",
                "<low_res_im_start>",
                config.low_res_image_start_token_id,
            ),
        ] {
            tokenizer.check_id(key, token, id)?;
        }
        Ok(tokenizer)
    }

    /// Checks that a token has the same id in the tokenizer and in the configuration; otherwise every prompt would
    /// have another meaning.
    pub(crate) fn check_id(&self, key: &str, token: &str, id: u32) -> Result<(), LoadError> {
        let found = self.tokenizer.token_to_id(token);
        if found == Some(id) {
            return Ok(());
        }
        let there = found.map_or_else(|| "is not there".to_owned(), |found| format!("is {found}"));
        Err(bad_value(
            crate::checkpoint::config::FILE,
            key,
            format!("makes {token} id {id}, but in {TOKENIZER_FILE} it {there}"),
        ))
    }

    /// The token that begins a text, and ends an answer by default.
    pub(crate) fn bos(&self) -> u32 {
        self.bos
    }

    /// The token with this id, as text.
    pub(crate) fn token(&self, id: u32) -> Option<String> {
        self.tokenizer.id_to_token(id)
    }

    /// Ids of a text in which images are written as their tokens.
    pub(crate) fn encode(&self, text: String) -> Result<EncodedText, ActError> {
        let encoding = self
            .tokenizer
            .encode(text, true)
            .map_err(|error| ActError::Tokenizer {
                reason: error.to_string(),
            })?;
        let mut ids = encoding.get_ids().to_vec();
        if ids.first() != Some(&self.bos) {
            ids.insert(0, self.bos);
        }
        let image_type = ids
            .iter()
            .map(|id| self.image_type_ids.contains(id))
            .collect();
        Ok(EncodedText { ids, image_type })
    }

    /// Text of ids, without special tokens; invalid UTF-8 becomes U+FFFD.
    pub(crate) fn decode(&self, ids: &[u32]) -> Result<String, ActError> {
        self.tokenizer
            .decode(ids, true)
            .map_err(|error| ActError::Tokenizer {
                reason: error.to_string(),
            })
    }
}

fn bos_id(
    tokenizer: &Tokenizer,
    tokenizer_config_json: Option<&[u8]>,
    config: &Config,
) -> Result<u32, LoadError> {
    let name = match tokenizer_config_json {
        Some(bytes) => {
            // Other files of a checkpoint hold ids instead of tokens.
            unknown_keys::check_settings(
                bytes,
                TOKENIZER_CONFIG_FILE,
                &["bos_token", "eos_token"],
                &["bos_token_id", "eos_token_id"],
            )?;
            let read: TokenizerConfig = parse_json(TOKENIZER_CONFIG_FILE, bytes)?;
            read.bos_token.or(read.eos_token).map(TokenName::text)
        }
        None => None,
    };
    match name {
        Some(name) => tokenizer.token_to_id(&name).ok_or_else(|| {
            bad_value(
                TOKENIZER_CONFIG_FILE,
                "bos_token",
                format!("is {name:?}, which {TOKENIZER_FILE} does not know"),
            )
        }),
        None => config.bos_token_id.or(config.eos_token_id).ok_or_else(|| {
            bad_value(
                crate::checkpoint::config::FILE,
                "bos_token_id",
                "is missing, and so is a bos_token in tokenizer_config.json",
            )
        }),
    }
}
