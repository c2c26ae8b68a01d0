//! Tensors of a checkpoint, by name, into the network.
//!
//! # Names
//! Names follow a prefix, which is empty in the published files and `model.` or similar where the network was saved
//! inside a policy. The name of the embedding table reveals it.
//!
//! | part | names |
//! |---|---|
//! | vision tower | `model.vision_backbone.image_vit.*` |
//! | pooling, projection | `model.vision_backbone.{image_pooling_2d, image_projector}.*` |
//! | language model | `model.transformer.*`, `lm_head.weight` |
//! | action expert | `model.action_expert.*` |
//! | its depth gate | `model.action_expert_depth_gate[.{layer}].*` |
//!
//! Linear weights are stored `[outputs, inputs]` and transposed here once. Projections that read
//! the same input are joined, and the factor of the attention scores is folded into the queries.
//!
//! Some layers stay in `f32` in every precision: the pooling, whose inputs and scores exceed the range of `f16`,
//! and the input and output layers of the expert, whose errors reach the actions directly. [`WeightsByUse`] has the
//! rule for four bits.

use std::collections::BTreeSet;

use burn_tensor::Device;
use layers::{
    Checkpoint, CheckpointError, ConfigError, GateHalf, GatedMlp, Precision, Progress, Rotary,
    Weights,
};

use crate::checkpoint::config::{AdapterConfig, Config, TextConfig, VitConfig};
use crate::checkpoint::tensors;
use crate::error::LoadError;
use crate::network::Network;
use crate::network::connector::Connector;
use crate::network::text_model::{TextAttention, TextBlock, TextModel};

mod expert;
pub(crate) mod options;
mod token_gain;
pub(crate) mod token_head;
mod vision;

const EMBEDDING: &str = "model.transformer.wte.embedding";
const POOLING: &str = "model.vision_backbone.image_pooling_2d";
const PROJECTOR: &str = "model.vision_backbone.image_projector";
const TRANSFORMER: &str = "model.transformer";

impl Network {
    /// Reads every tensor of `checkpoint` onto `device`, in `f32`.
    ///
    /// # Errors
    /// [`ConfigError::Unsupported`] for a configuration this network does not implement, and
    /// [`LoadError::Checkpoint`] for tensors that are missing, of the wrong shape or left over.
    pub fn load(
        checkpoint: &Checkpoint,
        config: &Config,
        device: &Device,
    ) -> Result<Self, LoadError> {
        Self::load_as(checkpoint, config, device, Precision::F32, None)
    }

    /// Like [`Network::load`] with the large matrices in `precision`; `progress` gets the bytes read so far.
    ///
    /// # Errors
    /// As [`Network::load`], and [`LoadError::Checkpoint`] for a precision that the device cannot compute in.
    pub fn load_as(
        checkpoint: &Checkpoint,
        config: &Config,
        device: &Device,
        precision: Precision,
        progress: Option<Progress<'_>>,
    ) -> Result<Self, LoadError> {
        check_supported(config)?;
        let prefix = find_prefix(checkpoint, config)?;
        check_tensors(checkpoint, &prefix, config)?;
        let weights = Weights::with_progress(checkpoint, prefix, device, progress);
        let kept = WeightsByUse::new(&weights, precision)?;
        let taps = vision::taps(&config.adapter, &config.vit)?;
        let network = Self {
            vit: vision::load_vit(&kept.delicate, &config.vit, taps)?,
            connector: load_connector(&kept, &config.adapter, &config.vit)?,
            text: load_text(&kept, &config.text)?,
            expert: match &config.action_expert {
                Some(sizes) => Some(expert::load_expert(&kept, sizes, config)?),
                None => None,
            },
            depth_gate: token_gain::load_depth_gate(&kept.exact, config)?,
            device: device.clone(),
            weight_bytes: weights.kept(),
        };
        let used = network.vit.blocks.len();
        weights.finish(|name| may_be_left(name, used))?;
        Ok(network)
    }
}

/// One checkpoint, read in the precision of each part of the network.
struct WeightsByUse<'a> {
    /// Always `f32`.
    exact: Weights<'a>,
    /// The requested precision, but eight bits instead of four: vision, expert, embeddings and output head are a
    /// fifth of the weights and lose the most.
    delicate: Weights<'a>,
    /// The requested precision.
    main: Weights<'a>,
}

