//! Whose action tokenizer a policy is given: the one that was named, its own, or the nano's.

use super::{load_error::LoadError, nano, options::PolicyOptions};
use molmoact2::Files;
use openfast::FastTokenizer;

/// The files with the action tokenizer that was asked for, and whether it is the nano's for want of another.
pub(super) fn put_into(files: Files, setup: &PolicyOptions) -> Result<(Files, bool), LoadError> {
    if let Some(folder) = &setup.fast {
        let (tokenizer, config) =
            FastTokenizer::files(folder).map_err(|error| LoadError::Tokenizer {
                name: folder.display().to_string(),
                error,
            })?;
        let files = files.with_action_tokenizer(tokenizer.into(), config.into());
        return Ok((files, false));
    }
    let own = files
        .action_tokenizer()
        .map_err(|error| LoadError::Policy {
            name: files.name(),
            error,
        })?;
    if !setup.fast_of_nano || own.is_some() {
        return Ok((files, false));
    }
    let nano = nano::files();
    let Some((tokenizer, config)) = nano
        .as_ref()
        .and_then(|nano| nano.action_tokenizer().ok().flatten())
    else {
        return Ok((files, false));
    };
    let (tokenizer, config) = (tokenizer.into_owned(), config.into_owned());
    let files = files.with_action_tokenizer(tokenizer.into(), config.into());
    Ok((files, true))
}
