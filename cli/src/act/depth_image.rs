//! `--depth-image`: the depth map as an image.

use anyhow::Context as _;
use depth_decoder::{DepthDecoder, DepthImage};
use field_files::write_whole;
use molmoact2::DepthTrace;
use std::{
    io::{Cursor, Write as _},
    path::Path,
};

/// Renderer of depth maps with the policy's depth decoder.
pub(super) struct DepthRenderer(DepthDecoder);

impl DepthRenderer {
    pub(super) fn new(bytes: &[u8], device: &layers::Device) -> anyhow::Result<Self> {
        Ok(Self(DepthDecoder::from_bytes(bytes.to_vec(), device)?))
    }

    /// The image of a square map; `None` if the number of codes is not a square, which free generation may give.
    pub(super) fn render(&self, depth: &DepthTrace) -> anyhow::Result<Option<DepthImage>> {
        let side = depth.codes.len().isqrt();
        if side == 0 || side * side != depth.codes.len() {
            return Ok(None);
        }
        Ok(Some(self.0.decode(&depth.codes, side, side)?))
    }
}

/// Writes a PNG.
pub(super) fn write(path: &Path, depth_image: Option<&DepthImage>) -> anyhow::Result<()> {
    let depth_image = depth_image.context(
        "--depth-image: the number of generated codes is not a square, so there is no image of them",
    )?;
    let mut png = Cursor::new(Vec::new());
    image::write_buffer_with_format(
        &mut png,
        &depth_image.gray(),
        u32::try_from(depth_image.width)?,
        u32::try_from(depth_image.height)?,
        image::ExtendedColorType::L8,
        image::ImageFormat::Png,
    )?;
    write_whole(path, |file| file.write_all(png.get_ref()))
        .with_context(|| format!("cannot write {}", path.display()))
}
