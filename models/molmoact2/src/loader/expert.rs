//! The action expert's tensors.

use layers::{CheckpointError, GateHalf, GatedMlp, Rotary};

use crate::checkpoint::config::{ActionExpertConfig, Config};
use crate::error::LoadError;
use crate::network::expert::{Expert, ExpertBlock};

use super::WeightsByUse;

const EXPERT: &str = "model.action_expert";

pub(super) fn load_expert(
    kept: &WeightsByUse,
    expert: &ActionExpertConfig,
    config: &Config,
) -> Result<Expert, LoadError> {
    let hidden = expert.hidden_size;
    let head_dim = hidden / expert.num_heads.max(1);
    let kv_width = config.text.num_key_value_heads * config.text.head_dim;
    let dims = config.max_action_dim;
    let name = |part: &str| format!("{EXPERT}.{part}");
    let inner = expert.inner_width();
    let (weights, exact) = (&kept.delicate, &kept.exact);
    let blocks = (0..expert.num_layers)
        .map(|index| {
            let part = |part: &str| format!("{EXPERT}.blocks.{index}.{part}");
            let (gate, up) = (part("mlp.gate_proj"), part("mlp.up_proj"));
            Ok(ExpertBlock {
                self_qkv: weights.linear(&part("self_attn.qkv"), hidden, 3 * hidden, true)?,
                self_out: weights.linear(&part("self_attn.out_proj"), hidden, hidden, true)?,
                cross_query: weights.linear(&part("cross_attn.q_proj"), hidden, hidden, true)?,
                cross_out: weights.linear(&part("cross_attn.out_proj"), hidden, hidden, true)?,
                mlp: GatedMlp::new(
                    weights.fused_linear(
                        &[(&gate, inner, 1.0), (&up, inner, 1.0)],
                        hidden,
                        true,
                    )?,
                    weights.linear(&part("mlp.down_proj"), inner, hidden, true)?,
                    GateHalf::First,
                ),
                modulation: weights.linear(&part("modulation.linear"), hidden, 9 * hidden, true)?,
            })
        })
        .collect::<Result<_, CheckpointError>>()?;
    Ok(Expert {
        time_in: exact.linear(
            &name("time_embed.1"),
            expert.timestep_embed_dim,
            hidden,
            true,
        )?,
        time_out: exact.linear(&name("time_embed.3"), hidden, hidden, true)?,
        action_embed: exact.linear(&name("action_embed"), dims, hidden, true)?,
        context_key: weights.linear(&name("context_k_proj"), kv_width, hidden, false)?,
        context_value: weights.linear(&name("context_v_proj"), kv_width, hidden, false)?,
        blocks,
        final_modulation: weights.linear(
            &name("final_layer.modulation.linear"),
            hidden,
            2 * hidden,
            true,
        )?,
        final_linear: exact.linear(&name("final_layer.linear"), hidden, dims, true)?,
        rotary: expert.rope.then(|| {
            Rotary::new(
                config.max_action_horizon,
                head_dim,
                10_000.0,
                weights.device(),
            )
        }),
        context_norm: expert.context_layer_norm,
        qk_norm: expert.qk_norm.then_some(expert.qk_norm_eps),
        causal: expert.causal_attn,
        heads: expert.num_heads,
        head_dim,
        time_dim: expert.timestep_embed_dim,
    })
}
