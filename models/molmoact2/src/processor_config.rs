//! `processor_config.json`: how frames are cut up and how they are written into the prompt.

use serde::Deserialize;

use crate::config::Config;
use crate::error::{LoadError, bad_value, parse_json};

/// File name in a policy folder.
pub const FILE: &str = "processor_config.json";

/// PIL's number for bilinear interpolation.
const BILINEAR: u32 = 2;

/// Height and width of the resized frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the keys of the file")]
pub struct Size {
    pub height: usize,
    pub width: usize,
}

/// The section `image_processor`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the keys of the file")]
pub struct ImageProcessor {
    pub size: Size,
    pub patch_size: usize,
    /// Patches pooled into one token, along the height and the width.
    pub pooling_size: [usize; 2],
    pub image_mean: [f32; 3],
    pub image_std: [f32; 3],
    crop_mode: Option<String>,
    #[serde(default = "bilinear")]
    resample: u32,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ProcessorConfig {
    /// The section `image_processor`.
    pub image_processor: ImageProcessor,
    #[serde(default = "yes")]
    image_use_col_tokens: bool,
    use_single_crop_col_tokens: Option<bool>,
}

fn bilinear() -> u32 {
    BILINEAR
}

fn yes() -> bool {
    true
}

impl ProcessorConfig {
    /// Reads the bytes of `processor_config.json` and holds them against `config`.
    ///
    /// # Errors
    /// [`LoadError::Unsupported`] for another way of cropping or resampling, [`LoadError::BadValue`] for sizes
    /// that contradict the network's.
    pub fn parse(bytes: &[u8], config: &Config) -> Result<Self, LoadError> {
        let read: Self = parse_json(FILE, bytes)?;
        read.check(config)?;
        Ok(read)
    }

    /// Whether each row of image tokens ends with a column token.
    #[must_use]
    pub fn column_tokens(&self) -> bool {
        self.use_single_crop_col_tokens
            .unwrap_or(self.image_use_col_tokens)
    }

    fn check(&self, config: &Config) -> Result<(), LoadError> {
        let image = &self.image_processor;
        if image.crop_mode.as_deref() != Some("resize") {
            return Err(LoadError::Unsupported {
                what: format!(
                    "image_processor.crop_mode = {:?}",
                    image
                        .crop_mode
                        .as_deref()
                        .unwrap_or("overlap-and-resize-c2")
                ),
                why: "robot policies use \"resize\"; several crops per frame are not read"
                    .to_owned(),
            });
        }
        if image.resample != BILINEAR {
            return Err(LoadError::Unsupported {
                what: format!("image_processor.resample = {}", image.resample),
                why: "only 2 (bilinear) is implemented".to_owned(),
            });
        }
        let Size { height, width } = image.size;
        let wanted = config.vit.image_default_input_size;
        if [height, width] != wanted {
            return Err(bad_value(
                FILE,
                "image_processor.size",
                format!(
                    "is {height}x{width} but the vision tower takes {wanted:?} (height, width)"
                ),
            ));
        }
        if image.patch_size != config.vit.image_patch_size {
            return Err(bad_value(
                FILE,
                "image_processor.patch_size",
                format!(
                    "is {} but the vision tower takes {}",
                    image.patch_size, config.vit.image_patch_size
                ),
            ));
        }
        if image.pooling_size.contains(&0) {
            return Err(bad_value(
                FILE,
                "image_processor.pooling_size",
                "contains 0",
            ));
        }
        Ok(())
    }
}
