//! `meta/info.json`, parsed leniently: entries that are not used may be missing or malformed.

use serde_json::Value;
use std::collections::BTreeMap;

/// Description of a data set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Info {
    /// The layout: `v2.1`, `v3.0`.
    pub codebase_version: String,
    /// Frames per second.
    pub fps: Option<f64>,
    /// Announced number of episodes.
    pub total_episodes: Option<usize>,
    /// Announced number of frames.
    pub total_frames: Option<usize>,
    /// Episodes per folder, in the layouts that have a file per episode.
    pub chunks_size: Option<usize>,
    /// Path template of the files with the rows.
    pub data_path: Option<String>,
    /// Path template of the videos.
    pub video_path: Option<String>,
    /// Columns by name.
    pub features: BTreeMap<String, Feature>,
}

/// Description of a column.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Feature {
    /// Type of its values; empty if absent.
    pub dtype: String,
    /// Lengths of its axes; empty if absent.
    pub shape: Vec<usize>,
    /// Names of its dimensions, as found.
    pub names: Value,
    /// Further properties (`info` or `video_info`), such as the video codec.
    pub about: Value,
}

impl Info {
    pub(super) fn parse(value: &Value) -> Self {
        let text = |key: &str| Some(value.get(key)?.as_str()?.to_owned());
        let version = match value.get("codebase_version") {
            Some(Value::String(version)) => version.trim().to_owned(),
            Some(Value::Number(version)) => version.to_string(),
            _ => String::new(),
        };
        let features = value.get("features").and_then(Value::as_object);
        Self {
            codebase_version: match version.strip_prefix(['v', 'V']) {
                Some(number) => format!("v{number}"),
                None if version.is_empty() => version,
                None => format!("v{version}"),
            },
            fps: value.get("fps").and_then(number),
            total_episodes: value.get("total_episodes").and_then(count),
            total_frames: value.get("total_frames").and_then(count),
            chunks_size: value.get("chunks_size").and_then(count),
            data_path: text("data_path"),
            video_path: text("video_path"),
            features: features
                .into_iter()
                .flatten()
                .map(|(name, feature)| (name.clone(), Feature::parse(feature)))
                .collect(),
        }
    }

    /// True if several episodes share a file.
    pub(super) fn shares_files(&self) -> bool {
        self.codebase_version == "v3.0"
    }
}

impl Feature {
    fn parse(value: &Value) -> Self {
        let part = |key: &str| value.get(key).cloned().unwrap_or_default();
        let dtype = value.get("dtype").and_then(Value::as_str);
        let shape = value.get("shape").and_then(Value::as_array);
        Self {
            dtype: dtype.unwrap_or_default().to_owned(),
            shape: shape.into_iter().flatten().filter_map(count).collect(),
            names: part("names"),
            about: match part("info") {
                Value::Null => part("video_info"),
                about => about,
            },
        }
    }

    /// Names of the dimensions, if they are a list. Some data sets wrap the list in an object with one key.
    #[must_use]
    pub fn dim_names(&self) -> Option<Vec<String>> {
        let list = match &self.names {
            Value::Array(list) => list,
            Value::Object(map) => match map.values().next() {
                Some(Value::Array(list)) if map.len() == 1 => list,
                _ => return None,
            },
            _ => return None,
        };
        list.iter()
            .map(|name| name.as_str().map(str::to_owned))
            .collect()
    }

    /// True if its images are depth maps.
    #[must_use]
    pub fn is_depth(&self) -> bool {
        let says = |key: &str| self.about.get(key).and_then(Value::as_bool) == Some(true);
        let pixels = self.about.get("video.pix_fmt").and_then(Value::as_str);
        let is_deep = |format: &str| {
            let bits = format.strip_prefix("gray");
            bits.is_some_and(|bits| bits.starts_with(|first: char| first.is_ascii_digit()))
                && !format.starts_with("gray8")
        };
        says("is_depth_map")
            || says("video.is_depth_map")
            || (self.channels() == Some(1) && pixels.is_some_and(is_deep))
    }

    /// Number of color channels of its images, if its shape or its names define it.
    pub(super) fn channels(&self) -> Option<usize> {
        let [first, _, last] = *self.shape.as_slice() else {
            // Two axes are an image with a single channel.
            return (self.shape.len() == 2).then_some(1);
        };
        let named = self.dim_names().and_then(|names| {
            let channel = |name: &String| name.to_ascii_lowercase().starts_with("channel");
            names.iter().position(channel)
        });
        match named {
            Some(axis) => self.shape.get(axis).copied(),
            None if last <= 4 => Some(last),
            None => Some(first),
        }
    }
}

/// A number, also written as a string.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A non-negative integer, also written as `3.0` or as a string.
fn count(value: &Value) -> Option<usize> {
    let number = number(value)?;
    (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as usize)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use serde_json::json;

    #[test]
    fn unused_entries_may_be_malformed() {
        let info = Info::parse(&json!({
            "codebase_version": "3.0", "fps": "30", "total_episodes": 2.0, "total_frames": null, "splits": 7,
            "features": {"action": {"dtype": "float32", "shape": [6]}, "odd": null, "odder": {"dtype": 3, "shape": "?"}},
        }));
        assert_eq!(
            (info.codebase_version.as_str(), info.fps),
            ("v3.0", Some(30.0))
        );
        assert_eq!((info.total_episodes, info.total_frames), (Some(2), None));
        assert_eq!(info.features["action"].shape, [6]);
        assert_eq!(info.features["odd"], Feature::default());
        assert!(info.features["odder"].shape.is_empty());
    }

    #[test]
    fn depth_is_recognized_by_its_flag_or_its_pixel_format() {
        let of = |value| Feature::parse(&value);
        let depth = [
            json!({"shape": [9, 9, 3], "info": {"is_depth_map": true}}),
            json!({"shape": [9, 9, 1], "video_info": {"video.is_depth_map": true}}),
            json!({"shape": [1, 9, 9], "names": ["channels", "height", "width"], "info": {"video.pix_fmt": "gray16le"}}),
        ];
        for feature in depth {
            assert!(of(feature.clone()).is_depth(), "{feature}");
        }
        for feature in [
            json!({"shape": [9, 9, 3], "info": {"video.pix_fmt": "yuv420p", "is_depth_map": false}}),
            json!({"shape": [9, 9, 1], "info": {"video.pix_fmt": "gray"}}),
            json!({"shape": [9, 9, 1]}),
        ] {
            assert!(!of(feature.clone()).is_depth(), "{feature}");
        }
        assert_eq!(of(json!({"shape": [9, 9, 1]})).channels(), Some(1));
        assert_eq!(of(json!({"shape": [3, 96, 96]})).channels(), Some(3));
    }
}
