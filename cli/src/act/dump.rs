//! `--dump`: the tensors of a result as one safetensors file, for comparison with another implementation.

use anyhow::Context as _;
use depth_decoder::DepthImage;
use field_files::write_whole;
use molmoact2::Action;
use safetensors::{Dtype, tensor::TensorView};
use std::{io::Write as _, path::Path};

/// A tensor's name, type, shape and bytes.
type Entry = (&'static str, Dtype, Vec<usize>, Vec<u8>);

/// Writes those of these tensors that apply:
///
/// | name | type | shape | |
/// |---|---|---|---|
/// | `input_ids` | i64 | tokens | the prompt |
/// | `logits` | f32 | vocabulary | scores at the last token of the prompt |
/// | `velocity` | f32 | steps, horizon, dims | continuous mode: the velocity of each step |
/// | `chunk_normalised` | f32 | horizon, dims | before clipping |
/// | `actions` | f32 | rows, dims | robot units |
/// | `generated_ids` | i64 | tokens | discrete mode, or with depth: the tokens after the prompt |
/// | `depth_codes` | i64 | cells | with depth: the code of every cell |
/// | `depth_regenerated` | bool | cells | with depth: true if the cell was generated |
/// | `depth_similarity` | f32 | cells | with depth and an earlier frame: the similarity that decided it |
/// | `depth_picture` | f32 | height, width | with depth and a decoder: the rendered codes, larger values nearer to the camera |
/// | `depth_gates` | f32 | layers or 1 | with depth and a gate |
pub(super) fn write(
    path: &Path,
    action: &Action,
    depth_image: Option<&DepthImage>,
) -> anyhow::Result<()> {
    let mut entries = entries(action);
    if let Some(image) = depth_image {
        let shape = vec![image.height, image.width];
        entries.push(floats("depth_picture", shape, &image.values));
    }
    let views = entries
        .iter()
        .map(|(name, dtype, shape, bytes)| {
            Ok((*name, TensorView::new(*dtype, shape.clone(), bytes)?))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let bytes = safetensors::serialize(views, None)?;
    write_whole(path, |file| file.write_all(&bytes))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn entries(action: &Action) -> Vec<Entry> {
    let (horizon, dims) = (action.horizon, action.dims);
    let mut entries = vec![
        ids("input_ids", &action.prompt_ids),
        floats(
            "chunk_normalised",
            vec![horizon, dims],
            &action.chunk_normalized,
        ),
        floats("actions", vec![action.rows, dims], &action.actions),
    ];
    if let Some(logits) = &action.prompt_logits {
        entries.push(floats("logits", vec![logits.len()], logits));
    }
    if let Some(velocities) = &action.velocities {
        let shape = vec![velocities.len(), horizon, dims];
        entries.push(floats("velocity", shape, &velocities.concat()));
    }
    if !action.generated_ids.is_empty() {
        entries.push(ids("generated_ids", &action.generated_ids));
    }
    if let Some(depth) = &action.depth {
        entries.push(ids("depth_codes", &depth.codes));
        let regenerated: Vec<u8> = depth.regenerated.iter().copied().map(u8::from).collect();
        entries.push((
            "depth_regenerated",
            Dtype::BOOL,
            vec![regenerated.len()],
            regenerated,
        ));
        if let Some(similarity) = &depth.similarity {
            entries.push(floats(
                "depth_similarity",
                vec![similarity.len()],
                similarity,
            ));
        }
        if let Some(gates) = &depth.gates {
            entries.push(floats("depth_gates", vec![gates.len()], gates));
        }
    }
    entries
}

fn floats(name: &'static str, shape: Vec<usize>, values: &[f32]) -> Entry {
    let bytes = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    (name, Dtype::F32, shape, bytes)
}

fn ids(name: &'static str, ids: &[u32]) -> Entry {
    let bytes = ids
        .iter()
        .flat_map(|&id| i64::from(id).to_le_bytes())
        .collect();
    (name, Dtype::I64, vec![ids.len()], bytes)
}
