//! The files of a policy, from a folder or from memory.

use std::borrow::Cow;
use std::path::Path;

use layers::{Checkpoint, ModelFiles};

use crate::error::LoadError;

/// Folder of the action tokenizer inside a policy.
pub(crate) const FAST_FOLDER: &str = "openfast";

/// Folder of the published action tokenizer, beside the checkpoints that use it.
pub(crate) const PUBLISHED_FAST: &str = "MolmoAct2-FAST-Tokenizer";

/// A policy's files by their names relative to its folder, such as `config.json` or
/// `openfast/tokenizer.json`.
#[derive(Debug)]
pub struct Files {
    files: ModelFiles,
    base: Option<Box<Files>>,
    /// `tokenizer.json` and `processor_config.json` of an action tokenizer that replaces the policy's own.
    tokenizer: Option<[Cow<'static, [u8]>; 2]>,
}

impl Files {
    /// The files in a folder, without a base.
    ///
    /// # Errors
    /// [`LoadError::MissingFile`] if there is no such folder.
    pub(crate) fn in_folder(folder: &Path) -> Result<Self, LoadError> {
        Ok(Self {
            files: ModelFiles::open_dir(folder)?,
            base: None,
            tokenizer: None,
        })
    }

    /// Files already in memory, for a policy embedded in a binary or fetched by a page.
    pub fn from_memory(files: impl IntoIterator<Item = (String, Cow<'static, [u8]>)>) -> Self {
        Self {
            files: ModelFiles::from_memory(files),
            base: None,
            tokenizer: None,
        }
    }

    /// The same files, with the checkpoint `base` that a LeRobot folder was made from, for network sizes, tokenizer
    /// and image processing. Its weights are not read.
    #[must_use]
    pub fn with_base(mut self, base: Self) -> Self {
        self.base = Some(Box::new(base));
        self
    }

    /// The same files, with this action tokenizer instead of the one in `openfast/`, if any.
    #[must_use]
    pub fn with_action_tokenizer(
        mut self,
        tokenizer_json: Cow<'static, [u8]>,
        processor_config_json: Cow<'static, [u8]>,
    ) -> Self {
        self.tokenizer = Some([tokenizer_json, processor_config_json]);
        self
    }

    /// The files given with [`Files::with_base`].
    pub fn base(&self) -> Option<&Self> {
        self.base.as_deref()
    }

    /// Name for display: the folder's, or "memory".
    pub fn name(&self) -> String {
        self.files.name()
    }

    /// Bytes of the file `name`, which must exist.
    ///
    /// # Errors
    /// [`LoadError::MissingFile`] or [`LoadError::Read`].
    pub fn read(&self, name: &str) -> Result<Cow<'_, [u8]>, LoadError> {
        Ok(self.files.read(name)?)
    }

    /// Bytes of the file `name`, or `None` if there is no such file.
    ///
    /// # Errors
    /// [`LoadError::Read`] if it exists and cannot be read, or is a different kind of file than its name says.
    pub fn find(&self, name: &str) -> Result<Option<Cow<'_, [u8]>>, LoadError> {
        Ok(self.files.find(name)?)
    }

    /// `tokenizer.json` and `processor_config.json` of the action tokenizer: those of
    /// [`Files::with_action_tokenizer`], else from the policy's own `openfast/`, from its base's, or from the folder
    /// `MolmoAct2-FAST-Tokenizer` beside either; `None` if none of them has both.
    ///
    /// # Errors
    /// [`LoadError::Read`].
    #[allow(clippy::type_complexity, reason = "two files")]
    pub fn action_tokenizer(&self) -> Result<Option<(Cow<'_, [u8]>, Cow<'_, [u8]>)>, LoadError> {
        if let Some([tokenizer, config]) = &self.tokenizer {
            return Ok(Some((Cow::Borrowed(tokenizer), Cow::Borrowed(config))));
        }
        let own = (
            self.find(&format!("{FAST_FOLDER}/tokenizer.json"))?,
            self.find(&format!("{FAST_FOLDER}/processor_config.json"))?,
        );
        if let (Some(tokenizer), Some(config)) = own {
            return Ok(Some((tokenizer, config)));
        }
        if let Some(base) = self.base()
            && let Some(found) = base.action_tokenizer()?
        {
            return Ok(Some(found));
        }
        let Some(published) = self.published_tokenizer()? else {
            return Ok(None);
        };
        let (tokenizer, config) = (
            published.find("tokenizer.json")?.map(Cow::into_owned),
            published
                .find("processor_config.json")?
                .map(Cow::into_owned),
        );
        Ok(tokenizer
            .zip(config)
            .map(|(tokenizer, config)| (Cow::Owned(tokenizer), Cow::Owned(config))))
    }

    /// The folder of the published action tokenizer beside this one.
    fn published_tokenizer(&self) -> Result<Option<Self>, LoadError> {
        // Relative names such as `.` have no parent.
        let folder = self
            .files
            .folder()
            .and_then(|folder| folder.canonicalize().ok());
        let Some(beside) = folder.as_deref().and_then(Path::parent) else {
            return Ok(None);
        };
        match Self::in_folder(&beside.join(PUBLISHED_FAST)) {
            Err(LoadError::MissingFile { .. }) => Ok(None),
            found => found.map(Some),
        }
    }

    /// The weights.
    ///
    /// # Errors
    /// [`LoadError::Checkpoint`].
    pub fn checkpoint(&self) -> Result<Checkpoint, LoadError> {
        Ok(Checkpoint::open(&self.files)?)
    }
}
