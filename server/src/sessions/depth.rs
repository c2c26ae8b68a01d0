//! A depth map as viewers of a robot are told.

use crate::images::view_encoding::for_viewers;
use molmoact2::{DepthTrace, depth::THRESHOLD};
use protocol::{View, ViewEncoding, depth::DepthReasoning};
use vision::RgbImage;

/// Cells per row of a map that is no square, which only happens when the policy wrote it freely.
const COLUMNS_OTHERWISE: usize = 10;

/// The map that a policy wrote about what `camera` saw.
pub(super) fn reasoning(trace: DepthTrace, camera: String) -> DepthReasoning {
    let cells = trace.codes.len();
    let side = cells.isqrt();
    let columns = if side > 0 && side * side == cells {
        side
    } else {
        COLUMNS_OTHERWISE
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

/// The picture that was compared. Without it the codes still tell what they tell.
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
        Err(words) => {
            tracing::debug!("the picture of a depth map: {words}");
            None
        }
    }
}
