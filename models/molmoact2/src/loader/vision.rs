//! The vision tower's tensors.

use layers::{CheckpointError, Weights};

use crate::checkpoint::config::{AdapterConfig, VitConfig};
use crate::error::LoadError;
use crate::network::positions;
use crate::network::vit::{Vit, VitBlock};

use super::{score_scale, unsupported};

const VIT: &str = "model.vision_backbone.image_vit";

/// Blocks of the vision tower whose outputs are used, counted from the front.
pub(super) fn taps(adapter: &AdapterConfig, vit: &VitConfig) -> Result<Vec<usize>, LoadError> {
    let blocks = vit.num_hidden_layers;
    adapter
        .vit_layers
        .iter()
        .map(|&layer| {
            let from_front = if layer < 0 {
                layer + blocks as i64
            } else {
                layer
            };
            usize::try_from(from_front)
                .ok()
                .filter(|&index| index < blocks)
                .ok_or_else(|| {
                    unsupported(
                        format!("adapter_config.vit_layers contains {layer}"),
                        format!("the vision tower has {blocks} blocks"),
                    )
                })
        })
        .collect()
}

pub(super) fn load_vit(
    weights: &Weights,
    vit: &VitConfig,
    taps: Vec<usize>,
) -> Result<Vit, LoadError> {
    let [height, width] = vit.image_default_input_size;
    let patch = vit.image_patch_size.max(1);
    let (rows, columns) = (height / patch, width / patch);
    let hidden = vit.hidden_size;
    let stored = weights.values(
        &format!("{VIT}.positional_embedding"),
        &[vit.image_num_pos, hidden],
    )?;
    let side = vit.image_num_pos.isqrt();
    if side * side != vit.image_num_pos || rows * columns == 0 {
        return Err(unsupported(
            format!(
                "a {rows}x{columns} grid of patches over {} positions",
                vit.image_num_pos
            ),
            "the grid must hold a patch, and the positions must make a square",
        ));
    }
    let position = positions::resize(&stored, side, hidden, rows, columns);
    let (heads, kv_heads, head_dim) = (
        vit.num_attention_heads,
        vit.num_key_value_heads,
        vit.head_dim,
    );
    let needed = taps.iter().max().map_or(0, |last| last + 1);
    let blocks = (0..needed)
        .map(|index| {
            let block = format!("{VIT}.transformer.resblocks.{index}");
            let attention = |name: &str| format!("{block}.attention.{name}");
            let (q, k, v) = (attention("wq"), attention("wk"), attention("wv"));
            Ok(VitBlock {
                attention_norm: weights.layer_norm(
                    &format!("{block}.attention_norm"),
                    hidden,
                    vit.layer_norm_eps,
                )?,
                qkv: weights.fused_linear(
                    &[
                        (&q, heads * head_dim, score_scale(head_dim)),
                        (&k, kv_heads * head_dim, 1.0),
                        (&v, kv_heads * head_dim, 1.0),
                    ],
                    hidden,
                    true,
                )?,
                out: weights.linear(&attention("wo"), heads * head_dim, hidden, true)?,
                ffn_norm: weights.layer_norm(
                    &format!("{block}.ffn_norm"),
                    hidden,
                    vit.layer_norm_eps,
                )?,
                w1: weights.linear(
                    &format!("{block}.feed_forward.w1"),
                    hidden,
                    vit.intermediate_size,
                    true,
                )?,
                w2: weights.linear(
                    &format!("{block}.feed_forward.w2"),
                    vit.intermediate_size,
                    hidden,
                    true,
                )?,
                heads,
                kv_heads,
                head_dim,
            })
        })
        .collect::<Result<_, CheckpointError>>()?;
    Ok(Vit {
        patch_embedding: weights.linear(
            &format!("{VIT}.patch_embedding"),
            patch * patch * 3,
            hidden,
            true,
        )?,
        position: weights.upload(position, [1, rows * columns, hidden]),
        blocks,
        taps,
    })
}
