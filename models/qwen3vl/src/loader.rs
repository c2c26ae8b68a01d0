//! Mapping of checkpoint names to modules. Tensor names appear in this file only.
//!
//! # Names
//! | part | names |
//! |---|---|
//! | vision tower | `model.visual.*` |
//! | language model | `model.language_model.*` |
//! | output head | `lm_head.weight`, where it is not the embeddings |
//!
//! Linear weights are stored `[outputs, inputs]` and transposed here once. Projections that read the same input are
//! joined, and the factor of the attention scores is folded into the norm of the queries.
//!
//! Scores are differences of small log-probabilities, so whatever precision is requested, the vision tower, the
//! embeddings and the output head keep at least sixteen bits; see [`WeightsByUse`].

use burn_tensor::Device;
use layers::{
    Checkpoint, CheckpointError, GateHalf, GatedMlp, HeadNorm, Linear, Precision, Progress,
    QkvHeads, Vocabulary, Weights,
};

use crate::config::{Config, TextConfig, VisionConfig};
use crate::error::LoadError;
use crate::model::LoadOptions;
use crate::network::Network;
use crate::position_table::PositionTable;
use crate::positions::TextRotation;
use crate::text_model::{TextAttention, TextBlock, TextModel};
use crate::vision_tower::{Merger, VisionBlock, VisionTower};

const VISION: &str = "model.visual";
const TEXT: &str = "model.language_model";
const HEAD: &str = "lm_head.weight";
const EMBEDDING: &str = "model.language_model.embed_tokens.weight";
/// Of every layer norm in the vision tower.
const EPS: f64 = 1e-6;

/// Size of a storage buffer that every browser guarantees (bytes).
const SHARD_BYTES: u64 = 128 << 20;
/// Tokens or patches that the CPU takes through the network at a time: enough for its products to be quick, few enough for
/// their scores of attention to stay near the core.
const ROWS_ON_CPU: usize = 256;

/// True if a tensor is a table of the vocabulary, which devices keep in shards.
pub(crate) fn is_vocabulary(name: &str) -> bool {
    [EMBEDDING, HEAD].contains(&name)
}

/// Refuses weights of another model, by the one tensor that every configuration has.
///
/// # Errors
/// [`CheckpointError::Missing`] for a checkpoint without it. Everything else is found out when it is loaded.
pub(crate) fn check_embedding(
    checkpoint: &Checkpoint,
    config: &Config,
) -> Result<(), CheckpointError> {
    let expected = [config.text.vocab_size, config.text.hidden_size];
    if checkpoint.shape(EMBEDDING) == Some(&expected) {
        return Ok(());
    }
    Err(CheckpointError::Missing {
        name: EMBEDDING.to_owned(),
        place: checkpoint.place().to_owned(),
        expected: expected.to_vec(),
    })
}

impl Network {
    /// Reads every tensor of `checkpoint` onto `device`.
    ///
    /// # Errors
    /// [`LoadError::Checkpoint`] for tensors that are missing, of the wrong shape or left over, and for a precision
    /// that the device cannot compute in.
    pub fn load(
        checkpoint: &Checkpoint,
        config: &Config,
        device: &Device,
        options: &LoadOptions<'_>,
    ) -> Result<Self, LoadError> {
        let weights = WeightsByUse::new(checkpoint, device, options.precision, options.progress)?;
        let (most_bytes, rows_together) = if *device == layers::device::cpu() {
            (u64::MAX, ROWS_ON_CPU)
        } else {
            (SHARD_BYTES, usize::MAX)
        };
        let shard_bytes = options.shard_bytes.unwrap_or(most_bytes);
        let network = Self {
            vision: load_vision(&weights, &config.vision)?,
            text: load_text(&weights, config, shard_bytes)?,
            config: config.clone(),
            device: device.clone(),
            weight_bytes: weights.main.kept(),
            scores: options.scores.max(1),
            rows_together,
        };
        let tied = config.tie_word_embeddings;
        // Some files hold a tied head a second time, and frequencies, which are computed.
        weights
            .main
            .finish(|name| (tied && name == HEAD) || name.ends_with("rotary_emb.inv_freq"))?;
        Ok(network)
    }
}

