//! Reading the token head of a policy.

use openfast::FastTokenizer;

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
    network: &Network,
) -> Result<Option<TokenHead>, LoadError> {
    if config.action_mode == ActionMode::Continuous {
        return Ok(None);
    }
    let tokenizer_file = files.find(&format!("{FAST_FOLDER}/tokenizer.json"))?;
    let config_file = files.find(&format!("{FAST_FOLDER}/processor_config.json"))?;
    let (Some(tokenizer), Some(processor)) = (tokenizer_file, config_file) else {
        return Ok(None);
    };
    let ids = match (
        config.action_start_token_id,
        config.action_end_token_id,
        config.action_token_start_id,
        config.eos_token_id,
    ) {
        (Some(start), Some(end), Some(first), Some(end_of_text)) => ActionIds {
            start,
            end,
            first,
            count: config.num_action_tokens,
            end_of_text,
        },
        _ => return Ok(None),
    };
    let tokenizer = FastTokenizer::from_bytes(&tokenizer, &processor)?;
    if tokenizer.vocab_size() > ids.count {
        return Err(LoadError::BadValue {
            file: config::FILE,
            key: "num_action_tokens".to_owned(),
            problem: format!(
                "is {}, but the tokenizer in {FAST_FOLDER}/ has {} ids",
                ids.count,
                tokenizer.vocab_size()
            ),
        });
    }
    let action_head = network
        .text()
        .head_for(ids.first as usize, tokenizer.vocab_size());
    Ok(Some(TokenHead {
        tokenizer,
        ids,
        action_head,
    }))
}
