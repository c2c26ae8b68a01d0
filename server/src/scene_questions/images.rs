//! Images of a question: selection, size check and decoding.

use crate::images::view_decoding::image_of;
use datasets::images::QUESTION_PIXELS;
use policies::policy::PolicyError;
use protocol::{View, ViewEncoding, robot::Observation};
use std::panic::{AssertUnwindSafe, catch_unwind};
use vision::RgbImage;

/// Selects the views of a question and checks that they fit the model.
pub(super) fn selected<'a>(
    cameras: &[String],
    observation: &'a Observation,
) -> Result<Vec<&'a View>, PolicyError> {
    let mut views = Vec::with_capacity(cameras.len());
    for camera in cameras {
        let view = observation.views.iter().find(|view| view.name == *camera);
        let view = view
            .ok_or_else(|| PolicyError::new(format!("the observation has no view {camera:?}")))?;
        if !matches!(view.encoding, ViewEncoding::Rgb8 | ViewEncoding::Jpeg) {
            return Err(PolicyError::new(format!(
                "view {camera:?} holds depth, the model takes colour images"
            )));
        }
        views.push(view);
    }
    let pixels: u64 = views
        .iter()
        .map(|view| u64::from(view.width) * u64::from(view.height))
        .sum();
    if pixels > QUESTION_PIXELS {
        return Err(PolicyError::new(format!(
            "the images have {pixels} pixels together, the model takes at most {QUESTION_PIXELS}; select fewer cameras, \
             or let the robot send smaller images"
        )));
    }
    Ok(views)
}

/// Decodes the images. They are many times the size of the sent ones, so only the active question is decoded.
pub(super) fn decoded(
    cameras: &[String],
    observation: &Observation,
) -> Result<Vec<RgbImage>, PolicyError> {
    catch_unwind(AssertUnwindSafe(|| {
        let images = cameras.iter();
        images.map(|camera| image_of(observation, camera)).collect()
    }))
    .unwrap_or_else(|_| {
        Err(PolicyError::new(
            "the studio crashed while decoding these images",
        ))
    })
}
