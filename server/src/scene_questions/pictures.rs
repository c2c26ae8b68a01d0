//! The pictures that a question is about: which, how large, and their pixels when they are needed.

use crate::images::view_decoding::image_of;
use datasets::images::QUESTION_PIXELS;
use policies::policy::PolicyError;
use protocol::{View, ViewEncoding, robot::Observation};
use std::panic::{AssertUnwindSafe, catch_unwind};
use vision::RgbImage;

/// The views that a question is about, where the model can be shown them all.
pub(super) fn asked<'a>(
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
                "view {camera:?} holds depth, the model wants colour"
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
            "the pictures have {pixels} pixels together, at most {QUESTION_PIXELS} are shown to the model; name fewer cameras, \
             or let the robot send smaller pictures"
        )));
    }
    Ok(views)
}

/// Their pixels. Many times the size of what was sent, so only for the question whose turn it is.
pub(super) fn decoded(
    cameras: &[String],
    observation: &Observation,
) -> Result<Vec<RgbImage>, PolicyError> {
    catch_unwind(AssertUnwindSafe(|| {
        let images = cameras.iter();
        images.map(|camera| image_of(observation, camera)).collect()
    }))
    .unwrap_or_else(|_| Err(PolicyError::new("the studio crashed on these pictures")))
}
