//! A depth map as a message for the subscribers of a robot.

use crate::images::view_encoding::for_viewers;
use molmoact2::{DepthTrace, depth::THRESHOLD};
use protocol::{View, ViewEncoding, depth::DepthReasoning};
use vision::RgbImage;

/// Cells per row of a map that is not square, which only a freely generated map can be.
const FALLBACK_COLUMNS: usize = 10;

/// The depth map that a policy generated for the image of `camera`.
pub(super) fn reasoning(trace: DepthTrace, camera: String) -> DepthReasoning {
    let cells = trace.codes.len();
    let side = cells.isqrt();
    let columns = if side > 0 && side * side == cells {
        side
    } else {
        FALLBACK_COLUMNS
    };
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    DepthReasoning {
        frame: frame(&trace.cache.image, &camera),
        camera,
        codes: trace.codes,
        columns: count(columns),
        regenerated: trace.regenerated,
        similarity: trace.similarity.unwrap_or_default(),
        threshold: THRESHOLD,
        forwards: count(trace.forwards),
    }
}

/// The image that was compared, for display. `None` if it cannot be encoded; the codes do not need it.
fn frame(image: &RgbImage, camera: &str) -> Option<View> {
    let raw = View {
        name: camera.to_owned(),
        encoding: ViewEncoding::Rgb8,
        width: image.width().try_into().ok()?,
        height: image.height().try_into().ok()?,
        data: image.data().to_vec(),
    };
    match for_viewers(&raw) {
        Ok(view) => Some(view),
        Err(reason) => {
            tracing::debug!("the image of a depth map was left out: {reason}");
            None
        }
    }
}
