//! Which cameras a data set has.

use super::{DataSet, DataSetError};

impl DataSet {
    /// Names of the features that are videos or images, with whether they are videos.
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

    /// Cameras that a picture can be asked of without naming them: not those of depth, and of one colour only where
    /// there are no others.
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

    /// The camera of this name, or the only one.
    ///
    /// # Errors
    /// [`DataSetError::NoCameras`], and [`DataSetError::Camera`] for a name that is not there or is needed, and for a
    /// camera of depth.
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
                [] => Err(refused("there is no camera but those of depth".to_owned())),
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
                "{name:?} is a depth camera: its pictures are distances, which a model of pictures in colour was never \
                 shown"
            )));
        }
        Ok(found.0.to_owned())
    }
}
