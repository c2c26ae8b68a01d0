//! The pixels of a view, as the policy wants them.

use super::actor::ActorError;
use protocol::{View, ViewEncoding, robot::Observation};
use vision::RgbImage;

/// The view of a camera as RGB.
///
/// # Errors
/// [`ActorError`] naming the camera when it is missing, is a depth view, or does not decode.
pub(crate) fn image_of(observation: &Observation, camera: &str) -> Result<RgbImage, ActorError> {
    let view = observation
        .views
        .iter()
        .find(|view| view.name == camera)
        .ok_or_else(|| ActorError::new(format!("the observation has no view {camera:?}")))?;
    decode(view)
}

fn decode(view: &View) -> Result<RgbImage, ActorError> {
    match view.encoding {
        ViewEncoding::Rgb8 => rgb(view, view.data.clone()),
        ViewEncoding::Jpeg => {
            let decoded = image::load_from_memory_with_format(&view.data, image::ImageFormat::Jpeg)
                .map_err(|error| {
                    ActorError::new(format!("view {:?} is not a JPEG: {error}", view.name))
                })?
                .into_rgb8();
            let (width, height) = decoded.dimensions();
            if (width, height) != (view.width, view.height) {
                return Err(ActorError::new(format!(
                    "view {:?} is announced as {}x{}, its JPEG is {width}x{height}",
                    view.name, view.width, view.height
                )));
            }
            rgb(view, decoded.into_raw())
        }
        ViewEncoding::DepthMillimetresU16 | ViewEncoding::DepthGray8 => Err(ActorError::new(
            format!("view {:?} holds depth, the policy wants colour", view.name),
        )),
    }
}

fn rgb(view: &View, data: Vec<u8>) -> Result<RgbImage, ActorError> {
    RgbImage::new(view.width as usize, view.height as usize, data)
        .map_err(|error| ActorError::new(format!("view {:?}: {error}", view.name)))
}
