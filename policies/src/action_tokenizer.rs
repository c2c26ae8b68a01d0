//! The action tokenizer of a policy: the one in the options, its own, or that of the nano policy.

use super::{load_error::LoadError, nano, options::PolicyOptions};
use molmoact2::Files;
use openfast::FastTokenizer;

/// Adds the action tokenizer to the files of a policy. The second value is true if it is that of the nano policy because the
/// policy has none.
pub(super) fn add_to(files: Files, options: &PolicyOptions) -> Result<(Files, bool), LoadError> {
    if let Some(folder) = &options.fast {
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
    if !options.fast_of_nano || own.is_some() {
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
