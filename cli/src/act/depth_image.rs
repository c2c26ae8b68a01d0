//! `--depth-image`: the depth map as people see it.

use anyhow::Context as _;
use depth_decoder::{DepthDecoder, DepthImage};
use field_files::write_whole;
use molmoact2::DepthTrace;
use std::{
    io::{Cursor, Write as _},
    path::Path,
};

/// The policy's depth decoder.
pub(super) struct Painter(DepthDecoder);

impl Painter {
    pub(super) fn new(bytes: &[u8], device: &layers::Device) -> anyhow::Result<Self> {
        Ok(Self(DepthDecoder::from_bytes(bytes.to_vec(), device)?))
    }

    /// The picture of a square map; `None` for codes that make no square, which a policy may write freely.
    pub(super) fn draw(&self, depth: &DepthTrace) -> anyhow::Result<Option<DepthImage>> {
        let side = depth.codes.len().isqrt();
        if side == 0 || side * side != depth.codes.len() {
            return Ok(None);
        }
        Ok(Some(self.0.decode(&depth.codes, side, side)?))
    }
}

/// Writes a PNG.
pub(super) fn write(path: &Path, picture: Option<&DepthImage>) -> anyhow::Result<()> {
    let picture = picture.context(
        "--depth-image: the codes that the model wrote fill no square, so there is no picture of them",
    )?;
    let mut png = Cursor::new(Vec::new());
    image::write_buffer_with_format(
        &mut png,
        &picture.gray(),
        u32::try_from(picture.width)?,
        u32::try_from(picture.height)?,
        image::ExtendedColorType::L8,
        image::ImageFormat::Png,
    )?;
    write_whole(path, |file| file.write_all(png.get_ref()))
        .with_context(|| format!("cannot write {}", path.display()))
}
