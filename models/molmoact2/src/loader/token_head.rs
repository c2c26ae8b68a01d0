//! The token head of a policy: action tokenizer, token ids and output rows.

use openfast::{FastTokenizer, VlmVocabulary};

use crate::checkpoint::config::{self, ActionMode, Config};
use crate::checkpoint::files::{FAST_FOLDER, Files, PUBLISHED_FAST};
use crate::error::{LoadError, bad_value};
use crate::heads::token_head::{ActionIds, NoTokenHead, TokenHead};
use crate::input::chat;
use crate::network::Network;

/// Loads the token head, or returns the reason for its absence.
pub(crate) fn load_token_head(
    files: &Files,
    config: &Config,
    trained: ActionMode,
    network: &Network,
) -> Result<Result<TokenHead, NoTokenHead>, LoadError> {
    let (tokenizer, vocabulary) = match tokenizer_for(files, config, trained)? {
        Ok(found) => found,
        Err(why) => return Ok(Err(why)),
    };
    let (Some(start), Some(end), Some(first)) = (
        config.action_start_token_id,
        config.action_end_token_id,
        config.action_token_start_id,
    ) else {
        return Ok(Err(NO_IDS.to_owned()));
    };
    let end_of_text = end_of_text(files.base().unwrap_or(files), config)?;
    let ids = ActionIds {
        vocabulary,
        start,
        end,
        end_of_text,
    };
    // The model cannot write ids that it has no token for.
    let count = tokenizer.vocab_size().min(vocabulary.count());
    let action_head = network.text().head_for(first as usize, count);
    Ok(Ok(TokenHead {
        tokenizer,
        ids,
        action_head,
    }))
}

/// Loads the action tokenizer and its range of the model's tokens, or returns the reason why the policy does not
/// answer in tokens.
pub(crate) fn tokenizer_for(
    files: &Files,
    config: &Config,
    trained: ActionMode,
) -> Result<Result<(FastTokenizer, VlmVocabulary), NoTokenHead>, LoadError> {
    if trained == ActionMode::Continuous {
        return Ok(Err(
            "the checkpoint's token head was never trained (action_mode is continuous)".to_owned(),
        ));
    }
    let Some((tokenizer, processor)) = files.action_tokenizer()? else {
        return Ok(Err(format!(
            "the policy has no action tokenizer in {FAST_FOLDER}/ or in {PUBLISHED_FAST}/ beside it"
        )));
    };
    let (Some(start), Some(end), Some(first)) = (
        config.action_start_token_id,
        config.action_end_token_id,
        config.action_token_start_id,
    ) else {
        return Ok(Err(NO_IDS.to_owned()));
    };
    let tokens = config.num_action_tokens;
    let count = u32::try_from(tokens)
        .map_err(|_| bad_value(config::FILE, "num_action_tokens", format!("is {tokens}")))?;
    let vocabulary = VlmVocabulary::molmoact2(first, count, start, end)?;
    let tokenizer = FastTokenizer::from_bytes(&tokenizer, &processor)?;
    // A tokenizer that was trained for fewer ids than its coefficients need has a few more than it declares. One
    // that declares more ids than the model has tokens belongs to another model.
    let ids = tokenizer.vocab_size();
    let declared = tokenizer.config().vocab_size;
    let single = (0..count).any(|id| tokenizer.token_len(id) == Some(1));
    if ids > tokens && !(single && declared.is_some_and(|declared| declared <= count)) {
        return Ok(Err(format!(
            "num_action_tokens is {tokens}, but the action tokenizer has {ids} ids; it belongs to another model"
        )));
    }
    Ok(Ok((tokenizer, vocabulary)))
}

const NO_IDS: &str = "config.json does not say which tokens stand for actions";

/// The token that ends an answer; as in the reference, `config.json` has precedence.
fn end_of_text(files: &Files, config: &Config) -> Result<u32, LoadError> {
    if let Some(id) = config.eos_token_id {
        return Ok(id);
    }
    let refuse = |problem: String| bad_value(config::FILE, "eos_token_id", problem);
    let Some(id) = chat::ends(files)?.first().copied() else {
        return Err(refuse(format!(
            "is missing, and so it is in {}; an answer in action tokens ends with it",
            chat::GENERATION_FILE
        )));
    };
    let outputs = config.text.vocab_size;
    if id as usize >= outputs {
        return Err(refuse(format!(
            "is {id} by {}, which vocab_size = {outputs} has no score for",
            chat::GENERATION_FILE
        )));
    }
    Ok(id)
}
