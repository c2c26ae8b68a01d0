//! Cameras of a data set.

use super::{DataSet, DataSetError};

impl DataSet {
    /// Names of the features that are videos or images, and `true` for a video.
    #[must_use]
    pub fn cameras(&self) -> Vec<(&str, bool)> {
        self.info()
            .features
            .iter()
            .filter_map(|(name, feature)| match feature.dtype.as_str() {
                "video" => Some((name.as_str(), true)),
                "image" => Some((name.as_str(), false)),
                _ => None,
            })
            .collect()
    }

    /// Cameras that can be chosen without naming them: no depth cameras, and single-channel cameras only where there
    /// are no others.
    #[must_use]
    pub fn colour_cameras(&self) -> Vec<(&str, bool)> {
        let feature = |name: &str| self.info().features.get(name);
        let mut cameras = self.cameras();
        cameras.retain(|(name, _)| feature(name).is_some_and(|about| !about.is_depth()));
        let in_colour: Vec<(&str, bool)> = cameras
            .iter()
            .copied()
            .filter(|(name, _)| feature(name).is_some_and(|about| about.channels() != Some(1)))
            .collect();
        if in_colour.is_empty() {
            cameras
        } else {
            in_colour
        }
    }

    /// Full name of the camera called `name` (with or without `observation.images.`), or of the only camera.
    ///
    /// # Errors
    /// [`DataSetError::NoCameras`]; [`DataSetError::Camera`] for an unknown name, for a missing name where there are
    /// several cameras, and for a depth camera.
    pub fn camera(&self, name: Option<&str>) -> Result<String, DataSetError> {
        let cameras = self.cameras();
        if cameras.is_empty() {
            return Err(DataSetError::NoCameras(self.root().to_owned()));
        }
        let is_depth = |name: &str| {
            let feature = self.info().features.get(name);
            feature.is_some_and(super::Feature::is_depth)
        };
        let refused = |problem: String| DataSetError::Camera {
            problem,
            there: cameras
                .iter()
                .map(|(name, _)| {
                    let depth = if is_depth(name) { " (depth)" } else { "" };
                    format!("{name}{depth}")
                })
                .collect(),
        };
        let Some(name) = name else {
            return match self.colour_cameras().as_slice() {
                [(only, _)] => Ok((*only).to_owned()),
                [] => Err(refused("all its cameras are depth cameras".to_owned())),
                _ => Err(refused(
                    "there are several cameras, and one must be named with --camera".to_owned(),
                )),
            };
        };
        let short = format!("observation.images.{name}");
        let found = cameras
            .iter()
            .find(|(known, _)| *known == name || *known == short)
            .ok_or_else(|| refused(format!("there is no camera {name:?}")))?;
        if is_depth(found.0) {
            return Err(refused(format!(
                "{name:?} is a depth camera: its images are distances, and a model trained on color images cannot read \
                 them"
            )));
        }
        Ok(found.0.to_owned())
    }
}
