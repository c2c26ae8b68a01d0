//! `processor_config.json`: cropping of images and their tokens in the prompt.

use layers::ConfigError;
use serde::Deserialize;
use serde_json::{Value, json};
use vision::Tiling;

use crate::checkpoint::config::Config;
use crate::checkpoint::files::Files;
use crate::checkpoint::unknown_keys;
use crate::error::{LoadError, bad_json, bad_value, parse_json};

/// File name in a policy folder.
pub const FILE: &str = "processor_config.json";

/// File in which older writers put the section `image_processor` by itself.
pub const IMAGE_FILE: &str = "preprocessor_config.json";

/// PIL's number for bilinear interpolation.
const BILINEAR: u32 = 2;

/// Height and width of the resized image.
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
    #[serde(default = "eight")]
    max_crops: usize,
    #[serde(default = "four_each")]
    overlap_margins: [usize; 2],
    #[serde(default = "bilinear")]
    resample: u32,
}

/// Cropping of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crops {
    /// Resized as a whole (`crop_mode` "resize", used by robot policies).
    Whole,
    /// Resized as a whole, and cut into overlapping crops ("overlap-and-resize-c2").
    Tiled(Tiling),
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ProcessorConfig {
    /// The section `image_processor`.
    pub image_processor: ImageProcessor,
    #[serde(default = "yes")]
    image_use_col_tokens: bool,
    use_single_crop_col_tokens: Option<bool>,
    #[serde(default = "yes")]
    use_single_crop_start_token: bool,
    #[serde(default)]
    use_low_res_token_for_global_crops: bool,
    /// The chat template, if the writer put it here.
    #[serde(default)]
    pub(crate) chat_template: Option<String>,
}

fn eight() -> usize {
    8
}

fn four_each() -> [usize; 2] {
    [4, 4]
}

fn bilinear() -> u32 {
    BILINEAR
}

fn yes() -> bool {
    true
}

/// Keys at the top of the file that are read, all optional.
const KEYS: [&str; 6] = [
    "image_processor",
    "image_use_col_tokens",
    "use_single_crop_col_tokens",
    "use_single_crop_start_token",
    "use_low_res_token_for_global_crops",
    "chat_template",
];

/// Keys of `image_processor` that are read.
const IMAGE_KEYS: [&str; 9] = [
    "size",
    "patch_size",
    "pooling_size",
    "image_mean",
    "image_std",
    "crop_mode",
    "max_crops",
    "overlap_margins",
    "resample",
];

fn check_spelling(raw: &Value) -> Result<(), LoadError> {
    let image = raw.get("image_processor").and_then(Value::as_object);
    match (raw.as_object(), image) {
        (Some(top), Some(image)) => {
            unknown_keys::check(top, &KEYS, FILE, "")?;
            unknown_keys::check(image, &IMAGE_KEYS, FILE, "image_processor: ")
        }
        // Parsing reports the missing section.
        _ => Ok(()),
    }
}

impl ProcessorConfig {
    /// Reads the bytes of `processor_config.json` and checks them against `config`.
    ///
    /// # Errors
    /// [`ConfigError::Unsupported`] for another way of cropping or resampling, [`ConfigError::BadValue`] for sizes
    /// that contradict the network's.
    pub fn parse(bytes: &[u8], config: &Config) -> Result<Self, LoadError> {
        let read: Self = parse_json(FILE, bytes)?;
        read.check(config)?;
        Ok(read)
    }

    /// Like [`ProcessorConfig::parse`], from a folder that can have the section `image_processor` in a separate
    /// file, [`IMAGE_FILE`].
    ///
    /// # Errors
    /// As [`ProcessorConfig::parse`], and [`LoadError::MissingFile`] where both files are absent.
    pub fn read(files: &Files, config: &Config) -> Result<Self, LoadError> {
        let mut raw: Value = match files.find(FILE)? {
            Some(bytes) => parse_json(FILE, &bytes)?,
            None => json!({}),
        };
        // The other file may be anything where this one has what is needed.
        if let Some(keys) = raw.as_object_mut()
            && !keys.contains_key("image_processor")
        {
            match files.find(IMAGE_FILE)? {
                Some(alone) => {
                    let section = parse_json(IMAGE_FILE, &alone)?;
                    keys.insert("image_processor".to_owned(), section);
                }
                // The usual file is the one to be named.
                None if keys.is_empty() => {
                    files.read(FILE)?;
                }
                None => {}
            }
        }
        check_spelling(&raw)?;
        let read: Self =
            field_files::json::from_value(&raw).map_err(|error| bad_json(FILE, "", &error))?;
        read.check(config)?;
        Ok(read)
    }

    /// Cropping of an image.
    #[must_use]
    pub fn crops(&self) -> Crops {
        let image = &self.image_processor;
        match image.crop_mode.as_deref() {
            Some("resize") => Crops::Whole,
            _ => Crops::Tiled(Tiling {
                crop_size: image.size.height,
                patch_size: image.patch_size,
                max_crops: image.max_crops,
                overlap_margins: image.overlap_margins,
                pooling: image.pooling_size,
            }),
        }
    }

    /// True if each row of the tokens of overlapping crops ends with a column token.
    #[must_use]
    pub fn crop_column_tokens(&self) -> bool {
        self.image_use_col_tokens
    }

    /// True if the whole image before overlapping crops starts with `<low_res_im_start>`.
    #[must_use]
    pub fn low_res_start(&self) -> bool {
        self.use_single_crop_start_token
    }

    /// True if each row of the tokens of a whole image ends with a column token.
    #[must_use]
    pub fn column_tokens(&self) -> bool {
        self.use_single_crop_col_tokens
            .unwrap_or(self.image_use_col_tokens)
    }

    fn check(&self, config: &Config) -> Result<(), LoadError> {
        let image = &self.image_processor;
        let known = ["resize", "overlap-and-resize-c2", "overlap-and-resize"];
        if let Some(mode) = &image.crop_mode
            && !known.contains(&mode.as_str())
        {
            return Err(LoadError::Config(ConfigError::Unsupported {
                what: format!("image_processor.crop_mode = {mode:?}"),
                why: format!(
                    "the ways of cropping that are read are {}",
                    known.join(", ")
                ),
            }));
        }
        if self.use_low_res_token_for_global_crops {
            return Err(LoadError::Config(ConfigError::Unsupported {
                what: "use_low_res_token_for_global_crops = true".to_owned(),
                why: "only <im_patch> tokens take image features".to_owned(),
            }));
        }
        if let Crops::Tiled(tiling) = self.crops() {
            if image.size.height != image.size.width {
                return Err(bad_value(
                    FILE,
                    "image_processor.size",
                    "is not square, which overlapping crops must be",
                ));
            }
            tiling
                .check()
                .map_err(|error| bad_value(FILE, "image_processor", error.to_string()))?;
        }
        if image.resample != BILINEAR {
            return Err(LoadError::Config(ConfigError::Unsupported {
                what: format!("image_processor.resample = {}", image.resample),
                why: "only 2 (bilinear) is implemented".to_owned(),
            }));
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
        // A window larger than the image would pool positions outside of it.
        let side = height.max(width) / image.patch_size.max(1);
        let [down, across] = image.pooling_size;
        if !(1..=side).contains(&down) || !(1..=side).contains(&across) {
            return Err(bad_value(
                FILE,
                "image_processor.pooling_size",
                format!("is [{down}, {across}]; 1 to {side} patches make a window"),
            ));
        }
        Ok(())
    }
}