/// Readers of one checkpoint, by the precision of the parts.
struct WeightsByUse<'a> {
    /// The requested precision: the language model's layers.
    main: Weights<'a>,
    /// At least sixteen bits: the vision tower, embeddings and output head.
    delicate: Weights<'a>,
}

impl<'a> WeightsByUse<'a> {
    fn new(
        checkpoint: &'a Checkpoint,
        device: &'a Device,
        precision: Precision,
        progress: Option<Progress<'a>>,
    ) -> Result<Self, CheckpointError> {
        let weights = Weights::with_progress(checkpoint, "", device, progress);
        let delicate = match precision {
            Precision::Int8 | Precision::Int4 => Precision::F16,
            other => other,
        };
        Ok(Self {
            main: weights.in_precision(precision)?,
            delicate: weights.in_precision(delicate)?,
        })
    }
}

fn load_vision(
    weights: &WeightsByUse,
    vision: &VisionConfig,
) -> Result<VisionTower, CheckpointError> {
    let weights = &weights.delicate;
    let hidden = vision.hidden_size;
    let blocks = (0..vision.depth)
        .map(|index| {
            let name = |part: &str| format!("{VISION}.blocks.{index}.{part}");
            let inner = vision.intermediate_size;
            Ok(VisionBlock {
                norm1: weights.layer_norm(&name("norm1"), hidden, EPS)?,
                qkv: weights.linear(&name("attn.qkv"), hidden, 3 * hidden, true)?,
                proj: weights.linear(&name("attn.proj"), hidden, hidden, true)?,
                norm2: weights.layer_norm(&name("norm2"), hidden, EPS)?,
                fc1: weights.linear(&name("mlp.linear_fc1"), hidden, inner, true)?,
                fc2: weights.linear(&name("mlp.linear_fc2"), inner, hidden, true)?,
                layout: QkvHeads {
                    heads: vision.num_heads,
                    kv_heads: vision.num_heads,
                    head_dim: vision.head_dim(),
                },
            })
        })
        .collect::<Result<_, CheckpointError>>()?;
    let deepstack = vision
        .deepstack_visual_indexes
        .iter()
        .enumerate()
        .map(|(place, &after)| {
            let name = format!("{VISION}.deepstack_merger_list.{place}");
            Ok((after, load_merger(weights, vision, &name, true)?))
        })
        .collect::<Result<_, CheckpointError>>()?;
    let side = vision.num_position_embeddings.isqrt();
    Ok(VisionTower {
        config: vision.clone(),
        patch_embed: load_patch_embed(weights, vision)?,
        positions: PositionTable::new(
            weights.values(
                &format!("{VISION}.pos_embed.weight"),
                &[side * side, hidden],
            )?,
            side,
            hidden,
        ),
        blocks,
        merger: load_merger(weights, vision, &format!("{VISION}.merger"), false)?,
        deepstack,
        device: weights.device().clone(),
    })
}

/// A convolution whose windows do not overlap is a linear map of each window. It is stored with the window's axes and
/// stays in `f32`: it is small, and everything goes through it.
fn load_patch_embed(weights: &Weights, vision: &VisionConfig) -> Result<Linear, CheckpointError> {
    let name = format!("{VISION}.patch_embed.proj");
    let hidden = vision.hidden_size;
    let window = [
        hidden,
        vision.in_channels,
        vision.temporal_patch_size,
        vision.patch_size,
        vision.patch_size,
    ];
    let weight = weights.values(&format!("{name}.weight"), &window)?;
    let bias = weights.values(&format!("{name}.bias"), &[hidden])?;
    Ok(Linear::new(
        weights
            .upload(weight, [hidden, vision.patch_len()])
            .transpose(),
        Some(weights.upload(bias, [1, hidden])),
    ))
}

