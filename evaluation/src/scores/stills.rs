//! Images as a video: a folder's PNG and JPEG files in the order of counting, or those of a data set's column.

use super::{Keeper, Kept, MOST_FRAMES, ScoringError, order, still};
use datasets::lerobot::Still;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Kinds of other files that an error names.
const NAMED: usize = 3;

/// The images of a folder, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    path: PathBuf,
    stills: Vec<Still>,
    doubt: Option<String>,
}

impl Folder {
    /// Looks for images. Hidden files are none.
    ///
    /// # Errors
    /// [`ScoringError`] when it has none or cannot be read.
    pub fn open(path: &Path) -> Result<Self, ScoringError> {
        let mut files = images(path)?;
        let doubt = order::sort(&mut files);
        Ok(Self {
            path: path.to_owned(),
            stills: files.into_iter().map(Still::File).collect(),
            doubt,
        })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.stills.len()
    }

    /// What is doubtful about their order, in a sentence.
    #[must_use]
    pub fn doubt(&self) -> Option<&str> {
        self.doubt.as_deref()
    }

    /// Reads them. `tell` is told how many of how many have been read.
    ///
    /// # Errors
    /// [`ScoringError`] for an image that cannot be decoded or differs in size.
    pub fn read(
        &self,
        keeper: Keeper,
        tell: &mut dyn FnMut(usize, usize),
    ) -> Result<Kept, ScoringError> {
        read_all(&self.path, &self.stills, keeper, tell)
    }
}

/// Reads images that belong together; `whole` is what an error is about that is not of one of them.
///
/// # Errors
/// As [`Folder::read`].
pub fn read_all(
    whole: &Path,
    stills: &[Still],
    mut keeper: Keeper,
    tell: &mut dyn FnMut(usize, usize),
) -> Result<Kept, ScoringError> {
    if stills.is_empty() {
        return Err(ScoringError::NoFrames {
            path: whole.to_owned(),
        });
    }
    let mut size = None;
    let last = stills.len().saturating_sub(1);
    for (index, still) in stills.iter().enumerate() {
        // An image that cannot be shown is not decoded.
        if !keeper.wants(index, index == last) {
            keeper.pass();
            tell(index + 1, stills.len());
            continue;
        }
        let path = match still {
            Still::File(path) => path.clone(),
            Still::Bytes(_) => whole.join(format!("frame {index}")),
        };
        let frame = still::decode(&path, still)?;
        let own = (frame.width(), frame.height());
        let first = *size.get_or_insert(own);
        if own != first {
            return Err(bad(
                &path,
                format!(
                    "it has {}x{} pixels, the first image {}x{}; all frames of a video have one size",
                    own.0, own.1, first.0, first.1
                ),
            ));
        }
        keeper
            .take(frame)
            .map_err(|error| bad(&path, error.to_string()))?;
        tell(index + 1, stills.len());
    }
    keeper
        .finish()
        .map_err(|error| bad(whole, error.to_string()))
}

fn images(folder: &Path) -> Result<Vec<PathBuf>, ScoringError> {
    let io = |source| ScoringError::Io {
        path: folder.to_owned(),
        source,
    };
    let mut files = Vec::new();
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        // What a Mac, a file manager or a download keeps beside the data.
        if !field_files::folder::is_data(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let path = entry.path();
        let extension = path
            .extension()
            .map(|extension| extension.to_string_lossy().to_ascii_lowercase())
            .unwrap_or_default();
        if path.is_dir() {
            *others.entry("folders".to_owned()).or_default() += 1;
        } else if ["png", "jpg", "jpeg"].contains(&extension.as_str()) {
            files.push(path);
            if files.len() > MOST_FRAMES {
                return Err(ScoringError::TooManyFrames {
                    path: folder.to_owned(),
                });
            }
        } else {
            *others.entry(format!(".{extension} files")).or_default() += 1;
        }
    }
    if files.is_empty() {
        let words: Vec<String> = others
            .iter()
            .take(NAMED)
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        return Err(ScoringError::NoImages {
            path: folder.to_owned(),
            has: if words.is_empty() {
                "it is empty".to_owned()
            } else {
                format!("there are {}", words.join(", "))
            },
        });
    }
    Ok(files)
}

fn bad(path: &Path, reason: String) -> ScoringError {
    ScoringError::Misfit {
        path: path.to_owned(),
        reason,
    }
}