impl<'a> WeightsByUse<'a> {
    fn new(weights: &Weights<'a>, precision: Precision) -> Result<Self, CheckpointError> {
        Ok(Self {
            exact: weights.exact(),
            delicate: weights.in_precision(precision.delicate())?,
            main: weights.in_precision(precision)?,
        })
    }
}

/// True if a tensor may be in a file without being in the network: rotary frequencies, which are computed, and
/// vision blocks after the last one whose output is used.
pub(crate) fn may_be_left(name: &str, vit_blocks: usize) -> bool {
    if name.ends_with("rotary_emb.inv_freq") {
        return true;
    }
    name.strip_prefix("model.vision_backbone.image_vit.transformer.resblocks.")
        .and_then(|rest| rest.split('.').next())
        .and_then(|index| index.parse::<usize>().ok())
        .is_some_and(|index| index >= vit_blocks)
}

pub(crate) fn find_prefix(
    checkpoint: &Checkpoint,
    config: &Config,
) -> Result<String, CheckpointError> {
    checkpoint
        .names()
        .find_map(|name| name.strip_suffix(EMBEDDING))
        .map(str::to_owned)
        .ok_or_else(|| CheckpointError::Missing {
            name: EMBEDDING.to_owned(),
            place: checkpoint.place().to_owned(),
            expected: vec![config.text.vocab_size, config.text.hidden_size],
        })
}

/// Checks that the checkpoint has every tensor in its shape and no others, before gigabytes are read or allocated.
fn check_tensors(
    checkpoint: &Checkpoint,
    prefix: &str,
    config: &Config,
) -> Result<(), CheckpointError> {
    let mut known = BTreeSet::new();
    for entry in tensors::expected(config) {
        let name = format!("{prefix}{}", entry.name);
        checkpoint.expect(&name, &entry.shape)?;
        known.insert(name);
    }
    let blocks = tensors::vit_blocks(config);
    let names: Vec<String> = checkpoint
        .names()
        .filter(|name| !known.contains(*name))
        .filter(|name| !may_be_left(name.strip_prefix(prefix).unwrap_or(name), blocks))
        .map(str::to_owned)
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(CheckpointError::LeftOver {
        place: checkpoint.place().to_owned(),
        names,
    })
}

fn unsupported(what: impl Into<String>, why: impl Into<String>) -> LoadError {
    LoadError::Config(ConfigError::Unsupported {
        what: what.into(),
        why: why.into(),
    })
}

/// Refuses configurations that the network does not implement, by key.
pub(crate) fn check_supported(config: &Config) -> Result<(), LoadError> {
    let text = &config.text;
    let wants = |ok: bool, what: String, why: &str| {
        if ok {
            Ok(())
        } else {
            Err(unsupported(what, why))
        }
    };
    wants(
        !text.norm_after,
        "text_config.norm_after = true".to_owned(),
        "only blocks that normalize before their branches are implemented",
    )?;
    wants(
        text.rope_scaling.is_none() && text.rope_scaling_layers.is_none(),
        "text_config.rope_scaling".to_owned(),
        "only unscaled rotary positions are implemented",
    )?;
    wants(
        !text.use_qk_norm || text.qk_norm_type == "qwen3",
        format!("text_config.qk_norm_type = {:?}", text.qk_norm_type),
        "only \"qwen3\" (a norm per head) is implemented",
    )?;
    for (key, value, known) in [
        ("text_config", text.hidden_act.as_str(), "silu"),
        ("adapter_config", config.adapter.hidden_act.as_str(), "silu"),
        (
            "vit_config",
            config.vit.hidden_act.as_str(),
            "gelu_pytorch_tanh",
        ),
    ] {
        wants(
            value == known,
            format!("{key}.hidden_act = {value:?}"),
            &format!("only {known:?} is implemented there"),
        )?;
    }
    Ok(())
}

fn score_scale(head_dim: usize) -> f32 {
    (head_dim as f32).sqrt().recip()
}

