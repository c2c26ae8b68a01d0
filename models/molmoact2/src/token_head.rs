//! Reading the token head of a policy.

use openfast::{FastTokenizer, VlmVocabulary};

use crate::config::{self, ActionMode, Config};
use crate::discrete::{ActionIds, TokenHead};
use crate::error::LoadError;
use crate::files::Files;
use crate::network::Network;
use crate::policy::FAST_FOLDER;

/// The token head, if the checkpoint was trained to use it and the policy has an action tokenizer.
pub(crate) fn load_token_head(
    files: &Files,
    config: &Config,
    trained: ActionMode,
    network: &Network,
) -> Result<Option<TokenHead>, LoadError> {
    if trained == ActionMode::Continuous {
        return Ok(None);
    }
    let Some((tokenizer, processor)) = files.action_tokenizer()? else {
        return Ok(None);
    };
    let (Some(start), Some(end), Some(first), Some(end_of_text)) = (
        config.action_start_token_id,
        config.action_end_token_id,
        config.action_token_start_id,
        config.eos_token_id,
    ) else {
        return Ok(None);
    };
    let bad_count = |problem| LoadError::BadValue {
        file: config::FILE,
        key: "num_action_tokens".to_owned(),
        problem,
    };
    let count = u32::try_from(config.num_action_tokens)
        .map_err(|_| bad_count(format!("is {}", config.num_action_tokens)))?;
    let ids = ActionIds {
        vocabulary: VlmVocabulary::molmoact2(first, count, start, end)?,
        start,
        end,
        end_of_text,
    };
    let tokenizer = FastTokenizer::from_bytes(&tokenizer, &processor)?;
    if tokenizer.vocab_size() > ids.vocabulary.count() {
        return Err(bad_count(format!(
            "is {count}, but the tokenizer in {FAST_FOLDER}/ has {} ids",
            tokenizer.vocab_size()
        )));
    }
    let action_head = network
        .text()
        .head_for(first as usize, tokenizer.vocab_size());
    Ok(Some(TokenHead {
        tokenizer,
        ids,
        action_head,
    }))
}