fn load_merger(
    weights: &Weights,
    vision: &VisionConfig,
    name: &str,
    norm_after: bool,
) -> Result<Merger, CheckpointError> {
    let together = vision.hidden_size * vision.merged();
    let normed = if norm_after {
        together
    } else {
        vision.hidden_size
    };
    Ok(Merger {
        norm: weights.layer_norm(&format!("{name}.norm"), normed, EPS)?,
        norm_after,
        fc1: weights.linear(&format!("{name}.linear_fc1"), together, together, true)?,
        fc2: weights.linear(
            &format!("{name}.linear_fc2"),
            together,
            vision.out_hidden_size,
            true,
        )?,
        merged: vision.merged(),
    })
}

fn load_text(
    weights: &WeightsByUse,
    config: &Config,
    shard_bytes: u64,
) -> Result<TextModel, CheckpointError> {
    let text = &config.text;
    let vocabulary = |name: &str| -> Result<Vocabulary, CheckpointError> {
        weights
            .delicate
            .vocabulary(name, text.vocab_size, text.hidden_size, shard_bytes)
    };
    let embedding = vocabulary(EMBEDDING)?;
    let head = if config.tie_word_embeddings {
        None
    } else {
        Some(vocabulary(HEAD)?)
    };
    let blocks = (0..text.num_hidden_layers)
        .map(|index| load_block(&weights.main, text, index))
        .collect::<Result<_, CheckpointError>>()?;
    Ok(TextModel {
        embedding,
        head,
        blocks,
        final_norm: weights.main.rms_norm(
            &format!("{TEXT}.norm"),
            text.hidden_size,
            text.rms_norm_eps,
        )?,
        rotation: TextRotation::new(text),
        heads: text.num_attention_heads,
        max_positions: text.max_position_embeddings,
    })
}

fn load_block(
    weights: &Weights,
    text: &TextConfig,
    index: usize,
) -> Result<TextBlock, CheckpointError> {
    let name = |part: &str| format!("{TEXT}.layers.{index}.{part}");
    let (heads, kv_heads, head_dim) = (
        text.num_attention_heads,
        text.num_key_value_heads,
        text.head_dim,
    );
    let (hidden, inner, eps) = (text.hidden_size, text.intermediate_size, text.rms_norm_eps);
    let bias = text.attention_bias;
    let norm = |part: &str| weights.values(&name(&format!("self_attn.{part}.weight")), &[head_dim]);
    let scale = (head_dim as f32).sqrt().recip();
    let query: Vec<f32> = norm("q_norm")?.iter().map(|w| w * scale).collect();
    let qk_weight = [query.repeat(heads), norm("k_norm")?.repeat(kv_heads)].concat();
    Ok(TextBlock {
        attention_norm: weights.rms_norm(&name("input_layernorm"), hidden, eps)?,
        attention: TextAttention {
            qkv: weights.fused_linear(
                &[
                    (&name("self_attn.q_proj"), heads * head_dim, 1.0),
                    (&name("self_attn.k_proj"), kv_heads * head_dim, 1.0),
                    (&name("self_attn.v_proj"), kv_heads * head_dim, 1.0),
                ],
                hidden,
                bias,
            )?,
            out: weights.linear(&name("self_attn.o_proj"), heads * head_dim, hidden, bias)?,
            norm: HeadNorm {
                weight: weights.upload(qk_weight, [1, heads + kv_heads, head_dim]),
                eps,
            },
            layout: QkvHeads {
                heads,
                kv_heads,
                head_dim,
            },
        },
        mlp_norm: weights.rms_norm(&name("post_attention_layernorm"), hidden, eps)?,
        mlp: GatedMlp::new(
            weights.fused_linear(
                &[
                    (&name("mlp.gate_proj"), inner, 1.0),
                    (&name("mlp.up_proj"), inner, 1.0),
                ],
                hidden,
                false,
            )?,
            weights.linear(&name("mlp.down_proj"), inner, hidden, false)?,
            GateHalf::First,
        ),
    })
}