fn load_connector(
    kept: &WeightsByUse,
    adapter: &AdapterConfig,
    vit: &VitConfig,
) -> Result<Connector, LoadError> {
    let features = vit.hidden_size * adapter.vit_layers.len();
    let (heads, kv_heads, head_dim) = (
        adapter.num_attention_heads,
        adapter.num_key_value_heads,
        adapter.head_dim,
    );
    let name = |part: &str| format!("{POOLING}.{part}");
    let project = |part: &str| format!("{PROJECTOR}.{part}");
    let inner = adapter.intermediate_size;
    let weights = &kept.exact;
    Ok(Connector {
        query: weights.fused_linear(
            &[(&name("wq"), heads * head_dim, score_scale(head_dim))],
            features,
            true,
        )?,
        key_value: weights.fused_linear(
            &[
                (&name("wk"), kv_heads * head_dim, 1.0),
                (&name("wv"), kv_heads * head_dim, 1.0),
            ],
            features,
            true,
        )?,
        out: weights.linear(&name("wo"), heads * head_dim, adapter.hidden_size, true)?,
        projector: GatedMlp::new(
            kept.main.fused_linear(
                &[(&project("w1"), inner, 1.0), (&project("w3"), inner, 1.0)],
                adapter.hidden_size,
                false,
            )?,
            kept.main
                .linear(&project("w2"), inner, adapter.text_hidden_size, false)?,
            GateHalf::First,
        ),
        heads,
        kv_heads,
        head_dim,
        masked: adapter.pooling_attention_mask,
    })
}

fn load_text(kept: &WeightsByUse, text: &TextConfig) -> Result<TextModel, LoadError> {
    let hidden = text.hidden_size;
    let weights = &kept.main;
    let embedding = kept.delicate.embedding(
        &[
            (EMBEDDING, text.vocab_size),
            (
                &format!("{TRANSFORMER}.wte.new_embedding"),
                text.additional_vocab_size,
            ),
        ],
        hidden,
    )?;
    let blocks = (0..text.num_hidden_layers)
        .map(|index| load_text_block(weights, text, index))
        .collect::<Result<_, CheckpointError>>()?;
    Ok(TextModel {
        embedding,
        blocks,
        final_norm: weights.rms_norm(
            &format!("{TRANSFORMER}.ln_f"),
            hidden,
            text.layer_norm_eps,
        )?,
        head: kept
            .delicate
            .linear("lm_head", hidden, text.vocab_size, false)?,
        rotary: Rotary::new(
            text.max_position_embeddings,
            text.head_dim,
            text.rope_theta,
            weights.device(),
        ),
    })
}

fn load_text_block(
    weights: &Weights,
    text: &TextConfig,
    index: usize,
) -> Result<TextBlock, CheckpointError> {
    let block = format!("{TRANSFORMER}.blocks.{index}");
    let (heads, kv_heads, head_dim) = (
        text.num_attention_heads,
        text.num_key_value_heads,
        text.head_dim,
    );
    let (hidden, eps) = (text.hidden_size, text.layer_norm_eps);
    let head_weight = |name: &str| {
        if text.use_qk_norm {
            weights.values(&format!("{block}.self_attn.{name}.weight"), &[head_dim])
        } else {
            Ok(vec![1.0; head_dim])
        }
    };
    let scale = score_scale(head_dim);
    let query: Vec<f32> = head_weight("q_norm")?.iter().map(|w| w * scale).collect();
    let key = head_weight("k_norm")?;
    let qk_weight = [query.repeat(heads), key.repeat(kv_heads)].concat();
    Ok(TextBlock {
        attention_norm: weights.rms_norm(&format!("{block}.attn_norm"), hidden, eps)?,
        attention: TextAttention {
            qkv: weights.linear(
                &format!("{block}.self_attn.att_proj"),
                hidden,
                (heads + 2 * kv_heads) * head_dim,
                text.qkv_bias,
            )?,
            out: weights.linear(
                &format!("{block}.self_attn.attn_out"),
                heads * head_dim,
                hidden,
                false,
            )?,
            qk_weight: weights.upload(qk_weight, [1, heads + kv_heads, head_dim]),
            qk_norm: text.use_qk_norm,
            heads,
            kv_heads,
            head_dim,
            eps,
        },
        mlp_norm: weights.rms_norm(&format!("{block}.ff_norm"), hidden, eps)?,
        mlp: GatedMlp::new(
            weights.linear(
                &format!("{block}.mlp.ff_proj"),
                hidden,
                2 * text.intermediate_size,
                false,
            )?,
            weights.linear(
                &format!("{block}.mlp.ff_out"),
                text.intermediate_size,
                hidden,
                false,
            )?,
            GateHalf::Second,
        ),
    })
}
