//! `video_preprocessor_config.json`, or the same keys under `video_processor` in `processor_config.json`, where
//! transformers 5 writes them; for single images `preprocessor_config.json` and `image_processor`.

use layers::{ConfigError, ModelFiles, parse_config};
use serde::Deserialize;
use serde_json::Value;

use crate::config::Config;
use crate::error::LoadError;
use crate::frame_size::PixelBudget;

/// File name in a model folder.
pub const FILE: &str = "video_preprocessor_config.json";
/// File name in a model folder that transformers 5 wrote.
pub const PROCESSOR_FILE: &str = "processor_config.json";
/// File name in a model folder, for single images.
pub const IMAGE_FILE: &str = "preprocessor_config.json";

/// Preprocessing of frames. The classes of the reference have defaults for all of it that no published checkpoint uses,
/// so the keys that matter must be there.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoConfig {
    /// Pixels of all frames together.
    pub budget: PixelBudget,
    /// Subtracted from each colour, in units of the full range.
    pub image_mean: [f32; 3],
    /// Divided by after that.
    pub image_std: [f32; 3],
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    size: Option<Size>,
    /// An older spelling of `size`.
    #[serde(default)]
    min_pixels: Option<usize>,
    #[serde(default)]
    max_pixels: Option<usize>,
    image_mean: [f32; 3],
    image_std: [f32; 3],
    #[serde(default)]
    patch_size: Option<usize>,
    #[serde(default)]
    temporal_patch_size: Option<usize>,
    #[serde(default)]
    merge_size: Option<usize>,
    #[serde(default)]
    do_resize: Option<bool>,
    #[serde(default)]
    do_rescale: Option<bool>,
    #[serde(default)]
    do_normalize: Option<bool>,
    #[serde(default)]
    rescale_factor: Option<f64>,
    #[serde(default)]
    resample: Option<u32>,
}

#[derive(Deserialize)]
struct Size {
    longest_edge: usize,
    shortest_edge: usize,
}

/// Pillow's number of the cubic filter.
const BICUBIC: u32 = 3;

impl VideoConfig {
    /// Reads it from a model's files and holds it against `config`.
    ///
    /// # Errors
    /// [`LoadError`], which names the file and the key.
    pub fn read(files: &ModelFiles, config: &Config) -> Result<Self, LoadError> {
        if let Some(bytes) = files.find(FILE)? {
            return Ok(Self::of(&parse_config(FILE, &bytes)?, FILE, "", config)?);
        }
        if let Some(bytes) = files.find(PROCESSOR_FILE)? {
            let raw: Value = parse_config(PROCESSOR_FILE, &bytes)?;
            if let Some(section) = raw.get("video_processor") {
                return Ok(Self::of(
                    section,
                    PROCESSOR_FILE,
                    "video_processor",
                    config,
                )?);
            }
        }
        // The usual file is the one to be named.
        files.read(FILE)?;
        Err(ConfigError::unsupported(format!("no {FILE}"), "it says how frames are resized").into())
    }

    /// Preprocessing of single images, where a model's files define it: a model that is only used for videos does without.
    ///
    /// # Errors
    /// As [`VideoConfig::read`].
    pub fn read_images(files: &ModelFiles, config: &Config) -> Result<Option<Self>, LoadError> {
        if let Some(bytes) = files.find(IMAGE_FILE)? {
            let images = Self::of(&parse_config(IMAGE_FILE, &bytes)?, IMAGE_FILE, "", config)?;
            return Ok(Some(images));
        }
        let Some(bytes) = files.find(PROCESSOR_FILE)? else {
            return Ok(None);
        };
        let raw: Value = parse_config(PROCESSOR_FILE, &bytes)?;
        let images = raw
            .get("image_processor")
            .map(|section| Self::of(section, PROCESSOR_FILE, "image_processor", config));
        Ok(images.transpose()?)
    }

    fn of(
        raw: &Value,
        file: &'static str,
        section: &str,
        config: &Config,
    ) -> Result<Self, ConfigError> {
        let place = if section.is_empty() {
            String::new()
        } else {
            format!("{section}.")
        };
        let raw: Raw = field_files::json::from_value(raw).map_err(|error| {
            let place = if section.is_empty() {
                String::new()
            } else {
                format!("{section}: ")
            };
            ConfigError::bad_json(file, &place, &error)
        })?;
        let key = |name: &str| format!("{place}{name}");
        let vision = &config.vision;
        for (name, value, other, wanted) in [
            (
                "patch_size",
                raw.patch_size,
                "patch_size",
                vision.patch_size,
            ),
            (
                "temporal_patch_size",
                raw.temporal_patch_size,
                "temporal_patch_size",
                vision.temporal_patch_size,
            ),
            (
                "merge_size",
                raw.merge_size,
                "spatial_merge_size",
                vision.spatial_merge_size,
            ),
        ] {
            if let Some(value) = value
                && value != wanted
            {
                return Err(ConfigError::bad_value(
                    file,
                    key(name),
                    format!("is {value}, but vision_config.{other} in config.json is {wanted}"),
                ));
            }
        }
        for (name, value) in [
            ("do_resize", raw.do_resize),
            ("do_rescale", raw.do_rescale),
            ("do_normalize", raw.do_normalize),
        ] {
            if value == Some(false) {
                return Err(ConfigError::unsupported(
                    format!("{} = false", key(name)),
                    "frames are resized and normalised",
                ));
            }
        }
        if let Some(filter) = raw.resample.filter(|filter| *filter != BICUBIC) {
            return Err(ConfigError::unsupported(
                format!("{} = {filter}", key("resample")),
                "frames are resized with the cubic filter (3)",
            ));
        }
        if let Some(factor) = raw.rescale_factor
            && (factor * 255.0 - 1.0).abs() > 1e-6
        {
            return Err(ConfigError::unsupported(
                format!("{} = {factor}", key("rescale_factor")),
                "bytes are divided by 255",
            ));
        }
        if !raw.image_mean.iter().all(|mean| mean.is_finite()) {
            return Err(ConfigError::bad_value(
                file,
                key("image_mean"),
                "holds no number",
            ));
        }
        if !raw
            .image_std
            .iter()
            .all(|std| std.is_finite() && *std > 0.0)
        {
            return Err(ConfigError::bad_value(
                file,
                key("image_std"),
                format!("is {:?}; numbers above 0 are needed", raw.image_std),
            ));
        }
        let budget = match (&raw.size, raw.min_pixels, raw.max_pixels) {
            (Some(size), _, _) => PixelBudget {
                least: size.shortest_edge,
                most: size.longest_edge,
            },
            (None, Some(least), Some(most)) => PixelBudget { least, most },
            (None, _, _) => {
                return Err(ConfigError::bad_value(
                    file,
                    key("size"),
                    "is missing; it bounds the pixels (longest_edge, shortest_edge)",
                ));
            }
        };
        if budget.least == 0 || budget.least > budget.most {
            return Err(ConfigError::bad_value(
                file,
                key("size"),
                format!("allows {} to {} pixels", budget.least, budget.most),
            ));
        }
        Ok(Self {
            budget,
            image_mean: raw.image_mean,
            image_std: raw.image_std,
        })
    }
}
