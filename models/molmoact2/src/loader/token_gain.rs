//! The depth gate's tensors.

use layers::{CheckpointError, Weights};

use crate::checkpoint::config::Config;
use crate::network::token_gain::DepthGate;

const GATE: &str = "model.action_expert_depth_gate";

/// Loads the gate, if the configuration has one and an expert to use it.
pub(super) fn load_depth_gate(
    weights: &Weights,
    config: &Config,
) -> Result<Option<DepthGate>, CheckpointError> {
    let Some(expert) = config.action_expert.as_ref() else {
        return Ok(None);
    };
    if !config.action_expert_depth_gate {
        return Ok(None);
    }
    let width = config.text.num_key_value_heads * config.text.head_dim;
    let load = |name: &str| weights.linear(name, width, 1, true);
    let heads = if config.action_expert_depth_gate_per_layer {
        (0..expert.num_layers)
            .map(|layer| load(&format!("{GATE}.{layer}")))
            .collect::<Result<_, _>>()?
    } else {
        vec![load(GATE)?]
    };
    Ok(Some(DepthGate::new(heads, config)))
}
