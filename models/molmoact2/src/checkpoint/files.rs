//! The files of a policy, from a folder or from memory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use field_files::{Foreign, ReadError};
use layers::Checkpoint;

use crate::error::LoadError;

/// Folder of the action tokenizer inside a policy.
pub(crate) const FAST_FOLDER: &str = "openfast";

/// Folder of the published action tokenizer, beside the checkpoints that use it.
pub(crate) const PUBLISHED_FAST: &str = "MolmoAct2-FAST-Tokenizer";

/// A policy's files by their names relative to its folder, such as `config.json` or
/// `openfast/tokenizer.json`.
#[derive(Debug)]
pub struct Files {
    storage: Storage,
    base: Option<Box<Files>>,
    /// `tokenizer.json` and `processor_config.json` of an action tokenizer that replaces the policy's own.
    tokenizer: Option<[Cow<'static, [u8]>; 2]>,
}

#[derive(Debug)]
enum Storage {
    Folder(PathBuf),
    Memory(BTreeMap<String, Cow<'static, [u8]>>),
}

impl Files {
    /// The files in a folder, without a base.
    ///
    /// # Errors
    /// [`LoadError::MissingFile`] if there is no such folder.
    pub(crate) fn in_folder(folder: &Path) -> Result<Self, LoadError> {
        if !folder.is_dir() {
            return Err(LoadError::MissingFile {
                name: folder.display().to_string(),
            });
        }
        Ok(Self {
            storage: Storage::Folder(folder.to_owned()),
            base: None,
            tokenizer: None,
        })
    }

    /// Files already in memory, for a policy embedded in a binary or fetched by a page.
    pub fn from_memory(files: impl IntoIterator<Item = (String, Cow<'static, [u8]>)>) -> Self {
        Self {
            storage: Storage::Memory(files.into_iter().collect()),
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
        match &self.storage {
            Storage::Folder(folder) => folder.file_name().map_or_else(
                || folder.display().to_string(),
                |name| name.to_string_lossy().into_owned(),
            ),
            Storage::Memory(_) => "memory".to_owned(),
        }
    }

    /// Bytes of the file `name`, which must exist.
    ///
    /// # Errors
    /// [`LoadError::MissingFile`] or [`LoadError::Read`].
    pub fn read(&self, name: &str) -> Result<Cow<'_, [u8]>, LoadError> {
        self.find(name)?.ok_or_else(|| LoadError::MissingFile {
            name: match &self.storage {
                Storage::Folder(folder) => folder.join(name).display().to_string(),
                Storage::Memory(_) => name.to_owned(),
            },
        })
    }

    /// Bytes of the file `name`, or `None` if there is no such file.
    ///
    /// # Errors
    /// [`LoadError::Read`] if it exists and cannot be read, or is a different kind of file than its name says.
    pub fn find(&self, name: &str) -> Result<Option<Cow<'_, [u8]>>, LoadError> {
        match &self.storage {
            Storage::Folder(folder) => Ok(layers::find_in(folder, name)?.map(Cow::Owned)),
            Storage::Memory(files) => match files.get(name) {
                None => Ok(None),
                Some(bytes) => match Foreign::of(bytes, bytes.len() as u64) {
                    None => Ok(Some(Cow::Borrowed(&**bytes))),
                    Some(foreign) => Err(ReadError::Foreign {
                        file: name.to_owned(),
                        foreign,
                    }
                    .into()),
                },
            },
        }
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
        let Some(published) = self.published_tokenizer() else {
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
    fn published_tokenizer(&self) -> Option<Self> {
        let Storage::Folder(folder) = &self.storage else {
            return None;
        };
        // Relative names such as `.` have no parent.
        let folder = folder.canonicalize().ok()?.parent()?.join(PUBLISHED_FAST);
        folder.is_dir().then_some(Self {
            storage: Storage::Folder(folder),
            base: None,
            tokenizer: None,
        })
    }

    /// The weights.
    ///
    /// # Errors
    /// [`LoadError::Checkpoint`].
    pub fn checkpoint(&self) -> Result<Checkpoint, LoadError> {
        Ok(match &self.storage {
            Storage::Folder(folder) => Checkpoint::open_dir(folder)?,
            // Borrowed bytes are shared, not copied; owned ones are copied once.
            Storage::Memory(files) => Checkpoint::from_memory(
                files
                    .iter()
                    // A LeRobot folder has statistics in safetensors files too.
                    .filter(|(name, _)| name.starts_with("model") && name.contains(".safetensors"))
                    .map(|(name, bytes)| (name.clone(), bytes.clone())),
            )?,
        })
    }
}
